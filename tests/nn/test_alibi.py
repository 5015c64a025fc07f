"""ALiBi: slopes by hand, what the bias depends on, and the mistakes that it must refuse."""

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import (
    LayerCache,
    MultiHeadAttention,
    alibi_bias,
    alibi_slopes,
    causal_mask,
    scaled_dot_product_attention,
)


def test_slopes_by_hand():
    halves = [2.0**-i for i in range(1, 9)]
    assert alibi_slopes(8).tolist() == halves
    assert alibi_slopes(4).tolist() == [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8]
    assert alibi_slopes(1).tolist() == [2.0**-8]
    assert alibi_slopes(16)[1::2].tolist() == halves
    close(alibi_slopes(3), torch.tensor([2.0**-4, 2.0**-8, 2.0**-2]), 0)


def test_other_numbers_of_heads_follow_the_released_code_not_one_geometric_sequence():
    slopes = alibi_slopes(12)
    assert slopes[:8].tolist() == alibi_slopes(8).tolist()
    close(slopes[8:], torch.tensor([0.7071, 0.3536, 0.1768, 0.0884]), 5e-5)
    assert slopes[8:].tolist() == alibi_slopes(16)[:8:2].tolist()
    geometric = 2.0 ** (-8 * torch.arange(1, 13) / 12)
    close(geometric[:2], torch.tensor([0.6300, 0.3969]), 5e-5)
    assert (slopes.sort().values - geometric.sort().values).abs().max() > 0.05


@pytest.mark.parametrize("num_heads", [*range(1, 21), 31, 32, 33, 48])
def test_slopes_are_distinct_and_between_zero_and_one(num_heads):
    slopes = alibi_slopes(num_heads)
    assert slopes.shape == (num_heads,)
    assert slopes.unique().numel() == num_heads
    assert 0 < slopes.min() <= slopes.max() < 1


def test_a_bias_by_hand_with_the_queries_last():
    # Two heads: slopes 1/16 and 1/256.
    first = torch.tensor([[-2.0, -1, 0, -1], [-3, -2, -1, 0]]) / 16
    close(alibi_bias(2, 2, 4), torch.stack([first, first / 16]), 0)
    close(alibi_bias(2, 4, 4)[:, 2:], alibi_bias(2, 2, 4), 0)
    assert alibi_bias(3, 1, 1).tolist() == [[[0]], [[0]], [[0]]]
    assert alibi_bias(3, 0, 5).shape == (3, 0, 5)
    assert alibi_bias(3, 0, 0).shape == (3, 0, 0)


def test_only_distance_counts():
    bias = alibi_bias(5, 9, 9)
    for distance in range(9):
        expected = (-distance * alibi_slopes(5))[:, None].expand(5, 9 - distance)
        close(bias.diagonal(-distance, 1, 2), expected)
        close(bias.diagonal(distance, 1, 2), expected)


def test_with_equal_keys_weights_sink_geometrically_from_the_latest():
    query, key, value = torch.ones(1, 4, 6, 2), torch.ones(1, 4, 6, 2), random_inputs(1, 4, 6, 3)
    _, weights = scaled_dot_product_attention(
        query, key, value, mask=causal_mask(6), bias=alibi_bias(4, 6, 6), return_weights=True
    )
    for i in range(1, 6):
        ratio = weights[0, :, i, :i] / weights[0, :, i, 1 : i + 1]
        close(ratio, (-alibi_slopes(4)).exp()[:, None].expand(4, i))


def test_keys_of_the_future_do_not_matter_behind_a_causal_mask():
    query, key, value = (random_inputs(2, 4, 6, 3, seed=seed) for seed in range(3))
    bias = alibi_bias(4, 6, 6)
    other = bias + 100 * torch.ones(6, 6).triu(1)
    outputs = [scaled_dot_product_attention(query, key, value, mask=causal_mask(6), bias=b) for b in (bias, other)]
    assert torch.equal(*outputs)


def test_with_a_cache_the_queries_are_the_last():
    torch.manual_seed(0)
    module, x, cache, outputs = MultiHeadAttention(12, 3), random_inputs(2, 6, 12), LayerCache(), []
    for chunk in x.split([3, 1, 2], dim=1):
        sizes = chunk.shape[1], cache.length + chunk.shape[1]
        outputs.append(module(chunk, mask=causal_mask(*sizes), bias=alibi_bias(3, *sizes), cache=cache))
    whole = module(x, mask=causal_mask(6), bias=alibi_bias(3, 6, 6))
    close(torch.cat(outputs, dim=1), whole)
    assert (whole - module(x, mask=causal_mask(6))).abs().max() > 1e-3


@pytest.mark.messages
def test_mistakes_are_named():
    for num_heads in (0, -1, 2.0):
        with pytest.raises(ValueError, match=f"num_heads is {num_heads}; expected at least 1"):
            alibi_slopes(num_heads)
    with pytest.raises(ValueError, match="num_heads is 0; expected at least 1"):
        alibi_bias(0, 2, 2)
    with pytest.raises(ValueError, match="query_len is 3, key_len 2; expected 0 <= query_len <= key_len"):
        alibi_bias(4, 3, 2)
    with pytest.raises(ValueError, match="query_len is -1, key_len 2"):
        alibi_bias(4, -1, 2)
