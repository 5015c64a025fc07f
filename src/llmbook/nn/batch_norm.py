"""Batch normalization, with running statistics.

Book: §1.4.2
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from llmbook.checks import require_above_zero, require_last, require_mask, require_positive
from llmbook.nn.precision import at_least_float32


def batch_norm(
    x: Float[Tensor, "... d_model"],
    mean: Float[Tensor, "d_model"],
    variance: Float[Tensor, "d_model"],
    weight: Float[Tensor, "d_model"],
    bias: Float[Tensor, "d_model"],
    eps: float,
) -> Float[Tensor, "... d_model"]:
    """(x − mean) / √(variance + eps) · weight + bias, one mean and variance a feature.

    Ioffe and Szegedy 2015, algorithm 1.
    """
    z = at_least_float32(x)
    return ((z - mean) / (variance + eps).sqrt() * weight + bias).to(x.dtype)


class BatchNorm(nn.Module):
    """`batch_norm` with a learned weight (1 at first) and bias (0 at first).

    In training, mean and variance are those of the batch, over all dimensions but the last;
    running averages of both are kept, running ← (1 − momentum) running + momentum · batch, with
    n − 1 in that variance, and take the batch's place in `eval()`.

    Args:
        d_model: features.
        eps: added to the variance.
        momentum: weight of the newest batch in the running averages.

    Raises:
        ValueError: d_model < 1, eps <= 0, momentum outside (0, 1], an input of another width, a
            mask of another shape, fewer than two real rows in training.
    """

    running_mean: Tensor
    running_variance: Tensor

    def __init__(self, d_model: int, *, eps: float = 1e-5, momentum: float = 0.1):
        super().__init__()
        require_positive(d_model=d_model)
        require_above_zero(eps=eps)
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum is {momentum}; expected 0 < momentum <= 1")
        self.eps, self.momentum = eps, momentum
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.register_buffer("running_mean", torch.zeros(d_model))
        self.register_buffer("running_variance", torch.ones(d_model))

    def forward(
        self, x: Float[Tensor, "... d_model"], *, mask: Bool[Tensor, "..."] | None = None
    ) -> Float[Tensor, "... d_model"]:
        """`mask` (True = real) keeps padding out of the statistics."""
        require_last(x, d_model=len(self.weight))
        if mask is not None:
            require_mask(mask, x.shape[:-1])
        mean, variance = self.running_mean, self.running_variance
        if self.training:
            rows = x.reshape(-1, x.shape[-1]) if mask is None else x[mask]
            if len(rows) < 2:
                raise ValueError(
                    f"a batch needs two rows or more for a variance; got {len(rows)}"
                )
            rows = at_least_float32(rows)
            mean, variance = rows.mean(dim=0), rows.var(dim=0, correction=0)
            with torch.no_grad():
                unbiased = variance * len(rows) / (len(rows) - 1)
                for running, new in (
                    (self.running_mean, mean),
                    (self.running_variance, unbiased),
                ):
                    running.lerp_(new.to(running.dtype), self.momentum)
        return batch_norm(x, mean, variance, self.weight, self.bias, self.eps)
