"""Checks of sample.py that never ship: other logits and settings."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import matches_reference, needs, part


@part("sample.next_token_probabilities")
@needs("sample.penalise_repetition", "sample.keep_top_k", "sample.keep_top_p")
@weight(1)
@matches_reference
def test_other_settings_together(solution, draw):
    """Penalty, temperature, top-k and top-p at other values, one by one and together, for batches with two axes."""
    logits, present, make = draw.normal(2, 3, 17, scale=2), draw.bernoulli(0.3, 2, 3, 17), solution.sample.Sampling
    settings = {
        "cold": make(temperature=0.35),
        "hot, few": make(temperature=1.8, top_k=4),
        "nucleus": make(top_p=0.55),
        "all": make(temperature=0.8, top_k=9, top_p=0.7, repetition_penalty=1.6),
        "greedy": make(temperature=1e-9, repetition_penalty=2.5),
    }
    return {name: solution.sample.next_token_probabilities(logits, setting, present) for name, setting in settings.items()}


@part("sample.generate")
@needs(
    "train.evaluating", "sample.penalise_repetition", "sample.keep_top_k", "sample.keep_top_p", "sample.next_token_probabilities"
)
@weight(1)
@matches_reference
def test_answers_to_prompts_of_other_lengths(solution, draw):
    """Greedy answers to prompts of 1 to 11 tokens in one call are those of calls with one prompt; one ends at the stop token."""
    from given.a01_transformer.model import GPT, GPTConfig

    model = draw.fill_(GPT(GPTConfig(vocab_size=9, n_positions=7, d_model=8, n_heads=2, n_layers=2)))
    prompts = [draw.integers(0, 9, length).tolist() for length in (1, 11, 4, 7)]
    greedy = solution.sample.Sampling(temperature=0.0)
    stop = solution.sample.generate(model, prompts[:1], 3, greedy)[0][2]
    together = solution.sample.generate(model, prompts, 8, greedy, stop_token=stop)
    alone = [solution.sample.generate(model, [prompt], 8, greedy, stop_token=stop)[0] for prompt in prompts]
    return {"sequences": [torch.tensor([*sequence, -1]) for sequence in together], "alone": together == alone}
