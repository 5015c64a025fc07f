"""The bigram baseline: by hand, its limits, and bad input."""

import math

import pytest
import torch

from llmbook.evaluation import bigram_loss

TRAIN = torch.tensor([0, 1, 0, 1, 0, 2])


def test_a_worked_example():
    # n(0) = 3, n(1) = 2, n(2) = 1; p = (4, 3, 2) / 9; after 0 came 1 twice and 2 once; after 1 came 0 twice
    after_0 = (2 + 1 * 3 / 9) / (3 + 1)  # 1 after 0
    after_1 = (2 + 1 * 4 / 9) / (2 + 1)  # 0 after 1
    expected = -(math.log(after_0) + math.log(after_1)) / 2
    assert bigram_loss(TRAIN, torch.tensor([0, 1, 0]), vocab_size=3, weight=1.0) == pytest.approx(expected)


def test_probabilities_after_each_token_sum_to_one():
    for before in range(3):
        losses = [bigram_loss(TRAIN, torch.tensor([before, b]), vocab_size=3, weight=0.5) for b in range(3)]
        assert sum(math.exp(-loss) for loss in losses) == pytest.approx(1)


def test_a_large_weight_leaves_the_frequencies():
    test = torch.tensor([2, 0, 1])
    frequencies = -(math.log(4 / 9) + math.log(3 / 9)) / 2
    assert bigram_loss(TRAIN, test, vocab_size=3, weight=1e12) == pytest.approx(frequencies, rel=1e-6)


def test_a_text_of_known_pairs_reaches_its_entropy():
    chain = torch.tensor([[0.9, 0.1], [0.3, 0.7]])
    generator, ids = torch.Generator().manual_seed(0), [0]
    for draw in torch.rand(100_000, generator=generator).tolist():
        ids.append(0 if draw < chain[ids[-1], 0] else 1)
    text = torch.tensor(ids)
    stationary = torch.tensor([0.75, 0.25])
    entropy = -(stationary[:, None] * chain * chain.log()).sum().item()
    assert bigram_loss(text[:50_000], text[50_000:], vocab_size=2, weight=1.0) == pytest.approx(entropy, abs=0.01)


@pytest.mark.messages
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vocab_size": 2, "weight": 1.0}, r"train_ids: expected two tokens or more with ids from 0 to 1"),
        ({"vocab_size": 3, "weight": 0.0}, "weight"),
        ({"vocab_size": 0, "weight": 1.0}, "vocab_size"),
    ],
)
def test_bad_input_is_refused(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        bigram_loss(TRAIN, TRAIN, **settings)


@pytest.mark.messages
def test_a_text_of_one_token_has_no_pair():
    with pytest.raises(ValueError, match="test_ids: expected two tokens or more"):
        bigram_loss(TRAIN, torch.tensor([0]), vocab_size=3, weight=1.0)
