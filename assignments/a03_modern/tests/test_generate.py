"""Checks of generate.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import (
    all_of,
    exactly_zero,
    keeps_pace,
    limits,
    matches_reference,
    needs,
    on_device,
    part,
    refusal,
    same,
    satisfies,
)

PARTS = (
    *("norm.RMSNorm", "rope.frequencies", "rope.rotate", "rope.RotaryEmbedding"),
    *("scaling.linear", "scaling.ntk", "scaling.yarn", "ffn.silu", "ffn.hidden_size", "ffn.SwiGLU"),
    *("attention.window_mask", "attention.grouped_attention", "attention.GroupedQueryAttention"),
    *("cache.KVCache", "cache.RollingCache", "model.Block", "model.Transformer"),
)  # what a model is made of
OLD = {"norm": "layernorm", "mlp": "gelu", "positions": "learned", "bias": True}  # the GPT of a01


def build(source, draw, vocab_size=13, n_positions=64, d_model=8, n_heads=2, n_layers=2, **rest):
    """A small model with known parameters, from this package."""
    config = source.model.ModelConfig(vocab_size, n_positions, d_model, n_heads, n_layers, **rest)
    return draw.fill_(source.model.Transformer(config))


def given():
    """The given parts of this assignment, for what is not the student's."""
    from given import a03_modern
    from given.a03_modern import model

    return a03_modern


def greedy():
    """The likeliest token each time."""
    from given.a02_training.sample import Sampling

    return Sampling(temperature=0.0)


def uncached(model, prompts, count, *rest, **named):
    """What a02's loop writes, which reads the whole sequence again for each token."""
    from given.a02_training.sample import generate

    return generate(model, prompts, count, *rest, context=10_000, **named)


def as_tensor(sequences, width=None):
    """Texts as a tensor; −1 behind the end of those that are shorter."""
    width = width or max(map(len, sequences))
    return torch.tensor([sequence + [-1] * (width - len(sequence)) for sequence in sequences])


@part("generate.pad_left")
@weight(1)
@matches_reference
def test_prompts_end_in_the_last_column(solution, draw):
    """Shorter prompts are filled up on the left with token 0 and position −1, and count from 0 at their own first token."""
    drawn = draw.integers(1, 100, 11).tolist()
    tokens, positions = solution.generate.pad_left([drawn[:3], drawn[3:4], drawn[4:6], drawn[6:]])
    return {"tokens": tokens, "positions": positions}


@part("generate.pad_left")
@weight(1)
@matches_reference
def test_prompts_may_be_one_or_equal_but_not_empty(solution, draw):
    """One prompt, prompts of one length, or of a single token need no padding; without a token there is nothing to go on from."""
    pad, (a, b, c) = solution.generate.pad_left, draw.integers(1, 100, 3).tolist()
    return {
        "one": list(pad([[a, 0, b]])),
        "equal": list(pad([(a, b), (0, c)])),
        "single": list(pad([[c], [0]])),
        "empty": refusal(lambda: pad([[1], []])),
        "none": refusal(lambda: pad([])),
    }


@part("generate.prefill")
@needs(*PARTS)
@weight(0.75)
@satisfies(all_of(*(same(f"chunks of {n}", "at once") for n in (1, 3, 4, 50))))
def test_a_prompt_may_be_read_in_chunks(solution, draw):
    """Read in chunks of any size, the last one short or not, a prompt has the logits that it has at once; padding goes along."""
    model, tokens = build(given(), draw), draw.integers(0, 13, 2, 7)
    positions = torch.tensor([[-1, -1, 0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 6]])
    read = lambda chunk_size: solution.generate.prefill(model, tokens, positions, model.new_caches(2, 7), chunk_size)
    with torch.no_grad():
        return {f"chunks of {n}": read(n) for n in (1, 3, 4, 50)} | {"at once": read(None)}


@part("generate.prefill")
@needs(*PARTS)
@weight(0.75)
@matches_reference
def test_prefill_fills_the_caches(solution, draw):
    """The logits are those of the last column, one row a sequence; each token is read once, in chunks no longer than asked for."""
    model, tokens = build(given(), draw, window=3, sinks=1), draw.integers(0, 13, 2, 8)
    positions, caches, chunks = torch.arange(8).unsqueeze(0).expand(2, -1), model.new_caches(2, 12), []
    model.register_forward_pre_hook(lambda module, inputs: chunks.append(inputs[0].shape[1]))
    with torch.no_grad():
        first = solution.generate.prefill(model, tokens[:, :5], positions[:, :5], caches, 2)
        then = solution.generate.prefill(model, tokens[:, 5:], positions[:, 5:], caches)
    return {
        "first": first,
        "then": then,
        "chunks": chunks,
        "positions": caches[1].positions,
        "refused": refusal(lambda: solution.generate.prefill(model, tokens, positions, caches, 0)),
    }


def timed(source, draw):
    """A model that is timed. On an accelerator it alone lies there; new tensors begin on the CPU, as they do outside a check."""
    torch.set_default_device(None)
    return build(source, draw, vocab_size=64, n_positions=256, d_model=224, n_heads=4, n_layers=2).to(draw.device)


def one_pass(draw):
    """The given model over the same tokens at once, without caches."""
    model = timed(given(), draw)
    yield
    while True:
        with torch.no_grad():
            model(draw.integers(0, 64, 1, 128))
        yield {}


@part("generate.prefill")
@needs(*PARTS)
@weight(0.5)
@limits(seconds=60)
@keeps_pace(full=1.5, none=3.0, repeats=25, probe=one_pass)
def test_prefill_costs_one_pass(solution, draw):
    """Reading a prompt into caches costs hardly more than one forward pass over as many tokens."""
    model, positions = timed(given(), draw), torch.arange(128).unsqueeze(0)
    yield
    while True:
        with torch.no_grad():
            yield {"logits": solution.generate.prefill(model, draw.integers(0, 64, 1, 128), positions, model.new_caches(1, 128))}


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@weight(1)
@satisfies(all_of(exactly_zero("modern: difference"), exactly_zero("old: difference")))
def test_cache_changes_no_token(solution, draw):
    """At temperature 0, prompts of unequal length go on with a cache exactly as they do when everything is read again each time."""
    prompts, found = [[3], [1, 4, 1, 5, 9, 2], [2, 6, 5]], {}
    for name, fields in (("modern", {"n_heads": 4, "n_kv_heads": 2}), ("old", OLD)):
        model = build(solution, draw, **fields)
        sequences = as_tensor(solution.generate.generate(model, prompts, 12, greedy()))
        found |= {
            f"{name}: sequences": sequences,
            f"{name}: difference": sequences - as_tensor(uncached(model, prompts, 12, greedy())),
        }
    return found


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@weight(1)
@satisfies(all_of(exactly_zero("difference"), exactly_zero("after a stop")))
def test_cache_changes_no_draw(solution, draw):
    """With sampling, the same seed gives the sequence that it gives without a cache, settings and stop token included."""
    from given.a02_training.sample import Sampling

    model, prompts, setting = build(given(), draw), draw.integers(0, 13, 6, 5).tolist(), Sampling(1.5, 9, 0.95, 1.2)
    generator = lambda: torch.Generator().manual_seed(draw.seed)
    cached = as_tensor(solution.generate.generate(model, prompts, 10, setting, generator=generator()), 10)
    stopped = as_tensor(solution.generate.generate(model, prompts, 10, Sampling(2.0), stop_token=2, generator=generator()), 10)
    return {
        "difference": cached - as_tensor(uncached(model, prompts, 10, setting, generator=generator()), 10),
        "after a stop": stopped - as_tensor(uncached(model, prompts, 10, Sampling(2.0), 2, generator=generator()), 10),
        "likeliest": as_tensor(solution.generate.generate(model, prompts, 10, greedy())),
    }


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@weight(0.5)
@matches_reference
def test_text_ends_at_the_stop_token(solution, draw):
    """A sequence ends at the stop token, which is left out, and the others go on; each token is read once, none in vain."""
    model, prompts = build(given(), draw, vocab_size=5), [[1, 2], [3], [0, 1, 0, 4], [2, 2]]
    sequences = solution.generate.generate(model, prompts, 15, greedy())
    widths = []
    model.register_forward_pre_hook(lambda module, inputs: widths.append(inputs[0].shape[1]))
    stopped = [solution.generate.generate(model, prompts, 15, greedy(), stop_token=token) for token in range(5)]
    alone = [solution.generate.generate(model, prompts[:1], 15, greedy(), stop_token=token) for token in range(5)]
    passes = {"forward passes": len(widths), "columns read": sum(widths)}
    return {
        "sequences": as_tensor(sequences),
        "stopped": [as_tensor(some, 15) for some in stopped],
        "alone": [as_tensor(one, 15) for one in alone],
        "none": [len(sequence) for sequence in solution.generate.generate(model, prompts, 0, greedy())],
    } | passes


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@weight(0.5)
@satisfies(exactly_zero("chunked", "longer"))
def test_chunks_and_later_positions_change_no_token(solution, draw):
    """Reading the prompt in chunks changes nothing, nor does going on far beyond the length of the sequences in training."""
    model, prompts = build(solution, draw, n_positions=8), [draw.integers(0, 13, n).tolist() for n in (9, 2, 14)]
    sequences, widths = as_tensor(solution.generate.generate(model, prompts, 20, greedy())), []
    model.register_forward_pre_hook(lambda module, inputs: widths.append(inputs[0].shape[1]))
    chunked, widest = as_tensor(solution.generate.generate(model, prompts, 20, greedy(), chunk_size=4)), max(widths)
    return {
        "sequences": sequences,
        "chunked": chunked - sequences,
        "widest pass": widest,
        "longer": sequences - as_tensor(uncached(model, prompts, 20, greedy())),
    }


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@weight(1)
@satisfies(exactly_zero("difference", "in chunks", "whole"))
def test_rolling_cache_changes_no_token(solution, draw):
    """Far beyond the window, a cache of constant size writes what a model writes that reads everything again and masks."""
    model, prompts = build(solution, draw, window=4, sinks=2), [[3], draw.integers(0, 13, 11).tolist(), [2, 6, 5]]
    sequences = as_tensor(solution.generate.generate(model, prompts, 24, greedy(), rolling=True))
    return {
        "sequences": sequences,
        "difference": sequences - as_tensor(uncached(model, prompts, 24, greedy())),
        "in chunks": sequences - as_tensor(solution.generate.generate(model, prompts, 24, greedy(), rolling=True, chunk_size=3)),
        "whole": sequences - as_tensor(solution.generate.generate(model, prompts, 24, greedy())),
    }


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@weight(0.5)
@matches_reference
def test_model_is_left_as_it_was(solution, draw):
    """The model is used in evaluation mode without gradients; every submodule keeps its mode, torch's own generator its state."""
    model = build(given(), draw).train()
    model.blocks[0].eval()
    seen, logits, before = [], [], torch.get_rng_state()
    model.register_forward_hook(lambda module, inputs, out: seen.append([module.training, out.requires_grad]))
    model.register_forward_hook(lambda module, inputs, out: logits.append(out[:, -1]))
    sequences = solution.generate.generate(model, [[3, 1], [8]], 4, generator=torch.Generator().manual_seed(draw.seed))
    return {
        "lengths": [len(sequence) for sequence in sequences],
        "in training, with gradients": seen,
        "logits behind the prompts": logits[:1],
        "afterwards": [model.training, model.blocks[0].training, model.blocks[1].training],
        "own generator untouched": torch.equal(before, torch.get_rng_state()),
        "no prompt": refusal(lambda: solution.generate.generate(model, [[1], []], 2)),
    }


def everything_read_again(draw):
    """The same sequence without a cache, by the given model and the given loop."""
    model = timed(given(), draw)
    yield
    while True:
        prompt = draw.integers(0, 64, 1, 128).tolist()
        yield {"sequences": as_tensor(uncached(model, prompt, 100, greedy()))}


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@weight(1)
@limits(seconds=100)
@keeps_pace(full=0.25, none=0.5, repeats=7, probe=everything_read_again)
def test_cache_is_four_times_faster(solution, draw):
    """100 tokens after a prompt of 128 take a quarter of the time that reading everything again takes the given model."""
    model = timed(solution, draw)
    yield
    while True:
        prompt = draw.integers(0, 64, 1, 128).tolist()
        yield {"sequences": as_tensor(solution.generate.generate(model, prompt, 100, greedy()))}


def single_tokens(draw):
    """As many passes of the given model over one token, which has no past."""
    model = timed(given(), draw)
    yield
    while True:
        prompt = draw.integers(0, 64, 1, 128)
        with torch.no_grad():
            for position in range(100):
                model(prompt[:, position : position + 1])
        yield {}


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@weight(0.5)
@limits(seconds=100)
@keeps_pace(full=2.5, none=5.0, repeats=7, probe=single_tokens)
def test_a_token_costs_one_token(solution, draw):
    """Writing a token costs little more than one pass over one token without any past, however long the sequence is."""
    model = timed(solution, draw)
    yield
    while True:
        prompt = draw.integers(0, 64, 1, 128).tolist()
        yield {"sequences": as_tensor(solution.generate.generate(model, prompt, 100, greedy()))}


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@on_device("cuda")
@weight(1)
@limits(seconds=100)
@keeps_pace(full=1.3, none=2.0, repeats=7, probe=everything_read_again)
def test_cache_is_four_times_faster_on_cuda(solution, draw):
    """On a CUDA device, too, writing with a cache takes no longer than reading everything again takes the given model."""
    yield from test_cache_is_four_times_faster(solution, draw)


@part("generate.generate")
@needs(*PARTS, "generate.pad_left", "generate.prefill")
@on_device("mps")
@weight(1)
@limits(seconds=100)
@keeps_pace(full=1.3, none=2.0, repeats=7, probe=everything_read_again)
def test_cache_is_four_times_faster_on_mps(solution, draw):
    """On Apple's GPU, too, writing with a cache takes no longer than reading everything again takes the given model."""
    yield from test_cache_is_four_times_faster(solution, draw)
