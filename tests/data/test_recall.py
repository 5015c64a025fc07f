"""The task of memory: by its own rules each answer stands where its distance says."""

import pytest
import torch

from llmbook.data import recall_batches

SIZES = {"batch_size": 50, "seq_len": 20, "num_pairs": 4, "num_symbols": 6}


def test_each_answer_stands_so_far_back_after_its_key():
    batch = recall_batches(**SIZES, seed=0)(0)
    asked = (batch.targets != -100).nonzero()
    assert len(asked) == 50 * 4
    for row, place in asked.tolist():
        told = place - batch.distances[row, place].item()
        assert told < 8
        assert batch.token_ids[row, told] == batch.targets[row, place]
        assert batch.token_ids[row, told - 1] == batch.token_ids[row, place]


def test_keys_differ_values_and_filler_are_what_they_should_be():
    batch = recall_batches(**SIZES, seed=0)(0)
    keys, values = batch.token_ids[:, :8:2], batch.token_ids[:, 1:8:2]
    assert all(len(set(row)) == 4 and set(row) <= set(range(1, 7)) for row in keys.tolist())
    assert values.min() >= 7
    assert values.max() <= 12
    rest = batch.token_ids[:, 8:]
    assert ((rest > 0) == (batch.targets[:, 8:] != -100)).all()
    assert (batch.targets[:, :8] == -100).all()
    assert ((batch.distances > 0) == (batch.targets != -100)).all()


def test_all_places_are_asked_and_a_batch_depends_on_seed_and_step_only():
    tasks, again = recall_batches(**SIZES, seed=0), recall_batches(**SIZES, seed=0)
    assert ((tasks(0).distances > 0)[:, 8:].any(dim=0)).all()
    assert torch.equal(tasks(5).token_ids, again(5).token_ids)
    assert not torch.equal(tasks(5).token_ids, tasks(6).token_ids)


@pytest.mark.messages
@pytest.mark.parametrize("change", [{"num_pairs": 7}, {"num_pairs": 0}, {"seq_len": 11}, {"batch_size": 0}])
def test_mistakes_are_named(change):
    with pytest.raises(
        ValueError, match="expected integers, 1 <= num_pairs <= num_symbols, seq_len >= 3 num_pairs, batch_size >= 1"
    ):
        recall_batches(**(SIZES | change), seed=0)
