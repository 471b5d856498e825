"""Other right versions of parts of this assignment, each by another route, so that tolerances allow for all of them.

Never imported: the grader puts each in the place of its target in a copy of the reference.
"""

import copy
import json
import math
import os
import random
import struct
from collections import Counter, defaultdict
from itertools import pairwise
from os import fsync
from pathlib import Path

import numpy as np
import regex
import safetensors.torch
import torch
from given.a02_training.data import IGNORE
from torch import nn

from tools.author.cases import alternate

from .accumulate import accumulate_gradients, count_targets, summed_loss
from .amp import Step, apply_gradients
from .bpe import PATTERN, split_special
from .checkpoint import FORMAT, NO_GENERATORS, _packed, _unpacked, random_state, restore_random_state
from .parallel import _device_of_talk, joint_sum, reduce_gradients


@alternate("bpe.split_special")
def walked_from_the_left(text, special):
    """Place by place, asking at each whether a special begins there."""
    by_length = sorted(special, key=len, reverse=True)
    pieces, begin, place = [], 0, 0
    while place < len(text):
        found = next((one for one in by_length if text.startswith(one, place)), None)
        if found is None:
            place += 1
            continue
        pieces += [text[begin:place], found]
        begin = place = place + len(found)
    pieces.append(text[begin:])
    return pieces


@alternate("bpe.count_pretokens")
def one_dictionary_of_bytes(texts, special=(), pattern=PATTERN):
    """Each match is encoded at once and counted in a dictionary."""
    counts = defaultdict(int)
    for text in texts:
        for number, piece in enumerate(split_special(text, special)):
            if number % 2 == 0:
                for match in regex.finditer(pattern, piece):
                    counts[match.group().encode("utf-8")] += 1
    return Counter(counts)


@alternate("bpe.merge")
def looking_back(ids, pair, new):
    """Each token looks back at the one before it, which may be taken only once."""
    out, free = [], False
    for token in ids:
        if free and (out[-1], token) == pair:
            out[-1], free = new, False
        else:
            out.append(token)
            free = True
    return out


@alternate("bpe.train_merges")
def counts_without_a_heap(words, n_merges):
    """Counts are kept for each pair and mended word by word; the best one is looked for among all of them, each time."""
    rows = [[list(word), count] for word, count in words.items()]
    total, holders = Counter(), defaultdict(set)
    for number, (row, count) in enumerate(rows):
        for left, right in pairwise(row):
            total[left, right] += count
            holders[left, right].add(number)
    chosen = []
    for token in range(256, 256 + n_merges):
        most = max(total.values(), default=0)
        if most <= 0:
            break
        first, second = best = min(pair for pair, count in total.items() if count == most)
        for number in list(holders.pop(best)):
            row, count = rows[number]
            for pair in pairwise(row):
                total[pair] -= count
                if total[pair] == 0:
                    del total[pair]
            place, shorter = 0, []
            while place < len(row):
                joined = place + 1 < len(row) and row[place] == first and row[place + 1] == second
                shorter.append(token if joined else row[place])
                place += 1 + joined
            rows[number][0] = shorter
            for pair in pairwise(shorter):
                total[pair] += count
                holders[pair].add(number)
        chosen.append(best)
    return chosen


@alternate("bpe.Tokenizer.encode_word")
def one_place_at_a_time(self, word):
    """The earliest merge at its leftmost place, in place, and then again."""
    ids = list(word)
    while True:
        ranked = [(self.order[pair], place) for place, pair in enumerate(pairwise(ids)) if pair in self.order]
        if not ranked:
            return ids
        rank, place = min(ranked)
        ids[place : place + 2] = [256 + rank]


@alternate("bpe.Tokenizer.encode")
def a_table_for_each_text(self, text, allow_special=False):
    """Words are remembered in a table of this call, and matches come from an iterator."""
    text.encode("utf-8")
    known, out = {}, []
    for number, piece in enumerate(split_special(text, self.special if allow_special else [])):
        if number % 2:
            out.append(self.ids[piece])
            continue
        for match in regex.finditer(self.pattern, piece):
            word = match[0]
            if word not in known:
                known[word] = self.encode_word(word.encode("utf-8"))
            out.extend(known[word])
    return out


@alternate("bpe.Tokenizer.decode")
def bytes_in_one_array(self, tokens):
    """Bytes are collected in one array."""
    collected = bytearray()
    for token in map(int, tokens):
        collected += self.token_bytes[token] if token in range(self.vocab_size) else b"\xef\xbf\xbd"
    return str(collected, "utf-8", "replace")


@alternate("bpe.Tokenizer.encode_chunks")
def settled_a_few_chunks_at_a_time(self, chunks, allow_special=False):
    """Several small chunks are collected before it is asked how far they are settled."""
    waiting, text = [], ""
    for chunk in chunks:
        waiting.append(chunk)
        if len(waiting) == 3 or len(chunk) > 1000:
            text += "".join(waiting)
            waiting.clear()
            end = self.settled(text, allow_special)
            yield from iter(self.encode(text[:end], allow_special))
            text = text[end:]
    yield from self.encode(text + "".join(waiting), allow_special)


@alternate("accumulate.split_batch")
def sizes_by_division(batch, n_parts):
    """Sizes from a division with a rest."""
    inputs, targets = batch
    if n_parts < 1 or n_parts > inputs.shape[0]:
        raise ValueError(f"{n_parts} parts of {inputs.shape[0]} rows cannot be made")
    size, larger = divmod(inputs.shape[0], n_parts)
    sizes = [size + 1] * larger + [size] * (n_parts - larger)
    return [(one, other) for one, other in zip(inputs.split(sizes), targets.split(sizes), strict=True)]


@alternate("accumulate.summed_loss")
def gathered_log_probabilities(logits, targets):
    """Logarithms of probabilities, gathered and masked."""
    log_probs = torch.log_softmax(logits.to(torch.promote_types(logits.dtype, torch.float32)), dim=-1)
    counts = targets != IGNORE
    right = log_probs.gather(-1, targets.masked_fill(~counts, 0).unsqueeze(-1)).squeeze(-1)
    return -right.masked_fill(~counts, 0.0).sum()


@alternate("accumulate.accumulate_gradients")
def divided_in_the_backward_pass(model, parts, total=None, scale=1.0, dtype=torch.float32):
    """Sums go back with scale / total as the gradient to start from."""
    if total is None:
        total = count_targets(parts)
    if total <= 0:
        raise ValueError("there is no target to divide by")
    losses = []
    for inputs, targets in parts:
        place = next(iter(model.parameters())).device
        with torch.autocast(place.type, dtype, enabled=dtype is not torch.float32):
            logits = model(inputs.to(place))
        loss = summed_loss(logits, targets.to(place))
        loss.backward(torch.full_like(loss, scale / total))
        losses.append(loss.item())
    return math.fsum(losses) / total


@alternate("schedule.warmup_stable_decay")
def least_of_three_lines(step, n_steps, peak, warmup=None, decay=None, final_share=0.0, shape="linear"):
    """The rise and the fall as shares of the peak, both at most 1, and their product."""
    if warmup is None:
        warmup = int(n_steps / 10)
    if decay is None:
        decay = int(n_steps / 5)
    if not (step >= 1 and warmup >= 0 and decay >= 0 and warmup + decay <= n_steps and shape in ("linear", "sqrt")):
        raise ValueError("these phases do not fit")
    rise = min(1.0, step / warmup) if warmup else 1.0
    x = max(0.0, 1.0 - max(0, n_steps - step) / decay) if decay else float(step > n_steps)
    return peak * rise * (1.0 + (final_share - 1.0) * (x if shape == "linear" else x**0.5))


@alternate("schedule.groups")
def found_by_their_identity(model, weight_decay, exempt=("embedding", "positions")):
    """Exempt parameters are found by their identity first."""
    spared = {id(p) for name, p in model.named_parameters(remove_duplicate=False) if any(word in name for word in exempt)}
    found = [
        {"params": [], "names": [], "weight_decay": weight_decay},
        {"params": [], "names": [], "weight_decay": 0.0},
    ]
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        group = found[parameter.dim() < 2 or id(parameter) in spared]
        group["params"].append(parameter)
        group["names"].append(name)
    return found


@alternate("amp.Scaler.unscale")
def times_the_inverse(self, parameters):
    """Multiplied by the inverse, which is exact for powers of two."""
    inverse = 1.0 / self.scale
    for parameter in filter(lambda parameter: parameter.grad is not None, parameters):
        parameter.grad.mul_(inverse)


@alternate("amp.apply_gradients")
def clipped_by_a_division(model, optimizer, scaler, max_norm=1.0, scheduler=None):
    """PyTorch's norm of all gradients, and clipping by max_norm / norm only where the step is done."""
    scaler.unscale(model.parameters())
    norm = nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    skipped = not bool(torch.isfinite(norm))
    if not skipped:
        if norm > max_norm:
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(max_norm / norm)
        optimizer.step()
        if scheduler:
            scheduler.step()
    scaler.update(not skipped)
    return float(norm), skipped


@alternate("amp.training_step")
def cleared_to_zeros(model, optimizer, parts, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """Gradients are set to zeros in place, and the arguments are named."""
    for parameter in model.parameters():
        if parameter.grad is not None:
            parameter.grad = torch.zeros_like(parameter.grad)
    loss = accumulate_gradients(model=model, parts=parts, total=count_targets(parts), scale=scaler.scale, dtype=dtype)
    norm, skipped = apply_gradients(model, optimizer, scaler, max_norm=max_norm, scheduler=scheduler)
    return Step(loss=loss, gradient_norm=norm, skipped=skipped)


@alternate("checkpoint.snapshot")
def deep_copies(parts, generators=NO_GENERATORS):
    """copy.deepcopy of everything, without its history."""

    def bare(tree):
        if isinstance(tree, torch.Tensor):
            return copy.deepcopy(tree.detach()).cpu()
        if hasattr(tree, "items"):
            return dict((key, bare(value)) for key, value in tree.items())
        return [bare(value) for value in tree] if isinstance(tree, list) else copy.deepcopy(tree)

    states = {name: bare(part.state_dict()) for name, part in parts.items()}
    chances = {name: generator.get_state().clone() for name, generator in generators.items()}
    return {"parts": states, "generators": chances, "random": bare(random_state())}


@alternate("checkpoint.restore")
def from_a_deep_copy(state, parts, generators=NO_GENERATORS):
    """Each state is copied deeply just before it is handed over."""
    if set(parts) != set(state["parts"]) or set(generators) != set(state["generators"]):
        raise ValueError("parts or generators of another run")
    restore_random_state(state["random"])
    for name in parts:
        parts[name].load_state_dict(copy.deepcopy(state["parts"][name]))
    for name in generators:
        generators[name].set_state(state["generators"][name].clone())


@alternate("checkpoint.random_state")
def numpys_state_as_a_list():
    """NumPy's table as a list of numbers."""
    now = np.random.get_state(legacy=False)
    table = torch.tensor([int(number) for number in now["state"]["key"]])
    inner = {"key": table, "pos": int(now["state"]["pos"])}
    numpy = {"bit_generator": now["bit_generator"], "state": inner, "has_gauss": now["has_gauss"], "gauss": now["gauss"]}
    cuda = [torch.cuda.get_rng_state(device) for device in range(torch.cuda.device_count())]
    return {"torch": torch.get_rng_state().clone(), "cuda": cuda, "numpy": numpy, "python": random.getstate()}


@alternate("checkpoint.write")
def bytes_written_by_hand(path, state):
    """The bytes are made first, then written and synced through one descriptor, and the folder through another."""
    tensors = {}
    tree = json.dumps(_packed(state, tensors))
    data = safetensors.torch.save(tensors, metadata={"tree": tree, "format": FORMAT})
    target = os.fspath(path)
    with open(target + ".part", "wb") as file:  # noqa: PTH123
        file.write(data)
        file.flush()
        fsync(file)
    os.rename(target + ".part", target)  # noqa: PTH104
    folder = os.open(os.path.dirname(target) or ".", os.O_RDONLY)  # noqa: PTH120
    fsync(folder)
    os.close(folder)


@alternate("checkpoint.read")
def header_read_by_hand(path, map_location="cpu"):
    """The header is read as the format of the file says, and the tensors from the bytes."""
    data = Path(path).read_bytes()
    try:
        (size,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + size])
        tensors = safetensors.torch.load(data)
        if header["__metadata__"]["format"] != FORMAT:
            raise ValueError("of another format")
        tree = json.loads(header["__metadata__"]["tree"])
    except Exception as error:
        raise ValueError(f"{path}: no whole checkpoint ({error})") from error
    return _unpacked(tree, lambda name: tensors[name].to(map_location))


@alternate("checkpoint.expected_seconds")
def cost_of_a_segment(work, interval, save, restart, mean_time_between_failures):
    """A first try and, with the chance of a failure, a second one that includes the restart."""
    m, t = mean_time_between_failures, interval + save
    fails = -math.expm1(-t / m)
    once = m * fails + fails * m * math.expm1((restart + t) / m)
    return once * work / interval


@alternate("checkpoint.simulated_seconds")
def each_try_on_its_own(work, interval, save, restart, mean_time_between_failures, generator):
    """Exponential times have no memory, so each try draws its own failure; PyTorch draws it."""
    seconds = 0.0
    for _ in range(round(work / interval)):
        needed = interval + save
        while True:
            failure = torch.empty(1, dtype=torch.float64).exponential_(1 / mean_time_between_failures, generator=generator).item()
            if failure >= needed:
                break
            seconds += failure
            needed = restart + interval + save
        seconds += needed
    return seconds


@alternate("metrics.gradient_norm")
def sum_of_squares_in_float64(parameters):
    """Squares are summed in float64."""
    return float(sum(float(p.grad.to(torch.float64).pow(2).sum()) for p in parameters if p.grad is not None)) ** 0.5


@alternate("metrics.json_line")
def line_by_line(step, values):
    """A dict that is filled value by value, without spaces."""
    row = {"step": step}
    for name in values:
        number = values[name]
        row[name] = "nan" if number != number else ("-inf" if number < 0 else "inf") if abs(number) == math.inf else number
    return json.dumps(row, separators=(",", ":"), allow_nan=False) + "\n"


@alternate("metrics.read_json_lines")
def until_the_last_line_end(path, up_to=None):
    """The text up to the last line end."""
    text = Path(path).read_bytes().decode("utf-8")
    whole = text[: text.rfind("\n") + 1]
    rows = map(json.loads, whole.splitlines())
    return [row for row in rows if up_to is None or not row["step"] > up_to]


@alternate("parallel.my_rows")
def borders_by_division(batch, rank, size):
    """Borders from a division with a rest."""
    rows, more = divmod(batch[0].size(0), size)
    start = rank * rows + min(rank, more)
    end = start + rows + (rank < more)
    return batch[0][start:end], batch[1][start:end]


@alternate("parallel.joint_count")
def one_place_for_each_rank(count, collective):
    """Each rank writes into its own place, and the row is added up."""
    row = torch.zeros(collective.size, dtype=torch.int64, device=_device_of_talk())
    row[collective.rank] = count
    collective.all_reduce(row)
    return row.sum().item()


@alternate("parallel.reduce_gradients")
def one_flat_row_of_each_dtype(parameters, collective, bucket_bytes=25 * 2**20):
    """Gradients of one dtype in one row, which is sent in slices."""
    trained = [p for p in parameters if p.requires_grad]
    for p in trained:
        if p.grad is None:
            p.grad = torch.zeros(p.shape, dtype=p.dtype, device=p.device)
    for dtype in dict.fromkeys(p.grad.dtype for p in trained):
        mine = [p for p in trained if p.grad.dtype == dtype]
        row = torch.cat([p.grad.reshape(-1) for p in mine])
        step = max(1, bucket_bytes // row.element_size())
        for start in range(0, row.numel(), step):
            collective.all_reduce(row[start : start + step])
        start = 0
        for p in mine:
            p.grad = row[start : start + p.numel()].reshape(p.shape).clone()
            start += p.numel()


@alternate("parallel.parallel_step")
def counts_and_losses_in_one_row(model, optimizer, parts, collective, scaler, dtype=torch.float32, max_norm=1.0, scheduler=None):
    """The loss is summed before the gradients are; the count goes as float64, which is exact for any batch."""
    model.zero_grad()
    own = [(inputs, targets) for inputs, targets in parts if inputs.shape[0] > 0]
    total = round(joint_sum(float(count_targets(own)), collective))
    loss = joint_sum(accumulate_gradients(model, own, total=total, scale=scaler.scale, dtype=dtype), collective)
    reduce_gradients(list(model.parameters()), collective)
    norm, skipped = apply_gradients(model, optimizer, scaler, max_norm, scheduler)
    return Step(loss, norm, skipped)
