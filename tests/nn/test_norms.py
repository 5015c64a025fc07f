"""LayerNorm and RMSNorm: by hand, what they leave unchanged, gradients, and the mistakes that they must refuse."""

import math

import pytest
import torch
from inputs import random_inputs

from llmbook.nn import LayerNorm, RMSNorm, layer_norm, rms_norm


def test_layer_norm_by_hand():
    # Mean 4, variance (9 + 1 + 1 + 9) / 4 = 5: it divides by 4, not by 3.
    x, weight, bias = torch.tensor([1.0, 3, 5, 7]), torch.tensor([1.0, 1, 1, 2]), torch.tensor([0.0, 0, 10, 0])
    expected = torch.tensor([-3.0, -1, 1, 6]) / math.sqrt(5.25) + bias
    torch.testing.assert_close(layer_norm(x, weight, bias, 0.25), expected)


def test_rms_norm_by_hand():
    # Mean square (1 + 49 + 25 + 25) / 4 = 25.
    x, weight = torch.tensor([1.0, 7, 5, -5]), torch.tensor([1.0, 1, 1, 2])
    torch.testing.assert_close(rms_norm(x, weight, 0.0), torch.tensor([0.2, 1.4, 1, -2]))
    torch.testing.assert_close(rms_norm(x, weight, 11.0), torch.tensor([1.0, 7, 5, -10]) / 6)


def test_the_modules_are_the_functions_and_start_as_the_identity_of_scale():
    x = random_inputs(2, 3, 8)
    torch.testing.assert_close(LayerNorm(8)(x), layer_norm(x, torch.ones(8), torch.zeros(8), 1e-5))
    torch.testing.assert_close(RMSNorm(8)(x), rms_norm(x, torch.ones(8), 1e-6))
    module = LayerNorm(8, eps=0.5)
    torch.testing.assert_close(module(x), layer_norm(x, torch.ones(8), torch.zeros(8), 0.5))
    assert {name: p.shape for name, p in module.named_parameters()} == {"weight": (8,), "bias": (8,)}
    assert {name: p.shape for name, p in RMSNorm(8).named_parameters()} == {"weight": (8,)}


def test_layer_norm_has_mean_0_and_variance_1_and_rms_norm_mean_square_1():
    x = 5 + 3 * random_inputs(10, 64)
    normed = LayerNorm(64)(x)
    torch.testing.assert_close(normed.mean(dim=-1), torch.zeros(10), atol=1e-5, rtol=0)
    torch.testing.assert_close(normed.var(dim=-1, correction=0), torch.ones(10), atol=1e-4, rtol=0)
    torch.testing.assert_close(RMSNorm(64)(x).square().mean(dim=-1), torch.ones(10), atol=1e-4, rtol=0)


def test_what_each_leaves_unchanged():
    x = random_inputs(10, 16)
    layer, rms = LayerNorm(16), RMSNorm(16)
    torch.testing.assert_close(layer(4 * x + 3), layer(x), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(rms(4 * x), rms(x), atol=1e-4, rtol=1e-4)
    assert (rms(x + 3) - rms(x)).abs().max() > 0.1
    centred = x - x.mean(dim=-1, keepdim=True)
    torch.testing.assert_close(
        rms_norm(centred, torch.ones(16), 1e-5), layer(x), atol=1e-6, rtol=1e-6
    )  # RMSNorm of what is centred already is LayerNorm


def test_constant_rows_zero_rows_and_width_one_are_finite():
    for x in (torch.zeros(2, 4), torch.full((2, 4), 7.0), torch.ones(2, 1)):
        for module in (LayerNorm(x.shape[-1]), RMSNorm(x.shape[-1])):
            inputs = x.clone().requires_grad_()
            output = module(inputs)
            output.sum().backward()
            assert output.isfinite().all()
            assert inputs.grad.isfinite().all()
    assert (LayerNorm(4)(torch.full((2, 4), 7.0)) == 0).all()
    torch.testing.assert_close(RMSNorm(4)(torch.full((2, 4), 7.0)), torch.ones(2, 4))


def test_each_position_is_alone_and_empty_is_fine():
    for module in (LayerNorm(4), RMSNorm(4)):
        x = random_inputs(2, 3, 4)
        torch.testing.assert_close(module(x)[1, 2], module(x[1, 2]))
        assert module(x[:, :0]).shape == (2, 0, 4)


def test_gradients_by_finite_differences():
    x = random_inputs(2, 3, 5, dtype=torch.float64).requires_grad_()
    weight, bias = torch.linspace(0.5, 2, 5).double().requires_grad_(), torch.ones(5).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda *args: layer_norm(*args, 1e-5), (x, weight, bias))
    assert torch.autograd.gradcheck(lambda *args: rms_norm(*args, 1e-6), (x, weight))
    assert torch.autograd.gradcheck(LayerNorm(5).double(), (x,))
    assert torch.autograd.gradcheck(RMSNorm(5).double(), (x,))


def test_half_precision_and_autocast():
    x = random_inputs(4, 16)
    for module in (LayerNorm(16), RMSNorm(16)):
        expected = module(x)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(module(x), expected)
            torch.testing.assert_close(module(x.bfloat16()).float(), expected, atol=0.05, rtol=0.05)
        output = module.bfloat16()(x.bfloat16())
        assert output.dtype == torch.bfloat16
        torch.testing.assert_close(output.float(), expected, atol=0.05, rtol=0.05)


@pytest.mark.messages
@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_mistakes_are_named(norm):
    with pytest.raises(ValueError, match="d_model is 0; expected at least 1"):
        norm(0)
    for eps in (0.0, -1.0):
        with pytest.raises(ValueError, match=f"eps is {eps}; expected eps > 0"):
            norm(4, eps=eps)
    with pytest.raises(ValueError, match=r"x has shape \[2, 5\]; expected a last dimension of d_model = 4"):
        norm(4)(torch.zeros(2, 5))
    with pytest.raises(ValueError, match=r"x has shape \[2, 1\]"):
        norm(4)(torch.zeros(2, 1))
    with pytest.raises(ValueError, match=r"x has shape \[\]"):
        norm(4)(torch.zeros(()))
