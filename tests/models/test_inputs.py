"""Positions over real tokens, masks with and without a cache, and what is refused before a model computes."""

import pytest
import torch

from llmbook.models import positions_of
from llmbook.models.inputs import real_tokens, require_padded_right, seen_and_positions
from llmbook.nn import KVCache, LayerCache


def booleans(*rows):
    return torch.tensor(rows, dtype=torch.bool)


def test_without_a_mask_all_is_real():
    ids = torch.tensor([[3, 1, 0]])
    assert real_tokens(ids, None, 4).tolist() == [[True] * 3]
    mask = booleans([0, 1, 1])
    assert real_tokens(ids, mask, 4) is mask
    assert real_tokens(ids.int(), mask, 4) is mask


def test_positions_go_on_from_the_real_tokens_in_the_cache():
    cache = KVCache([LayerCache()], 2)
    whole = booleans([0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 1])
    expected = positions_of(whole)
    assert expected.tolist() == [[0, 0, 0, 1, 2, 3], [0, 1, 2, 3, 3, 4]]
    start = 0
    for new in (3, 0, 1, 2):
        real = whole[:, start : start + new]
        seen, positions = seen_and_positions(real, cache, 6)
        assert torch.equal(seen, whole[:, : start + new])
        assert torch.equal(positions, expected[:, start : start + new])
        assert cache.length == start
        cache.extend_mask(real)
        start += new
    seen, positions = seen_and_positions(whole, None, 6)
    assert seen is whole
    assert torch.equal(positions, expected)


@pytest.mark.messages
def test_mistakes_are_named():
    ids = torch.tensor([[3, 1, 0]])
    with pytest.raises(ValueError, match="token ids go from 0 to 3; expected 0 <= id < vocab_size = 3"):
        real_tokens(ids, None, 3)
    with pytest.raises(ValueError, match=r"token ids are torch.bool of shape \[1, 3\]; expected integers"):
        real_tokens(ids.bool(), None, 3)
    with pytest.raises(
        ValueError, match=r"the mask is torch.bool of shape \[1, 2\]; expected torch.bool of shape \[1, 3\]"
    ):
        real_tokens(ids, booleans([1, 1]), 4)
    with pytest.raises(ValueError, match="a sequence has 3 tokens; max_seq_len is 2"):
        seen_and_positions(booleans([0, 1, 1, 1]), None, 2)
    with pytest.raises(ValueError, match="made for a batch of 2; got 1 rows"):
        seen_and_positions(booleans([1]), KVCache([LayerCache()], 2), 2)
    with pytest.raises(ValueError, match="source_mask has padding before a real token; expected it on the right"):
        require_padded_right(booleans([1, 1, 0], [1, 0, 1]), "source_mask")
    require_padded_right(booleans([1, 1, 0], [0, 0, 0]), "source_mask")
