"""Other right versions of parts of this assignment, each by another route, so that tolerances allow for all of them.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import json
import math
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from tools.author.cases import alternate

from .data import IGNORE
from .loss import next_token_loss
from .optim import AdamW, clip_gradients, parameter_groups
from .sample import Sampling, next_token_probabilities
from .schedule import learning_rate
from .train import Record, evaluate, load_checkpoint, overfits, save_checkpoint, show_progress, training_step


@alternate("tokenizer.ByteTokenizer.encode")
def encode_from_left_to_right(self, text, allow_special=False):
    """At each place the special texts are tried, longest first; no regular expression."""
    names = sorted(self.ids, key=len, reverse=True) if allow_special else []
    tokens, place = [], 0
    while place < len(text):
        name = next((name for name in names if text.startswith(name, place)), None)
        tokens.extend(text[place].encode() if name is None else [self.ids[name]])
        place += 1 if name is None else len(name)
    return tokens


@alternate("tokenizer.ByteTokenizer.decode")
def decode_run_by_run(self, tokens):
    """Bytes gather until something else comes; each run is decoded on its own."""
    names, text, run = {token: name for name, token in self.ids.items()}, "", bytearray()
    for token in tokens:
        if 0 <= token <= 255:
            run.append(token)
        else:
            text += run.decode(errors="replace") + names.get(int(token), "\ufffd")
            run = bytearray()
    return text + run.decode(errors="replace")


@alternate("data.random_batch")
def windows_by_fancy_indexing(data, rows, time, generator):
    """One index matrix; only the rows that it names are read from the file."""
    if rows < 1 or time < 1 or len(data) < time + 1:
        raise ValueError("too few tokens, rows or time")
    starts = torch.randint(0, len(data) - time, size=(rows, 1), generator=generator).numpy()
    places = starts + np.arange(time + 1)[None]
    windows = torch.as_tensor(np.asarray(data[places], dtype=np.int64))
    return windows[:, :time].contiguous(), windows[:, 1:].contiguous()


@alternate("data.batches_in_order")
def one_long_padded_table(data, rows, time):
    """All targets in one padded table, cut into batches; fit for texts that are small."""
    if rows < 1 or time < 1 or len(data) < 2:
        raise ValueError("too few tokens, rows or time")
    tokens = torch.from_numpy(np.asarray(data).astype(np.int64))
    windows = -(-(len(tokens) - 1) // time)
    inputs = torch.zeros(windows * time, dtype=torch.int64)
    targets = torch.full((windows * time,), IGNORE)
    inputs[: len(tokens) - 1], targets[: len(tokens) - 1] = tokens[:-1], tokens[1:]
    yield from zip(inputs.view(windows, time).split(rows), targets.view(windows, time).split(rows), strict=True)


@alternate("loss.next_token_loss")
def loss_by_one_hot_weights(logits, targets):
    """Log-probabilities of all rows, weights 1 and 0; what does not count is set to 0 beforehand, so that no NaN gets through."""
    real = targets != IGNORE
    if logits.shape[:-1] != targets.shape or not real.any():
        raise ValueError("shapes do not fit, or nothing counts")
    if targets[real].amin() < 0 or targets[real].amax() >= logits.shape[-1]:
        raise ValueError("no such token")
    wide = logits if logits.dtype == torch.float64 else logits.float()
    wide = torch.where(real[..., None], wide, torch.zeros_like(wide))
    log_probabilities = wide - wide.logsumexp(-1, keepdim=True)
    picked = log_probabilities.gather(-1, targets.clamp(min=0).long()[..., None])[..., 0]
    return -(picked * real).sum() / real.sum()


@alternate("optim.parameter_groups")
def groups_by_name(model, weight_decay):
    """Names first, each parameter once; what has one axis does not decay."""
    seen = {id(parameter): parameter for _, parameter in model.named_parameters() if parameter.requires_grad}
    matrices = [parameter for parameter in seen.values() if parameter.dim() > 1]
    vectors = [parameter for parameter in seen.values() if parameter.dim() <= 1]
    return [dict(params=matrices, weight_decay=weight_decay), dict(params=vectors, weight_decay=0.0)]


@alternate("optim.AdamW.step")
@torch.no_grad()
def corrections_in_the_rate(self):
    """The two corrections go into the step size and into the denominator, as PyTorch's own loop has them."""
    for group in self.param_groups:
        beta1, beta2 = group["betas"]
        for parameter in (p for p in group["params"] if p.grad is not None):
            state = self.state[parameter]
            if len(state) == 0:
                state["step"], state["exp_avg"], state["exp_avg_sq"] = 0, torch.zeros_like(parameter), torch.zeros_like(parameter)
            state["step"] += 1
            state["exp_avg"].lerp_(parameter.grad, 1 - beta1)
            state["exp_avg_sq"].mul_(beta2).add_((1 - beta2) * parameter.grad**2)
            parameter.mul_(1 - group["lr"] * group["weight_decay"])
            root = math.sqrt(1 - beta2 ** state["step"])
            denominator = state["exp_avg_sq"].sqrt() / root + group["eps"]
            parameter.sub_(group["lr"] / (1 - beta1 ** state["step"]) * state["exp_avg"] / denominator)


@alternate("optim.clip_gradients")
def clip_by_the_norm_of_norms(parameters, max_norm):
    """The norm of the vector of norms; gradients that are too long are scaled."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if len(gradients) == 0 or not max_norm > 0:
        raise ValueError("nothing to clip")
    norms = [torch.linalg.vector_norm(g, dtype=torch.promote_types(g.dtype, torch.float32)) for g in gradients]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    if torch.isfinite(norm) and norm > max_norm:
        scale = (max_norm / norm).item()
        for gradient in gradients:
            gradient.copy_(gradient * scale)
    return norm


@alternate("schedule.learning_rate")
def rate_by_square_of_the_half_angle(step, n_steps, peak, warmup=None, final_share=0.1):
    """cos²(φ/2) is (1 + cos φ)/2."""
    if warmup is None:
        warmup = n_steps // 10
    if step < 1 or warmup < 0 or warmup > n_steps:
        raise ValueError("no such step")
    if warmup and step <= warmup:
        return step / warmup * peak
    if step >= n_steps:
        return peak * final_share
    angle = math.pi / 2 * (step - warmup) / (n_steps - warmup)
    return peak * (final_share + (1 - final_share) * math.cos(angle) ** 2)


@alternate("train.evaluating")
@contextmanager
def modes_by_name(model):
    """The names of the modules that train, before and after."""
    training = {name for name, module in model.named_modules() if module.training}
    model.train(mode=False)
    try:
        yield model
    finally:
        for name, module in model.named_modules():
            module.training = name in training


@alternate("train.evaluate")
def evaluate_target_by_target(model, batches):
    """Sums over targets, by hand, of what each batch costs in all."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    device, costs, counts = next(model.parameters()).device, [], []
    try:
        with torch.inference_mode():
            for inputs, targets in batches:
                counts.append(int(targets.ne(IGNORE).sum()))
                costs.append(float(next_token_loss(model(inputs.to(device)), targets.to(device))) * counts[-1])
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not counts:
        raise ValueError("no batch")
    return math.fsum(costs) / sum(counts)


@alternate("train.training_step")
def step_that_clears_at_its_end(model, optimizer, batch, lr, clip):
    """Old gradients are dropped before the loss; the rate is set first; gradients are cleared again in the end."""
    for group in optimizer.param_groups:
        group["lr"] = lr
    model.zero_grad(set_to_none=True)
    inputs, targets = batch
    device = next(model.parameters()).device
    loss = next_token_loss(model(inputs.to(device)), targets.to(device))
    loss.backward()
    norm = float(clip_gradients(list(model.parameters()), clip))
    if math.isfinite(loss.item()) and math.isfinite(norm):
        optimizer.step()
    model.zero_grad(set_to_none=True)
    return loss.item(), norm


@alternate("train.overfits")
def overfits_by_the_place_of_the_best(validation, patience):
    """How many validations ago was the first best one?"""
    if patience < 1:
        raise ValueError("patience of nothing")
    values = list(validation)
    return bool(values) and len(values) - 1 - values.index(min(values)) >= patience


@alternate("train.train")
def train_with_a_for_loop(model, next_batch, config, validation=None, generator=None, resume=False):
    """A for loop over the steps that are left; metrics are written anew as a whole after each step."""
    generator = torch.Generator().manual_seed(0) if generator is None else generator
    optimizer = AdamW(parameter_groups(model, config.weight_decay), config.peak_lr, config.betas)
    history = []
    if resume and config.checkpoint and Path(config.checkpoint).exists():
        history = load_checkpoint(config.checkpoint, model, optimizer, generator)
    model.train()

    def over() -> bool:
        losses = [record.validation for record in history if record.validation is not None]
        broken = history and not math.isfinite(history[-1].loss + history[-1].gradient_norm)
        return bool(broken) or (config.patience is not None and overfits(losses, config.patience))

    def write() -> None:
        if config.metrics is not None:
            Path(config.metrics).write_text("".join(json.dumps(asdict(record)) + "\n" for record in history))

    write()
    for step in range(len(history) + 1, config.steps + 1):
        if over():
            break
        rate = learning_rate(step, config.steps, config.peak_lr, config.warmup)
        loss, norm = training_step(model, optimizer, next_batch(generator), rate, config.clip)
        measured = None
        if validation is not None and (step % config.evaluate_every == 0 or step == config.steps):
            measured = evaluate(model, validation)
        history.append(Record(step, loss, rate, norm, measured))
        write()
        if config.progress:
            show_progress(history[-1], config.steps)
        if config.checkpoint and (step % config.checkpoint_every == 0 or step == config.steps or over()):
            save_checkpoint(config.checkpoint, model, optimizer, generator, history)
    return history


@alternate("sample.keep_top_k")
def top_k_by_rank(logits, k):
    """The rank of each token in its row; ranks from k on are left out."""
    ranks = logits.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
    return torch.where(ranks < k, logits, torch.full_like(logits, -math.inf))


@alternate("sample.keep_top_p")
def top_p_row_by_row(logits, p):
    """Each row for itself: sorted, added up, cut where the sum reaches p."""
    if p >= 1:
        return logits.clone()
    rows = logits.reshape(-1, logits.shape[-1])
    kept = torch.full_like(rows, -math.inf)
    for row, out in zip(rows, kept, strict=True):
        chances = torch.softmax(row.float() if row.dtype != torch.float64 else row, 0)
        ordered, tokens = torch.sort(chances, descending=True, stable=True)
        reached = int((ordered.cumsum(0) < p).sum())
        out[tokens[: reached + 1]] = row[tokens[: reached + 1]]
    return kept.view_as(logits)


@alternate("sample.generate")
def generate_row_by_row(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """Rows of the same length go together, and the others wait for nobody; chance is drawn in the order of the rows, step by step."""
    if any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("an empty prompt")
    context = context or model.config.n_positions
    device = next(model.parameters()).device
    answers, open_rows = [[] for _ in prompts], list(range(len(prompts)))
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with torch.no_grad():
            for _ in range(max_new_tokens):
                chosen = {}
                for row in open_rows:
                    text = torch.tensor([*prompts[row], *answers[row]], device=device)
                    logits = model(text[-context:][None])[0, -1].cpu()
                    present = torch.zeros(len(logits), dtype=torch.bool).index_fill(0, text.cpu(), True)
                    chosen[row] = next_token_probabilities(logits, sampling, present)
                if not chosen:
                    break
                drawn = torch.multinomial(torch.stack(list(chosen.values())), 1, generator=generator)[:, 0].tolist()
                for row, token in zip(list(chosen), drawn, strict=True):
                    if token == stop_token:
                        open_rows.remove(row)
                    else:
                        answers[row].append(token)
    finally:
        for module in training:
            module.training = True
    return answers
