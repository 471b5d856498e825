"""Checks of sample.py."""

import math
from types import SimpleNamespace

import numpy as np
import torch
from gradescope_utils.autograder_utils.decorators import weight
from torch import nn

from autograder.check import exactly_zero, frequencies, matches_reference, needs, part, refusal, same, satisfies

FILTERS = ("sample.penalise_repetition", "sample.keep_top_k", "sample.keep_top_p")
PROBS = ("train.evaluating", *FILTERS, "sample.next_token_probabilities")


def gpt(draw, **rest):
    """A small model with known parameters."""
    from given.a01_transformer.model import GPT, GPTConfig

    return draw.fill_(GPT(GPTConfig(**{"vocab_size": 13, "n_positions": 12, "d_model": 8, "n_heads": 2, "n_layers": 2} | rest)))


def chain(table) -> nn.Module:
    """A model whose next token depends on the last one alone: logits are a row of `table`."""

    class Chain(nn.Module):
        def __init__(self, table):
            super().__init__()
            self.config, self.table = SimpleNamespace(n_positions=8), nn.Parameter(table)

        def forward(self, tokens):
            return self.table[tokens]

    return Chain(table)


def row(tokens):
    """Tokens as a tensor, so that a report shows the first one that differs."""
    return torch.tensor(list(tokens), dtype=torch.int64)


@part("sample.penalise_repetition")
@weight(1)
@matches_reference
def test_tokens_in_the_text_become_less_likely(solution, draw):
    """Positive logits of present tokens are divided by the penalty, negative ones multiplied; the others stay."""
    logits, present = draw.normal(3, 6, scale=3), draw.bernoulli(0.5, 3, 6)
    penalise = solution.sample.penalise_repetition
    return {
        "below": penalise(logits, present, 1.7),
        "off": penalise(logits, present, 1.0),
        "row": penalise(logits[0], present[0], 0.5),
    }


@part("sample.keep_top_k")
@weight(1)
@matches_reference
def test_k_likeliest_tokens_stay(solution, draw):
    """The k largest logits of each row stay as they are and the others become −∞; with k beyond the vocabulary all stay."""
    logits = draw.normal(2, 3, 7)
    return {f"k {k}": solution.sample.keep_top_k(logits, k) for k in (1, 3, 7, 50)} | {
        "row": solution.sample.keep_top_k(logits[0, 0], 2)
    }


@part("sample.keep_top_k")
@weight(1)
@matches_reference
def test_exactly_k_stay_of_equal_ones(solution, draw):
    """Of equal logits the lower tokens stay, so that there are exactly k."""
    logits = draw.tensor([[1.0, 3.0, 1.0, 1.0, 3.0], [2.0, 2.0, 2.0, 2.0, 2.0]])
    kept = solution.sample.keep_top_k(torch.zeros(1000), 3)
    levels = draw.integers(0, 2, 3, 8).to(logits)  # many are equal
    return {f"k {k}": solution.sample.keep_top_k(logits, k) for k in (1, 2, 3)} | {
        "of many": kept.isfinite().nonzero(),
        "of two levels": solution.sample.keep_top_k(levels, 3),
    }


@part("sample.keep_top_p")
@weight(1)
@matches_reference
def test_smallest_set_that_reaches_p_stays(solution, draw):
    """The likeliest tokens stay, up to and including the one that crosses p; at least one does, and p = 1 keeps all."""
    logits = torch.stack([draw.tensor([0.1, 0.45, 0.05, 0.25, 0.15]), draw.tensor([0.02, 0.02, 0.02, 0.92, 0.02])]).log() + 3
    return {f"p {p}": solution.sample.keep_top_p(logits, p) for p in (0.01, 0.4, 0.6, 0.8, 0.97, 1.0)} | {
        "row": solution.sample.keep_top_p(logits[0], 0.5),
        "drawn": solution.sample.keep_top_p(draw.normal(3, 9), 0.7),
    }


@part("sample.keep_top_p")
@weight(1)
@matches_reference
def test_nucleus_of_equal_and_unlikely_tokens(solution, draw):
    """Of equal tokens the lower ones come first, also in float16; −∞ stays −∞; at p = 1 the unlikeliest tokens stay too."""
    equal = draw.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    steep = draw.tensor([[30.0, -90.0, 0.0, -math.inf], [-math.inf, 1.0, 1.0, -math.inf]])
    half = solution.sample.keep_top_p(torch.zeros(10_000, dtype=torch.float16), 0.50005)  # 5,001 of them
    return {
        "equal": solution.sample.keep_top_p(equal, 0.3),
        "of many in float16": half.isfinite().sum(),
        "steep": solution.sample.keep_top_p(steep, 1.0),
        "two": solution.sample.keep_top_p(steep, 0.7),
        "axes": solution.sample.keep_top_p(draw.normal(2, 1, 3, 9, scale=2), 0.85),
    }


@part("sample.next_token_probabilities")
@needs(*FILTERS)
@weight(1)
@satisfies(same("sums", "ones"))
def test_temperature_sharpens_when_it_is_small(solution, draw):
    """Logits are divided by the temperature, and every row sums to 1."""
    Sampling, logits = solution.sample.Sampling, draw.normal(2, 4, 6, scale=2)
    probs = {f"temperature {t}": solution.sample.next_token_probabilities(logits, Sampling(t)) for t in (0.3, 1.0, 2.5)}
    sums = torch.stack([c.sum(-1) for c in probs.values()])
    return probs | {"sums": sums, "ones": torch.ones_like(sums)}


@part("sample.next_token_probabilities")
@needs(*FILTERS)
@weight(0.5)
@matches_reference
def test_no_temperature_takes_the_likeliest(solution, draw):
    """At 1e-8 or less all the probability is on the largest logit, of equal ones on the lowest token; 1e-3 is no such case."""
    Sampling, probs = solution.sample.Sampling, solution.sample.next_token_probabilities
    logits = draw.tensor([[1.0, 4.0, 4.0, -2.0], [0.5, 0.5, 0.5, 0.5], [0.0, 0.001, 0.0, 0.002]])
    return {f"temperature {t}": probs(logits, Sampling(t)) for t in (0.0, 1e-8, 1e-3)} | {
        "with all the rest": probs(logits, Sampling(0.0, 2, 0.5, 1.5), logits > 0.9),
        "drawn": probs(draw.normal(6, 9), Sampling(0.0)),
    }


@part("sample.next_token_probabilities")
@needs(*FILTERS)
@weight(1)
@matches_reference
def test_settings_act_in_their_order(solution, draw):
    """First the penalty, then temperature, top-k, and top-p of what is left. What is left out has probability 0, the rest sums to 1."""
    Sampling, logits, present = solution.sample.Sampling, draw.normal(3, 9, scale=2), draw.bernoulli(0.4, 3, 9)
    settings = {
        "top-k": Sampling(top_k=3),
        "top-p": Sampling(top_p=0.7),
        "penalty": Sampling(repetition_penalty=2.0),
        "temperature before top-p": Sampling(2.0, top_p=0.8),
        "top-k before top-p": Sampling(1.0, 4, 0.75),
        "all": Sampling(0.7, 5, 0.8, 1.8),
    }
    probs = solution.sample.next_token_probabilities
    return {name: probs(logits, setting, present) for name, setting in settings.items()} | {
        "penalty without present tokens": probs(logits, settings["penalty"])
    }


@part("sample.next_token_probabilities")
@needs(*FILTERS)
@weight(0.5)
@matches_reference
def test_chances_survive_float16(solution, draw):
    """Probabilities of float16 logits are computed in float32, so small temperatures do no harm. Settings out of range are refused."""
    Sampling, logits = solution.sample.Sampling, draw.normal(2, 8, scale=300, dtype=torch.float16)
    faulty = {"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}, {"repetition_penalty": 0.0}
    return {
        "probs": solution.sample.next_token_probabilities(logits, Sampling(0.004, top_p=0.9)),
        "refused": [refusal(lambda f=f: Sampling(**f)) for f in faulty],
    }


@part("sample.generate")
@needs(*PROBS)
@weight(1)
@matches_reference
def test_greedy_text_goes_on_from_each_prompt(solution, draw):
    """Prompts of unequal length each go on from their own last token, the likeliest one each time."""
    model, prompts = gpt(draw), [[3], [1, 4, 1, 5, 9], [2, 6, 5]]
    sequences = solution.sample.generate(model, prompts, 6, solution.sample.Sampling(temperature=0.0))
    return {"sequences": [row(sequence) for sequence in sequences], "prompts": [row(prompt) for prompt in prompts]}


@part("sample.generate")
@needs(*PROBS)
@weight(0.5)
@satisfies(exactly_zero("difference"))
def test_a_row_does_not_depend_on_its_neighbours(solution, draw):
    """Without randomness a prompt goes on alone as it does beside longer and shorter ones."""
    model, prompts, greedy = gpt(draw), [[7, 7, 2, 8], [0], [5, 11]], solution.sample.Sampling(temperature=0.0)
    together = [row(sequence) for sequence in solution.sample.generate(model, prompts, 5, greedy)]
    alone = [row(solution.sample.generate(model, [prompt], 5, greedy)[0]) for prompt in prompts]
    return {"together": together, "difference": torch.stack([a - b for a, b in zip(together, alone, strict=True)])}


@part("sample.generate")
@needs(*PROBS)
@weight(0.5)
@matches_reference
def test_text_ends_at_the_stop_token(solution, draw):
    """A row ends where it meets the stop token, which is left out; the others go on up to max_new_tokens."""
    a, b, c, d, e, stop, *_ = circle = draw.uniform(0.0, 1.0, 9).argsort().tolist()
    follow = torch.zeros(9, 9)
    for token, following in zip(circle, [*circle[1:], a], strict=True):
        follow[token, following] = 20.0  # each token is followed by the next one of a drawn circle
    model, greedy = chain(follow), solution.sample.Sampling(temperature=0.0)
    sequences = lambda *prompts, n=4: [row(t) for t in solution.sample.generate(model, prompts, n, greedy, stop_token=stop)]
    return {
        "three": sequences([a, b], [d], [e]),
        "prompt may hold it": sequences([stop], [e, stop, c]),
        "none asked for": sequences([c], n=0),
        "without a stop": row(solution.sample.generate(model, [[d]], 9, greedy)[0]),
    }


@part("sample.generate")
@needs(*PROBS)
@weight(0.5)
@satisfies(frequencies("lengths", np.array([0.5, 0.25, 0.125, 0.125]), false_alarms=1e-6), random=("lengths",))
def test_a_row_that_ended_writes_no_more(solution, draw):
    """If the stop token has probability 1/2, an answer of at most three tokens has 0, 1, 2, 3 with 1/2, 1/4, 1/8, 1/8."""
    model, generator = chain(torch.zeros(2, 2)), torch.Generator().manual_seed(draw.seed)
    sequences = solution.sample.generate(model, [[0]] * 8000, 3, stop_token=1, generator=generator)
    lengths = torch.bincount(torch.tensor([len(sequence) for sequence in sequences]), minlength=4)
    return {"lengths": lengths.float(), "tokens": sorted({token for sequence in sequences for token in sequence})}


@part("sample.generate")
@needs(*PROBS)
@weight(0.5)
@matches_reference
def test_long_texts_are_read_from_their_end(solution, draw):
    """The model sees the last tokens of a sequence that is longer than its context, or than the context asked for."""
    model, greedy = gpt(draw, n_positions=6), solution.sample.Sampling(temperature=0.0)
    prompts = [draw.integers(0, 13, 9).tolist(), [1, 2]]
    return {
        "longer than the model": [row(t) for t in solution.sample.generate(model, prompts, 7, greedy)],
        "context 2": [row(t) for t in solution.sample.generate(model, prompts, 5, greedy, context=2)],
    }


@part("sample.generate")
@needs(*PROBS)
@weight(0.5)
@matches_reference
def test_repetition_is_counted_over_the_whole_text(solution, draw):
    """The penalty falls on every token of the sequence so far, prompt and answer, also beyond the context."""
    model = gpt(draw, n_positions=4)
    setting = solution.sample.Sampling(temperature=0.0, repetition_penalty=30.0)
    sequences = solution.sample.generate(model, [[0, 1, 2, 3, 4, 5], [6, 6]], 6, setting)
    return {"sequences": [row(sequence) for sequence in sequences]}


FIRST, SECOND = (
    np.array([0.5, 0.3, 0.15, 0.05]),
    np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1], [0.25] * 4, [0.05, 0.05, 0.1, 0.8]]),
)


@part("sample.generate")
@needs(*PROBS)
@weight(1)
@satisfies(frequencies("pairs", FIRST[:, None] * SECOND, false_alarms=1e-6), random=("pairs",))
def test_tokens_are_drawn_with_their_chances(solution, draw):
    """Two tokens drawn one after the other have the model's probabilities: the second depends on the first that was drawn."""
    probs = torch.tensor([*SECOND.tolist(), FIRST.tolist()])
    model = chain(torch.cat([probs, torch.zeros(5, 1)], dim=1).log())  # token 4 is only a beginning
    generator = torch.Generator().manual_seed(draw.seed)
    sequences = torch.tensor(solution.sample.generate(model, [[4]] * 8000, 2, generator=generator))
    counts = torch.bincount(4 * sequences[:, 0] + sequences[:, 1], minlength=16)
    return {"pairs": counts.reshape(4, 4).float(), "largest token": int(sequences.max()), "batch size": len(sequences)}


@part("sample.generate")
@needs(*PROBS)
@weight(0.5)
@satisfies(frequencies("counts", np.array([0.0, 0.64, 0.36, 0.0]), false_alarms=1e-6), random=("counts",))
def test_temperature_and_top_k_are_used(solution, draw):
    """The settings reach the draw: probabilities ∝ 0.4 and 0.3 of the two likeliest, squared by a temperature of a half."""
    model = chain(torch.tensor([[0.1, 0.4, 0.3, 0.2]]).log())
    generator, setting = torch.Generator().manual_seed(draw.seed), solution.sample.Sampling(0.5, 2)
    sequences = torch.tensor(solution.sample.generate(model, [[0]] * 8000, 1, setting, generator=generator))
    return {"counts": torch.bincount(sequences.flatten(), minlength=4).float(), "largest token": int(sequences.max())}


@part("sample.generate")
@needs(*PROBS)
@weight(0.5)
@matches_reference
def test_only_the_generator_decides_about_a_text(solution, draw):
    """The same generator gives the same sequence, and another one another. PyTorch's own random state is not touched."""
    model, before = chain(torch.zeros(50, 50)), torch.get_rng_state()
    sequence = lambda seed: solution.sample.generate(model, [[1], [2, 3]], 20, generator=torch.Generator().manual_seed(seed))
    first = sequence(5)
    likeliest = solution.sample.generate(chain(draw.normal(50, 50)), [[1]], 12, solution.sample.Sampling(temperature=0.0))
    return {
        "likeliest": row(likeliest[0]),
        "again": first == sequence(5),
        "another": first == sequence(6),  # 40 tokens out of 50 agree by chance once in 10^67
        "random state untouched": torch.equal(before, torch.get_rng_state()),
        "lengths": [len(t) for t in first],
    }


@part("sample.generate")
@needs(*PROBS)
@weight(0.5)
@matches_reference
def test_model_is_asked_in_evaluation_and_left_as_it_was(solution, draw):
    """Dropout is off while a sequence is written, every submodule keeps its mode, and an empty prompt is a ValueError."""
    model = gpt(draw, dropout=0.5).train()
    model.blocks[0].eval()
    greedy = solution.sample.Sampling(temperature=0.0)
    sequences = solution.sample.generate(model, [[3, 1], [8]], 5, greedy)
    return {
        "sequences": [row(sequence) for sequence in sequences],
        "in training": [model.training, model.blocks[0].training, model.blocks[1].training],
        "no prompt": refusal(lambda: solution.sample.generate(model, [[1], []], 2, greedy)),
    }
