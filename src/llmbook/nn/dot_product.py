"""Scaled dot-product attention.

Book: §1.2.2
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

from llmbook.nn.precision import at_least_float32


def scaled_dot_product_attention(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    *,
    mask: Bool[Tensor, "..."] | None = None,
    bias: Float[Tensor, "..."] | None = None,
    dropout: float = 0.0,
    return_weights: bool = False,
) -> Float[Tensor, "batch heads query value_dim"] | tuple[Tensor, Tensor]:
    """softmax(Q Kᵀ / √d_k + bias) V, where only positions with mask True take part.

    Vaswani et al. 2017, section 3.2.1, equation 1; their d_k is our head_dim. What is hidden
    has a score of −∞. The softmax of −∞ alone would be 0 / 0, so in a row that may attend to
    nothing all is left visible, and what comes out is multiplied by 0: zero output, zero
    gradient, never a NaN. Scores and softmax of half types are computed in float32.

    Args:
        mask: True = may attend; [query, key], or 4-D and broadcasting to
            [batch, heads, query, key].
        bias: added to the scores, −∞ hides; [query, key], [heads, query, key] or 4-D.
        dropout: the share of weights that is set to 0, the others being scaled up.
        return_weights: give (output, weights) with weights [batch, heads, query, key].

    Leaves out: never holding all weights at once, as FlashAttention does (§2.1.2).

    Raises:
        ValueError: shapes that do not fit, a mask that is not boolean or a bias that is.
    """
    require_fitting(query, key, value, mask, bias)
    scores = at_least_float32(query) @ at_least_float32(key).mT / math.sqrt(query.shape[-1])
    if bias is not None:
        finite = bias != -math.inf
        mask = finite if mask is None else mask & finite
    if mask is not None:
        sees_any = mask.any(dim=-1, keepdim=True)
        hidden = torch.where(sees_any, -math.inf, 0.0).to(scores.dtype)
        scores = scores + torch.where(mask, 0.0 if bias is None else bias, hidden)
    weights = scores.softmax(dim=-1)
    output = F.dropout(weights, dropout).to(value.dtype) @ value
    if mask is not None:
        output = output * sees_any
    if not return_weights:
        return output
    return output, (weights if mask is None else weights * sees_any).to(value.dtype)


def require_fitting(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, bias: Tensor | None
) -> None:
    """Raises ValueError unless all fit together.

    That is: query [B H T K], key [B H S K], value [B H S V]; the mask boolean, the bias
    not; mask and bias broadcast to [B H T S].
    """
    q, k, v = list(query.shape), list(key.shape), list(value.shape)
    shapes = f"query {q}, key {k}, value {v}"
    if not len(q) == len(k) == len(v) == 4:
        raise ValueError(
            "expected query, key and value with 4 dimensions [batch, heads, length, width]; "
            f"got {shapes}"
        )
    if q[:2] != k[:2] or q[3] != k[3] or k[:3] != v[:3]:
        raise ValueError(
            f"expected query [B H T K], key [B H S K], value [B H S V]; got {shapes}"
        )
    if q[3] == 0:
        raise ValueError(f"expected a head width of at least 1; got {shapes}")
    if mask is not None and mask.dtype != torch.bool:
        raise ValueError(
            f"mask has dtype {mask.dtype}; expected torch.bool, True = may attend "
            "(what is added is `bias`)"
        )
    if bias is not None and not bias.is_floating_point():
        raise ValueError(
            f"bias has dtype {bias.dtype}; expected a floating-point type "
            "(what is boolean is `mask`)"
        )
    full = [*q[:3], k[2]]
    if mask is not None and not (len(mask.shape) != 3 and broadcasts(mask.shape, full)):
        raise ValueError(
            f"mask has shape {list(mask.shape)}; expected [query, key] = {full[2:]}, "
            f"or 4-D and broadcasting to {full} "
            "(a padding mask [batch, key] goes in as mask[:, None, None])"
        )
    if bias is not None and not broadcasts(bias.shape, full):
        raise ValueError(
            f"bias has shape {list(bias.shape)}; expected [query, key] = {full[2:]}, "
            f"[heads, query, key] = {full[1:]}, or 4-D and broadcasting to {full}"
        )


def broadcasts(shape: Sequence[int], full: Sequence[int]) -> bool:
    """Whether a shape of 2, 3 or 4 dimensions broadcasts to the last dimensions of `full`."""
    if len(shape) not in (2, 3, 4):
        return False
    return all(size in (1, want) for size, want in zip(shape, full[-len(shape) :], strict=True))
