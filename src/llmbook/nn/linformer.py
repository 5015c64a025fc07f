"""Linformer: keys and values are mixed along the sequence into a few.

Book: §2.1.2
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from llmbook.checks import has_values, require_positive
from llmbook.nn.dot_product import require_fitting, scaled_dot_product_attention
from llmbook.nn.kv_cache import LayerCache
from llmbook.nn.multi_head import KeyValue, MultiHeadAttention
from llmbook.nn.rotary import Rotary


def linformer_attention(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    key_projection: Float[Tensor, "rank key"],
    value_projection: Float[Tensor, "rank key"],
) -> Float[Tensor, "batch heads query value_dim"]:
    """softmax(Q (E K)ᵀ / √d_k) F V: R weights a query, not S.

    Wang et al. 2020, equation 7; their E is our key_projection, F our value_projection, k our
    rank R, n our key length S. With E = F = I it is exact attention.

    It cannot be causal: each row of E K is a sum over all positions, the later ones too, and no
    mask over such sums hides one position.

    Raises:
        ValueError: shapes that do not fit.
    """
    require_fitting(query, key, value, None, None)
    require_projections(key_projection, value_projection, key.shape[2])
    return scaled_dot_product_attention(query, key_projection @ key, value_projection @ value)


def require_projections(key_projection: Tensor, value_projection: Tensor, length: int) -> None:
    """Raises ValueError unless both are [rank, length]."""
    shapes = [list(p.shape) for p in (key_projection, value_projection)]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or shapes[0][1] != length:
        raise ValueError(
            f"the projections of keys and values have shapes {shapes}; "
            f"expected both [rank, key] with key = {length}"
        )


class LinformerAttention(MultiHeadAttention):
    """Multi-head attention to `rank` mixtures of positions; heads share learned E and F.

    Wang et al. 2020, section 4; with headwise sharing, as they call it. E and F start from
    N(0, 1 / seq_len): a mixture of seq_len independent keys has the variance of one.

    Args:
        seq_len: the longest input (or context); shorter ones use the first columns of E, F.
        rank: the number of mixtures, k in the paper.

    The rest is as in `MultiHeadAttention`; `attention_weights` are [batch, heads, query, rank].

    Raises:
        ValueError: as there; an input longer than seq_len, a bias, a cache, a mask that hides
            anything: it cannot be causal, nor leave out padding, for the reason that
            `linformer_attention` gives.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        seq_len: int,
        rank: int,
        **settings: Any,
    ):
        super().__init__(d_model, num_heads, **settings)
        require_positive(seq_len=seq_len, rank=rank)
        self.key_projection = nn.Parameter(torch.randn(rank, seq_len) / seq_len**0.5)
        self.value_projection = nn.Parameter(torch.randn(rank, seq_len) / seq_len**0.5)

    def project(
        self,
        x: Tensor,
        context: Tensor | KeyValue | None,
        cache: LayerCache | None = None,
        *,
        rotary: Rotary | None = None,
        positions: Tensor | None = None,
    ) -> tuple[Float[Tensor, "b h t k"], Float[Tensor, "b h r k"], Float[Tensor, "b h r k"]]:
        """Queries, and the mixtures E K and F V that take the place of keys and values."""
        if cache is not None:
            raise ValueError(
                f"got a cache of length {cache.length}; "
                "a new key would change all projected ones"
            )
        query, key, value = super().project(
            x, context, cache, rotary=rotary, positions=positions
        )
        length, (_, seq_len) = key.shape[2], self.key_projection.shape
        if length > seq_len:
            raise ValueError(f"the length is {length}; expected at most seq_len = {seq_len}")
        mix_keys, mix_values = (
            self.key_projection[:, :length],
            self.value_projection[:, :length],
        )
        return query, mix_keys @ key, mix_values @ value

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        mask: Tensor | None = None,
        bias: Tensor | None = None,
        **settings: Any,
    ) -> Float[Tensor, "b h t k"] | tuple[Tensor, Tensor]:
        """To the mixtures; whether a mask hides anything is seen as far as it has values."""
        require_nothing_hidden(mask, bias)
        return super().attend(query, key, value, **settings)


def require_nothing_hidden(mask: Tensor | None, bias: Tensor | None) -> None:
    """Raises ValueError for a bias, or a mask that hides something."""
    if mask is not None and mask.dtype != torch.bool:
        raise ValueError(f"mask has dtype {mask.dtype}; expected torch.bool, True = may attend")
    if mask is not None and has_values(mask) and not mask.all():
        raise ValueError(
            f"the mask of shape {list(mask.shape)} hides {(~mask).sum().item()} places; "
            "expected 0: each projected key mixes all positions, so none can be hidden, not "
            "even later ones or padding"
        )
    if bias is not None:
        raise ValueError(
            f"got a bias of shape {list(bias.shape)}; projected keys have no positions to go by"
        )
