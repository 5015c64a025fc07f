"""Positions of one protocol: each kind gives what is added to an embedding."""

import pytest
import torch

from llmbook.nn import LearnedPositions, NoPositions, SinusoidalPositions


@pytest.mark.parametrize("layer", [SinusoidalPositions(6, 4), LearnedPositions(6, 4), NoPositions()])
def test_each_kind_is_added_to_an_embedding(layer):
    x, positions = torch.randn(2, 3, 4), torch.tensor([[0, 1, 2], [0, 0, 5]])
    added = x + layer(positions)
    assert added.shape == x.shape
    assert torch.equal(added, x) == isinstance(layer, NoPositions)
    assert torch.equal((x + layer(positions[0]))[0], added[0])


def test_no_positions_refuse_none():
    assert (NoPositions()(torch.tensor([-1, 10**6])) == 0).all()
    assert not NoPositions().state_dict()
