"""FlashAttention: exact attention in tiles, in memory linear in length.

Book: §2.1.2
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from llmbook.checks import require_positive
from llmbook.nn.dot_product import require_fitting
from llmbook.nn.precision import at_least_float32


def flash_attention(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    *,
    causal: bool,
    block_size: int = 64,
) -> Float[Tensor, "batch heads query value_dim"]:
    """softmax(Q Kᵀ / √d) V, the scores of at most block_size × block_size pairs at a time.

    Dao et al. 2022, algorithms 1 and 4, with the order and the scaling of Dao 2023, algorithms
    1 and 2; their d is our head_dim, their B_r = B_c our block_size. Forward is
    `flash_forward`; for backward only its output and log-sum-exp are kept beside the inputs,
    and `flash_backward` computes the weights again. Equal to `scaled_dot_product_attention`
    up to rounding. Half types are summed in float32, under autocast too.

    Args:
        causal: as `causal_mask`, the queries being the last rows; about half the work.

    Leaves out: a kernel that keeps a tile in a GPU's fast memory, which is what saves time;
    here it goes through main memory. Masks, biases, dropout and `torch.func`. Second
    derivatives, which raise RuntimeError.

    Raises:
        ValueError: shapes that do not fit, float64 with another type, block_size < 1, more
            queries than keys with causal.
    """
    return FlashAttention.apply(query, key, value, causal, block_size)


class FlashOutput(NamedTuple):
    """What forward gives, and backward needs."""

    output: Float[Tensor, "batch heads query value_dim"]
    log_sum_exp: Float[Tensor, "batch heads query"]  # of each query's scores


@torch.no_grad()
def flash_forward(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    *,
    causal: bool,
    block_size: int = 64,
) -> FlashOutput:
    """O = Σ_j e^{s_j} v_j / Σ_j e^{s_j} and L = log Σ_j e^{s_j}, by online softmax.

    With the maximum m of the scores so far, the total ℓ = Σ_j e^{s_j − m} and the accumulator
    a = Σ_j e^{s_j − m} v_j, a tile with a greater maximum m′ multiplies both by e^{m − m′} and
    adds its own part. In the end O = a / ℓ and L = m + log ℓ. Milakov and Gimelshein 2018,
    algorithm 3; Dao 2023, algorithm 1, where a is Õ. No gradients flow through it.

    Raises:
        ValueError: what `flash_attention` refuses.
    """
    require_tiled(query, key, value, causal, block_size)
    output = value.new_empty(*query.shape[:3], value.shape[3])
    query, key, value = at_least_float32(query), at_least_float32(key), at_least_float32(value)
    log_sum_exp = query.new_empty(query.shape[:3])
    for rows, blocks in tiles(query.shape[2], key.shape[2], causal, block_size):
        maximum = torch.full_like(query[:, :, rows, :1], -math.inf)
        total = torch.zeros_like(maximum)
        accumulator = maximum.new_zeros(*maximum.shape[:3], value.shape[3])
        for columns in blocks:
            scores = tile_scores(query, key, rows, columns, causal)
            new_maximum = torch.maximum(maximum, scores.amax(dim=-1, keepdim=True))
            rescale = (maximum - new_maximum).exp()
            weights = (scores - new_maximum).exp()
            total = rescale * total + weights.sum(dim=-1, keepdim=True)
            accumulator = rescale * accumulator + weights @ value[:, :, columns]
            maximum = new_maximum
        output[:, :, rows] = accumulator / total.clamp(min=1)  # below 1 without any key
        log_sum_exp[:, :, rows] = (maximum + total.log()).squeeze(-1)
    return FlashOutput(output, log_sum_exp)


@once_differentiable
def flash_backward(
    d_output: Float[Tensor, "batch heads query value_dim"],
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    output: Float[Tensor, "batch heads query value_dim"],
    log_sum_exp: Float[Tensor, "batch heads query"],
    causal: bool,
    block_size: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """dQ, dK and dV from dO, tile by tile, at least in float32: autograd rounds them.

    The weights are P = e^{S − L}, with no sum over keys. Then dV = Pᵀ dO, dP = dO Vᵀ and
    dS = P ∘ (dP − D) with D_i = Σ_j P_ij dP_ij = dO_i · O_i, which needs no weights; dQ =
    dS K / √d and dK = dSᵀ Q / √d. Dao et al. 2022, algorithm 4; Dao 2023, algorithm 2.
    """
    query, key, value = at_least_float32(query), at_least_float32(key), at_least_float32(value)
    d_output = at_least_float32(d_output)
    dot = (d_output * output).sum(dim=-1, keepdim=True)  # D
    log_sum_exp = log_sum_exp[..., None]
    d_query, d_key, d_value = (torch.zeros_like(x) for x in (query, key, value))
    for rows, blocks in tiles(query.shape[2], key.shape[2], causal, block_size):
        for columns in blocks:
            scores = tile_scores(query, key, rows, columns, causal)
            weights = (scores - log_sum_exp[:, :, rows]).exp()
            d_value[:, :, columns] += weights.mT @ d_output[:, :, rows]
            d_weights = d_output[:, :, rows] @ value[:, :, columns].mT
            d_scores = weights * (d_weights - dot[:, :, rows]) / math.sqrt(query.shape[3])
            d_query[:, :, rows] += d_scores @ key[:, :, columns]
            d_key[:, :, columns] += d_scores.mT @ query[:, :, rows]
    return d_query, d_key, d_value


def tiles(
    query_len: int, key_len: int, causal: bool, block_size: int
) -> Iterator[tuple[slice, list[slice]]]:
    """Each block of queries, with the blocks of keys that its last query sees a part of."""
    for start in range(0, query_len, block_size):
        rows = slice(start, min(start + block_size, query_len))
        seen = rows.stop + key_len - query_len if causal else key_len
        yield rows, [slice(j, min(j + block_size, seen)) for j in range(0, seen, block_size)]


def tile_scores(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    rows: slice,
    columns: slice,
    causal: bool,
) -> Float[Tensor, "batch heads rows columns"]:
    """q_i · k_j / √d of one tile; −∞ where j > i + key_len − query_len, with causal."""
    scores = query[:, :, rows] @ key[:, :, columns].mT / math.sqrt(query.shape[3])
    if not causal:
        return scores
    last_seen = rows.start + key.shape[2] - query.shape[2]  # by the tile's first query
    hidden = torch.ones(scores.shape[2:], dtype=torch.bool, device=scores.device)
    hidden = hidden.triu(last_seen + 1 - columns.start)
    return scores.masked_fill(hidden, -math.inf)


class FlashAttention(torch.autograd.Function):
    """`flash_forward` with `flash_backward` as its derivative."""

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, causal: bool, block_size: int
    ) -> Tensor:
        with without_autocast(query):
            saved = flash_forward(query, key, value, causal=causal, block_size=block_size)
        ctx.save_for_backward(query, key, value, *saved)
        ctx.options = causal, block_size
        return saved.output

    @staticmethod
    def backward(ctx: Any, d_output: Tensor) -> tuple[Tensor | None, ...]:
        with without_autocast(d_output):
            gradients = flash_backward(d_output, *ctx.saved_tensors, *ctx.options)
        return *gradients, None, None


def without_autocast(x: Tensor) -> torch.autocast:
    """Leaves products in float32, so that backward computes the scores that forward had."""
    known = torch.amp.is_autocast_available(x.device.type)
    return torch.autocast(x.device.type if known else "cpu", enabled=False)


def require_tiled(
    query: Tensor, key: Tensor, value: Tensor, causal: bool, block_size: int
) -> None:
    """Raises ValueError unless all fit together."""
    require_fitting(query, key, value, None, None)
    require_positive(block_size=block_size)
    types = {query.dtype, key.dtype, value.dtype}
    if torch.float64 in types and len(types) > 1:
        raise ValueError(
            f"query is {query.dtype}, key {key.dtype}, value {value.dtype}; "
            "expected torch.float64 of all or of none"
        )
    query_len, key_len = query.shape[2], key.shape[2]
    if causal and key_len < query_len:
        raise ValueError(f"got {query_len} queries, {key_len} keys; causal needs as many keys")
