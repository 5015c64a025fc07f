"""Multi-head attention.

Book: §1.2.3
"""

from typing import Any, NamedTuple

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.checks import require_divides, require_sequence, require_share
from llmbook.nn.dot_product import scaled_dot_product_attention
from llmbook.nn.kv_cache import LayerCache
from llmbook.nn.rotary import Rotary, apply_rotary


class KeyValue(NamedTuple):
    """The keys and values of a context by head, computed once to be attended to many times."""

    key: Float[Tensor, "batch kv_heads key head_dim"]
    value: Float[Tensor, "batch kv_heads key head_dim"]


class MultiHeadAttention(nn.Module):
    """Concat(head_1, …, head_h) W^O with head_i = Attention(x W_i^Q, c W_i^K, c W_i^V).

    c is the context, or x itself. Vaswani et al. 2017, section 3.2.2; their d_k = d_v is our
    head_dim = d_model / num_heads. With fewer key and value heads than query heads (grouped
    queries, Ainslie et al. 2023) neighbouring query heads share one.

    Args:
        d_model: width of input and output.
        num_heads: query heads; they divide d_model.
        num_kv_heads: key and value heads; they divide num_heads (default: as many).
        dropout: share of attention weights dropped in training.
        use_bias: whether the four projections have a bias.

    Raises:
        ValueError: heads that do not divide, inputs of another width, a mask that does not fit,
            a context with a cache or with rotary positions.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        num_kv_heads: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
    ):
        super().__init__()
        num_kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        require_divides(num_heads=num_heads, d_model=d_model)
        require_divides(num_kv_heads=num_kv_heads, num_heads=num_heads)
        require_share(dropout=dropout)
        self.d_model, self.dropout = d_model, dropout
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads
        kv_width = num_kv_heads * (d_model // num_heads)
        self.query = nn.Linear(d_model, d_model, bias=use_bias)
        self.key = nn.Linear(d_model, kv_width, bias=use_bias)
        self.value = nn.Linear(d_model, kv_width, bias=use_bias)
        self.output = nn.Linear(d_model, d_model, bias=use_bias)

    def forward(
        self,
        x: Float[Tensor, "batch query d_model"],
        *,
        context: Float[Tensor, "batch key d_model"] | KeyValue | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        rotary: Rotary | None = None,
        positions: Int[Tensor, "... query"] | None = None,
        cache: LayerCache | None = None,
    ) -> Float[Tensor, "batch query d_model"]:
        """From x to context (or x); mask and bias as in `scaled_dot_product_attention`.

        A context that stays the same may be given as its `keys_values`.
        With `rotary`, queries and keys are turned as in `apply_rotary`.
        With a cache, x holds the new positions only; their keys and values are appended to it,
        and positions go on from its length unless given.
        """
        query, key, value = self.project(x, context, cache, rotary=rotary, positions=positions)
        dropout = self.dropout if self.training else 0.0
        heads = self.attend(query, key, value, mask=mask, bias=bias, dropout=dropout)
        return self.output(rearrange(heads, "b h t k -> b t (h k)"))

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, **settings: Any
    ) -> Float[Tensor, "b h t k"] | tuple[Tensor, Tensor]:
        """What a head does: `scaled_dot_product_attention`, and something else in relatives."""
        return scaled_dot_product_attention(query, key, value, **settings)

    def attention_weights(
        self,
        x: Float[Tensor, "batch query d_model"],
        *,
        context: Float[Tensor, "batch key d_model"] | KeyValue | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        rotary: Rotary | None = None,
        positions: Int[Tensor, "... query"] | None = None,
    ) -> Float[Tensor, "batch heads query key"]:
        """The weights that `forward` would use, without dropout, to be looked at."""
        query, key, value = self.project(x, context, rotary=rotary, positions=positions)
        return self.attend(query, key, value, mask=mask, bias=bias, return_weights=True)[1]

    def project(
        self,
        x: Tensor,
        context: Tensor | KeyValue | None,
        cache: LayerCache | None = None,
        *,
        rotary: Rotary | None = None,
        positions: Tensor | None = None,
    ) -> tuple[Float[Tensor, "b h t k"], Float[Tensor, "b h s k"], Float[Tensor, "b h s k"]]:
        """Queries, keys and values by head; each key and value repeated for its query heads."""
        require_inputs(
            x, context, self.d_model, cache=cache, rotary=rotary, positions=positions
        )
        context = x if context is None else context
        query = rearrange(self.query(x), "b t (h k) -> b h t k", h=self.num_heads)
        key, value = context if isinstance(context, KeyValue) else self.keys_values(context)
        if rotary is not None:
            if positions is None:
                seen = 0 if cache is None else cache.length
                positions = torch.arange(seen, seen + x.shape[1], device=x.device)
            query = apply_rotary(query, rotary, positions=positions)
            key = apply_rotary(key, rotary, positions=positions)
        if cache is not None:
            key, value = cache.extend(key, value)
        group = self.num_heads // self.num_kv_heads
        return query, key.repeat_interleave(group, dim=1), value.repeat_interleave(group, dim=1)

    def keys_values(self, context: Float[Tensor, "batch key d_model"]) -> KeyValue:
        """The context's keys and values by head."""
        key = rearrange(self.key(context), "b s (h k) -> b h s k", h=self.num_kv_heads)
        value = rearrange(self.value(context), "b s (h k) -> b h s k", h=self.num_kv_heads)
        return KeyValue(key, value)


def require_inputs(
    x: Tensor,
    context: Tensor | KeyValue | None,
    d_model: int,
    *,
    cache: LayerCache | None,
    rotary: Rotary | None,
    positions: Tensor | None,
) -> None:
    """Raises ValueError unless each is [batch, length, d_model], with what fits it.

    A cache and rotary positions go with x alone, positions with rotary ones.
    """
    if context is not None and (cache is not None or rotary is not None):
        shape = list((context.key if isinstance(context, KeyValue) else context).shape)
        given = "a cache keeps" if cache is not None else "rotary positions turn"
        raise ValueError(f"{given} the keys of x itself; got a context too, of shape {shape}")
    if positions is not None and rotary is None:
        shape = list(positions.shape)
        raise ValueError(f"got positions of shape {shape} without rotary tables to look up")
    require_sequence(x, "x", d_model=d_model)
    if isinstance(context, Tensor):
        require_sequence(context, "context", d_model=d_model)
