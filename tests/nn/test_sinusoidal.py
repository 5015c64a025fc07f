"""Sinusoids: the paper's formula by a plain loop, precision far out, and what makes them relative."""

import math

import pytest
import torch

from llmbook.nn import SinusoidalPositions, sinusoidal_encoding


def by_loop(max_seq_len, d_model, base=10_000.0):
    rows = []
    for pos in range(max_seq_len):
        row = []
        for i in range(d_model // 2):
            angle = pos / base ** (2 * i / d_model)
            row += [math.sin(angle), math.cos(angle)]
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def test_by_hand():
    # Width 4: the second pair turns 100 times slower.
    expected = [[0, 1, 0, 1], [math.sin(1), math.cos(1), math.sin(0.01), math.cos(0.01)]]
    torch.testing.assert_close(sinusoidal_encoding(2, 4), torch.tensor(expected))


@pytest.mark.parametrize(("d_model", "base"), [(2, 10_000.0), (6, 10_000.0), (64, 10_000.0), (8, 500_000.0)])
def test_equals_the_loop(d_model, base):
    encoding = sinusoidal_encoding(40, d_model, base=base)
    assert encoding.dtype == torch.float32
    assert torch.equal(encoding, by_loop(40, d_model, base).float())


def test_far_out_it_is_as_exact_as_at_the_start():
    # An angle of 10,000 in float32 is known to 1e-3 only, and so would its sine be.
    far = sinusoidal_encoding(10_001, 16)[-50:]
    torch.testing.assert_close(far.double(), by_loop(10_001, 16)[-50:], atol=1e-7, rtol=0)


def test_sin_and_cos_alternate_and_have_norm_1_in_each_pair():
    encoding = sinusoidal_encoding(100, 12)
    assert encoding[0].tolist() == [0, 1] * 6
    torch.testing.assert_close(encoding[:, 0::2] ** 2 + encoding[:, 1::2] ** 2, torch.ones(100, 6))


def test_the_product_of_two_positions_depends_on_their_distance_alone():
    encoding = sinusoidal_encoding(60, 32)
    products = encoding @ encoding.T
    for distance in (0, 1, 7, 40):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-5, rtol=0)
    assert products[0, 0] > products[0, 1] > products[0, 2]


def test_a_shift_is_a_rotation_by_an_angle_of_its_own_in_each_pair():
    encoding, shift = sinusoidal_encoding(30, 8).double(), 5
    for i in range(4):
        angle = shift / 10_000 ** (2 * i / 8)
        rotation = torch.tensor([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]).double()
        pair = encoding[:, 2 * i : 2 * i + 2]
        torch.testing.assert_close(pair[shift:], pair[:-shift] @ rotation.T, atol=1e-6, rtol=0)


def test_longer_tables_begin_with_shorter_ones_and_all_positions_differ():
    assert torch.equal(sinusoidal_encoding(50, 8)[:20], sinusoidal_encoding(20, 8))
    distances = torch.cdist(sinusoidal_encoding(200, 16), sinusoidal_encoding(200, 16))
    assert (distances + 9 * torch.eye(200)).min() > 0.1
    assert sinusoidal_encoding(0, 8).shape == (0, 8)


def test_a_position_gets_its_row_and_no_state_dict_holds_them():
    layer, positions = SinusoidalPositions(6, 4, base=100.0), torch.tensor([[0, 5, 1], [3, 3, 2]])
    assert torch.equal(layer(positions), sinusoidal_encoding(6, 4, base=100.0)[positions])
    assert layer(positions[0]).shape == (3, 4)
    assert layer(positions[:0]).shape == (0, 3, 4)
    assert not layer.state_dict()
    assert not list(layer.buffers())


def test_a_table_made_on_the_meta_device_is_computed_where_it_is_needed():
    with torch.device("meta"):
        layer = SinusoidalPositions(6, 4)
        assert layer(torch.zeros(2, 3, dtype=torch.long)).shape == (2, 3, 4)
    for made in (layer, SinusoidalPositions(6, 4)):
        made.to_empty(device="cpu")
        assert torch.equal(made(torch.arange(6)), sinusoidal_encoding(6, 4))
        assert made(torch.arange(6, device="meta")).is_meta
        assert torch.equal(made(torch.arange(6)), sinusoidal_encoding(6, 4))


@pytest.mark.messages
def test_positions_beyond_the_table_are_named():
    with pytest.raises(ValueError, match="positions go from 2 to 6; expected 0 <= position < max_seq_len = 6"):
        SinusoidalPositions(6, 4)(torch.tensor([2, 6]))


@pytest.mark.messages
def test_mistakes_are_named():
    for d_model in (5, 1, 0, -2):
        with pytest.raises(ValueError, match=f"d_model is {d_model}, .*; expected an even d_model"):
            sinusoidal_encoding(4, d_model)
    with pytest.raises(ValueError, match=r"max_seq_len -1.*max_seq_len >= 0"):
        sinusoidal_encoding(-1, 4)
    for base in (0.0, -1.0):
        with pytest.raises(ValueError, match=f"base {base}; .*base > 0"):
            sinusoidal_encoding(4, 4, base=base)
