"""Attention in tiles against PyTorch's own, in values, gradients and the log-sum-exp of its kernel for CPUs."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from inputs import close, random_inputs
from torch.nn import functional as F

from llmbook.nn import causal_mask, flash_attention, flash_forward


def case(*sizes, dtype=torch.float32, seed=0):
    batch, heads, queries, keys, width, value_width = sizes
    shapes = ((queries, width), (keys, width), (keys, value_width))
    return [random_inputs(batch, heads, *shape, seed=seed + i, dtype=dtype) for i, shape in enumerate(shapes)]


def same_in_values_and_gradients(inputs, ours, theirs, tolerance=1e-5):
    results = []
    for attend in (ours, theirs):
        leaves = [x.clone().requires_grad_() for x in inputs]
        output = attend(*leaves)
        (output * random_inputs(*output.shape, seed=9, dtype=output.dtype)).sum().backward()
        results.append([output.detach(), *(x.grad for x in leaves)])
    for actual, expected in zip(*results, strict=True):
        assert actual.isfinite().all()
        close(actual, expected, tolerance)


@pytest.mark.parametrize("block_size", [1, 4, 7, 64])
def test_all_keys(block_size):
    same_in_values_and_gradients(
        case(2, 3, 13, 22, 8, 5),
        lambda q, k, v: flash_attention(q, k, v, causal=False, block_size=block_size),
        F.scaled_dot_product_attention,
    )


@pytest.mark.parametrize("block_size", [1, 4, 7, 64])
def test_causal_with_as_many_queries_as_keys(block_size):
    same_in_values_and_gradients(
        case(2, 3, 19, 19, 8, 5),
        lambda q, k, v: flash_attention(q, k, v, causal=True, block_size=block_size),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
    )


def test_with_more_keys_their_is_causal_is_aligned_at_the_top_left_and_ours_is_not():
    inputs = case(2, 3, 10, 17, 8, 5)
    same_in_values_and_gradients(
        inputs,
        lambda q, k, v: flash_attention(q, k, v, causal=True, block_size=4),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=causal_mask(10, 17)),
    )
    ours = flash_attention(*inputs, causal=True, block_size=4)
    theirs = F.scaled_dot_product_attention(*inputs, is_causal=True)
    close(theirs[:, :, 0], inputs[2][:, :, 0])  # their first query sees the first key alone
    assert (ours - theirs).abs().amax(dim=(0, 1, 3)).min() > 0.1


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_output_and_log_sum_exp_of_their_kernel(causal, scale):
    query, key, value = case(2, 3, 90, 90, 8, 8)
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    output, log_sum_exp = kernel(scale * query, key, value, 0.0, causal)
    ours = flash_forward(scale * query, key, value, causal=causal, block_size=16)
    close(ours.output, output, 1e-5 * max(1, scale / 10))  # scores of 1e5 are known to 0.008
    close(ours.log_sum_exp, log_sum_exp, 1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float16, 0.004)])
@pytest.mark.parametrize("causal", [False, True])
def test_half_types(dtype, tolerance, causal):
    same_in_values_and_gradients(
        case(2, 3, 40, 40, 8, 5, dtype=dtype),
        lambda q, k, v: flash_attention(q, k, v, causal=causal, block_size=16),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=causal),
        tolerance,
    )


@given(
    sizes=st.tuples(*(st.integers(1, 3) for _ in range(2)), *(st.integers(1, 9) for _ in range(4))),
    block_size=st.integers(1, 10),
    causal=st.booleans(),
    scale=st.sampled_from([0.1, 1.0, 30.0]),
    seed=st.integers(0, 1000),
)
@settings(derandomize=True, max_examples=25, deadline=None)
def test_any_small_shape(sizes, block_size, causal, scale, seed):
    batch, heads, queries, keys, width, value_width = sizes
    keys = max(queries, keys) if causal else keys
    query, key, value = case(batch, heads, queries, keys, width, value_width, dtype=torch.float64, seed=seed)
    mask = causal_mask(queries, keys) if causal else None
    same_in_values_and_gradients(
        (scale * query, key, value),
        lambda q, k, v: flash_attention(q, k, v, causal=causal, block_size=block_size),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
        tolerance=1e-9,
    )
