"""The feed-forward network: the equation by hand, each activation, dropout, and the mistakes that it must refuse."""

import math

import pytest
import torch
from inputs import random_inputs

from llmbook.nn import FeedForward


def test_a_worked_example():
    module = FeedForward(2, 3)
    with torch.no_grad():
        module.inner.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]))
        module.inner.bias.copy_(torch.tensor([0.0, 0.0, -1.0]))
        module.outer.weight.copy_(torch.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]))
        module.outer.bias.copy_(torch.tensor([10.0, 20.0]))
    # x = (2, −1): inner (2, −1, 0), after relu (2, 0, 0).  x = (1, 3): inner (1, 3, 3).
    assert module(torch.tensor([[2.0, -1.0], [1.0, 3.0]])).tolist() == [[12.0, 20.0], [26.0, 23.0]]


@pytest.mark.parametrize(
    ("activation", "function"),
    [
        ("relu", lambda z: max(z, 0.0)),
        ("gelu", lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2),
        ("gelu_tanh", lambda z: z / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (z + 0.044715 * z**3)))),
    ],
)
def test_activations_are_their_formulas(activation, function):
    module = FeedForward(1, 1, activation=activation, use_bias=False)
    with torch.no_grad():
        module.inner.weight.fill_(1.0)
        module.outer.weight.fill_(1.0)
    x = torch.linspace(-4, 4, 33)
    expected = torch.tensor([function(z) for z in x.tolist()])
    torch.testing.assert_close(module(x[:, None])[:, 0], expected, atol=1e-6, rtol=1e-5)


def test_the_two_gelus_differ_and_relu_is_the_default():
    torch.manual_seed(0)
    module = FeedForward(4, 8)
    x = 2 * random_inputs(5, 4)
    outputs = {}
    for activation in ("relu", "gelu", "gelu_tanh"):
        other = FeedForward(4, 8, activation=activation)
        other.load_state_dict(module.state_dict())
        outputs[activation] = other(x)
    assert torch.equal(outputs["relu"], module(x))
    difference = (outputs["gelu"] - outputs["gelu_tanh"]).abs().max()
    assert 1e-6 < difference < 2e-3
    assert (outputs["gelu"] - outputs["relu"]).abs().max() > 0.01


def test_each_position_is_alone():
    module = FeedForward(4, 8)
    x = random_inputs(2, 3, 5, 4)
    output = module(x)
    assert output.shape == x.shape
    torch.testing.assert_close(output[1, 2, 3], module(x[1, 2, 3]))
    torch.testing.assert_close(module(x.flip(2)), output.flip(2))


def test_parameters():
    count = {b: sum(p.numel() for p in FeedForward(4, 16, use_bias=b).parameters()) for b in (True, False)}
    assert count == {True: 2 * 4 * 16 + 16 + 4, False: 2 * 4 * 16}


def test_dropout_only_in_training_on_the_inner_values_and_from_the_global_generator():
    module = FeedForward(1, 1000, dropout=0.3, use_bias=False)
    with torch.no_grad():
        module.inner.weight.fill_(1.0)
        module.outer.weight.fill_(1.0)
    x = torch.ones(1)
    assert module.eval()(x).item() == pytest.approx(1000)
    module.train()
    torch.manual_seed(0)
    first = module(x)
    # Each of 1,000 inner values is 0 or 1 / 0.7, so the sum is a whole multiple, about 700 of them.
    assert 640 < round(first.item() * 0.7) < 760
    assert first.item() * 0.7 == pytest.approx(round(first.item() * 0.7), abs=1e-2)
    assert not torch.equal(module(x), first)
    torch.manual_seed(0)
    assert torch.equal(module(x), first)


def test_empty():
    module = FeedForward(4, 8)
    assert module(torch.zeros(2, 0, 4)).shape == (2, 0, 4)
    assert module(torch.zeros(0, 3, 4)).shape == (0, 3, 4)


@pytest.mark.parametrize("activation", ["relu", "gelu", "gelu_tanh"])
def test_gradients_by_finite_differences(activation):
    torch.manual_seed(0)
    module = FeedForward(3, 5, activation=activation).double()
    x = random_inputs(2, 2, 3, dtype=torch.float64).requires_grad_()
    names, values = zip(*module.named_parameters(), strict=True)

    def run(x, *parameters):
        return torch.func.functional_call(module, dict(zip(names, parameters, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *values))


def test_half_precision_and_autocast():
    module, x = FeedForward(4, 8, activation="gelu"), random_inputs(2, 4)
    expected = module(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(module(x).float(), expected, atol=0.03, rtol=0.03)
    output = module.bfloat16()(x.bfloat16())
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), expected, atol=0.03, rtol=0.03)


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"activation is 'swish'; expected one of \('relu', 'gelu', 'gelu_tanh'\)"):
        FeedForward(4, 8, activation="swish")
    with pytest.raises(ValueError, match="d_model is 0; expected at least 1"):
        FeedForward(0, 8)
    with pytest.raises(ValueError, match="d_ff is -1"):
        FeedForward(4, -1)
    for dropout in (-0.1, 1.0):
        with pytest.raises(ValueError, match=f"dropout is {dropout}"):
            FeedForward(4, 8, dropout=dropout)
    with pytest.raises(ValueError, match=r"x has shape \[2, 5\]; expected a last dimension of d_model = 4"):
        FeedForward(4, 8)(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"x has shape \[\]"):
        FeedForward(4, 8)(torch.zeros(()))
