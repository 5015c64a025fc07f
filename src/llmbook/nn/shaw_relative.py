"""Relative positions as vectors that are added to keys and values.

Book: §2.2.2
"""

import math
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from llmbook.checks import require_at_least
from llmbook.nn.dot_product import require_fitting, scaled_dot_product_attention
from llmbook.nn.multi_head import KeyValue, MultiHeadAttention
from llmbook.nn.precision import at_least_float32


def relative_positions(query_len: int, key_len: int) -> Int[Tensor, "query key"]:
    """Key index − query index; the queries are the last of the keys' positions.

    Raises:
        ValueError: a negative length, or more queries than keys.
    """
    if query_len < 0 or key_len < query_len:
        raise ValueError(
            f"query_len is {query_len}, key_len {key_len}; expected 0 <= query_len <= key_len"
        )
    position = torch.arange(key_len)
    return position - position[key_len - query_len :, None]


def shaw_index(query_len: int, key_len: int, *, max_distance: int) -> Int[Tensor, "query key"]:
    """clip(j − i, −k, k) + k, from 0 to 2k: which row of a table stands for query i, key j.

    Shaw et al. 2018, section 3.2; their k is our max_distance, their w_−k our row 0. The
    queries come last.

    Raises:
        ValueError: a negative length or max_distance, or more queries than keys.
    """
    require_at_least(0, max_distance=max_distance)
    distance = relative_positions(query_len, key_len)
    return distance.clamp(-max_distance, max_distance) + max_distance


class ShawAttention(MultiHeadAttention):
    """Attention with e_ij = q_i · (k_j + a^K_ij) / √d_z and z_i = Σ_j α_ij (v_j + a^V_ij).

    Shaw et al. 2018, equations 3 and 4; their d_z is our head_dim. a_ij is row `shaw_index`
    of a table that all heads share. No tensor [query, key, head_dim] is made: as in their
    section 3.3, equation 5, q_i · a^K is a summand of its own, here computed once for each of
    the 2k + 1 distances and then looked up; the weights of equal distances are added before
    they meet a^V.

    Args:
        max_distance: their k; beyond it all distances are one.
        value_vectors: whether there is an a^V.
        d_model, num_heads, num_kv_heads, dropout, use_bias: as in `MultiHeadAttention`.

    Leaves out: a table for each head; a kernel that holds no weights [query, key].

    Raises:
        ValueError: max_distance < 0, a context, or what `MultiHeadAttention` refuses.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        max_distance: int,
        value_vectors: bool = True,
        **settings: Any,
    ):
        super().__init__(d_model, num_heads, **settings)
        require_at_least(0, max_distance=max_distance)
        self.max_distance = max_distance
        head_dim = d_model // num_heads
        size = (2 * max_distance + 1, head_dim)
        self.key_vectors = nn.Parameter(torch.randn(size) * head_dim**-0.5)
        self.value_vectors = None
        if value_vectors:
            self.value_vectors = nn.Parameter(torch.randn(size) * head_dim**-0.5)

    def project(
        self, x: Tensor, context: Tensor | KeyValue | None, *args: Any, **settings: Any
    ) -> tuple[Float[Tensor, "b h t k"], Float[Tensor, "b h s k"], Float[Tensor, "b h s k"]]:
        """As `MultiHeadAttention`, but from x to x alone: a context has other positions."""
        refuse_context(context)
        return super().project(x, context, *args, **settings)

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
        dropout: float = 0.0,
        return_weights: bool = False,
    ) -> Float[Tensor, "b h t k"] | tuple[Tensor, Tensor]:
        """α v, and α a^V of each distance where there is one; the queries come last."""
        require_fitting(query, key, value, mask, bias)
        index = shaw_index(query.shape[2], key.shape[2], max_distance=self.max_distance)
        index = index.to(query.device)
        by_distance = at_least_float32(query) @ at_least_float32(self.key_vectors).T
        relative = look_up(by_distance, index) / math.sqrt(query.shape[-1])
        _, weights = scaled_dot_product_attention(
            query,
            key,
            value,
            mask=mask,
            bias=relative if bias is None else relative + bias,
            return_weights=True,
        )
        kept = F.dropout(weights, dropout)
        heads = kept @ value
        if self.value_vectors is not None:
            summed = sum_by_distance(kept, index, 2 * self.max_distance + 1)
            heads = heads + summed @ self.value_vectors
        return (heads, weights) if return_weights else heads


def look_up(
    by_distance: Float[Tensor, "batch heads query distances"], index: Int[Tensor, "query key"]
) -> Float[Tensor, "batch heads query key"]:
    """For each query and key the entry of their distance."""
    return by_distance.gather(-1, index.expand(*by_distance.shape[:2], -1, -1))


def sum_by_distance(
    weights: Float[Tensor, "batch heads query key"],
    index: Int[Tensor, "query key"],
    num_distances: int,
) -> Float[Tensor, "batch heads query distances"]:
    """For each query and distance the sum of the weights of the keys there."""
    sums = at_least_float32(weights.new_zeros(*weights.shape[:3], num_distances))
    index = index.expand(*weights.shape[:2], -1, -1)
    return sums.scatter_add(-1, index, at_least_float32(weights)).to(weights.dtype)


def refuse_context(context: Tensor | KeyValue | None) -> None:
    """Raises ValueError where there is one."""
    if context is not None:
        shape = list((context.key if isinstance(context, KeyValue) else context).shape)
        raise ValueError(
            f"got a context of shape {shape}; expected none, since distances are those in x"
        )
