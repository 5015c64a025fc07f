"""Padding by hand; a batch for encoder and decoder by hand, and rows that its padding leaves as they were."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from llmbook import data, training
from llmbook.data import IGNORED, Batch, batch_of, padded

rows_of_ids = st.lists(st.lists(st.integers(3, 50), min_size=1, max_size=6), min_size=1, max_size=5)


def test_rows_are_filled_at_the_end():
    assert padded([[1, 2, 3], [], [4]], 9).tolist() == [[1, 2, 3], [9, 9, 9], [4, 9, 9]]
    assert padded([[1]], 0).dtype == padded([[]], 0).dtype == torch.long
    assert padded([[], []], 0).shape == (2, 0)


def test_a_batch_by_hand():
    batch = batch_of([[5, 6], [7]], [[8], [9, 3, 4]], pad_id=0, bos_id=1, eos_id=2)
    assert batch.source_ids.tolist() == [[5, 6], [7, 0]]
    assert batch.source_mask.tolist() == [[True, True], [True, False]]
    assert batch.target_ids.tolist() == [[1, 8, 0, 0], [1, 9, 3, 4]]
    assert batch.targets.tolist() == [[8, 2, IGNORED, IGNORED], [9, 3, 4, 2]]
    assert batch.target_mask.tolist() == [[True, True, False, False], [True] * 4]


def test_a_real_token_may_have_the_id_of_padding():
    batch = batch_of([[0, 5], [0]], [[0], [0, 6]], pad_id=0, bos_id=1, eos_id=2)
    assert batch.source_mask.tolist() == [[True, True], [True, False]]
    assert batch.target_mask.tolist() == [[True, True, False], [True] * 3]


@given(rows_of_ids, st.data())
def test_what_is_real_is_what_was_given(source, data):
    target = data.draw(st.lists(st.lists(st.integers(3, 50), max_size=6), min_size=len(source), max_size=len(source)))
    batch = batch_of(source, target, pad_id=0, bos_id=1, eos_id=2)
    assert [ids[real].tolist() for ids, real in zip(batch.source_ids, batch.source_mask, strict=True)] == source
    for ids, real, right, expected in zip(batch.target_ids, batch.target_mask, batch.targets, target, strict=True):
        assert ids[real].tolist() == [1, *expected]
        assert right[real].tolist() == [*expected, 2]
        assert (right[~real] == IGNORED).all()


def test_there_is_one_ignored_value_and_it_is_torch_s():
    assert torch.nn.CrossEntropyLoss().ignore_index == IGNORED
    assert data.IGNORED is training.losses.IGNORED
    assert isinstance(batch_of([[3]], [[4]], pad_id=0, bos_id=1, eos_id=2), Batch)


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="no rows; expected at least one row"):
        padded([], 0)
    with pytest.raises(ValueError, match="2 sources and 1 targets; expected as many"):
        batch_of([[3], [4]], [[5]], pad_id=0, bos_id=1, eos_id=2)
