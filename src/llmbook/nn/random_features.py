"""Random features: softmax attention as linear attention, right in the mean over the draws.

Book: §2.1.2
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from llmbook.checks import require_last, require_positive
from llmbook.nn.dot_product import require_fitting
from llmbook.nn.linear_attention import linear_attention
from llmbook.nn.precision import at_least_float32


def orthogonal_projections(
    num_features: int,
    head_dim: int,
    *,
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Float[Tensor, "num_features head_dim"]:
    """ω_1 … ω_m, each from N(0, I), those of a block of head_dim orthogonal to each other.

    Choromanski et al. 2021, section 2.4; their m is our num_features, d our head_dim. A block
    is a random rotation, whose rows get the lengths of independent Gaussian vectors. The
    rotation is Q of a Gaussian matrix's QR, its columns times the signs of R's diagonal.
    Without these Q is not uniform: LAPACK makes its first entry always of the same sign.

    Leaves out: structured projections in O(m log d), by Hadamard matrices.

    Raises:
        ValueError: a size < 1.
    """
    require_positive(num_features=num_features, head_dim=head_dim)

    precise = torch.promote_types(dtype, torch.float32)

    def gaussian(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=precise, device=device)

    blocks = math.ceil(num_features / head_dim)
    q, r = torch.linalg.qr(gaussian(blocks, head_dim, head_dim))
    rotations = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None]
    lengths = gaussian(num_features, head_dim).norm(dim=-1, keepdim=True)
    return (lengths * rotations.flatten(0, 1)[:num_features]).to(dtype)


def positive_features(
    x: Float[Tensor, "... head_dim"],
    projections: Float[Tensor, "num_features head_dim"],
    *,
    stabilize_over: tuple[int, ...] = (),
) -> Float[Tensor, "... num_features"]:
    """φ_i(x) = exp(ω_i·u − ‖u‖²/2) / √m with u = x / K^¼: E[φ(q)·φ(k)] = exp(q·k / √K).

    Choromanski et al. 2021, lemma 1; m is num_features, K head_dim. For independent ω_i from
    N(0, I) the variance of φ(q)·φ(k) is exp(q·k / √K)² (exp(‖u + w‖²) − 1) / m, where w belongs
    to k (lemma 2): small where the kernel is.

    Args:
        stabilize_over: dimensions over which the largest exponent is subtracted, so that the
            largest feature is 1 / √m and none overflows; the features are then those above
            times a positive number. In attention it cancels in the quotient of sums: queries
            may have one number each, (-1,), as it multiplies numerator and denominator of its
            row alone; all keys must have the same, (-2, -1).

    Raises:
        ValueError: x of another width than the projections.
    """
    exponent = turned_by(projections, x) - half_square(x)
    if stabilize_over and exponent.numel():
        exponent = exponent - exponent.detach().amax(stabilize_over, keepdim=True)
    return exponent.exp() / math.sqrt(len(projections))


def trigonometric_features(
    x: Float[Tensor, "... head_dim"], projections: Float[Tensor, "num_features head_dim"]
) -> Float[Tensor, "... twice_num_features"]:
    """exp(‖u‖²/2) (sin ω_i·u, cos ω_i·u) / √m with u = x / K^¼, of the same mean product.

    Rahimi and Recht 2007, section 3; Choromanski et al. 2021, section 2.3. Products may be
    negative, and for independent ω_i their variance is exp(‖u + w‖²) exp(q·k / √K)^−2
    (1 − exp(−‖u − w‖²))² / 2m (lemma 2): large where the kernel is small, so that quotients
    of sums break down. Here to be compared with `positive_features`.

    Raises:
        ValueError: x of another width than the projections.
    """
    angle = turned_by(projections, x)
    scale = half_square(x).exp() / math.sqrt(len(projections))
    return scale * torch.cat([angle.sin(), angle.cos()], dim=-1)


def performer_attention(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    projections: Float[Tensor, "num_features head_dim"],
    *,
    causal: bool,
) -> Float[Tensor, "batch heads query value_dim"]:
    """Softmax attention up to an error of order 1 / √m: linear attention on positive features.

    Choromanski et al. 2021, section 2 (FAVOR+). The features are stabilized as
    `positive_features` says, keys by head and row of the batch. With `causal` the largest
    exponent may be a later key's: it cancels all the same, but keys whose exponents are by over
    80 or so smaller are rounded to weight 0 in float32.

    Leaves out: drawing the projections anew from time to time in training; other kernels.

    Raises:
        ValueError: shapes that do not fit, more queries than keys with `causal`.
    """
    require_fitting(query, key, value, None, None)
    phi_query = positive_features(query, projections, stabilize_over=(-1,))
    phi_key = positive_features(key, projections, stabilize_over=(-2, -1))
    return linear_attention(
        phi_query, phi_key, value, causal=causal, features=torch.nn.Identity()
    )


def turned_by(projections: Tensor, x: Tensor) -> Float[Tensor, "... num_features"]:
    """ω_i·u."""
    if projections.ndim != 2:
        shape = list(projections.shape)
        raise ValueError(f"projections have shape {shape}; expected [num_features, head_dim]")
    require_last(x, head_dim=projections.shape[1])
    u = at_least_float32(x) / x.shape[-1] ** 0.25
    return u @ projections.to(u).mT


def half_square(x: Tensor) -> Float[Tensor, "... 1"]:
    """‖u‖²/2."""
    return at_least_float32(x).square().sum(dim=-1, keepdim=True) / (2 * x.shape[-1] ** 0.5)
