"""The LSTM: by hand, what its gates mean, masks, states carried on, gradients, and the mistakes that it must refuse."""

import math

import pytest
import torch
from inputs import random_inputs

from llmbook.nn import LSTM, LSTMState, lstm_step
from llmbook.nn.recurrent import reverse


def test_one_step_by_hand():
    # σ(0) = ½ for all gates, tanh(ln 2) = (4 − 1) / (4 + 1) = 0.6: c = ½·2 + ½·0.6 = 1.3, h = ½ tanh 1.3.
    state = lstm_step(torch.tensor([[0.0, 0, math.log(2), 0]]), torch.tensor([[2.0]]))
    torch.testing.assert_close(state.cell, torch.tensor([[1.3]]))
    torch.testing.assert_close(state.hidden, torch.tensor([[math.tanh(1.3) / 2]]))


@pytest.mark.parametrize(
    ("gates", "cell"),
    [
        ([-100.0, 100, 3, 0], 2.0),  # keep all, write nothing
        ([100.0, -100, 100, 0], 1.0),  # forget all, write tanh(100) = 1
        ([-100.0, -100, 3, 0], 0.0),  # forget all, write nothing
    ],
)
def test_what_the_gates_mean(gates, cell):
    state = lstm_step(torch.tensor([gates]), torch.tensor([[2.0]]))
    torch.testing.assert_close(state.cell, torch.tensor([[cell]]))
    torch.testing.assert_close(state.hidden, torch.tensor([[math.tanh(cell) / 2]]))


def test_a_new_layer_remembers():
    layer = LSTM(3, 4)
    write, keep, new, show = layer.input.bias.chunk(4)
    assert (keep == 1).all()
    assert all((bias == 0).all() for bias in (write, new, show))


def test_a_sequence_in_two_pieces_is_the_sequence():
    layer, x = LSTM(3, 4), random_inputs(2, 7, 3)
    whole, end = layer(x)
    first, state = layer(x[:, :4])
    second, last = layer(x[:, 4:], state=state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(last, end)
    torch.testing.assert_close(end.hidden, whole[:, -1])


def test_masked_steps_change_nothing_wherever_they_are():
    layer, x = LSTM(3, 4), random_inputs(1, 5, 3)
    expected, end = layer(x)
    for places in ([0, 1, 2, 3, 4], [3, 4, 5, 6, 7], [0, 2, 3, 5, 7]):  # padding right, left, between
        padded, mask = torch.full((1, 8, 3), 99.0), torch.zeros(1, 8, dtype=torch.bool)
        padded[:, places], mask[:, places] = x, True
        output, state = layer(padded, mask=mask)
        torch.testing.assert_close(output[:, places], expected)
        assert (output[~mask] == 0).all()
        torch.testing.assert_close(state, end)


def test_no_steps_and_no_rows():
    layer = LSTM(3, 4)
    output, state = layer(torch.zeros(2, 0, 3))
    assert output.shape == (2, 0, 4)
    assert (state.hidden == 0).all()
    assert layer(torch.zeros(0, 5, 3))[0].shape == (0, 5, 4)
    output, _ = layer(torch.zeros(2, 3, 3), mask=torch.zeros(2, 3, dtype=torch.bool))
    assert (output == 0).all()


def test_a_step_does_not_see_what_comes_later():
    layer, x = LSTM(3, 4), random_inputs(2, 6, 3)
    changed = x.clone()
    changed[:, 4:] = 5.0
    torch.testing.assert_close(layer(changed)[0][:, :4], layer(x)[0][:, :4])
    assert (layer(changed)[0][:, 4] - layer(x)[0][:, 4]).abs().max() > 1e-3


def test_gradients_by_finite_differences():
    layer = LSTM(2, 3).double()
    x, cell = random_inputs(2, 4, 2, dtype=torch.float64).requires_grad_(), random_inputs(2, 3, dtype=torch.float64)
    mask = torch.tensor([[True, True, True, True], [True, True, False, False]])
    state = LSTMState(cell.tanh(), cell)
    assert torch.autograd.gradcheck(lambda x: layer(x, state=state, mask=mask)[0], (x,))
    gates, cell = random_inputs(2, 12, dtype=torch.float64).requires_grad_(), cell.requires_grad_()
    assert torch.autograd.gradcheck(lambda *args: tuple(lstm_step(*args)), (gates, cell))


def test_reversing_keeps_padding_where_it_is_and_twice_is_nothing():
    x = torch.arange(8.0).view(2, 4, 1)
    mask = torch.tensor([[True, True, True, False], [True, True, True, True]])
    assert reverse(x, mask)[:, :, 0].tolist() == [[2, 1, 0, 3], [7, 6, 5, 4]]
    assert torch.equal(reverse(reverse(x, mask), mask), x)


def test_on_the_meta_device():
    with torch.device("meta"):
        layer = LSTM(3, 4)
        output, state = layer(torch.zeros(2, 5, 3), mask=torch.ones(2, 5, dtype=torch.bool))
    assert output.shape == (2, 5, 4)
    assert output.is_meta
    assert state.cell.is_meta
    layer.to_empty(device="cpu").reset()
    assert layer(torch.zeros(2, 5, 3))[0].isfinite().all()


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="d_in is 0; expected at least 1"):
        LSTM(0, 4)
    layer = LSTM(3, 4)
    with pytest.raises(ValueError, match=r"x has shape \[2, 5, 4\]; expected \[batch, length, d_in = 3\]"):
        layer(torch.zeros(2, 5, 4))
    with pytest.raises(ValueError, match=r"x has shape \[5, 3\]"):
        layer(torch.zeros(5, 3))
    x = torch.zeros(2, 5, 3)
    with pytest.raises(
        ValueError, match=r"mask is torch.bool of shape \[2, 4\]; expected torch.bool of shape \[2, 5\]"
    ):
        layer(x, mask=torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"mask is torch.float32"):
        layer(x, mask=torch.ones(2, 5))
    with pytest.raises(ValueError, match=r"the state has shapes \[\[1, 4\], \[2, 4\]\]; expected \[2, 4\] each"):
        layer(x, state=LSTMState(torch.zeros(1, 4), torch.zeros(2, 4)))
