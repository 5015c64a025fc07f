"""Learned positions: rows of a matrix, trained only where a sequence reaches them."""

import pytest
import torch

from llmbook.nn import LearnedPositions, sinusoidal_encoding


def build(max_seq_len=6, d_model=4):
    torch.manual_seed(0)
    return LearnedPositions(max_seq_len, d_model)


def test_a_position_gets_its_row():
    layer = build()
    assert [p.shape for p in layer.parameters()] == [(6, 4)]
    positions = torch.tensor([[0, 5], [3, 3]])
    assert torch.equal(layer(positions), layer.rows[positions])
    assert layer(positions[0]).shape == (2, 4)
    assert layer(positions[:0]).shape == (0, 2, 4)


def test_rows_start_about_as_long_as_sinusoidal_ones():
    learned, fixed = build(500, 100).rows.norm(dim=1), sinusoidal_encoding(500, 100).norm(dim=1)
    torch.testing.assert_close(learned.mean(), fixed.mean(), rtol=0.02, atol=0)
    assert abs(learned.std() - 0.5) < 0.1


def test_only_the_rows_that_are_used_are_trained():
    layer = build()
    before = layer.rows.detach().clone()
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, weight_decay=0.0)
    for _ in range(3):
        optimizer.zero_grad()
        layer(torch.arange(4)).square().sum().backward()
        optimizer.step()
    moved = (layer.rows != before).any(dim=1)
    assert moved.tolist() == [True] * 4 + [False] * 2


def test_on_the_meta_device():
    with torch.device("meta"):
        assert LearnedPositions(6, 4)(torch.zeros(2, 3, dtype=torch.long)).shape == (2, 3, 4)


@pytest.mark.messages
def test_mistakes_are_named():
    layer = build()
    with pytest.raises(ValueError, match="positions go from 2 to 6; expected 0 <= position < max_seq_len = 6"):
        layer(torch.tensor([2, 6]))
    with pytest.raises(ValueError, match="positions go from -1 to 0"):
        layer(torch.tensor([-1, 0]))
    with pytest.raises(ValueError, match="max_seq_len is 0; expected at least 1"):
        build(max_seq_len=0)
    with pytest.raises(ValueError, match="d_model is 0; expected at least 1"):
        build(d_model=0)
