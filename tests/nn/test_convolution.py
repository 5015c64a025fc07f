"""The causal convolution: by hand, how far it sees, what it carries on, and the mistakes that it must refuse."""

import pytest
import torch
from inputs import random_inputs

from llmbook.nn import CausalConv1d, receptive_field


def test_by_hand():
    layer = CausalConv1d(1, 1, 3, dilation=2)
    with torch.no_grad():
        layer.linear.weight.copy_(torch.tensor([[100.0, 10, 1]]))  # of x[t − 4], x[t − 2], x[t]
        layer.linear.bias.fill_(0.5)
    x = torch.tensor([1.0, 2, 3, 4, 5, 6]).view(1, 6, 1)
    assert layer(x).flatten().tolist() == [1.5, 2.5, 13.5, 24.5, 135.5, 246.5]


def test_a_kernel_of_one_is_a_linear_layer():
    layer, x = CausalConv1d(3, 4, 1, dilation=5), random_inputs(2, 6, 3)
    assert layer.reach == 0
    torch.testing.assert_close(layer(x), layer.linear(x))


@pytest.mark.parametrize("kernel_size", [2, 3, 5])
@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_a_stack_sees_just_its_receptive_field(kernel_size, num_layers):
    layers = [CausalConv1d(1, 1, kernel_size, dilation=2**i).double() for i in range(num_layers)]
    with torch.no_grad():
        for layer in layers:
            layer.linear.weight.uniform_(0.5, 1)
    field = receptive_field(kernel_size, num_layers)
    x = torch.zeros(1, field + 3, 1, dtype=torch.float64, requires_grad=True)
    y = x
    for layer in layers:
        y = layer(y)
    (gradient,) = torch.autograd.grad(y[0, -1, 0], x)
    assert (gradient[0, :, 0] > 0).tolist() == [False] * 3 + [True] * field


def test_a_sequence_in_two_pieces_is_the_sequence():
    layer, x = CausalConv1d(3, 4, 3, dilation=2), random_inputs(2, 9, 3)
    torch.testing.assert_close(layer(x[:, 5:], past=x[:, 1:5]), layer(x)[:, 5:])
    assert layer(x[:, :0]).shape == (2, 0, 4)


def test_gradients_by_finite_differences():
    layer = CausalConv1d(2, 3, 2, dilation=2).double()
    x, past = (random_inputs(2, n, 2, dtype=torch.float64).requires_grad_() for n in (4, 2))
    assert torch.autograd.gradcheck(lambda x, past: layer(x, past=past), (x, past))


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match="kernel_size is 0; expected at least 1"):
        CausalConv1d(3, 4, 0)
    layer = CausalConv1d(3, 4, 3, dilation=2)
    with pytest.raises(ValueError, match=r"x has shape \[2, 5, 4\]; expected \[batch, length, d_in = 3\]"):
        layer(torch.zeros(2, 5, 4))
    with pytest.raises(ValueError, match=r"the past has shape \[2, 3, 3\]; expected \[2, 4, 3\]"):
        layer(torch.zeros(2, 5, 3), past=torch.zeros(2, 3, 3))
