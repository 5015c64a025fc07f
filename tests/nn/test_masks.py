"""Masks: written out by hand, as the rule that defines them, against PyTorch's opposite conventions."""

import pytest
import torch
from torch.nn import functional as F

from llmbook.nn import causal_mask, padding_mask, scaled_dot_product_attention, sliding_window_mask


def ints(mask):
    assert mask.dtype == torch.bool
    return mask.int().tolist()


def test_causal_by_hand():
    assert ints(causal_mask(3)) == [[1, 0, 0], [1, 1, 0], [1, 1, 1]]


def test_causal_queries_are_the_last_rows():
    assert ints(causal_mask(2, 4)) == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert ints(causal_mask(1, 3)) == [[1, 1, 1]]
    for query_len, key_len in ((0, 0), (0, 3), (3, 3), (2, 5)):
        whole = causal_mask(key_len)
        assert torch.equal(causal_mask(query_len, key_len), whole[key_len - query_len :])


def test_torch_is_causal_aligns_a_rectangle_at_the_top_left_and_ours_at_the_bottom_right():
    rng = torch.Generator().manual_seed(0)
    query = torch.randn(1, 1, 2, 4, generator=rng)
    key = torch.randn(1, 1, 5, 4, generator=rng)
    value = torch.randn(1, 1, 5, 4, generator=rng)
    theirs = F.scaled_dot_product_attention(query, key, value, is_causal=True)
    ours = scaled_dot_product_attention(query, key, value, mask=causal_mask(2, 5))
    assert (ours - theirs).abs().max() > 0.1
    top_left = torch.ones(2, 5, dtype=torch.bool).tril()
    torch.testing.assert_close(scaled_dot_product_attention(query, key, value, mask=top_left), theirs)
    square = scaled_dot_product_attention(query, key[:, :, :2], value[:, :, :2], mask=causal_mask(2))
    torch.testing.assert_close(
        square, F.scaled_dot_product_attention(query, key[:, :, :2], value[:, :, :2], is_causal=True)
    )


def test_windows_by_hand():
    assert ints(sliding_window_mask(4, 2)) == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]]
    assert ints(sliding_window_mask(4, 2, causal=False)) == [[1, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 1], [0, 0, 1, 1]]


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("window", [1, 3, 7, 9])
def test_windows_by_the_rule(window, causal):
    mask = sliding_window_mask(7, window, causal=causal)
    for i in range(7):
        for j in range(7):
            assert mask[i, j].item() == (abs(i - j) < window and (j <= i or not causal))


def test_a_window_of_one_is_the_token_itself_and_a_wide_one_is_no_window():
    assert torch.equal(sliding_window_mask(5, 1, causal=False), torch.eye(5, dtype=torch.bool))
    assert torch.equal(sliding_window_mask(5, 5), causal_mask(5))
    assert sliding_window_mask(5, 5, causal=False).all()
    assert sliding_window_mask(0, 2).shape == (0, 0)


def test_padding_by_hand():
    assert ints(padding_mask(torch.tensor([2, 0, 3]), 3)) == [[1, 1, 0], [0, 0, 0], [1, 1, 1]]
    assert padding_mask(torch.tensor([], dtype=torch.long), 4).shape == (0, 4)
    assert padding_mask(torch.tensor([0, 0]), 0).shape == (2, 0)
    assert ints(padding_mask(torch.tensor([1], dtype=torch.int32), 2)) == [[1, 0]]


def test_padding_without_data_and_mapped():
    assert padding_mask(torch.tensor([2, 0, 9], device="meta"), 3).shape == (3, 3)
    lengths = torch.tensor([[2, 0], [1, 3]])
    mapped = torch.vmap(lambda one: padding_mask(one, 3))(lengths)
    assert torch.equal(mapped, torch.stack([padding_mask(one, 3) for one in lengths]))


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="query_len is -1, key_len -1; expected 0 <= query_len <= key_len"):
        causal_mask(-1)
    with pytest.raises(ValueError, match="query_len is 3, key_len 2"):
        causal_mask(3, 2)
    with pytest.raises(ValueError, match="length is -1, window 1; expected length >= 0 and window >= 1"):
        sliding_window_mask(-1, 1)
    with pytest.raises(ValueError, match="length is 3, window 0"):
        sliding_window_mask(3, 0)
    for wrong in (-1, 4):
        with pytest.raises(ValueError, match=rf"\[2, {wrong}\]; expected each between 0 and max_len = 3"):
            padding_mask(torch.tensor([2, wrong]), 3)
    with pytest.raises(ValueError, match="max_len = -1"):
        padding_mask(torch.tensor([], dtype=torch.long), -1)
    with pytest.raises(ValueError, match=r"shape \[1, 2\]; expected \[batch\]"):
        padding_mask(torch.tensor([[1, 2]]), 3)
