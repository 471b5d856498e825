"""Checks of attention.py."""

import torch
from gradescope_utils.autograder_utils.decorators import weight

from autograder.check import (
    all_of,
    exactly_zero,
    fits_in_memory,
    keeps_pace,
    kept_share,
    matches_reference,
    needs,
    on_device,
    parameter_table,
    part,
    refusal,
    same,
    satisfies,
)


def two_sizes(draw):
    """Two numbers of tokens."""
    return draw.integers(1, 40, 2).tolist()


@part("attention.causal_mask")
@weight(1)
@matches_reference
def test_mask_lets_a_token_see_itself_and_the_past(solution, draw):
    """The mask is boolean and True on and below the diagonal."""
    mask, (some, others) = solution.attention.causal_mask, two_sizes(draw)
    return {"mask": mask(5), "some tokens": mask(some), "other tokens": mask(others)}


@part("attention.causal_mask")
@weight(2)
@matches_reference
def test_queries_are_the_last_positions(solution, draw):
    """With more keys than queries, the last query sees every key and the one before it all but the last."""
    mask, (queries, earlier) = solution.attention.causal_mask, two_sizes(draw)
    return {
        "three of seven": mask(3, 7),
        "one of four": mask(1, 4),
        "as many": mask(4, 4),
        "some of many": mask(queries, earlier + queries),
    }


@part("attention.causal_mask")
@weight(1)
@matches_reference
def test_mask_is_made_on_the_device_asked_for(solution, draw):
    """The mask lies on the device that was asked for."""
    mask, (queries, earlier) = solution.attention.causal_mask, two_sizes(draw)
    return {"device": str(mask(3, device="meta").device), "mask": mask(queries, earlier + queries, device=draw.device)}


@part("attention.causal_mask")
@weight(1)
@matches_reference
def test_more_queries_than_keys_are_refused(solution, draw):
    """Queries without a key of their own are a ValueError; a single token sees itself."""
    mask, (keys, more) = solution.attention.causal_mask, two_sizes(draw)
    return {
        "too few keys": refusal(lambda: mask(5, 3)),
        "single": mask(1),
        "pair": mask(2),
        "more queries than keys": refusal(lambda: mask(keys + more, keys)),
        "more keys than queries": mask(keys, keys + more),
    }


@part("attention.scaled_dot_product_attention")
@weight(2)
@matches_reference
def test_each_query_averages_the_values(solution, draw):
    """Output and weights are those of the formula, and gradients reach queries, keys and values."""
    q, k, v = draw.normal(2, 3, 4, 8).requires_grad_(), draw.normal(2, 3, 5, 8).requires_grad_(), draw.normal(2, 3, 5, 6)
    out, weights = solution.attention.scaled_dot_product_attention(q, k, v.requires_grad_())
    return {"out": out, "weights": weights, "grad": draw.backward(out, weights)}


@part("attention.scaled_dot_product_attention")
@weight(2)
@matches_reference
def test_masked_keys_take_no_part(solution, draw):
    """Where the mask is False a key gets no weight, as if it were not there, and no gradient."""
    q, k, v = draw.normal(2, 4, 5, 8).requires_grad_(), draw.normal(2, 4, 5, 8).requires_grad_(), draw.normal(2, 4, 5, 6)
    mask = draw.bernoulli(0.5, 2, 4, 5, 5) | torch.eye(5, dtype=torch.bool)
    out, weights = solution.attention.scaled_dot_product_attention(q, k, v.requires_grad_(), mask)
    return {"out": out, "weights": weights, "grad": draw.backward(out)}


@part("attention.scaled_dot_product_attention")
@weight(1)
@satisfies(all_of(same("row sums", "ones"), exactly_zero("forbidden")))
def test_rows_sum_to_one_over_what_is_allowed(solution, draw):
    """Each row of weights sums to 1, and what the mask forbids is 0 to the last bit."""
    mask = draw.bernoulli(0.4, 3, 6, 7).index_fill_(-1, torch.tensor([2]), True)
    _, weights = solution.attention.scaled_dot_product_attention(
        draw.normal(3, 6, 8), draw.normal(3, 7, 8), draw.normal(3, 7, 2), mask
    )
    return {
        "row sums": weights.sum(-1),
        "ones": torch.ones_like(weights[..., 0]),
        "forbidden": weights[~mask],
        "weights": weights,
    }


@part("attention.scaled_dot_product_attention")
@weight(1)
@satisfies(exactly_zero("masked out", "masked weights"))
def test_query_that_may_look_nowhere_gets_zeros(solution, draw):
    """A query without any key gets weights 0 and output 0, and its gradient is 0, not NaN."""
    q, k, v = draw.normal(2, 4, 8).requires_grad_(), draw.normal(2, 4, 8).requires_grad_(), draw.normal(2, 4, 8)
    mask = torch.ones(4, 4, dtype=torch.bool).tril(-1)
    out, weights = solution.attention.scaled_dot_product_attention(q, k, v.requires_grad_(), mask)
    return {"masked out": out[:, 0], "masked weights": weights[:, 0], "out": out, "grad": draw.backward(out, weights)}


@part("attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_any_number_of_leading_axes(solution, draw):
    """No leading axis, three of them, a mask that is broadcast over them, or a single query and key: all the same formula."""
    attend = solution.attention.scaled_dot_product_attention
    mask = torch.ones(3, 3, dtype=torch.bool).tril()
    return {
        "none": attend(draw.normal(3, 4), draw.normal(3, 4), draw.normal(3, 5), mask),
        "three": attend(draw.normal(2, 1, 2, 3, 4), draw.normal(2, 1, 2, 3, 4), draw.normal(2, 1, 2, 3, 5), mask),
        "single": attend(draw.normal(1, 1), draw.normal(1, 1), draw.normal(1, 3)),
    }


@part("attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_scores_survive_float16(solution, draw):
    """Scores beyond float16's 65504 do no harm: they are computed in float32, and the results are float16 again."""
    q, k = draw.normal(2, 3, 64, scale=100, dtype=torch.float16), draw.normal(2, 4, 64, scale=100, dtype=torch.float16)
    out, weights = solution.attention.scaled_dot_product_attention(q, k, draw.normal(2, 4, 5, dtype=torch.float16))
    return {"out": out, "weights": weights}


@part("attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_float64_is_not_rounded_down(solution, draw):
    """What comes in as float64 is computed in float64."""
    q, k, v = (draw.normal(2, 3, 4, dtype=torch.float64) for _ in range(3))
    out, weights = solution.attention.scaled_dot_product_attention(q, k, v)
    return {"out": out, "weights": weights}


@part("attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_large_scores_do_not_overflow(solution, draw):
    """Scores of several hundred give finite weights; the exponential never sees them as they are."""
    q, k = draw.normal(2, 4, 16, scale=30), draw.normal(2, 6, 16, scale=30)
    out, weights = solution.attention.scaled_dot_product_attention(q, k, draw.normal(2, 6, 3))
    return {"out": out, "weights": weights}


@part("attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_strided_inputs_are_as_good(solution, draw):
    """Transposed and sliced inputs, as heads are, give what contiguous ones give."""
    q, k, v = draw.normal(2, 8, 5).mT, draw.normal(5, 2, 8).transpose(0, 1), draw.normal(2, 5, 12)[..., ::2]
    mask = draw.bernoulli(0.6, 2, 6, 5).mT[..., :5] | torch.eye(5, dtype=torch.bool)
    return {"pair": solution.attention.scaled_dot_product_attention(q, k, v, mask)}


@part("attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_inputs_that_do_not_fit_are_refused(solution, draw):
    """Widths or counts that do not fit, or a mask of numbers, are a ValueError."""
    attend, q, k, v = solution.attention.scaled_dot_product_attention, draw.normal(3, 4), draw.normal(3, 4), draw.normal(3, 2)
    return {
        "width": refusal(lambda: attend(q, draw.normal(3, 5), v)),
        "count": refusal(lambda: attend(q, k, draw.normal(4, 2))),
        "mask": refusal(lambda: attend(q, k, v, torch.ones(3, 3))),
        "good": attend(q, k, v),
    }


@part("attention.SingleHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_single_head_has_three_projections(solution, draw):
    """Queries, keys and values have a matrix each, without bias."""
    head = draw.fill_(solution.attention.SingleHeadAttention(6, 3))
    return {"parameters": parameter_table(head), "out": head(draw.normal(1, 3, 6))}


@part("attention.SingleHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(2)
@matches_reference
def test_single_head_attends_and_passes_gradients(solution, draw):
    """The head is the formula on three projections of the same tokens, and every matrix learns."""
    head, x = draw.fill_(solution.attention.SingleHeadAttention(10, 4)), draw.normal(2, 5, 10).requires_grad_()
    out = head(x)
    return {"out": out, "grad": draw.backward(out)}


@part("attention.SingleHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@satisfies(same("before", "after"))
def test_single_head_is_causal(solution, draw):
    """Changing the last two tokens changes nothing at the tokens before them."""
    head, x = draw.fill_(solution.attention.SingleHeadAttention(8, 5)), draw.normal(2, 6, 8)
    changed = torch.cat([x[:, :4], draw.normal(2, 2, 8)], dim=1)
    return {"before": head(x)[:, :4], "after": head(changed)[:, :4], "last": head(changed)[:, 4:]}


@part("attention.SingleHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_single_head_takes_any_shape(solution, draw):
    """No leading axis, two of them, one token, or strided tokens: all the same."""
    head = draw.fill_(solution.attention.SingleHeadAttention(4, 6))
    return {
        "none": head(draw.normal(3, 4)),
        "two": head(draw.normal(2, 3, 2, 4)),
        "one token": head(draw.normal(2, 1, 4)),
        "strided": head(draw.normal(2, 4, 3).mT),
    }


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_many_heads_share_two_matrices(solution, draw):
    """One matrix makes queries, keys and values of all heads, one mixes what they found; bias=False drops both biases."""
    biased, plain = (draw.fill_(solution.attention.MultiHeadAttention(6, 2, bias=b)) for b in (True, False))
    return {"parameters": parameter_table(biased), "without bias": parameter_table(plain), "out": plain(draw.normal(1, 4, 6))}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(3)
@matches_reference
def test_many_heads_attend_and_pass_gradients(solution, draw):
    """Each head attends with its own channels, the heads stand side by side in front of the last matrix, and all learns."""
    module, x = draw.fill_(solution.attention.MultiHeadAttention(12, 3)), draw.normal(2, 5, 12).requires_grad_()
    out = module(x)
    return {"out": out, "grad": draw.backward(out)}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@satisfies(same("actual", "torch"))
def test_many_heads_agree_with_torch(solution, draw):
    """torch.nn.MultiheadAttention with the same parameters gives the same output."""
    actual = draw.fill_(solution.attention.MultiHeadAttention(8, 4))
    expected = torch.nn.MultiheadAttention(8, 4, batch_first=True)
    keys = {
        "qkv.weight": "in_proj_weight",
        "qkv.bias": "in_proj_bias",
        "proj.weight": "out_proj.weight",
        "proj.bias": "out_proj.bias",
    }
    expected.load_state_dict({keys[name]: value for name, value in actual.state_dict().items()})
    x, hidden = draw.normal(2, 6, 8), torch.ones(6, 6, dtype=torch.bool).triu(1)
    return {"actual": actual(x), "torch": expected(x, x, x, attn_mask=hidden, need_weights=False)[0]}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_unusual_numbers_of_heads(solution, draw):
    """One head, a head for each channel, or five heads of three channels work; heads that do not divide d_model do not."""
    build, x = solution.attention.MultiHeadAttention, draw.normal(2, 4, 15)
    return {f"{n} heads": draw.fill_(build(15, n))(x) for n in (1, 5, 15)} | {"four heads": refusal(lambda: build(15, 4))}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_a_mask_of_ones_own_takes_the_place_of_the_causal_one(solution, draw):
    """A mask says alone who may look where, the same for every head; it may differ from sequence to sequence."""
    module, x = draw.fill_(solution.attention.MultiHeadAttention(12, 4)), draw.normal(3, 5, 12)
    one, each = (draw.bernoulli(0.5, *shape) | torch.eye(5, dtype=torch.bool) for shape in ((5, 5), (3, 5, 5)))
    return {"one for all": module(x, one), "one each": module(x, each), "everything": module(x, torch.ones_like(one))}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_weights_come_on_request(solution, draw):
    """With return_weights come the weights of each head, (batch_size, n_heads, seq_len, seq_len). The output stays the same."""
    module, x = draw.fill_(solution.attention.MultiHeadAttention(6, 3)), draw.normal(2, 4, 6)
    out, weights = module(x, return_weights=True)
    return {"out": out, "weights": weights, "alone": module(x)}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@satisfies(same("before", "after"))
def test_many_heads_are_causal(solution, draw):
    """Changing the last token changes nothing at the tokens before it."""
    module, x = draw.fill_(solution.attention.MultiHeadAttention(8, 2)), draw.normal(2, 5, 8)
    changed = torch.cat([x[:, :4], draw.normal(2, 1, 8)], dim=1)
    return {"before": module(x)[:, :4], "after": module(changed)[:, :4], "last": module(changed)[:, 4:]}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@satisfies(all_of(kept_share("first channels", 0.25), exactly_zero("differences in a head")), random=("first channels",))
def test_dropout_drops_single_weights(solution, draw):
    """In training each attention weight is dropped by itself and the rest scaled up; in evaluation nothing is dropped."""
    module, eye, one = solution.attention.MultiHeadAttention(8, 4, dropout=0.25), torch.eye(8), torch.ones(8)
    module.load_state_dict(
        {
            "qkv.weight": torch.zeros(24, 8),
            "qkv.bias": torch.cat([0 * one, 0 * one, one]),
            "proj.weight": eye,
            "proj.bias": 0 * one,
        }
    )  # so each value is 1, and the mask below lets each token see itself alone
    x, alone = draw.normal(100, 25, 8), torch.eye(25, dtype=torch.bool)
    heads = module(x, alone).unflatten(-1, (4, 2))
    return {
        "first channels": heads[..., 0],
        "differences in a head": heads[:9, ..., 1] - heads[:9, ..., 0],
        "eval": module.eval()(x[:2, :3], alone[:3, :3]),
    }


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_returned_weights_are_those_before_dropout(solution, draw):
    """The weights returned in training have nothing dropped, and the output in evaluation has not either."""
    module, x = draw.fill_(solution.attention.MultiHeadAttention(6, 2, dropout=0.5)), draw.normal(2, 5, 6)
    return {"weights": module(x, return_weights=True)[1], "eval": module.eval()(x)}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@matches_reference
def test_many_heads_take_any_shape(solution, draw):
    """No leading axis, two of them, one token, or strided tokens: all the same; float64 stays float64."""
    module = draw.fill_(solution.attention.MultiHeadAttention(6, 3))
    outs = {
        "none": module(draw.normal(3, 6)),
        "two": module(draw.normal(2, 3, 2, 6)),
        "one token": module(draw.normal(2, 1, 6)),
        "strided": module(draw.normal(2, 6, 3).mT),
    }
    return outs | {"double": module.double()(draw.normal(1, 3, 6, dtype=torch.float64))}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@keeps_pace(full=2.2, none=3.0, repeats=25)
def test_many_heads_keep_pace(solution, draw):
    """Forward and backward through 16 heads take about as long as torch's own: nothing is looped over in Python."""
    module = draw.fill_(solution.attention.MultiHeadAttention(128, 16))
    yield
    while True:
        out = module(draw.normal(4, 128, 128))
        yield {"out": out, "grad": draw.backward(out)["qkv.weight"]}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@weight(1)
@fits_in_memory(growth=12 << 20)
def test_layers_keep_nothing_for_themselves(solution, draw):
    """Without gradients, twelve layers on top of each other take no more memory than two: none keeps its weights."""
    layers, x = [draw.fill_(solution.attention.MultiHeadAttention(32, 8)) for _ in range(12)], draw.normal(1, 512, 32)
    yield
    for depth in (2, 12):
        with torch.no_grad():
            out = torch.nn.Sequential(*layers[:depth])(x)
        yield {"out": out[:, -2:]}


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@on_device("cuda")
@weight(1)
@keeps_pace(full=2.5, none=6.0, repeats=9)
def test_many_heads_keep_pace_on_cuda(solution, draw):
    """Forward and backward through 16 heads take about as long as torch's own on a CUDA device too."""
    yield from test_many_heads_keep_pace(solution, draw)


@part("attention.MultiHeadAttention")
@needs("attention.causal_mask", "attention.scaled_dot_product_attention")
@on_device("mps")
@weight(1)
@keeps_pace(full=2.5, none=6.0, repeats=9)
def test_many_heads_keep_pace_on_mps(solution, draw):
    """Forward and backward through 16 heads take about as long as torch's own on Apple's GPU too."""
    yield from test_many_heads_keep_pace(solution, draw)
