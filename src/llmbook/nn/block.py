"""One layer of a Transformer.

Book: §1.2.1
"""

from collections.abc import Callable
from functools import partial

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.nn.feed_forward import FeedForward
from llmbook.nn.kv_cache import LayerCache
from llmbook.nn.multi_head import KeyValue, MultiHeadAttention
from llmbook.nn.norms import LayerNorm
from llmbook.nn.rotary import Rotary


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention where asked for, feed-forward: three sublayers f.

    Pre-norm: x ← x + f(norm(x)) (Xiong et al. 2020).
    Post-norm: x ← norm(x + f(x)) (Vaswani et al. 2017, section 3.1).

    Args:
        norm_first: pre-norm if True.
        norm: callable, d_model → module.
        attention: callable like `MultiHeadAttention`, for self-attention; a `partial` for more.
        feed_forward: callable, (d_model, d_ff) → module; a `partial` for more.
        cross_attention: whether the layer looks at a context too, as a decoder's does.
        dropout: of attention weights, and of each sublayer's output.

    Raises:
        ValueError: a context or its mask where the layer has no cross-attention, or no
            context where it has.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        *,
        norm_first: bool = True,
        norm: Callable[[int], nn.Module] = LayerNorm,
        attention: Callable[..., nn.Module] = MultiHeadAttention,
        feed_forward: Callable[[int, int], nn.Module] = FeedForward,
        cross_attention: bool = False,
        num_kv_heads: int | None = None,
        use_bias: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.norm_first = norm_first
        heads = dict(num_kv_heads=num_kv_heads, dropout=dropout, use_bias=use_bias)
        self.self_attention = attention(d_model, num_heads, **heads)
        self.self_attention_norm = norm(d_model)
        self.cross_attention = (
            MultiHeadAttention(d_model, num_heads, **heads) if cross_attention else None
        )
        self.cross_attention_norm = norm(d_model) if cross_attention else None
        self.feed_forward = feed_forward(d_model, d_ff)
        self.feed_forward_norm = norm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch query d_model"],
        *,
        context: Float[Tensor, "batch key d_model"] | KeyValue | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        context_mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        rotary: Rotary | None = None,
        positions: Int[Tensor, "... query"] | None = None,
        cache: LayerCache | None = None,
    ) -> Float[Tensor, "batch query d_model"]:
        """Cross-attention uses `context` and `context_mask`, self-attention all the others."""
        require_context(context, context_mask, self.cross_attention)
        attend_self = partial(
            self.self_attention,
            mask=mask,
            bias=bias,
            rotary=rotary,
            positions=positions,
            cache=cache,
        )
        x = self.sublayer(x, self.self_attention_norm, attend_self)
        if self.cross_attention is not None:
            attend_context = partial(self.cross_attention, context=context, mask=context_mask)
            x = self.sublayer(x, self.cross_attention_norm, attend_context)
        return self.sublayer(x, self.feed_forward_norm, self.feed_forward)

    def sublayer(self, x: Tensor, norm: nn.Module, f: Callable[[Tensor], Tensor]) -> Tensor:
        """The residual connection and the norm around f."""
        if self.norm_first:
            return x + self.dropout(f(norm(x)))
        return norm(x + self.dropout(f(x)))


def require_context(
    context: Tensor | KeyValue | None,
    context_mask: Tensor | None,
    cross_attention: nn.Module | None,
) -> None:
    """Raises ValueError unless a context comes just where there is cross-attention to it."""
    if (context is None) != (cross_attention is None):
        has = "no cross-attention" if cross_attention is None else "cross-attention"
        got = "no" if context is None else "a"
        raise ValueError(f"this layer has {has}; it got {got} context")
    if context is None and context_mask is not None:
        shape = list(context_mask.shape)
        raise ValueError(f"got a context_mask of shape {shape} without a context")
