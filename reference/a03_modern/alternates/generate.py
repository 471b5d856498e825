"""These are other right versions of parts of generate.py. The tolerances allow for all of these routes."""

import torch
from given.a02_training.sample import next_token_probabilities
from given.a02_training.train import evaluating

from tools.author.cases import alternate

from .generate import AS_IT_IS, pad_left


@alternate("generate.pad_left")
def filled_up_as_lists(prompts):
    """Lists are filled up, and positions are columns less the padding."""
    if len(prompts) == 0 or any(len(prompt) == 0 for prompt in prompts):
        raise ValueError("a prompt is empty, or there is none")
    seq_len = max(len(prompt) for prompt in prompts)
    missing = torch.tensor([[seq_len - len(prompt)] for prompt in prompts])
    tokens = torch.tensor([[0] * (seq_len - len(prompt)) + list(prompt) for prompt in prompts])
    return tokens, (torch.arange(seq_len) - missing).clamp(min=-1)


@alternate("generate.prefill")
def by_ranges(model, tokens, positions, caches, chunk_size=None):
    """Ranges of columns, and the last column of the last logits."""
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"no such chunk_size: {chunk_size}")
    seq_len = tokens.shape[1]
    step, logits = seq_len if chunk_size is None else min(chunk_size, seq_len), None
    for start in range(0, seq_len, step):
        logits = model(tokens[:, start : start + step], positions=positions[:, start : start + step], caches=caches)
    return logits[:, -1, :]


@alternate("generate.generate")
def prefill_apart_from_decoding(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk_size=None, rolling=False, generator=None
):
    """The prompt is read before the loop, and the loop calls the model itself; sequences that are done go on unseen."""
    tokens, positions = pad_left(prompts)
    device, sequences = next(model.parameters()).device, [list(prompt) for prompt in prompts]
    done, last = [False] * len(prompts), positions[:, -1:]
    if max_new_tokens < 1:
        return [[] for _ in prompts]
    with torch.inference_mode(), evaluating(model):
        caches = model.new_caches(len(prompts), None if rolling else positions.shape[1] + max_new_tokens - 1)
        size = chunk_size or tokens.shape[1]
        for start in range(0, tokens.shape[1], size):
            columns = slice(start, start + size)
            logits = model(tokens[:, columns].to(device), positions[:, columns].to(device), caches)[:, -1].cpu()
        for step in range(max_new_tokens):
            rows = [row for row, over in enumerate(done) if not over]
            present = torch.zeros(len(rows), logits.shape[-1], dtype=torch.bool)
            for i, row in enumerate(rows):
                present[i, sequences[row]] = True
            drawn = torch.multinomial(next_token_probabilities(logits[rows], sampling, present), 1, generator=generator)
            for row, token in zip(rows, drawn[:, 0].tolist(), strict=True):
                if token == stop_token:
                    done[row] = True
                else:
                    sequences[row].append(token)
            if all(done) or step == max_new_tokens - 1:
                break
            last = last + 1
            column = torch.tensor([[sequence[-1]] for sequence in sequences])
            logits = model(column.to(device), last.to(device), caches)[:, -1].cpu()
    return [sequence[len(prompt) :] for sequence, prompt in zip(sequences, prompts, strict=True)]
