"""These are other right versions of parts of sample.py. The tolerances allow for all of these routes."""

import math

import torch

from tools.author.cases import alternate

from .sample import Sampling, next_token_probabilities


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
        probs = torch.softmax(row.float() if row.dtype != torch.float64 else row, 0)
        ordered, tokens = torch.sort(probs, descending=True, stable=True)
        reached = int((ordered.cumsum(0) < p).sum())
        out[tokens[: reached + 1]] = row[tokens[: reached + 1]]
    return kept.view_as(logits)


@alternate("sample.generate")
def generate_row_by_row(model, prompts, max_new_tokens, sampling=Sampling(), stop_token=None, context=None, generator=None):
    """Each row is computed on its own. Tokens are drawn in the order of the rows, step by step."""
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
                    sequence = torch.tensor([*prompts[row], *answers[row]], device=device)
                    logits = model(sequence[-context:][None])[0, -1].cpu()
                    present = torch.zeros(len(logits), dtype=torch.bool).index_fill(0, sequence.cpu(), True)
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
