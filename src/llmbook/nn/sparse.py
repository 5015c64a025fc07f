"""Attention that computes only the scores that a sparse pattern needs.

Queries are cut into blocks; each block gathers the keys that one of its queries may see.

Book: §2.3.2
"""

from typing import Any

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from llmbook.checks import require_at_least, require_positive
from llmbook.nn.dot_product import require_fitting, scaled_dot_product_attention
from llmbook.nn.kv_cache import LayerCache
from llmbook.nn.masks import require_causal
from llmbook.nn.multi_head import KeyValue, MultiHeadAttention
from llmbook.nn.sparse_masks import require_layout, sink_mask


def local_attention(
    query: Float[Tensor, "batch heads length head_dim"],
    key: Float[Tensor, "batch heads length head_dim"],
    value: Float[Tensor, "batch heads length value_dim"],
    *,
    window: int,
    causal: bool = True,
    num_sinks: int = 0,
    dropout: float = 0.0,
) -> Float[Tensor, "batch heads length value_dim"]:
    """Attention under `sliding_window_mask`, or `sink_mask`, in O(length · window).

    Beltagy et al. 2020 (Longformer), section 3.1; sinks: Xiao et al. 2024, section 3.2. A block
    of `window` queries needs the keys of its own block and of the one before, without `causal`
    also of the one after: 2 or 3 · window scores for a query instead of `length`, of which the
    mask hides a half or a third. Sinks add their number.

    Args:
        window: positions seen, i itself counted; without `causal`, `window − 1` to each side.
        num_sinks: so many first positions are seen by all later ones; only with `causal`.
        dropout: the share of weights that is set to 0, the others being scaled up.

    Leaves out: a fused kernel, which neither copies keys nor keeps the weights for backward.

    Raises:
        ValueError: shapes that do not fit, `window` < 1, sinks without `causal`.
    """
    require_fitting(query, key, value, None, None)
    require_positive(window=window)
    require_at_least(0, num_sinks=num_sinks)
    length = query.shape[2]
    if key.shape[2] != length:
        raise ValueError(f"got {length} queries and {key.shape[2]} keys; expected as many")
    if num_sinks and not causal:
        raise ValueError(f"num_sinks is {num_sinks} without causal; expected 0")
    size = max(1, min(window, length))
    i = torch.arange(-(-length // size) * size, device=query.device).view(-1, size, 1)
    near = torch.arange(-size, size if causal else 2 * size, device=query.device)
    j = i[:, :1] + near  # [blocks, 1, keys of the neighbourhood]
    seen = (j >= 0) & (j < length) & (i - j < window) & (j <= i if causal else j - i < window)
    sinks = torch.arange(min(num_sinks, length), device=query.device).expand(len(i), 1, -1)
    far = i - sinks >= window  # the others are seen as neighbours
    gathered, mask = torch.cat([j, sinks], dim=-1)[:, 0], torch.cat([seen, far], dim=-1)
    return attention_by_block(query, key, value, gathered, mask, dropout=dropout)


def block_sparse_attention(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    *,
    layout: Bool[Tensor, "query_blocks key_blocks"],
    block_size: int,
    causal: bool,
) -> Float[Tensor, "batch heads query value_dim"]:
    """Attention under `block_mask`: each block of queries meets only its blocks of keys.

    Child et al. 2019, section 5.5. Rows of the layout are padded to the longest one, m blocks:
    the cost is O(query · m · block_size), so that one global row costs as much as if all were.
    With `causal`, queries are the last rows, as in `causal_mask`.

    Leaves out: a kernel that takes rows of different lengths, and skips what `causal` hides.

    Raises:
        ValueError: shapes that do not fit, among them the layout's, `block_size` < 1, more
            queries than keys with `causal`.
    """
    require_fitting(query, key, value, None, None)
    query_len, key_len = query.shape[2], key.shape[2]
    require_layout(layout, query_len, key_len, block_size)
    if causal and key_len < query_len:
        raise ValueError(f"got {query_len} queries, {key_len} keys; causal needs as many keys")
    present, block = layout.to(query.device).int().sort(dim=1, descending=True, stable=True)
    in_use = present.any(dim=0)
    present, block = present[:, in_use].bool(), block[:, in_use]  # [query_blocks, m]
    offset = torch.arange(block_size, device=query.device)
    i = torch.arange(len(layout), device=query.device)[:, None] * block_size + offset
    j = (block[..., None] * block_size + offset).flatten(1)
    seen = (present.repeat_interleave(block_size, dim=1) & (j < key_len))[:, None]
    if causal:
        seen = seen & (j[:, None] <= i[..., None] + key_len - query_len)
    return attention_by_block(query, key, value, j, seen.expand(-1, block_size, -1))


def attention_by_block(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    gathered: Int[Tensor, "blocks gathered"],
    mask: Bool[Tensor, "blocks size gathered"],
    *,
    dropout: float = 0.0,
) -> Float[Tensor, "batch heads query value_dim"]:
    """Block n of `size` queries attends to the keys at gathered[n], where mask[n] is True.

    An index outside the keys is allowed where the mask hides it.
    """
    (batch, heads, query_len, _), (blocks, size, _) = query.shape, mask.shape
    gathered = gathered.clamp(0, max(0, key.shape[2] - 1))
    query = F.pad(query, (0, 0, 0, blocks * size - query_len)).unflatten(2, (blocks, size))
    # Blocks take the place of heads, batch and heads together that of the batch.
    by_block = (x.flatten(0, 1) for x in (query, key[:, :, gathered], value[:, :, gathered]))
    output = scaled_dot_product_attention(*by_block, mask=mask[None], dropout=dropout)
    assert isinstance(output, Tensor)  # no weights were asked for
    return rearrange(output, "(b h) n s v -> b h (n s) v", b=batch, h=heads)[:, :, :query_len]


class LocalAttention(MultiHeadAttention):
    """Multi-head self-attention in which each position sees the last `window` ones and sinks.

    Always causal, by `local_attention`: equal to `MultiHeadAttention` under `sink_mask`.

    Args:
        window: positions seen, a position itself counted.
        num_sinks: so many first positions are seen by all later ones.

    Leaves out: padding, a bias, a context and a cache; it refuses all four. To generate with a
    cache, use the same weights in `MultiHeadAttention` with the sliding-window mask.

    Raises:
        ValueError: what `MultiHeadAttention` refuses, `window` < 1, a negative number of sinks,
            any mask but the plain causal one.
    """

    def __init__(
        self, d_model: int, num_heads: int, *, window: int, num_sinks: int = 0, **settings: Any
    ):
        require_positive(window=window)
        require_at_least(0, num_sinks=num_sinks)
        super().__init__(d_model, num_heads, **settings)
        self.window, self.num_sinks = window, num_sinks

    def project(
        self,
        x: Tensor,
        context: Tensor | KeyValue | None,
        cache: LayerCache | None = None,
        **settings: Any,
    ) -> tuple[Float[Tensor, "b h t k"], Float[Tensor, "b h s k"], Float[Tensor, "b h s k"]]:
        """As `MultiHeadAttention`, from x to x, all of it at once."""
        require_plain(context=context, cache=cache)
        return super().project(x, None, **settings)

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
        """`local_attention`; the weights, to be looked at, as a dense matrix.

        The causal mask, if given, is compared in O(length²) and not used.
        """
        require_plain(bias=bias)
        require_fitting(query, key, value, mask, None)
        require_causal(mask, query.shape[2], key.shape[2])
        window, num_sinks = self.window, self.num_sinks
        if return_weights:
            seen = sink_mask(query.shape[2], window, num_sinks).to(query.device)
            return super().attend(query, key, value, mask=seen, return_weights=True)
        return local_attention(
            query, key, value, window=window, num_sinks=num_sinks, dropout=dropout
        )


def require_plain(**options: object) -> None:
    """Raises ValueError if one is given that local attention cannot take."""
    for name, given in options.items():
        if given is not None:
            raise ValueError(
                f"got a {name} ({type(given).__name__}); local attention takes none: use "
                "MultiHeadAttention with the sliding-window mask"
            )
