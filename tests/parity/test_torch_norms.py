"""LayerNorm and RMSNorm against PyTorch's, in values and gradients."""

import pytest
import torch
from torch import nn

from llmbook.nn import BatchNorm, LayerNorm, RMSNorm


@pytest.mark.parametrize(
    ("shape", "dtype", "tolerance"),
    [
        *(((*batch, 8), torch.float64, 1e-9) for batch in ((), (3,), (2, 5), (2, 0))),
        ((4, 1), torch.float64, 1e-9),
        ((2, 5, 8), torch.float32, 1e-5),
    ],
)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, 0.0), (1e-4, 0.0), (100.0, 50.0)])
@pytest.mark.parametrize("eps", [1e-5, 1e-2])
@pytest.mark.parametrize(("norm", "reference"), [(LayerNorm, nn.LayerNorm), (RMSNorm, nn.RMSNorm)])
def test_values_and_gradients(norm, reference, eps, scale, shift, shape, dtype, tolerance):
    rng = torch.Generator().manual_seed(0)
    ours, theirs = norm(shape[-1], eps=eps).to(dtype), reference(shape[-1], eps=eps).to(dtype)
    with torch.no_grad():
        for name, parameter in ours.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=rng))
            getattr(theirs, name).copy_(parameter)
    x = scale * torch.randn(shape, generator=rng, dtype=dtype) + shift
    weight = torch.randn(shape, generator=rng, dtype=dtype)
    results = []
    for module in (ours, theirs):
        leaf = x.clone().requires_grad_()
        output = module(leaf)
        (output * weight).sum().backward()
        results.append([output, leaf.grad, *(p.grad for p in module.parameters())])
    for actual, expected in zip(*results, strict=True):
        torch.testing.assert_close(actual, expected, atol=tolerance / min(scale, 1), rtol=tolerance)


def test_the_defaults():
    assert LayerNorm(4).eps == nn.LayerNorm(4).eps
    x = 1e-3 * torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(RMSNorm(4)(x), nn.RMSNorm(4, eps=1e-6)(x))
    # nn.RMSNorm's default is the type's machine epsilon, 1.2e-7, which small inputs feel.
    assert (RMSNorm(4)(x) - nn.RMSNorm(4)(x)).abs().max() > 0.01


def test_their_state_dicts_are_ours():
    for ours, theirs in ((LayerNorm(6), nn.LayerNorm(6)), (RMSNorm(6), nn.RMSNorm(6))):
        ours.load_state_dict(theirs.state_dict())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 300.0, 3000.0])
def test_half_types_have_statistics_in_single_precision(dtype, scale):
    x = (scale * torch.randn(4, 5, 512, generator=torch.Generator().manual_seed(0))).to(dtype)
    for ours, theirs in (
        (LayerNorm(512), torch.nn.LayerNorm(512)),
        (RMSNorm(512), torch.nn.RMSNorm(512, eps=1e-6)),
    ):
        expected = theirs(x.float()).to(dtype)
        assert torch.equal(ours(x.float()).to(dtype), ours.to(dtype)(x)), type(ours)
        torch.testing.assert_close(ours(x), expected, atol=0, rtol=0.01)
        torch.testing.assert_close(ours(x), theirs.to(dtype)(x), atol=0.01, rtol=0.01)
    batch = BatchNorm(512).to(dtype)
    expected = torch.nn.BatchNorm1d(512)(x.float().flatten(0, 1)).view_as(x).to(dtype)
    torch.testing.assert_close(batch(x), expected, atol=1e-3, rtol=0.01)
    assert batch(x).dtype == dtype


def test_values_of_300_in_float16_give_plus_and_minus_one():
    x = torch.tensor([[300.0, -300.0], [-300.0, 300.0]]).half()
    for layer in (LayerNorm(2), RMSNorm(2), BatchNorm(2)):
        assert torch.equal(layer.half()(x), x.sign())
