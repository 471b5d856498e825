"""These are wrong versions of parts of sample.py, one mistake each. A docstring is the hint that a student reads."""

import math
from contextlib import contextmanager

import torch
from torch import nn

from tools.author.cases import misconception

from .sample import Sampling, keep_top_k, keep_top_p, next_token_probabilities, penalise_repetition
from .train import evaluating


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
    """What is left out gets the logit 0, which is a probability like any other."""
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
    """Tokens with a probability below 1 − p are left out one by one, whatever mass the others have."""
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
    """Mass is added up in the dtype of the logits, and in float16 small probabilities get lost in the sum."""
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


@misconception("sample.next_token_probabilities", pitfall=5, ask="What do the probabilities sum to after top-k?")
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
    """A temperature of 0 is replaced by a tiny one, under which equal logits share the probability and large ones overflow."""
    logits = widened(logits, sampling, present) / max(sampling.temperature, 1e-8)
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    return keep_top_p(logits, sampling.top_p).softmax(-1)


def write_on(model, prompts, n, sampling, stop, context, generator, position=lambda length: length - 1, **ways):
    """The loop of generate. ways: `window` of a sequence that the model reads, `present` tokens of it, `evaluated`, `keep_stop`."""
    if not all(len(prompt) for prompt in prompts):
        raise ValueError("every prompt needs a token")
    context = context or model.config.n_positions
    window, counted = ways.get("window", lambda t: t[-context:]), ways.get("present", lambda sequence, prompt: sequence)
    sequences, active = [list(prompt) for prompt in prompts], list(range(len(prompts)))
    keep_mode = contextmanager(lambda model: (yield))
    with (evaluating if ways.get("evaluated", True) else keep_mode)(model), torch.no_grad():
        for _ in range(n):
            if not active:
                break
            inputs = [torch.tensor(window(sequences[row])) for row in active]
            lengths = torch.tensor([len(tokens) for tokens in inputs])
            padded = nn.utils.rnn.pad_sequence(inputs, batch_first=True)
            logits = model(padded)[torch.arange(len(inputs)), position(lengths)]
            present = torch.zeros(logits.shape, dtype=torch.bool)
            for index, row in enumerate(active):
                tokens = counted(sequences[row], prompts[row])
                present[index, torch.tensor(tokens, dtype=torch.int64)] = True
            probs = next_token_probabilities(logits, sampling, present)
            for row, token in zip(list(active), probs.multinomial(1, generator=generator).flatten().tolist(), strict=True):
                if token == stop:
                    active.remove(row)
                if token != stop or ways.get("keep_stop"):
                    sequences[row].append(token)
    return [sequence[len(prompt) :] for sequence, prompt in zip(sequences, prompts, strict=True)]


@misconception("sample.generate", pitfall=6, ask="Which logits say what follows the last token?")
def first_positions_logits(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The logits of the first position are taken, which know nothing but the first token."""
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, generator, position=torch.zeros_like)


@misconception("sample.generate", pitfall=6, ask="What stands in the last column of a short row?")
def last_columns_logits(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The last column is taken for every row, and in short rows that is the padding."""
    return write_on(
        model, prompts, max_new_tokens, sampling, stop_token, context, generator, position=lambda lengths: lengths * 0 - 1
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
    return write_on(
        model, prompts, max_new_tokens, sampling, stop_token, context, generator, window=lambda sequence: sequence[:width]
    )


@misconception("sample.generate", ask="Is a token of the prompt one that stands in the text?")
def penalty_on_the_answer_alone(
    model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None
):
    """Only tokens of the answer are penalised, not those of the prompt."""
    answer = lambda sequence, prompt: sequence[len(prompt) :]
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, generator, present=answer)


@misconception("sample.generate", pitfall=7, ask="What does dropout do to a model that writes?")
def written_in_training_mode(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The model writes in training mode, so dropout makes it stumble."""
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, generator, evaluated=False)


@misconception("sample.generate", ask="What should the same seed give?")
def own_chance_decides(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The generator is not used, so that the same seed gives another sequence each time."""
    return write_on(model, prompts, max_new_tokens, sampling, stop_token, context, None)


@misconception("sample.generate", ask="How often is the likeliest token drawn, if its probability is a half?")
def always_the_likeliest(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """The likeliest token is taken at every temperature."""
    return write_on(model, prompts, max_new_tokens, Sampling(0.0), stop_token, context, generator)
