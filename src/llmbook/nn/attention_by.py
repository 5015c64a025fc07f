"""Multi-head attention whose heads are computed by any function of queries, keys and values.

Book: §2.1.2
"""

from collections.abc import Callable

from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmbook.checks import has_values
from llmbook.nn.kv_cache import LayerCache
from llmbook.nn.linear_attention import require_causal
from llmbook.nn.multi_head import MultiHeadAttention
from llmbook.nn.rotary import Rotary


class AttentionBy(MultiHeadAttention):
    """Concat(head_1, …, head_h) W^O with heads = attend(Q, K, V), in place of exact attention.

    Args:
        attend: maps query [B H T K], key and value [B H T K] to heads [B H T K].
        causal: whether `attend` lets a position see itself and earlier ones only. What it does
            is not checked; the masks that it may be given are.

    The rest is as in `MultiHeadAttention`, but weights cannot be dropped.

    Raises:
        ValueError: as there; any dropout, a context, a bias, a cache; with `causal` a mask that
            is not `causal_mask`, without it a mask that hides anything.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        attend: Callable[[Tensor, Tensor, Tensor], Tensor],
        causal: bool,
        num_kv_heads: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
    ):
        super().__init__(d_model, num_heads, num_kv_heads=num_kv_heads, use_bias=use_bias)
        if dropout != 0:
            raise ValueError(f"dropout is {dropout}; such heads have no weights to drop")
        self.attend, self.causal = attend, causal

    def forward(
        self,
        x: Float[Tensor, "batch query d_model"],
        *,
        context: Tensor | None = None,
        mask: Bool[Tensor, "..."] | None = None,
        bias: Float[Tensor, "..."] | None = None,
        rotary: Rotary | None = None,
        positions: Int[Tensor, "... query"] | None = None,
        cache: LayerCache | None = None,
    ) -> Float[Tensor, "batch query d_model"]:
        """From x to x."""
        for name, given in dict(context=context, bias=bias, cache=cache).items():
            if given is not None:
                raise ValueError(f"got a {name}; heads by a function of Q, K and V take none")
        query, key, value = self.project(x, None, rotary=rotary, positions=positions)
        if self.causal:
            require_causal(query, key, value, mask)
        elif mask is not None and has_values(mask) and not mask.all():
            hidden = (~mask).sum().item()
            raise ValueError(
                f"the mask of shape {list(mask.shape)} hides {hidden} places; this attention "
                "is not causal and hides none"
            )
        return self.output(rearrange(self.attend(query, key, value), "b h t k -> b t (h k)"))
