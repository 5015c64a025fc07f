"""Windows of a long text: targets are the next token, batches depend on seed and step only, nothing is read twice."""

import pytest
import torch

from llmbook.data import consecutive_windows, random_windows

TEXT = torch.arange(100, 200)


def test_targets_are_the_tokens_one_further_on():
    batch = random_windows(TEXT, length=7, batch_size=5, seed=0)
    window = batch(3)
    assert window.token_ids.shape == window.targets.shape == (5, 7)
    assert torch.equal(window.targets, window.token_ids + 1)
    assert torch.equal(window.token_ids[:, 1:], window.token_ids[:, :-1] + 1)


def test_a_batch_depends_on_seed_and_step_only():
    one, other = (random_windows(TEXT, length=7, batch_size=5, seed=0) for _ in range(2))
    one(0), one(1)
    assert torch.equal(one(2).token_ids, other(2).token_ids)
    assert not torch.equal(one(2).token_ids, one(3).token_ids)
    assert not torch.equal(one(2).token_ids, random_windows(TEXT, length=7, batch_size=5, seed=1)(2).token_ids)


def test_random_windows_reach_both_ends():
    batch = random_windows(TEXT, length=90, batch_size=200, seed=0)(0)
    assert batch.token_ids[:, 0].min() == 100
    assert batch.targets[:, -1].max() == 199


@pytest.mark.parametrize("length", [1, 7, 33, 98, 99])
def test_consecutive_windows_have_each_target_once(length):
    window = consecutive_windows(TEXT, length=length)
    seen = window.targets.flatten()
    assert torch.equal(seen, TEXT[1 : len(seen) + 1])
    assert torch.equal(window.token_ids.flatten(), TEXT[: len(seen)])
    assert 99 - len(seen) < length


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"shape \[100\]; expected one dimension of more than length = 100"):
        consecutive_windows(TEXT, length=100)
    with pytest.raises(ValueError, match=r"shape \[4, 25\]"):
        random_windows(TEXT.view(4, 25), length=3, batch_size=1, seed=0)
    with pytest.raises(ValueError, match="batch_size is 0; expected at least 1"):
        random_windows(TEXT, length=3, batch_size=0, seed=0)
