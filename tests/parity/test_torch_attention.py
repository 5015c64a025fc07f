"""Scaled dot-product attention against PyTorch's own, in values and gradients, also over shapes and masks drawn at random."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from llmbook.nn import causal_mask, scaled_dot_product_attention


def draw(batch, heads, queries, keys, width, value_width, seed=0, dtype=torch.float32):
    rng = torch.Generator().manual_seed(seed)
    query = torch.randn(batch, heads, queries, width, generator=rng, dtype=dtype)
    key = torch.randn(batch, heads, keys, width, generator=rng, dtype=dtype)
    value = torch.randn(batch, heads, keys, value_width, generator=rng, dtype=dtype)
    return query, key, value


def same_in_values_and_gradients(inputs, ours, theirs, tolerance=1e-5):
    """Both functions at the same inputs, weighted by the same random numbers on the way back."""
    results = []
    for attend in (ours, theirs):
        leaves = [x.clone().requires_grad_() for x in inputs]
        output = attend(*leaves)
        weight = torch.randn(output.shape, generator=torch.Generator().manual_seed(9), dtype=output.dtype)
        (output * weight).sum().backward()
        results.append([output.detach(), *(x.grad for x in leaves)])
    for actual, expected in zip(*results, strict=True):
        assert actual.isfinite().all()
        torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)


def some_mask(*shape, share=0.6):
    return torch.rand(shape, generator=torch.Generator().manual_seed(5)) < share


SIZES = (2, 3, 4, 5, 6, 7)


@pytest.mark.parametrize("scale", [1.0, 1e2])
def test_plain(scale):
    query, key, value = draw(*SIZES)
    same_in_values_and_gradients(
        (scale * query, key, value), scaled_dot_product_attention, F.scaled_dot_product_attention
    )


@pytest.mark.parametrize("shape", [(4, 5), (1, 5), (2, 1, 1, 5), (1, 3, 4, 5), (2, 3, 4, 5), (2, 1, 4, 5)])
def test_boolean_masks(shape):
    mask = some_mask(*shape)
    mask[..., 0] = True
    same_in_values_and_gradients(
        draw(*SIZES),
        lambda q, k, v: scaled_dot_product_attention(q, k, v, mask=mask),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
    )


@pytest.mark.parametrize("shape", [(4, 5), (1, 3, 4, 5), (2, 3, 4, 5)])
def test_their_additive_mask_is_our_bias(shape):
    # Its gradient is compared too, and a forbidden place may be −inf in both.
    bias = torch.randn(shape, generator=torch.Generator().manual_seed(3))
    same_in_values_and_gradients(
        (*draw(*SIZES), bias),
        lambda q, k, v, b: scaled_dot_product_attention(q, k, v, bias=b),
        lambda q, k, v, b: F.scaled_dot_product_attention(q, k, v, attn_mask=b),
    )
    bias[..., 1] = -torch.inf
    same_in_values_and_gradients(
        draw(*SIZES),
        lambda q, k, v: scaled_dot_product_attention(q, k, v, bias=bias),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=bias),
    )


def test_causal():
    same_in_values_and_gradients(
        draw(2, 3, 5, 5, 6, 7),
        lambda q, k, v: scaled_dot_product_attention(q, k, v, mask=causal_mask(5)),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    )


def test_a_mask_and_a_bias_together_are_their_bias_with_minus_infinity():
    mask, bias = some_mask(4, 5), torch.randn(1, 3, 4, 5, generator=torch.Generator().manual_seed(3))
    mask[:, 0] = True
    same_in_values_and_gradients(
        draw(*SIZES),
        lambda q, k, v: scaled_dot_product_attention(q, k, v, mask=mask, bias=bias),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=bias.masked_fill(~mask, -torch.inf)),
    )


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_row_that_may_attend_to_nothing(scale):
    # In float64, because a gap of 1e-3 between scores of 1e4 is lost in float32's rounding.
    mask = some_mask(4, 5)
    mask[:, 0], mask[2] = True, False
    query, key, value = draw(*SIZES, dtype=torch.float64)
    same_in_values_and_gradients(
        (scale * query, key, value),
        lambda q, k, v: scaled_dot_product_attention(q, k, v, mask=mask),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
        tolerance=1e-8,
    )


def test_scores_of_ten_thousand_in_single_precision():
    query, key, value = draw(*SIZES)
    mask = some_mask(4, 5)
    mask[:, 0] = True
    ours = scaled_dot_product_attention(1e4 * query, key, value, mask=mask)
    torch.testing.assert_close(ours, F.scaled_dot_product_attention(1e4 * query, key, value, attn_mask=mask))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 100.0, 2000.0])
def test_half_precision_also_where_products_overflow(dtype, scale):
    query, key, value = (x.to(dtype) for x in draw(2, 3, 4, 5, 64, 7))
    query, key = query * scale, key * min(scale, 100.0)
    mask = some_mask(4, 5)
    mask[1] = False
    for options in ({}, {"mask": mask}):
        ours, weights = scaled_dot_product_attention(query, key, value, return_weights=True, **options)
        theirs = F.scaled_dot_product_attention(query, key, value, attn_mask=options.get("mask"))
        assert ours.dtype == weights.dtype == dtype
        assert ours.isfinite().all()
        torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0.02)


def test_a_bias_in_single_precision_goes_with_half_types():
    query, key, value = draw(*SIZES)
    bias = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(3))
    half = scaled_dot_product_attention(query.half(), key.half(), value.half(), bias=bias)
    assert half.dtype == torch.float16
    exact = scaled_dot_product_attention(query, key, value, bias=bias)
    torch.testing.assert_close(half.float(), exact, atol=3e-3, rtol=3e-3)


@given(
    sizes=st.tuples(
        *(st.integers(1, 3) for _ in range(2)), *(st.integers(0, 5) for _ in range(2)), st.just(4), st.just(3)
    ),
    ranks=st.tuples(*(st.booleans() for _ in range(4))),
    kind=st.sampled_from(["none", "mask", "bias", "both"]),
    share=st.sampled_from([0.0, 0.3, 0.8, 1.0]),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 1000),
)
@settings(derandomize=True, max_examples=40, deadline=None)
def test_any_small_shape(sizes, ranks, kind, share, scale, seed):
    rng = torch.Generator().manual_seed(seed)
    query, key, value = draw(*sizes, seed=seed, dtype=torch.float64)
    shape = [n if kept else 1 for n, kept in zip(sizes[:4], ranks, strict=True)]
    mask = torch.rand(shape, generator=rng) < share if kind in ("mask", "both") else None
    bias = torch.randn(shape, generator=rng, dtype=torch.float64) if kind in ("bias", "both") else None
    full = torch.zeros(sizes[:4], dtype=torch.float64)
    if bias is not None:
        full = full + bias
    if mask is not None:
        full = full.masked_fill(~mask, -torch.inf)
    same_in_values_and_gradients(
        (scale * query, key, value),
        lambda q, k, v: scaled_dot_product_attention(q, k, v, mask=mask, bias=bias),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=full),
        tolerance=1e-9,
    )
