"""Layer normalization and its simpler relative, RMSNorm.

Book: §1.4.2
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from llmbook.checks import require_above_zero, require_last, require_positive
from llmbook.nn.precision import at_least_float32


def layer_norm(
    x: Float[Tensor, "... d_model"],
    weight: Float[Tensor, "d_model"],
    bias: Float[Tensor, "d_model"],
    eps: float,
) -> Float[Tensor, "... d_model"]:
    """(x − mean) / √(variance + eps) · weight + bias, over the last dimension.

    Ba et al. 2016, eqs. 3 and 4; the variance divides by d_model.
    """
    z = at_least_float32(x)
    mean = z.mean(dim=-1, keepdim=True)
    variance = (z - mean).square().mean(dim=-1, keepdim=True)
    return ((z - mean) / (variance + eps).sqrt() * weight + bias).to(x.dtype)


def rms_norm(
    x: Float[Tensor, "... d_model"], weight: Float[Tensor, "d_model"], eps: float
) -> Float[Tensor, "... d_model"]:
    """x / √(mean(x²) + eps) · weight, over the last dimension.

    Zhang and Sennrich 2019, eq. 4.
    """
    z = at_least_float32(x)
    return (z / (z.square().mean(dim=-1, keepdim=True) + eps).sqrt() * weight).to(x.dtype)


class LayerNorm(nn.Module):
    """`layer_norm` with a learned weight (1 at first) and bias (0 at first).

    Raises:
        ValueError: d_model < 1, eps <= 0, or an input of another width.
    """

    def __init__(self, d_model: int, *, eps: float = 1e-5):
        super().__init__()
        require_positive(d_model=d_model)
        require_above_zero(eps=eps)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        require_last(x, d_model=len(self.weight))
        return layer_norm(x, self.weight, self.bias, self.eps)


class RMSNorm(nn.Module):
    """`rms_norm` with a learned weight (1 at first).

    Raises:
        ValueError: d_model < 1, eps <= 0, or an input of another width.
    """

    def __init__(self, d_model: int, *, eps: float = 1e-6):
        super().__init__()
        require_positive(d_model=d_model)
        require_above_zero(eps=eps)
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Float[Tensor, "... d_model"]) -> Float[Tensor, "... d_model"]:
        require_last(x, d_model=len(self.weight))
        return rms_norm(x, self.weight, self.eps)
