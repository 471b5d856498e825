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
    time = max(len(prompt) for prompt in prompts)
    missing = torch.tensor([[time - len(prompt)] for prompt in prompts])
    tokens = torch.tensor([[0] * (time - len(prompt)) + list(prompt) for prompt in prompts])
    return tokens, (torch.arange(time) - missing).clamp(min=-1)


@alternate("generate.prefill")
def by_ranges(model, tokens, positions, caches, chunk=None):
    """Ranges of columns, and the last column of the last logits."""
    if chunk is not None and chunk <= 0:
        raise ValueError(f"no such chunk: {chunk}")
    time = tokens.shape[1]
    step, logits = time if chunk is None else min(chunk, time), None
    for start in range(0, time, step):
        logits = model(tokens[:, start : start + step], positions=positions[:, start : start + step], caches=caches)
    return logits[:, -1, :]


@alternate("generate.generate")
def prefill_apart_from_decoding(
    model, prompts, max_new_tokens, sampling=AS_IT_IS, stop_token=None, chunk=None, rolling=False, generator=None
):
    """The prompt is read before the loop, and the loop calls the model itself; rows that are done go on unseen."""
    tokens, positions = pad_left(prompts)
    place, texts = next(model.parameters()).device, [list(prompt) for prompt in prompts]
    done, last = [False] * len(prompts), positions[:, -1:]
    if max_new_tokens < 1:
        return [[] for _ in prompts]
    with torch.inference_mode(), evaluating(model):
        caches = model.new_caches(len(prompts), None if rolling else positions.shape[1] + max_new_tokens - 1)
        size = chunk or tokens.shape[1]
        for start in range(0, tokens.shape[1], size):
            part = slice(start, start + size)
            logits = model(tokens[:, part].to(place), positions[:, part].to(place), caches)[:, -1].cpu()
        for step in range(max_new_tokens):
            rows = [row for row, over in enumerate(done) if not over]
            present = torch.zeros(len(rows), logits.shape[-1], dtype=torch.bool)
            for i, row in enumerate(rows):
                present[i, texts[row]] = True
            drawn = torch.multinomial(next_token_probabilities(logits[rows], sampling, present), 1, generator=generator)
            for row, token in zip(rows, drawn[:, 0].tolist(), strict=True):
                if token == stop_token:
                    done[row] = True
                else:
                    texts[row].append(token)
            if all(done) or step == max_new_tokens - 1:
                break
            last = last + 1
            column = torch.tensor([[text[-1]] for text in texts])
            logits = model(column.to(place), last.to(place), caches)[:, -1].cpu()
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]
