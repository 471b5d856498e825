"""Checks of attention.py."""

from itertools import pairwise

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import all_of, exactly_zero, matches_reference, needs, parameter_table, part, refusal, same, satisfies

PARTS = ("rope.rotate", "attention.window_mask", "attention.grouped_attention")  # what a layer of attention is made of


def drawn_rotation(draw, *shape):
    """Cosines and sines of drawn angles."""
    angles = draw.uniform(-3.2, 3.2, *shape)
    return angles.cos(), angles.sin()


def rotation_of(positions, head_dim):
    """The rotation of tokens at these positions."""
    from given.a03_modern.rope import RotaryEmbedding

    return RotaryEmbedding(head_dim)(positions, torch.get_default_dtype())


def any_positions(draw):
    """Positions of some queries and of some keys, in any order."""
    return draw.integers(0, 12, 6), draw.integers(0, 12, 9)


@part("attention.window_mask")
@weight(1)
@matches_reference
def test_a_query_sees_what_came_before(solution, draw):
    """Without a window a query sees its own position and all earlier ones, wherever queries and keys begin."""
    mask, positions = solution.attention.window_mask, torch.arange(6)
    return {
        "sequence": mask(positions, positions),
        "late": mask(positions[4:] + 70, positions + 69),
        "one": mask(positions[3:4], positions),
        "any positions": mask(*any_positions(draw)),
    }


@part("attention.window_mask")
@weight(1)
@matches_reference
def test_window_counts_the_query_itself(solution, draw):
    """A window of W holds the last W positions, that of the query included; without any room it is a ValueError."""
    mask, positions = solution.attention.window_mask, torch.arange(7)
    return {f"window {w}": mask(positions, positions, w) for w in (1, 2, 3, 20)} | {
        "no room": refusal(lambda: mask(positions, positions, 0)),
        "fewer than no sinks": refusal(lambda: mask(positions, positions, 2, -1)),
        "any positions": mask(*any_positions(draw), 4),
    }


@part("attention.window_mask")
@weight(1)
@matches_reference
def test_sinks_are_seen_by_all_that_come_later(solution, draw):
    """The first positions stay in sight besides the window, but for queries that stand before them."""
    mask, positions = solution.attention.window_mask, torch.arange(8)
    return {
        "two sinks": mask(positions, positions, 2, 2),
        "more sinks than room": mask(positions, positions, 1, 5),
        "no window": mask(positions, positions, None, 3),
        "late": mask(positions[:2] + 1000, torch.tensor([0, 1, 2, 997, 998, 999, 1000, 1001]), 3, 1),
        "any positions": mask(*any_positions(draw), 3, 4),
    }


@part("attention.window_mask")
@weight(1)
@matches_reference
def test_padding_is_seen_by_nobody(solution, draw):
    """A position below 0 is not seen and sees nothing; keys may stand in any order; each sequence has its own positions."""
    queries, keys = torch.tensor([[-1, 0, 1], [4, 5, 6]]), torch.tensor([[-1, -1, 1, 0], [6, 3, -1, 5]])
    mask = solution.attention.window_mask
    return {
        "all": mask(queries, keys),
        "window": mask(queries, keys, 2),
        "sinks": mask(queries, keys, 1, 4),
        "any positions": mask(draw.integers(-1, 5, 2, 4), draw.integers(-1, 5, 2, 6)),
    }


@part("attention.grouped_attention")
@weight(2)
@matches_reference
def test_neighbouring_heads_share_their_keys(solution, draw):
    """Each head of keys and values serves a group of neighbouring heads of queries, and gradients reach all three."""
    q, k, v = draw.normal(2, 6, 4, 8).requires_grad_(), draw.normal(2, 2, 5, 8).requires_grad_(), draw.normal(2, 2, 5, 3)
    mask = draw.bernoulli(0.5, 2, 4, 5) | torch.eye(4, 5, dtype=torch.bool)
    out = solution.attention.grouped_attention(q, k, v.requires_grad_(), mask)
    return {"out": out, "grad": draw.backward(out)}


@part("attention.grouped_attention")
@weight(1)
@satisfies(exactly_zero("blind", "grad of a blind query"))
def test_query_that_may_look_nowhere_gets_zeros(solution, draw):
    """A query without any key gets 0 and a gradient of 0, not NaN; the others are as they would be without it."""
    q, k, v = draw.normal(2, 4, 3, 4).requires_grad_(), draw.normal(2, 2, 3, 4).requires_grad_(), draw.normal(2, 2, 3, 4)
    mask = torch.ones(2, 3, 3, dtype=torch.bool).tril()
    mask[1, 0] = False
    out = solution.attention.grouped_attention(q, k, v.requires_grad_(), mask)
    grad = draw.backward(out)
    return {"blind": out[1, :, 0], "grad of a blind query": grad["input 0"][1, :, 0], "out": out, "grad": grad}


@part("attention.grouped_attention")
@weight(1)
@matches_reference
def test_scores_survive_float16(solution, draw):
    """Scores beyond float16's 65504 and large scores in float32 do no harm; the result has the dtype of the queries."""
    q, k = draw.normal(4, 3, 64, scale=100, dtype=torch.float16), draw.normal(2, 3, 64, scale=100, dtype=torch.float16)
    attend, mask = solution.attention.grouped_attention, torch.ones(3, 3, dtype=torch.bool).tril()
    doubles = [draw.normal(h, 3, 4, dtype=torch.float64) for h in (2, 1, 1)]
    return {
        "float16": attend(q, k, draw.normal(2, 3, 5, dtype=torch.float16), mask),
        "large": attend(draw.normal(2, 3, 16, scale=30), draw.normal(1, 3, 16, scale=30), draw.normal(1, 3, 4), mask),
        "double": attend(*doubles, mask),
    }


@part("attention.grouped_attention")
@weight(1)
@matches_reference
def test_any_number_of_groups_and_axes(solution, draw):
    """A head of keys for each head of queries, one for all, no batch, two leading axes, one query, strided heads."""
    attend, mask = solution.attention.grouped_attention, draw.bernoulli(0.5, 3, 3) | torch.eye(3, dtype=torch.bool)
    two = draw.bernoulli(0.5, 2, 1, 3, 4) | torch.eye(3, 4, dtype=torch.bool)
    strided = draw.normal(2, 3, 4, 6).transpose(1, 2), draw.normal(2, 3, 2, 6).transpose(1, 2)
    return {
        "each its own": attend(draw.normal(2, 3, 3, 4), draw.normal(2, 3, 3, 4), draw.normal(2, 3, 3, 4), mask),
        "one for all": attend(draw.normal(2, 3, 3, 4), draw.normal(2, 1, 3, 4), draw.normal(2, 1, 3, 4), mask),
        "no batch": attend(draw.normal(4, 3, 4), draw.normal(2, 3, 4), draw.normal(2, 3, 5), mask),
        "two axes": attend(draw.normal(2, 2, 4, 3, 4), draw.normal(2, 2, 2, 4, 4), draw.normal(2, 2, 2, 4, 1), two),
        "one query": attend(draw.normal(4, 1, 1), draw.normal(2, 3, 1), draw.normal(2, 3, 1), mask[:1]),
        "strided": attend(*strided, draw.normal(2, 3, 2, 6).transpose(1, 2), mask),
    }


@part("attention.grouped_attention")
@weight(1)
@matches_reference
def test_groups_of_unequal_size_are_refused(solution, draw):
    """Heads of keys that do not divide the heads of queries are a ValueError; the scale is √head_dim, that of one head."""
    attend, mask = solution.attention.grouped_attention, torch.ones(2, 2, dtype=torch.bool)
    k, v = draw.normal(2, 2, 12), draw.normal(2, 2, 3)
    return {
        "five heads for two": refusal(lambda: attend(draw.normal(5, 2, 12), k, v, mask)),
        "one head for two": refusal(lambda: attend(draw.normal(1, 2, 12), k, v, mask)),
        "wide": attend(draw.normal(2, 2, 12, scale=2), k, v, mask),
    }


@part("attention.GroupedQueryAttention")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_layer_has_few_keys_for_many_queries(solution, draw):
    """One matrix makes queries, keys and values, with fewer rows for keys; one mixes what was gathered. Biases on request."""
    build, x = solution.attention.GroupedQueryAttention, draw.normal(2, 4, 12).requires_grad_()
    few, plain = draw.fill_(build(12, 6, 2, bias=True)), draw.fill_(build(12, 3))
    outs = few(x), plain(x)
    return {
        "parameters": parameter_table(few),
        "without bias": parameter_table(plain),
        "few": outs[0],
        "plain": outs[1],
        "grad": draw.backward(*outs),
        "refused": [refusal(lambda a=a: build(*a)) for a in ((12, 5), (12, 6, 4), (12, 6, 0))],
    }


@part("attention.GroupedQueryAttention")
@needs(*PARTS)
@weight(1)
@matches_reference
def test_queries_and_keys_turn_and_values_do_not(solution, draw):
    """Every head's queries and keys are rotated, in the layout of the layer; the rotation may differ between sequences."""
    build, x = solution.attention.GroupedQueryAttention, draw.normal(2, 5, 16).requires_grad_()
    rotated, half = draw.fill_(build(16, 4, 2)), draw.fill_(build(16, 2, layout="half"))
    outs = rotated(x, rotation=drawn_rotation(draw, 1, 5, 2)), half(x, rotation=drawn_rotation(draw, 2, 5, 4))
    return {"rotated": outs[0], "half": outs[1], "grad": draw.backward(*outs)}


@part("attention.GroupedQueryAttention")
@needs(*PARTS)
@weight(1)
@satisfies(same("before", "after"))
def test_window_and_sinks_reach_the_mask(solution, draw):
    """A token gathers from its window and the sinks alone: changing what lies between them changes nothing, nor does the future."""
    layer, x = draw.fill_(solution.attention.GroupedQueryAttention(8, 2, window=3, sinks=2)), draw.normal(2, 9, 8)
    changed = torch.cat([x[:, :2], draw.normal(2, 3, 8), x[:, 5:8], draw.normal(2, 1, 8)], dim=1)
    return {"before": layer(x)[:, 7], "after": layer(changed)[:, 7], "out": layer(x), "last": layer(changed)[:, 8]}


@part("attention.GroupedQueryAttention")
@needs(*PARTS)
@weight(1)
@satisfies(same("padded", "alone"))
def test_padding_changes_nothing_for_the_others(solution, draw):
    """A sequence that is padded on the left comes out as it does alone; positions say what is padding and what came before what."""
    layer, x = draw.fill_(solution.attention.GroupedQueryAttention(8, 4, 2)), draw.normal(2, 6, 8)
    positions = torch.tensor([[-1, -1, -1, 0, 1, 2], [0, 1, 2, 3, 4, 5]])
    out = layer(x, positions, rotation_of(positions, 2))
    short = torch.tensor([[0, 1, 2]])
    return {"padded": out[0, 3:], "alone": layer(x[:1, 3:], short, rotation_of(short, 2))[0], "out": out}


@part("attention.GroupedQueryAttention")
@needs(*PARTS)
@weight(1.5)
@satisfies(same("in chunks", "at once"))
def test_a_cache_stands_for_the_tokens_before(solution, draw):
    """Fed in chunks with a cache, a sequence comes out as it does at once: keys are kept rotated, at their own positions."""
    from given.a03_modern.cache import KVCache

    layer, x = draw.fill_(solution.attention.GroupedQueryAttention(16, 4, 2)), draw.normal(2, 9, 16)
    positions, cache = torch.arange(9).unsqueeze(0), KVCache(2, 2, 4, 9, dtype=x.dtype, device=x.device)
    with torch.no_grad():
        chunks = [
            layer(x[:, part], positions[:, part], rotation_of(positions[:, part], 4), cache)
            for part in (slice(0, 4), slice(4, 5), slice(5, 8), slice(8, 9))
        ]
        whole = layer(x, positions, rotation_of(positions, 4))
    return {"in chunks": torch.cat(chunks, dim=1), "at once": whole, "keys": cache.keys, "positions": cache.positions}


@part("attention.GroupedQueryAttention")
@needs(*PARTS)
@weight(1.5)
@satisfies(same("rolling", "masked"))
def test_a_rolling_cache_is_a_mask_that_forgets(solution, draw):
    """With a window and sinks, a cache that rolls gives what a layer gives that keeps everything and masks, far beyond the window."""
    from given.a03_modern.cache import RollingCache

    layer, x = draw.fill_(solution.attention.GroupedQueryAttention(8, 2, 1, window=4, sinks=2)), draw.normal(2, 17, 8)
    positions, cache = torch.arange(17).unsqueeze(0), RollingCache(2, 1, 4, 4, 2, dtype=x.dtype, device=x.device)
    borders = (0, 3, 4, 5, 11, 12, 13, 14, 17)
    with torch.no_grad():
        chunks = [layer(x[:, a:b], positions[:, a:b], rotation_of(positions[:, a:b], 4), cache) for a, b in pairwise(borders)]
        masked = layer(x, positions, rotation_of(positions, 4))
    return {"rolling": torch.cat(chunks, dim=1), "masked": masked}


@part("attention.linear_attention")
@needs("rope.rotate")
@weight(1)
@matches_reference
def test_linear_attention_sums_what_came_before(solution, draw):
    """Without a rotation a token gets the mean of the values so far, weighted by φ(q) · φ(k), and all gradients flow."""
    q, k, v = (draw.normal(2, 3, 6, n).requires_grad_() for n in (4, 4, 5))
    out = solution.attention.linear_attention(q, k, v)
    return {"out": out, "grad": draw.backward(out), "sequence": solution.attention.linear_attention(q[0, 0], k[0, 0], v[0, 0])}


@part("attention.linear_attention")
@needs("rope.rotate")
@weight(1)
@satisfies(all_of(same("here", "later"), same("before", "after")))
def test_rotation_follows_the_feature_map(solution, draw):
    """φ first, then the rotation, and none of it in the denominator: moving all positions on changes nothing, nor does the future."""
    q, k, v = draw.normal(2, 7, 8, scale=2), draw.normal(2, 7, 8, scale=2), draw.normal(2, 7, 3)
    attend, positions = solution.attention.linear_attention, torch.arange(7)
    here = attend(q, k, v, rotation_of(positions, 8))
    changed = torch.cat([k[:, :5], draw.normal(2, 2, 8)], dim=1)
    return {
        "here": here,
        "later": attend(q, k, v, rotation_of(positions + 30_000, 8)),
        "before": here[:, :5],
        "after": attend(q, changed, v, rotation_of(positions, 8))[:, :5],
    }
