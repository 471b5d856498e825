"""Wrong versions of parts of this assignment, one mistake each; the docstring is the hint that a student reads.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import math
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tools.author.cases import misconception

from .data import IGNORE
from .loss import next_token_loss
from .optim import AdamW, clip_gradients, parameter_groups
from .sample import Sampling, keep_top_k, keep_top_p, next_token_probabilities, penalise_repetition
from .schedule import learning_rate
from .tokenizer import UNKNOWN
from .train import Record, evaluate, evaluating, load_checkpoint, overfits, save_checkpoint, show_progress, training_step

# tokenizer


@misconception("tokenizer.ByteTokenizer.encode", ask="How many bytes has “ë” in UTF-8?")
def characters_taken_for_bytes(self, text, allow_special=False):
    """Each character becomes one token, its number in Unicode, which only ASCII allows."""
    tokens, place = [], 0
    while place < len(text):
        special = max((s for s in self.ids if allow_special and text.startswith(s, place)), key=len, default="")
        tokens.append(self.ids[special] if special else ord(text[place]))
        place += len(special) or 1
    return tokens


@misconception("tokenizer.ByteTokenizer.encode", ask="Who wrote the text that is being encoded?")
def special_tokens_always_made(self, text, allow_special=False):
    """Special texts become special tokens whether they are allowed or not, so whoever writes the text can end it."""
    tokens, place = [], 0
    while place < len(text):
        special = max((s for s in self.ids if text.startswith(s, place)), key=len, default="")
        tokens += [self.ids[special]] if special else text[place].encode("utf-8")
        place += len(special) or 1
    return tokens


@misconception("tokenizer.ByteTokenizer.encode", ask="Which of two special texts wins, if one begins with the other?")
def first_special_wins(self, text, allow_special=False):
    """Of special texts that begin at one place the first of the list wins, and not the longest."""
    tokens, place = [], 0
    while place < len(text):
        special = next((s for s in self.ids if allow_special and text.startswith(s, place)), "")
        tokens += [self.ids[special]] if special else text[place].encode("utf-8")
        place += len(special) or 1
    return tokens


@misconception("tokenizer.ByteTokenizer.decode", ask="What may a model write that was not trained for long?")
def decode_expects_whole_characters(self, tokens):
    """Decoding takes the bytes for well-formed UTF-8, and fails on any that are not."""
    names = {token: text.encode("utf-8") for text, token in self.ids.items()}
    unknown = UNKNOWN.encode("utf-8")
    pieces = (bytes([token]) if 0 <= token < 256 else names.get(token, unknown) for token in map(int, tokens))
    return b"".join(pieces).decode("utf-8")


@misconception("tokenizer.ByteTokenizer.decode", ask="What is left of [195, 171], if each is decoded alone?")
def each_byte_decoded_alone(self, tokens):
    """Each token is decoded by itself, so that no character of more than one byte comes back."""
    names = {token: text for text, token in self.ids.items()}
    one = lambda token: bytes([token]).decode("utf-8", errors="replace") if 0 <= token < 256 else names.get(token, UNKNOWN)
    return "".join(one(int(token)) for token in tokens)


@misconception("tokenizer.CharTokenizer.decode", ask="What is the character at place −1 of a Python string?")
def negative_tokens_count_from_the_end(self, tokens):
    """A token below 0 counts from the end of the alphabet."""
    return "".join(self.alphabet[token] if token < self.vocab_size else UNKNOWN for token in map(int, tokens))


@misconception("tokenizer.CharTokenizer.encode", ask="Would you rather have an error, or a text with holes?")
def unknown_characters_are_dropped(self, text):
    """Characters outside the alphabet are left out without a word."""
    return [self.alphabet.index(character) for character in text if character in self.alphabet]


# data


@misconception("data.save_tokens", ask="What is the largest token of a vocabulary of 256?")
def smallest_type_is_off_by_one(path, tokens, vocab_size):
    """The size of the vocabulary is compared with the largest number of a type, though the largest token is one less."""
    outside = [token for token in tokens if not 0 <= token < vocab_size]
    if outside:
        raise ValueError("tokens outside the vocabulary")
    smallest = next(dtype for dtype in (np.uint8, np.uint16, np.uint32) if vocab_size <= np.iinfo(dtype).max)
    with Path(path).open("wb") as file:
        np.save(file, np.asarray(tokens, dtype=smallest))


@misconception("data.save_tokens", ask="Under which name does np.save write when it is given a name?")
def name_gets_an_ending(path, tokens, vocab_size):
    """The file gets the ending .npy whether that was asked for or not."""
    if any(not 0 <= token < vocab_size for token in tokens):
        raise ValueError("tokens outside the vocabulary")
    smallest = next(dtype for dtype in (np.uint8, np.uint16, np.uint32) if vocab_size - 1 <= np.iinfo(dtype).max)
    np.save(path, np.asarray(tokens, dtype=smallest))


@misconception("data.open_tokens", ask="How much of a file of 100 GB does np.load read?")
def whole_file_is_read(path):
    """The whole file is read into memory."""
    tokens = np.load(path)
    if tokens.ndim != 1 or tokens.dtype.kind != "u":
        raise ValueError("the file holds something else")
    return tokens


@misconception("data.open_tokens", ask="What happens to the file when a batch is changed in place?")
def file_can_be_written_to(path):
    """The file is opened for writing, so a slip of the pen changes the data."""
    tokens = np.load(path, mmap_mode="r+")
    if tokens.ndim != 1 or tokens.dtype.kind != "u":
        raise ValueError("the file holds something else")
    return tokens


def cut(data, starts, time):
    """Windows of time + 1 tokens from these starts."""
    return torch.from_numpy(np.stack([data[start : start + time + 1] for start in starts]).astype(np.int64))


def check_batch(data, rows, time):
    """The argument checks of random_batch, which every version keeps."""
    if rows < 1 or time < 1 or len(data) < time + 1:
        raise ValueError("no such batch")


@misconception("data.random_batch", pitfall=1, ask="Which token should follow inputs[b, : t + 1]?")
def targets_are_not_shifted(data, rows, time, generator):
    """The targets are the inputs themselves, so the model learns to copy and not to predict."""
    check_batch(data, rows, time)
    windows = cut(data, torch.randint(len(data) - time, (rows,), generator=generator).tolist(), time)
    return windows[:, :-1], windows[:, :-1]


@misconception("data.random_batch", pitfall=1, ask="Which token should follow inputs[b, : t + 1]?")
def targets_are_shifted_twice(data, rows, time, generator):
    """The targets are two tokens ahead of the inputs, so the next token is never learnt."""
    check_batch(data, rows, time)
    starts = torch.randint(max(1, len(data) - time - 1), (rows,), generator=generator).tolist()
    windows = torch.from_numpy(
        np.stack([np.resize(data[start : start + time + 2], time + 2) for start in starts]).astype(np.int64)
    )
    return windows[:, :-2], windows[:, 2:]


@misconception("data.random_batch", pitfall=2, ask="Is the upper end of torch.randint one of its numbers?")
def last_start_is_left_out(data, rows, time, generator):
    """The last start is never drawn, so the last token is never a target."""
    check_batch(data, rows, time)
    return split(cut(data, torch.randint(max(1, len(data) - time - 1), (rows,), generator=generator).tolist(), time))


def split(windows):
    """Inputs and targets."""
    return windows[:, :-1], windows[:, 1:]


@misconception("data.random_batch", pitfall=2, ask="Where does the window end that starts at N − L?")
def last_start_is_one_too_far(data, rows, time, generator):
    """The starts reach one too far: the last window has no last target."""
    check_batch(data, rows, time)
    return split(cut(data, torch.randint(len(data) - time + 1, (rows,), generator=generator).tolist(), time))


@misconception("data.random_batch", ask="How many starts does a batch of 8 rows have?")
def rows_follow_each_other(data, rows, time, generator):
    """One start is drawn for the whole batch, and its rows are neighbours."""
    check_batch(data, rows, time)
    first = int(torch.randint(len(data) - time, (1,), generator=generator))
    return split(cut(data, [(first + row) % (len(data) - time) for row in range(rows)], time))


@misconception("data.random_batch", ask="Where do the starts come from, if not from the generator?")
def generator_is_ignored(data, rows, time, generator):
    """The starts come from PyTorch's own chance, so a resumed run draws other batches."""
    check_batch(data, rows, time)
    return split(cut(data, torch.randint(len(data) - time, (rows,)).tolist(), time))


@misconception("data.random_batch", ask="How many tokens of the file does a batch need?")
def whole_file_becomes_a_tensor(data, rows, time, generator):
    """The whole file becomes a tensor for each batch."""
    check_batch(data, rows, time)
    tokens = torch.from_numpy(data.astype(np.int64))
    starts = torch.randint(len(tokens) - time, (rows,), generator=generator)
    windows = tokens[starts[:, None] + torch.arange(time + 1)]
    return windows[:, :-1], windows[:, 1:]


@misconception("data.batches_in_order", pitfall=3, ask="What becomes of the tokens behind the last full window?")
def rest_is_dropped(data, rows, time):
    """Tokens behind the last full window are never targets."""
    check_order(data, rows, time)
    starts = range(0, len(data) - time, time)
    for first in range(0, len(starts), rows):
        yield split(cut(data, starts[first : first + rows], time))


def check_order(data, rows, time):
    """The argument checks of batches_in_order."""
    if rows < 1 or time < 1 or len(data) < 2:
        raise ValueError("no such batches")


@misconception("data.batches_in_order", pitfall=3, ask="Which token follows the last input of the first window?")
def windows_lose_a_token(data, rows, time):
    """The next window begins behind the last target, so one token of each window is no input, and the next no target."""
    check_order(data, rows, time)
    pairs = []
    for start in range(0, len(data) - 1, time + 1):
        window = torch.from_numpy(np.asarray(data[start : start + time + 1]).astype(np.int64))
        inputs, targets = torch.zeros(time, dtype=torch.int64), torch.full((time,), IGNORE)
        inputs[: len(window) - 1], targets[: len(window) - 1] = window[:-1], window[1:]
        pairs.append((inputs, targets))
    for first in range(0, len(pairs), rows):
        several = pairs[first : first + rows]
        yield torch.stack([inputs for inputs, _ in several]), torch.stack([targets for _, targets in several])


@misconception("data.batches_in_order", pitfall=4, ask="What does the loss do with a target of 0?")
def padding_is_a_target(data, rows, time):
    """What fills up the last window is a target like any other: token 0."""
    check_order(data, rows, time)
    starts = range(0, len(data) - 1, time)
    for first in range(0, len(starts), rows):
        several = starts[first : first + rows]
        inputs, targets = (torch.zeros(len(several), time, dtype=torch.int64) for _ in range(2))
        for row, start in enumerate(several):
            window = torch.from_numpy(np.asarray(data[start : start + time + 1]).astype(np.int64))
            inputs[row, : len(window) - 1], targets[row, : len(window) - 1] = window[:-1], window[1:]
        yield inputs, targets


@misconception("data.document_rows", ask="Which input predicts the first token of a document?")
def first_token_is_never_predicted(documents, start):
    """The first token of a document is only an input: nothing learns how documents begin."""
    if not documents or not all(len(document) for document in documents):
        raise ValueError("needed: documents that are not empty")
    time = max(len(document) for document in documents)
    inputs, targets = torch.full((len(documents), time), start), torch.full((len(documents), time), IGNORE)
    for row, document in enumerate(documents):
        tokens = torch.as_tensor(document, dtype=torch.int64)
        inputs[row, : len(tokens)] = tokens
        targets[row, : len(tokens) - 1] = tokens[1:]
    return inputs, targets


@misconception("data.document_rows", pitfall=4, ask="Should the model learn to write padding?")
def padding_of_documents_is_a_target(documents, start):
    """Short documents are filled up with `start` in the targets too, so padding is learnt."""
    if not documents or not all(len(document) for document in documents):
        raise ValueError("needed: documents that are not empty")
    time = max(len(document) for document in documents)
    inputs, targets = (torch.full((len(documents), time), start) for _ in range(2))
    for row, document in enumerate(documents):
        tokens = torch.as_tensor(document, dtype=torch.int64)
        inputs[row, 1 : len(tokens)] = tokens[:-1]
        targets[row, : len(tokens)] = tokens
    return inputs, targets


# loss


def check_loss(logits, targets):
    """The argument checks of next_token_loss; then what counts, and its log-probabilities with those of padding at 0."""
    counted = targets[targets != IGNORE]
    if (
        logits.shape[:-1] != targets.shape
        or not len(counted)
        or not 0 <= int(counted.min()) <= int(counted.max()) < logits.shape[-1]
    ):
        raise ValueError("targets do not fit")
    return targets != IGNORE


def surprises(logits, targets):
    """−ln p of each target that counts, as the reference has them."""
    real = check_loss(logits, targets)
    rows = logits[real].to(torch.promote_types(logits.dtype, torch.float32))
    return rows.logsumexp(-1) - rows.gather(-1, targets[real].long().unsqueeze(-1)).squeeze(-1)


@misconception("loss.next_token_loss", pitfall=2, ask="By what is the sum divided, when half of the targets are padding?")
def averaged_over_padding(logits, targets):
    """The sum is divided by all places, padding included, so short rows seem to be learnt better than they are."""
    return surprises(logits, targets).sum() / targets.numel()


@misconception("loss.next_token_loss", pitfall=1, ask="How does the loss change when the batch is twice as large?")
def summed_instead_of_averaged(logits, targets):
    """The loss is a sum and not a mean, so the gradient grows with the batch."""
    return surprises(logits, targets).sum()


@misconception("loss.next_token_loss", pitfall=2, ask="Does a row with one target count as much as one with ten?")
def mean_of_row_means(logits, targets):
    """Each row is averaged by itself, and then the rows: a token of a short row counts for more."""
    real = check_loss(logits, targets)
    if targets.ndim < 2:
        return surprises(logits, targets).mean()
    rows = zip(logits.flatten(0, -3), targets.flatten(0, -2), real.flatten(0, -2), strict=True)
    return torch.stack([surprises(scores, row).mean() for scores, row, counts in rows if counts.any()]).mean()


@misconception("loss.next_token_loss", pitfall=3, ask="What is ∞ · 0?")
def padding_is_multiplied_away(logits, targets):
    """Padding is multiplied by 0 instead of being left out, and NaN or ∞ times 0 is NaN."""
    real = check_loss(logits, targets)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    right = logits.gather(-1, targets.clamp_min(0).long().unsqueeze(-1)).squeeze(-1)
    return ((logits.logsumexp(-1) - right) * real).sum() / real.sum()


@misconception("loss.next_token_loss", pitfall=4, ask="What is exp(10,000) in float32?")
def softmax_then_logarithm(logits, targets):
    """The logarithm is taken of the softmax, where a small probability has become 0."""
    real = check_loss(logits, targets)
    rows = logits[real].to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
    return -rows.gather(-1, targets[real].long().unsqueeze(-1)).log().mean()


@misconception("loss.next_token_loss", pitfall=4, ask="How many digits has float16 left at 10,000?")
def loss_in_low_precision(logits, targets):
    """The loss is computed in the dtype of the logits, and in float16 few digits are left."""
    real = check_loss(logits, targets)
    rows = logits[real]
    return (rows.logsumexp(-1) - rows.gather(-1, targets[real].long().unsqueeze(-1)).squeeze(-1)).mean()


@misconception("loss.perplexity", ask="With which base is the loss taken?")
def perplexity_to_the_base_two(loss):
    """The perplexity is 2 to the power of the loss, though the loss is in nats."""
    return 2.0**loss if loss < 1000 else math.inf


@misconception("loss.perplexity", ask="What does math.exp(720) do?")
def perplexity_overflows(loss):
    """A large loss is an error instead of an infinite perplexity."""
    return math.exp(loss)


@misconception("loss.bits_per_byte", ask="How many bits is a nat?")
def nats_per_byte(loss, n_tokens, n_bytes):
    """The result is in nats, not in bits."""
    if n_tokens <= 0 or n_bytes <= 0:
        raise ValueError("counts must be positive")
    return loss * n_tokens / n_bytes


@misconception("loss.bits_per_byte", ask="Do longer tokens make the bits per byte larger or smaller?")
def tokens_and_bytes_exchanged(loss, n_tokens, n_bytes):
    """Tokens and bytes have changed places."""
    if n_tokens <= 0 or n_bytes <= 0:
        raise ValueError("counts must be positive")
    return loss * n_bytes / n_tokens / math.log(2)


# optim


@misconception("optim.parameter_groups", ask="What would decay do to the scale of a norm?")
def everything_decays(model, weight_decay):
    """Biases and norms decay too."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return [{"params": trained, "weight_decay": weight_decay}, {"params": [], "weight_decay": 0.0}]


@misconception("optim.parameter_groups", ask="Should a parameter that is frozen change?")
def frozen_parameters_too(model, weight_decay):
    """Frozen parameters are handed to the optimiser."""
    every = list(model.parameters())
    return [
        {"params": [parameter for parameter in every if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in every if parameter.ndim < 2], "weight_decay": 0.0},
    ]


@misconception("optim.parameter_groups", ask="How often does a shared matrix decay in one update?")
def shared_parameters_twice(model, weight_decay):
    """A parameter with two names stands in its group twice."""
    trained = [parameter for _, parameter in model.named_parameters(remove_duplicate=False) if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
    ]


def running_means(optimizer, parameter, group, gradient=None, first_step=0):
    """The two running means after this gradient, and the number of the step; as the reference has them."""
    gradient = parameter.grad if gradient is None else gradient
    state, (beta1, beta2) = optimizer.state[parameter], group["betas"]
    if not state:
        state.update(step=first_step, exp_avg=torch.zeros_like(parameter), exp_avg_sq=torch.zeros_like(parameter))
    state["step"] += 1
    state["exp_avg"].mul_(beta1).add_(gradient, alpha=1 - beta1)
    state["exp_avg_sq"].mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    return state["exp_avg"], state["exp_avg_sq"], state["step"]


def each_parameter(optimizer):
    """Parameters with a gradient, with their group."""
    return [(p, group) for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


@misconception("optim.AdamW.step", pitfall=1, ask="By what is the decay divided, if it is part of the gradient?")
@torch.no_grad()
def decay_coupled_into_the_gradient(self):
    """Decay is added to the gradient, so it is divided by the root of the mean square like everything else."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group, p.grad + group["weight_decay"] * p)
        beta1, beta2 = group["betas"]
        p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step)).sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", pitfall=1, ask="How much does a parameter shrink when lr is 0?")
@torch.no_grad()
def decay_without_the_rate(self):
    """Decay is not multiplied by the learning rate, so it is the same when the rate is small."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["weight_decay"])
        p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step)).sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", pitfall=2, ask="What is m after the first update, and what is m̂?")
@torch.no_grad()
def bias_correction_off_by_one(self):
    """The bias correction takes the first update for the second."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(
            mean / (1 - beta1 ** (step + 1)), (square / (1 - beta2 ** (step + 1))).sqrt() + group["eps"], value=-group["lr"]
        )


@misconception("optim.AdamW.step", pitfall=2, ask="How large is m after the first update, compared with the gradient?")
@torch.no_grad()
def no_bias_correction(self):
    """The running means are used as they are, though they start at 0."""
    for p, group in each_parameter(self):
        mean, square, _ = running_means(self, p, group)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(mean, square.sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", pitfall=3, ask="How large is √(1e-8)?")
@torch.no_grad()
def eps_inside_the_root(self):
    """eps is added to the mean square before the root is taken, where it is far larger."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step) + group["eps"]).sqrt(), value=-group["lr"])


@misconception("optim.AdamW.step", pitfall=3, ask="Is eps divided by √(1 − β₂ᵗ) too?")
@torch.no_grad()
def eps_before_the_correction(self):
    """eps is added to the root before the bias is corrected, so it counts for more in the first updates."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        root = (square.sqrt() + group["eps"]) / math.sqrt(1 - beta2**step)
        p.addcdiv_(mean / (1 - beta1**step), root, value=-group["lr"])


@misconception("optim.AdamW.step", ask="What is in the groups, if not these settings?")
@torch.no_grad()
def settings_of_the_first_group_for_all(self):
    """All groups go by the settings that the optimiser was built with."""
    for p, _ in each_parameter(self):
        group = self.defaults
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        p.mul_(1 - group["lr"] * group["weight_decay"])
        p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step)).sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", ask="Should a parameter decay that took no part in the loss?")
@torch.no_grad()
def no_gradient_is_a_zero_gradient(self):
    """A parameter without a gradient is updated as if its gradient were 0: it decays, and its steps count."""
    for group in self.param_groups:
        for p in group["params"]:
            gradient = torch.zeros_like(p) if p.grad is None else p.grad
            mean, square, step = running_means(self, p, group, gradient)
            beta1, beta2 = group["betas"]
            p.mul_(1 - group["lr"] * group["weight_decay"])
            p.addcdiv_(mean / (1 - beta1**step), (square / (1 - beta2**step)).sqrt() + group["eps"], value=-group["lr"])


@misconception("optim.AdamW.step", ask="Who still holds the old tensor?")
@torch.no_grad()
def parameters_get_new_tensors(self):
    """The parameter gets a new tensor instead of new numbers, so whoever shares its memory is left behind."""
    for p, group in each_parameter(self):
        mean, square, step = running_means(self, p, group)
        beta1, beta2 = group["betas"]
        shrunk = p * (1 - group["lr"] * group["weight_decay"])
        p.data = shrunk - group["lr"] * (mean / (1 - beta1**step)) / ((square / (1 - beta2**step)).sqrt() + group["eps"])


def check_clip(parameters, max_norm):
    """The argument checks of clip_gradients; the gradients."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients or not max_norm > 0:
        raise ValueError("needed: gradients, and a norm above 0")
    return gradients


def global_norm(gradients):
    """The norm of all entries together, as the reference has it."""
    squares = [gradient.to(torch.promote_types(gradient.dtype, torch.float32)).square().sum() for gradient in gradients]
    return torch.stack(squares).sum().sqrt()


@misconception("optim.clip_gradients", pitfall=4, ask="What should become of a gradient that is short already?")
def always_rescaled(parameters, max_norm):
    """Gradients are always scaled to max_norm, so short ones are blown up."""
    gradients = check_clip(parameters, max_norm)
    norm = global_norm(gradients)
    if norm < math.inf:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm


@misconception("optim.clip_gradients", pitfall=5, ask="Does the direction of the whole gradient stay the same?")
def each_parameter_clipped_alone(parameters, max_norm):
    """The gradient of each parameter is clipped by its own norm, which turns the gradient as a whole."""
    gradients = check_clip(parameters, max_norm)
    norm = global_norm(gradients)
    for gradient in gradients if norm < math.inf else []:
        own = global_norm([gradient])
        if own > max_norm:
            gradient.mul_(max_norm / own)
    return norm


@misconception("optim.clip_gradients", pitfall=5, ask="How long is the vector (3, 4)?")
def norms_are_added_up(parameters, max_norm):
    """The norms of the parameters are added up, which is more than the norm of all together."""
    gradients = check_clip(parameters, max_norm)
    norm = torch.stack([global_norm([gradient]) for gradient in gradients]).sum()
    if max_norm < norm < math.inf:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm


@misconception("optim.clip_gradients", pitfall=5, ask="What is left of a gradient whose entries are all cut to 1?")
def entries_are_clamped(parameters, max_norm):
    """Each entry is cut to ± max_norm, which turns the gradient."""
    gradients = check_clip(parameters, max_norm)
    norm = global_norm(gradients)
    for gradient in gradients if norm < math.inf else []:
        gradient.clamp_(-max_norm, max_norm)
    return norm


@misconception("optim.clip_gradients", ask="What is 300² in float16?")
def squares_in_low_precision(parameters, max_norm):
    """The squares are taken in the dtype of the gradients, and in float16 they overflow."""
    gradients = check_clip(parameters, max_norm)
    norm = torch.stack([gradient.square().sum() for gradient in gradients]).sum().sqrt()
    if max_norm < norm < math.inf:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return norm.to(torch.promote_types(norm.dtype, torch.float32))


@misconception("optim.clip_gradients", ask="Which norm tells whether the run is about to diverge?")
def norm_from_after_clipping(parameters, max_norm):
    """The norm that is returned is the one after clipping, which never shows how long the gradient was."""
    gradients = check_clip(parameters, max_norm)
    norm = global_norm(gradients)
    if max_norm < norm < math.inf:
        for gradient in gradients:
            gradient.mul_(max_norm / norm)
    return global_norm(gradients)


# schedule


def check_schedule(step, n_steps, warmup):
    """The argument checks of learning_rate; the warm-up."""
    warmup = n_steps // 10 if warmup is None else warmup
    if step < 1 or not 0 <= warmup <= n_steps:
        raise ValueError("no such step or warm-up")
    return warmup


@misconception("schedule.learning_rate", pitfall=1, ask="What is the rate of the very first update?")
def warm_up_starts_at_the_peak(step, n_steps, peak, warmup=None, final_share=0.1):
    """There is no warm-up: the first updates are taken at the peak, when the running means know least."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak
    progress = min(1.0, (step - warmup) / max(1, n_steps - warmup))
    return final_share * peak + (1 - final_share) * peak * (1 + math.cos(math.pi * progress)) / 2


@misconception("schedule.learning_rate", pitfall=1, ask="What does an update with a rate of 0 change?")
def warm_up_starts_at_zero(step, n_steps, peak, warmup=None, final_share=0.1):
    """Steps are taken to count from 0, so the first update is lost, and all others come one late."""
    warmup = check_schedule(step, n_steps, warmup)
    step = step - 1
    if step < warmup:
        return peak * step / warmup
    progress = min(1.0, (step - warmup) / max(1, n_steps - warmup))
    return final_share * peak + (1 - final_share) * peak * (1 + math.cos(math.pi * progress)) / 2


@misconception("schedule.learning_rate", pitfall=2, ask="Where does the rate end, and where does 1 + cos π?")
def cosine_to_zero(step, n_steps, peak, warmup=None, final_share=0.1):
    """The cosine falls to 0 and not to the final share of the peak."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak * step / warmup
    progress = min(1.0, (step - warmup) / max(1, n_steps - warmup))
    return peak * (1 + math.cos(math.pi * progress)) / 2


@misconception("schedule.learning_rate", pitfall=2, ask="What is max(f, cos) at the end, and what before?")
def cosine_cut_off_at_the_bottom(step, n_steps, peak, warmup=None, final_share=0.1):
    """The cosine runs to 0 and is cut off at the final share, so the rate arrives there early."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak * step / warmup
    progress = min(1.0, (step - warmup) / max(1, n_steps - warmup))
    return peak * max(final_share, (1 + math.cos(math.pi * progress)) / 2)


@misconception("schedule.learning_rate", pitfall=3, ask="How far has the cosine come at the end of the warm-up?")
def cosine_counts_the_warm_up(step, n_steps, peak, warmup=None, final_share=0.1):
    """The cosine runs over all steps, warm-up included, so the rate jumps where the two meet."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak * step / warmup
    return final_share * peak + (1 - final_share) * peak * (1 + math.cos(math.pi * min(1.0, step / n_steps))) / 2


@misconception("schedule.learning_rate", pitfall=3, ask="Where is the cosine at 2π?")
def rate_rises_again_after_the_end(step, n_steps, peak, warmup=None, final_share=0.1):
    """Beyond the last step the cosine rises again."""
    warmup = check_schedule(step, n_steps, warmup)
    if step <= warmup:
        return peak * step / warmup
    progress = (step - warmup) / max(1, n_steps - warmup)
    return final_share * peak + (1 - final_share) * peak * (1 + math.cos(math.pi * progress)) / 2


# train


@misconception("train.evaluating", ask="What if a part was in evaluation mode on purpose?")
@contextmanager
def everything_trains_afterwards(model):
    """Afterwards the whole model is in training mode, whatever it was in before."""
    model.eval()
    try:
        yield
    finally:
        model.train()


@misconception("train.evaluating", ask="What runs after an exception?")
@contextmanager
def mode_is_lost_after_an_error(model):
    """After an error the model stays in evaluation mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    yield
    for module, mode in modes:
        module.training = mode


@misconception("train.evaluate", pitfall=2, ask="What does dropout do to a loss that is only measured?")
def evaluated_in_training_mode(model, batches):
    """The model stays in training mode, so dropout makes the measured loss worse, and chance decides about it."""
    total, count = 0.0, 0
    with torch.no_grad():
        for inputs, targets in batches:
            tokens = int((targets != IGNORE).sum())
            total, count = total + next_token_loss(model(inputs), targets).item() * tokens, count + tokens
    if not count:
        raise ValueError("no batch came")
    return total / count


@misconception("train.evaluate", pitfall=3, ask="Does a batch with one target count as much as one with a hundred?")
def mean_of_batch_means(model, batches):
    """The means of the batches are averaged, so a target in a small batch counts for more."""
    with evaluating(model), torch.no_grad():
        losses = [next_token_loss(model(inputs), targets).item() for inputs, targets in batches]
    if not losses:
        raise ValueError("no batch came")
    return sum(losses) / len(losses)


@misconception("train.evaluate", ask="What are gradients needed for here?")
def gradients_are_recorded(model, batches):
    """Gradients are prepared for though nobody asks for them, which takes memory and time."""
    total, count = 0.0, 0
    with evaluating(model):
        for inputs, targets in batches:
            tokens = int((targets != IGNORE).sum())
            total, count = total + next_token_loss(model(inputs), targets).item() * tokens, count + tokens
    if not count:
        raise ValueError("no batch came")
    return total / count


@misconception("train.evaluate", ask="In which mode does training go on?")
def model_stays_in_evaluation(model, batches):
    """The model is left in evaluation mode, so training goes on without dropout."""
    total, count = 0.0, 0
    model.eval()
    with torch.no_grad():
        for inputs, targets in batches:
            tokens = int((targets != IGNORE).sum())
            total, count = total + next_token_loss(model(inputs), targets).item() * tokens, count + tokens
    if not count:
        raise ValueError("no batch came")
    return total / count


@misconception("train.training_step", pitfall=1, ask="What does backward do with a gradient that is there already?")
def gradients_add_up(model, optimizer, batch, lr, clip):
    """Gradients are never cleared, so each step adds to those of all steps before it."""
    loss = next_token_loss(model(batch[0]), batch[1])
    loss.backward()
    norm = clip_gradients(model.parameters(), clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    if torch.isfinite(loss) and torch.isfinite(norm):
        optimizer.step()
    return loss.item(), norm.item()


@misconception("train.training_step", ask="When does the optimiser read the rate?")
def rate_comes_one_step_late(model, optimizer, batch, lr, clip):
    """The rate is set after the update, so each step is taken with the rate of the one before."""
    loss = next_token_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    norm = clip_gradients(model.parameters(), clip)
    if torch.isfinite(loss) and torch.isfinite(norm):
        optimizer.step()
    for group in optimizer.param_groups:
        group["lr"] = lr
    return loss.item(), norm.item()


@misconception("train.training_step", ask="How many groups are there?")
def rate_for_the_first_group_alone(model, optimizer, batch, lr, clip):
    """Only the first group gets the rate; the vectors go on with the one they had."""
    loss = next_token_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    norm = clip_gradients(model.parameters(), clip)
    optimizer.param_groups[0]["lr"] = lr
    if torch.isfinite(loss) and torch.isfinite(norm):
        optimizer.step()
    return loss.item(), norm.item()


@misconception("train.training_step", ask="Which gradients does the optimiser see?")
def clipped_after_the_update(model, optimizer, batch, lr, clip):
    """The gradients are clipped when the update has been made already."""
    loss = next_token_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    for group in optimizer.param_groups:
        group["lr"] = lr
    finite = all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
    if torch.isfinite(loss) and finite:
        optimizer.step()
    return loss.item(), clip_gradients(model.parameters(), clip).item()


@misconception("train.training_step", ask="What are the parameters after an update by NaN?")
def broken_steps_are_taken(model, optimizer, batch, lr, clip):
    """A step whose loss or gradient is not finite is taken all the same, and the model is lost."""
    loss = next_token_loss(model(batch[0]), batch[1])
    optimizer.zero_grad()
    loss.backward()
    norm = clip_gradients(model.parameters(), clip)
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return float(loss), float(norm)


@misconception("train.overfits", pitfall=4, ask="Is one bad validation a trend?")
def one_bad_validation_is_enough(validation, patience):
    """The last validation alone is compared with the best one, however long the patience."""
    if patience < 1:
        raise ValueError("patience must be at least 1")
    return len(validation) > patience and validation[-1] >= min(validation[:-1])


@misconception("train.overfits", pitfall=4, ask="What does a course of 1, 5, 4, 3, 2 tell?")
def compared_with_the_one_before(validation, patience):
    """Each validation is compared with the one before it, so losses that slowly fall again count as good."""
    if patience < 1:
        raise ValueError("patience must be at least 1")
    recent = list(validation[-patience - 1 :])
    return len(validation) > patience and all(b >= a for a, b in pairwise(recent))


@misconception("train.save_checkpoint", pitfall=5, ask="From where does AdamW know how large its last steps were?")
def optimizer_is_not_saved(path, model, optimizer, generator, history):
    """The state of the optimiser is not saved, so its running means begin anew."""
    states = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict() | {"state": {}},
        "generator": generator.get_state(),
    }
    states |= {"torch_rng": torch.get_rng_state(), "cuda_rng": [], "history": [vars(record) for record in history]}
    torch.save(states, path)


@misconception("train.save_checkpoint", pitfall=5, ask="Which batch comes next?")
def generator_is_not_saved(path, model, optimizer, generator, history):
    """The generator is not saved, so a resumed run sees the first batches once more."""
    states = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    states |= {"generator": torch.Generator().manual_seed(0).get_state(), "torch_rng": torch.get_rng_state(), "cuda_rng": []}
    torch.save(states | {"history": [vars(record) for record in history]}, path)


@misconception("train.load_checkpoint", pitfall=5, ask="Where does dropout take its chance from?")
def own_chance_is_not_put_back(path, model, optimizer, generator):
    """PyTorch's own chance is not put back, so dropout goes another way."""
    states = torch.load(path, map_location="cpu", weights_only=True)
    model.load_state_dict(states["model"])
    optimizer.load_state_dict(states["optimizer"])
    generator.set_state(states["generator"])
    return [Record(**record) for record in states["history"]]


@misconception("train.load_checkpoint", ask="What can a file do that is unpickled?")
def checkpoint_may_run_code(path, model, optimizer, generator):
    """The file is unpickled without restraint, so one from elsewhere may run any code."""
    states = torch.load(path, map_location="cpu", weights_only=False)
    model.load_state_dict(states["model"])
    optimizer.load_state_dict(states["optimizer"])
    generator.set_state(states["generator"])
    torch.set_rng_state(states["torch_rng"])
    return [Record(**record) for record in states["history"]]


def build_optimizer(model, config):
    """The optimiser of a run, as the reference has it."""
    return AdamW(parameter_groups(model, config.weight_decay), lr=config.peak_lr, betas=config.betas)


def is_due(config, validation, step):
    """Whether a validation is due."""
    return validation is not None and (step % config.evaluate_every == 0 or step == config.steps)


def run_on(model, optimizer, next_batch, config, validation, generator, history, first=1, step_back=0):
    """The loop from a history on; first, step_back: ways to be wrong about numbers."""
    model.train()
    while len(history) < config.steps and not _ends_early(history, config.patience):
        step = len(history) + 1
        lr = learning_rate(max(1, step - step_back), config.steps, config.peak_lr, config.warmup)
        loss, norm = training_step(model, optimizer, next_batch(generator), lr, config.clip)
        measured = evaluate(model, validation) if is_due(config, validation, step) else None
        history.append(Record(step, loss, lr, norm, measured))
        _write_metrics(config.metrics, history[-1:], "a")
        if config.progress:
            show_progress(history[-1], config.steps)
        last = step == config.steps or _ends_early(history, config.patience)
        if config.checkpoint is not None and (last or step % config.checkpoint_every == 0):
            save_checkpoint(config.checkpoint, model, optimizer, generator, history)
    return history


def begin(model, config, generator, resume):
    """What a run begins with."""
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    optimizer = build_optimizer(model, config)
    go_on = resume and config.checkpoint is not None and Path(config.checkpoint).exists()
    return optimizer, generator, load_checkpoint(config.checkpoint, model, optimizer, generator) if go_on else []


@misconception("train.train", pitfall=6, ask="Which rate has the first update of a resumed run?")
def resumed_run_begins_anew(model, next_batch, config, validation=None, generator=None, resume=False):
    """A resumed run counts its steps and its schedule from the beginning again."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    return history + run_on(model, optimizer, next_batch, config, validation, generator, [])


@misconception("train.train", pitfall=6, ask="Which lines are in the file already when a run is resumed?")
def metrics_are_only_added_to(model, next_batch, config, validation=None, generator=None, resume=False):
    """Metrics are added to the file that is there, so after a pause some steps stand there twice."""
    optimizer, generator, history = begin(model, config, generator, resume)
    return run_on(model, optimizer, next_batch, config, validation, generator, history)


@misconception("train.train", ask="What is the rate of the first update?")
def schedule_is_one_step_behind(model, next_batch, config, validation=None, generator=None, resume=False):
    """The schedule is asked for the step before, so the peak comes one update late."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    return run_on(model, optimizer, next_batch, config, validation, generator, history, step_back=1)


@misconception("train.train", ask="Which batches does the last validation belong to?")
def no_validation_at_the_end(model, next_batch, config, validation=None, generator=None, resume=False):
    """After the last step nothing is measured, unless it is a multiple of evaluate_every."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    model.train()
    while len(history) < config.steps and not _ends_early(history, config.patience):
        step = len(history) + 1
        lr = learning_rate(step, config.steps, config.peak_lr, config.warmup)
        loss, norm = training_step(model, optimizer, next_batch(generator), lr, config.clip)
        due = validation is not None and step % config.evaluate_every == 0
        history.append(Record(step, loss, lr, norm, evaluate(model, validation) if due else None))
        _write_metrics(config.metrics, history[-1:], "a")
        if config.progress:
            show_progress(history[-1], config.steps)
        last = step == config.steps or _ends_early(history, config.patience)
        if config.checkpoint is not None and (last or step % config.checkpoint_every == 0):
            save_checkpoint(config.checkpoint, model, optimizer, generator, history)
    return history


@misconception("train.train", ask="How much work is lost when the power fails after 99 of 100 steps?")
def one_checkpoint_at_the_end(model, next_batch, config, validation=None, generator=None, resume=False):
    """The checkpoint is written after the last step alone, so a run that breaks off begins anew."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    late = replace(config, checkpoint_every=config.steps)
    return run_on(model, optimizer, next_batch, late, validation, generator, history)


@misconception("train.train", ask="How far is a run that says nothing?")
def nothing_is_shown(model, next_batch, config, validation=None, generator=None, resume=False):
    """`progress` changes nothing: whoever waits does not see how far the run is."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    return run_on(model, optimizer, next_batch, replace(config, progress=False), validation, generator, history)


@misconception("train.train", ask="In which mode may a model be when it is handed over?")
def mode_is_left_as_it_came(model, next_batch, config, validation=None, generator=None, resume=False):
    """The model is not put into training mode, so one that was evaluated before trains without dropout."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    model.train = lambda mode=True: model
    try:
        return run_on(model, optimizer, next_batch, config, validation, generator, history)
    finally:
        del model.train


@misconception("train.train", ask="How many updates does a broken model deserve?")
def goes_on_after_a_broken_step(model, next_batch, config, validation=None, generator=None, resume=False):
    """The run goes on after a step whose loss was not finite."""
    optimizer, generator, history = begin(model, config, generator, resume)
    _write_metrics(config.metrics, history, "w")
    model.train()
    done = lambda: (
        config.patience is not None and overfits([r.validation for r in history if r.validation is not None], config.patience)
    )
    while len(history) < config.steps and not done():
        step = len(history) + 1
        lr = learning_rate(step, config.steps, config.peak_lr, config.warmup)
        loss, norm = training_step(model, optimizer, next_batch(generator), lr, config.clip)
        history.append(Record(step, loss, lr, norm, evaluate(model, validation) if is_due(config, validation, step) else None))
        _write_metrics(config.metrics, history[-1:], "a")
        if config.progress:
            show_progress(history[-1], config.steps)
        if config.checkpoint is not None and (step == config.steps or done() or step % config.checkpoint_every == 0):
            save_checkpoint(config.checkpoint, model, optimizer, generator, history)
    return history


# sample


@misconception("sample.penalise_repetition", pitfall=1, ask="Is −2 / 1.5 larger or smaller than −2?")
def negative_logits_are_divided_too(logits, present, penalty):
    """Negative logits are divided by the penalty too, which makes those tokens likelier."""
    return torch.where(present, logits / penalty, logits)


@misconception("sample.keep_top_k", pitfall=2, ask="How many stay when all logits are equal?")
def equal_logits_all_stay(logits, k):
    """Everything as large as the k-th stays, so of equal logits more than k are left."""
    least = logits.topk(min(k, logits.shape[-1]), dim=-1).values[..., -1:]
    return logits.masked_fill(logits < least, -math.inf)


@misconception("sample.keep_top_k", pitfall=2, ask="What is a logit of 0 against one of −5?")
def left_out_logits_are_zero(logits, k):
    """What is left out gets the logit 0, which is a chance like any other."""
    kept = logits.argsort(dim=-1, descending=True, stable=True)[..., :k]
    return torch.zeros_like(logits).scatter(-1, kept, logits.gather(-1, kept))


@misconception("sample.keep_top_p", pitfall=3, ask="Does the set without the token that crosses p reach p?")
def token_that_crosses_p_is_left_out(logits, p):
    """The token that crosses p is left out, so the set does not reach p."""
    if p >= 1:
        return logits.clone()
    probabilities = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
    ordered, tokens = probabilities.sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(-1) > p
    outside[..., 0] = False
    return logits.masked_fill(torch.zeros_like(outside).scatter(-1, tokens, outside), -math.inf)


@misconception("sample.keep_top_p", pitfall=3, ask="Which token is the likeliest: the first of the vocabulary?")
def mass_is_counted_in_vocabulary_order(logits, p):
    """Mass is added up in the order of the vocabulary, not from the likeliest token down."""
    if p >= 1:
        return logits.clone()
    probabilities = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
    return logits.masked_fill(probabilities.cumsum(-1) - probabilities >= p, -math.inf)


@misconception("sample.keep_top_p", pitfall=3, ask="In which order are the tokens after sorting, and in which are the logits?")
def mask_stays_sorted(logits, p):
    """What is decided for the sorted tokens is applied to the unsorted ones."""
    if p >= 1:
        return logits.clone()
    probabilities = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
    ordered = probabilities.sort(dim=-1, descending=True, stable=True).values
    return logits.masked_fill(ordered.cumsum(-1) - ordered >= p, -math.inf)


@misconception("sample.keep_top_p", ask="What is the likeliest token's mass, and what is p?")
def tokens_less_likely_than_p_go(logits, p):
    """Tokens with a chance below 1 − p are left out one by one, whatever mass the others have."""
    if p >= 1:
        return logits.clone()
    probabilities = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(-1)
    outside = (probabilities < 1 - p) & (probabilities < probabilities.max(-1, keepdim=True).values)
    return logits.masked_fill(outside, -math.inf)


def widened(logits, sampling, present):
    """Penalised logits in at least float32, as the reference has them."""
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return logits if present is None else penalise_repetition(logits, present, sampling.repetition_penalty)


def greedy(logits):
    """All on the largest logit."""
    return torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)


@misconception("sample.keep_top_p", ask="How large is 0.5 + 0.0002 in float16?")
def mass_in_low_precision(logits, p):
    """Mass is added up in the dtype of the logits, and in float16 small chances get lost in the sum."""
    if p >= 1:
        return logits.clone()
    ordered, tokens = logits.softmax(-1).sort(dim=-1, descending=True, stable=True)
    outside = ordered.cumsum(-1) - ordered >= p
    return logits.masked_fill(torch.zeros_like(outside).scatter(-1, tokens, outside), -math.inf)


@misconception("sample.next_token_probabilities", pitfall=4, ask="Does a temperature of 0.5 make the likeliest token likelier?")
def temperature_is_multiplied(logits, sampling, present=None):
    """Logits are multiplied by the temperature, so that a low one makes everything alike."""
    logits = widened(logits, sampling, present)
    if sampling.temperature <= 1e-8:
        return greedy(logits)
    logits = logits * sampling.temperature
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    return keep_top_p(logits, sampling.top_p).softmax(-1)


@misconception("sample.next_token_probabilities", pitfall=5, ask="What do the chances sum to after top-k?")
def filtered_after_the_softmax(logits, sampling, present=None):
    """Tokens are left out after the softmax, and what is left is not scaled up again, so it does not sum to 1."""
    logits = widened(logits, sampling, present)
    if sampling.temperature <= 1e-8:
        return greedy(logits)
    logits = logits / sampling.temperature
    kept = keep_top_k(logits, sampling.top_k) if sampling.top_k is not None else logits
    kept = keep_top_p(kept, sampling.top_p)
    return logits.softmax(-1).masked_fill(kept == -math.inf, 0.0)


@misconception("sample.next_token_probabilities", pitfall=4, ask="Which set reaches p: that before or after the temperature?")
def temperature_comes_last(logits, sampling, present=None):
    """The temperature comes after top-k and top-p, so that the nucleus is that of temperature 1."""
    logits = widened(logits, sampling, present)
    if sampling.temperature <= 1e-8:
        return greedy(logits)
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    return (keep_top_p(logits, sampling.top_p) / sampling.temperature).softmax(-1)


@misconception("sample.next_token_probabilities", pitfall=5, ask="What mass does top-p count, if top-k comes first?")
def top_p_before_top_k(logits, sampling, present=None):
    """top-p is taken of all tokens, and top-k of what it leaves."""
    logits = widened(logits, sampling, present)
    if sampling.temperature <= 1e-8:
        return greedy(logits)
    logits = keep_top_p(logits / sampling.temperature, sampling.top_p)
    return (logits if sampling.top_k is None else keep_top_k(logits, sampling.top_k)).softmax(-1)


@misconception("sample.next_token_probabilities", ask="What is 1 / 0?")
def greedy_divides_by_almost_nothing(logits, sampling, present=None):
    """A temperature of 0 is replaced by a tiny one, under which equal logits share the chance and large ones overflow."""
    logits = widened(logits, sampling, present) / max(sampling.temperature, 1e-8)
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    return keep_top_p(logits, sampling.top_p).softmax(-1)


def write_on(model, prompts, n, sampling, stop, context, generator, place=lambda length: length - 1, **ways):
    """The loop of generate. ways: `window` of a text that is seen, `present` tokens of it, `evaluated`, `keep_stop`."""
    if not all(len(prompt) for prompt in prompts):
        raise ValueError("every prompt needs a token")
    context = context or model.config.n_positions
    window, counted = ways.get("window", lambda t: t[-context:]), ways.get("present", lambda text, prompt: text)
    texts, writing = [list(prompt) for prompt in prompts], list(range(len(prompts)))
    keep_mode = contextmanager(lambda model: (yield))
    with (evaluating if ways.get("evaluated", True) else keep_mode)(model), torch.no_grad():
        for _ in range(n):
            if not writing:
                break
            seen = [torch.tensor(window(texts[row])) for row in writing]
            lengths = torch.tensor([len(tokens) for tokens in seen])
            padded = nn.utils.rnn.pad_sequence(seen, batch_first=True)
            logits = model(padded)[torch.arange(len(seen)), place(lengths)]
            present = torch.zeros(logits.shape, dtype=torch.bool)
            for index, row in enumerate(writing):
                tokens = counted(texts[row], prompts[row])
                present[index, torch.tensor(tokens, dtype=torch.int64)] = True
            chances = next_token_probabilities(logits, sampling, present)
            for row, token in zip(list(writing), chances.multinomial(1, generator=generator).flatten().tolist(), strict=True):
                if token == stop:
                    writing.remove(row)
                if token != stop or ways.get("keep_stop"):
                    texts[row].append(token)
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


@misconception("sample.generate", pitfall=6, ask="Which logits say what follows the last token?")
def first_positions_logits(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The logits of the first position are taken, which know nothing but the first token."""
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, generator, place=torch.zeros_like)


@misconception("sample.generate", pitfall=6, ask="What stands in the last column of a short row?")
def last_columns_logits(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The last column is taken for every row, and in short rows that is the filling."""
    return write_on(
        model, prompts, max_new_tokens, sampling, stop_token, context, generator, place=lambda lengths: lengths * 0 - 1
    )


@misconception("sample.generate", ask="Is the stop token a part of the answer?")
def stop_token_is_kept(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The stop token stands at the end of the answer."""
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, generator, keep_stop=True)


@misconception("sample.generate", ask="Which part of a long text matters most for what follows?")
def beginning_of_the_text_is_seen(
    model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None
):
    """Of a text that is too long the model sees the beginning, so the answer never moves on."""
    width = context or model.config.n_positions
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, generator, window=lambda text: text[:width])


@misconception("sample.generate", ask="Is a token of the prompt one that stands in the text?")
def penalty_on_the_answer_alone(
    model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None
):
    """Only tokens of the answer are penalised, not those of the prompt."""
    answer = lambda text, prompt: text[len(prompt) :]
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, generator, present=answer)


@misconception("sample.generate", pitfall=7, ask="What does dropout do to a model that writes?")
def written_in_training_mode(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The model writes in training mode, so dropout makes it stumble."""
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, generator, evaluated=False)


@misconception("sample.generate", ask="What should the same seed give?")
def own_chance_decides(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The generator is not used, so that the same seed gives another text each time."""
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, None)


@misconception("sample.generate", ask="How often is the likeliest token drawn, if its chance is a half?")
def always_the_likeliest(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The likeliest token is taken at every temperature."""
    return write_on(model, prompts, max_new_tokens, Sampling(0.0), stop_token, context, generator)
