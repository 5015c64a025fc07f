"""Rotary positions: queries and keys are turned by angles proportional to where they stand.

Book: §2.2.2
"""

import math
from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Float, Int
from torch import Tensor

from llmbook.checks import require_at_least, require_indices, require_one_of, require_positive

KINDS = ("linear", "ntk", "yarn")
FAST, SLOW = 32, 1  # YaRN's β and α, in turns over the original context


@dataclass(frozen=True)
class RotaryScaling:
    """How tables for `factor` times the context that a model was trained for are made.

    "linear": all frequencies are divided by s = factor (Chen et al. 2023, equation 4).
    "ntk": the base becomes base · s^(d / (d − 2)), so that the fastest pair stays as it was and
    the slowest is divided by s (NTK-aware; Peng et al. 2023, section 3.1).
    "yarn": pairs with over 32 turns in the original context stay, those below 1 are divided
    by s, between them goes a ramp; the tables are multiplied by 0.1 ln s + 1 (Peng et al. 2023,
    sections 3.2 and 3.4), which multiplies scores by its square.
    """

    kind: str
    factor: float
    original_max_seq_len: int

    def __post_init__(self) -> None:
        require_one_of("kind", self.kind, KINDS)
        if not 1 <= self.factor < math.inf:
            raise ValueError(f"factor is {self.factor}; expected factor >= 1")
        require_positive(original_max_seq_len=self.original_max_seq_len)


def dynamic_scaling(
    length: int, *, factor: float, original_max_seq_len: int
) -> RotaryScaling | None:
    """None up to the original length L₀; from there on "ntk" by s L / L₀ − (s − 1) at length L.

    Here s is `factor`. Transformers calls it "dynamic"; Peng et al. 2023, section 3.3, have
    max(1, L / L₀), which is s = 1. It depends on the length alone, so that a long prompt leaves
    nothing behind for a short one. Each length has its own base: keys that a cache holds were
    turned with another one than a longer text needs, and don't fit it. To be exact, turn all
    keys anew, or choose one scaling for the whole text before it is begun.

    Raises:
        ValueError: a negative length, or what `RotaryScaling` refuses.
    """
    require_at_least(0, length=length)
    scaling = RotaryScaling("ntk", factor, original_max_seq_len)
    if length <= original_max_seq_len:
        return None
    return replace(scaling, factor=factor * length / original_max_seq_len - (factor - 1))


@dataclass(frozen=True)
class Rotary:
    """Cosine and sine of each position's angles, those of the first half twice side by side."""

    cos: Float[Tensor, "max_seq_len head_dim"]
    sin: Float[Tensor, "max_seq_len head_dim"]


def rotary_tables(
    head_dim: int,
    max_seq_len: int,
    *,
    base: float = 10_000.0,
    scaling: RotaryScaling | None = None,
) -> Rotary:
    """cos(p ω_i) and sin(p ω_i) with ω_i = base^(−2i / head_dim), i = 0 … head_dim/2 − 1.

    Su et al. 2021, section 3.2.2; their θ_i is our ω_i, from i = 0. Angles are computed in
    float64, for the reason that `sinusoidal_encoding` gives.

    Raises:
        ValueError: an odd or non-positive head_dim (below 4 for "ntk"), a negative length,
            base <= 1.
    """
    if head_dim < 2 or head_dim % 2 or max_seq_len < 0 or base <= 1:
        raise ValueError(
            f"head_dim is {head_dim}, max_seq_len {max_seq_len}, base {base}; "
            "expected an even head_dim, max_seq_len >= 0, base > 1"
        )
    omega, attention_factor = frequencies(head_dim, base, scaling), 1.0
    if scaling is not None and scaling.kind == "yarn":
        attention_factor = 0.1 * math.log(scaling.factor) + 1
    angle = torch.arange(max_seq_len, dtype=torch.float64)[:, None] * omega.repeat(2)
    cos, sin = angle.cos() * attention_factor, angle.sin() * attention_factor
    return Rotary(cos.float(), sin.float())


def frequencies(
    head_dim: int, base: float, scaling: RotaryScaling | None
) -> Float[Tensor, "half_head_dim"]:
    """ω_i, scaled."""
    pair = torch.arange(head_dim // 2, dtype=torch.float64)
    omega = base ** (-2 * pair / head_dim)
    if scaling is None:
        return omega
    if scaling.kind == "linear":
        return omega / scaling.factor
    if scaling.kind == "ntk":
        if head_dim < 4:
            raise ValueError(f"head_dim is {head_dim}; expected at least 4 for ntk")
        return (base * scaling.factor ** (head_dim / (head_dim - 2))) ** (-2 * pair / head_dim)

    def pair_with(turns: int) -> float:  # that makes so many in the original context
        length = scaling.original_max_seq_len
        return head_dim * math.log(length / (2 * math.pi * turns)) / (2 * math.log(base))

    low = max(math.floor(pair_with(FAST)), 0)
    high = min(math.ceil(pair_with(SLOW)), head_dim - 1)
    ramp = ((pair - low) / (high - low or 0.001)).clamp(0, 1)
    return omega * (1 - ramp) + omega / scaling.factor * ramp


def apply_rotary(
    x: Float[Tensor, "*batch length head_dim"],
    rotary: Rotary,
    *,
    positions: Int[Tensor, "... length"] | None = None,
) -> Float[Tensor, "*batch length head_dim"]:
    """(x₁, x₂) → (x₁ cos − x₂ sin, x₂ cos + x₁ sin), where x₁ and x₂ are the halves of x.

    A turn by p ω_i of each pair (x_i, x_{i + head_dim/2}); the product of a query at p and a
    key at q then depends on p − q alone. Su et al. 2021, equation 34, who pair neighbours
    (x_{2i}, x_{2i+1}): the same up to the order of the components, which is that of Llama's
    published weights here.

    Args:
        x: queries or keys, [batch, heads, length, head_dim] or, where positions are not by
            row, of any other rank.
        positions: [length] or [batch, length]; 0, 1, 2, … unless given.

    Raises:
        ValueError: another width than that of the tables, positions of another shape, or
            beyond the tables.
    """
    require_turnable(x, rotary, positions)
    if positions is None:
        positions = torch.arange(x.shape[-2], device=x.device)
    max_seq_len = rotary.cos.shape[0]
    require_indices(positions, "positions", "position", max_seq_len=max_seq_len)
    cos, sin = (table.to(x.device)[positions] for table in (rotary.cos, rotary.sin))
    if positions.ndim == 2:
        cos, sin = cos[:, None], sin[:, None]  # the same for all heads
    first, second = x.chunk(2, dim=-1)
    return (x * cos + torch.cat([-second, first], dim=-1) * sin).to(x.dtype)


def half_split_rows(
    weight: Float[Tensor, "rows ..."], num_heads: int
) -> Float[Tensor, "rows ..."]:
    """Rows 0, 2, 4, …, 1, 3, 5, … of each head: from pairs of neighbours to halves.

    For the W_Q and W_K, or their biases, of a model whose pairs are neighbours (as in Su et al.
    2021, Meta's files of Llama, and llama.cpp's). Queries and keys then have their components
    in another order, the same in both, and with `apply_rotary` the scores stay what they were.

    Args:
        weight: [num_heads · head_dim, d_model]; for W_K num_heads is that of key heads.

    Raises:
        ValueError: rows that are not those of num_heads heads of an even width.
    """
    require_positive(num_heads=num_heads)
    if weight.ndim == 0 or weight.shape[0] % (2 * num_heads):
        raise ValueError(
            f"weight has shape {list(weight.shape)}; "
            f"expected rows of num_heads = {num_heads} heads of an even width"
        )
    return rearrange(weight, "(h i pair) ... -> (h pair i) ...", h=num_heads, pair=2)


def require_turnable(x: Tensor, rotary: Rotary, positions: Tensor | None) -> None:
    """Raises ValueError unless x has the tables' width, and positions fit it."""
    shape, width = list(x.shape), rotary.cos.shape[1]
    if len(shape) < 2 or shape[-1] != width:
        raise ValueError(
            f"x has shape {shape}; expected [..., length, head_dim = {width}], as the tables"
        )
    if positions is None:
        return
    by_row = [[shape[0], shape[2]]] if len(shape) == 4 else []
    if list(positions.shape) not in [shape[-2:-1], *by_row]:
        raise ValueError(
            f"positions have shape {list(positions.shape)}; expected [length] or "
            f"[batch, length] for x of shape {shape}"
        )
