"""One layer of a Transformer.

Book: §1.2.1
"""

from collections.abc import Callable

from jaxtyping import Bool, Float
from torch import Tensor, nn

from llmbook.nn.feed_forward import FeedForward
from llmbook.nn.kv_cache import LayerCache
from llmbook.nn.multi_head import MultiHeadAttention
from llmbook.nn.norms import LayerNorm


class TransformerBlock(nn.Module):
    """Self-attention, cross-attention where asked for, feed-forward; around each a residual connection and a norm.

    Pre-norm: x ← x + f(norm(x)) (Xiong et al. 2020). Post-norm, as in Vaswani et al. 2017, section 3.1: x ← norm(x + f(x)).

    Args:
        norm_first: pre-norm if True.
        norm: callable, d_model → module.
        feed_forward: callable, (d_model, d_ff) → module; a `partial` for more.
        cross_attention: whether the layer looks at a context too, as a decoder's does.
        dropout: of attention weights, and of each sublayer's output.

    Raises:
        ValueError: a context or its mask where the layer has no cross-attention, or no context where it has.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        d_ff: int,
        *,
        norm_first: bool = True,
        norm: Callable[[int], nn.Module] = LayerNorm,
        feed_forward: Callable[[int, int], nn.Module] = FeedForward,
        cross_attention: bool = False,
        num_kv_heads: int | None = None,
        use_bias: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        self.norm_first = norm_first
        self.self_attention = MultiHeadAttention(
            d_model, num_heads, num_kv_heads=num_kv_heads, dropout=dropout, use_bias=use_bias
        )
        self.self_attention_norm = norm(d_model)
        if cross_attention:
            self.cross_attention = MultiHeadAttention(
                d_model, num_heads, num_kv_heads=num_kv_heads, dropout=dropout, use_bias=use_bias
            )
            self.cross_attention_norm = norm(d_model)
        else:
            self.cross_attention = None
        self.feed_forward = feed_forward(d_model, d_ff)
        self.feed_forward_norm = norm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Float[Tensor, "batch query d_model"],
        *,
        context: Float[Tensor, "batch key d_model"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        context_mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        cache: LayerCache | None = None,
    ) -> Float[Tensor, "batch query d_model"]:
        """`mask` and `bias` are the self-attention's, `context_mask` is the cross-attention's; `cache` keeps the self-attention's keys."""
        if (context is None) != (self.cross_attention is None):
            has = "no cross-attention" if self.cross_attention is None else "cross-attention"
            raise ValueError(f"this layer has {has}; it got {'no' if context is None else 'a'} context")
        if context is None and context_mask is not None:
            raise ValueError(f"got a context_mask of shape {list(context_mask.shape)} without a context")
        x = self.sublayer(
            x, self.self_attention_norm, lambda x: self.self_attention(x, mask=mask, bias=bias, cache=cache)
        )
        if self.cross_attention is not None:
            attend = self.cross_attention
            x = self.sublayer(x, self.cross_attention_norm, lambda x: attend(x, context=context, mask=context_mask))
        return self.sublayer(x, self.feed_forward_norm, self.feed_forward)

    def sublayer(self, x: Tensor, norm: nn.Module, f: Callable[[Tensor], Tensor]) -> Tensor:
        """The residual connection and the norm around one of the three."""
        return x + self.dropout(f(norm(x))) if self.norm_first else norm(x + self.dropout(f(x)))
