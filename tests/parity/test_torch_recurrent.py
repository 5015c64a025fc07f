"""Layers that take a sequence in order, and batch normalization, against PyTorch's, in values and gradients."""

import pytest
import torch
from einops import rearrange
from inputs import random_inputs
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from llmbook.nn import LSTM, BatchNorm, CausalConv1d, LSTMState, padding_mask


def gradients(output, weight, leaves):
    return torch.autograd.grad((output * weight).sum(), leaves)


def torch_lstm(layers, d_in):
    """PyTorch's with the weights of ours; it has two biases, which it adds."""
    theirs = nn.LSTM(d_in, layers[0].recurrent.in_features, num_layers=len(layers), batch_first=True)
    with torch.no_grad():
        for i, layer in enumerate(layers):
            layer.input.bias.add_(0.3 * random_inputs(*layer.input.bias.shape, seed=i))
            getattr(theirs, f"weight_ih_l{i}").copy_(layer.input.weight)
            getattr(theirs, f"weight_hh_l{i}").copy_(layer.recurrent.weight)
            getattr(theirs, f"bias_ih_l{i}").copy_(layer.input.bias)
            getattr(theirs, f"bias_hh_l{i}").zero_()
    return theirs


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("lengths", [[6], [6, 3, 1], [4, 6, 6]])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_lstm_of_several_layers_on_a_batch_of_different_lengths(num_layers, lengths, scale):
    torch.manual_seed(0)
    layers = [LSTM(5 if i == 0 else 7, 7) for i in range(num_layers)]
    theirs = torch_lstm(layers, 5)
    lengths = torch.tensor(lengths)
    mask = padding_mask(lengths, 6)
    x = (scale * random_inputs(len(lengths), 6, 5)).requires_grad_()
    start = [
        LSTMState(random_inputs(len(lengths), 7, seed=i), random_inputs(len(lengths), 7, seed=9 + i))
        for i in range(num_layers)
    ]

    ours, ends = x, []
    for layer, state in zip(layers, start, strict=True):
        ours, end = layer(ours, state=state, mask=mask)
        ends.append(end)
    packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
    output, (hidden, cell) = theirs(packed, tuple(map(torch.stack, zip(*start, strict=True))))
    output, _ = pad_packed_sequence(output, batch_first=True, total_length=6)

    torch.testing.assert_close(ours, output, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.stack([end.hidden for end in ends]), hidden, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.stack([end.cell for end in ends]), cell, atol=1e-5, rtol=1e-5)
    weight = random_inputs(*output.shape, seed=3)
    names = [(layer.input.weight, layer.recurrent.weight, layer.input.bias) for layer in layers]
    pairs = [(f"weight_ih_l{i}", f"weight_hh_l{i}", f"bias_ih_l{i}") for i in range(num_layers)]
    mine = gradients(ours, weight, [x, *(p for group in names for p in group)])
    others = gradients(output, weight, [x, *(getattr(theirs, name) for group in pairs for name in group)])
    for actual, expected in zip(mine, others, strict=True):
        torch.testing.assert_close(actual, expected, atol=1e-5 * scale, rtol=1e-4)


@pytest.mark.parametrize("kernel_size", [1, 2, 5])
@pytest.mark.parametrize("dilation", [1, 3])
@pytest.mark.parametrize("length", [1, 4, 20])
def test_causal_convolution_is_conv1d_padded_on_the_left(kernel_size, dilation, length):
    ours = CausalConv1d(4, 6, kernel_size, dilation=dilation)
    theirs = nn.Conv1d(4, 6, kernel_size, dilation=dilation)
    with torch.no_grad():
        theirs.weight.copy_(rearrange(ours.linear.weight, "o (k i) -> o i k", k=kernel_size))
        theirs.bias.copy_(ours.linear.bias)
    x = random_inputs(3, length, 4).requires_grad_()
    output = ours(x)
    padded = nn.functional.pad(rearrange(x, "b t d -> b d t"), (ours.reach, 0))
    expected = rearrange(theirs(padded), "b d t -> b t d")
    torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-5)
    weight = random_inputs(*output.shape, seed=1)
    mine = gradients(output, weight, [x, ours.linear.weight, ours.linear.bias])
    others = gradients(expected, weight, [x, theirs.weight, theirs.bias])
    torch.testing.assert_close(mine[0], others[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mine[1], rearrange(others[1], "o i k -> o (k i)"), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(mine[2], others[2], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 6), (3, 5, 6), (2, 1, 6)])
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (10.0, 20.0)])
@pytest.mark.parametrize("momentum", [0.1, 0.5, 1.0])
def test_batch_norm_with_its_running_statistics(shape, scale, shift, momentum):
    ours, theirs = BatchNorm(6, momentum=momentum), nn.BatchNorm1d(6, momentum=momentum)
    with torch.no_grad():
        for name in ("weight", "bias"):
            getattr(ours, name).copy_(random_inputs(6, seed=len(name)))
            getattr(theirs, name).copy_(getattr(ours, name))

    def torch_norm(x):
        return theirs(x) if x.ndim == 2 else rearrange(theirs(rearrange(x, "b t d -> b d t")), "b d t -> b t d")

    for step in range(4):  # three in training, one in evaluation
        if step == 3:
            ours.eval(), theirs.eval()
        x = (scale * random_inputs(*shape, seed=step) + shift).requires_grad_()
        output, expected = ours(x), torch_norm(x)
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(ours.running_mean, theirs.running_mean, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours.running_variance, theirs.running_var, atol=1e-5, rtol=1e-5)
        weight = random_inputs(*shape, seed=10 + step)
        mine = gradients(output, weight, [x, ours.weight, ours.bias])
        others = gradients(expected, weight, [x, theirs.weight, theirs.bias])
        for actual, wanted in zip(mine, others, strict=True):
            torch.testing.assert_close(actual, wanted, atol=1e-5, rtol=1e-4)
