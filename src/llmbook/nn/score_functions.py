"""How a query and a key make a score: products, cosines, a small network.

All map query [batch, heads, query, head_dim] and key [batch, heads, key, head_dim] to scores
[batch, heads, query, key], of which a softmax over the keys makes attention weights.

Book: §2.1.1
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from llmbook.checks import require_above_zero, require_positive
from llmbook.nn.dot_product import require_fitting, scaled_dot_product_attention
from llmbook.nn.multi_head import MultiHeadAttention
from llmbook.nn.precision import at_least_float32

Query = Float[Tensor, "batch heads query head_dim"]
Key = Float[Tensor, "batch heads key head_dim"]
Scores = Float[Tensor, "batch heads query key"]


def dot_product(query: Query, key: Key) -> Scores:
    """q · k.

    Luong et al. 2015, section 3.1, "dot". Where the entries of both are independent, of mean 0
    and variance 1, it has variance head_dim.

    Raises:
        ValueError: shapes that do not fit.
    """
    require_pair(query, key)
    return at_least_float32(query) @ at_least_float32(key).mT


def scaled_dot_product(query: Query, key: Key) -> Scores:
    """q · k / √head_dim: variance 1 where q · k has variance head_dim.

    Vaswani et al. 2017, section 3.2.1; their d_k is our head_dim.

    Raises:
        ValueError: shapes that do not fit.
    """
    return dot_product(query, key) / math.sqrt(query.shape[-1])


def cosine(query: Query, key: Key, *, eps: float = 1e-8) -> Scores:
    """q · k / (max(‖q‖, eps) max(‖k‖, eps)), between −1 and 1 whatever the lengths.

    The softmax of such scores is nearly flat, so a gain multiplies them: `CosineGain`.

    Raises:
        ValueError: shapes that do not fit, eps <= 0.
    """
    require_above_zero(eps=eps)
    require_pair(query, key)
    unit_query = F.normalize(at_least_float32(query), dim=-1, eps=eps)
    unit_key = F.normalize(at_least_float32(key), dim=-1, eps=eps)
    return unit_query @ unit_key.mT


class CosineGain(nn.Module):
    """g_h cos(q, k), with one learned gain g for each head h; all start at `gain`.

    Henry et al. 2020 (query-key normalization), who have one g for all heads and start it at
    log₂(L² − L), with L a length that few training sequences exceed. The parameter is g itself.

    Leaves out: the form of Swin v2 (Liu et al. 2022, section 3.3), where 1 / τ is our g, kept
    positive as the exponential of a parameter, and at most 100.

    Raises:
        ValueError: num_heads < 1, gain <= 0, shapes that do not fit.
    """

    def __init__(self, num_heads: int, gain: float):
        super().__init__()
        require_positive(num_heads=num_heads)
        require_above_zero(gain=gain)
        self.gain = nn.Parameter(torch.full((num_heads,), float(gain)))

    def forward(self, query: Query, key: Key) -> Scores:
        require_pair(query, key, len(self.gain))
        return self.gain[:, None, None] * cosine(query, key)


class Multiplicative(nn.Module):
    """qᵀ W_h k, with one matrix W for each head h.

    Luong et al. 2015, section 3.1, "general"; their h_t is our q, their h̄_s our k. Each W is
    I / √head_dim at first, which makes it the scaled dot product.

    Raises:
        ValueError: num_heads or head_dim < 1, shapes that do not fit.
    """

    def __init__(self, num_heads: int, head_dim: int):
        super().__init__()
        require_positive(num_heads=num_heads, head_dim=head_dim)
        identity = torch.eye(head_dim).repeat(num_heads, 1, 1)
        self.weight = nn.Parameter(identity / math.sqrt(head_dim))

    def forward(self, query: Query, key: Key) -> Scores:
        require_pair(query, key, *self.weight.shape[:2])
        return dot_product(query @ self.weight, key)


class Additive(nn.Module):
    """v_hᵀ tanh(W_h q + U_h k), a network with a layer of width `hidden` for each head h.

    Bahdanau et al. 2015, appendix A.1.2; their s_{i−1} is our q, their h_j our k. No score is
    above Σ |v|. Each pair of a query and a key has a hidden layer of its own: memory
    batch · heads · query · key · hidden, where products need no more than the scores.

    Raises:
        ValueError: a size < 1, shapes that do not fit.
    """

    def __init__(self, num_heads: int, head_dim: int, hidden: int):
        super().__init__()
        require_positive(num_heads=num_heads, head_dim=head_dim, hidden=hidden)
        matrices = torch.randn(2, num_heads, head_dim, hidden) / math.sqrt(head_dim)
        self.query_weight, self.key_weight = map(nn.Parameter, matrices)
        self.v = nn.Parameter(torch.randn(num_heads, hidden) / math.sqrt(hidden))

    def forward(self, query: Query, key: Key) -> Scores:
        require_pair(query, key, *self.query_weight.shape[:2])
        from_query = at_least_float32(query @ self.query_weight)[:, :, :, None]
        from_key = at_least_float32(key @ self.key_weight)[:, :, None]
        hidden = torch.tanh(from_query + from_key)
        return torch.einsum("bhtsn,hn->bhts", hidden, self.v.to(hidden.dtype))


def scored_attention(
    query: Query,
    key: Key,
    value: Float[Tensor, "batch heads key value_dim"],
    *,
    score: Callable[[Tensor, Tensor], Tensor],
    mask: Bool[Tensor, "..."] | None = None,
    bias: Float[Tensor, "..."] | None = None,
    dropout: float = 0.0,
) -> tuple[Float[Tensor, "batch heads query value_dim"], Scores]:
    """softmax(score(Q, K) + bias) V and its weights, else as `scaled_dot_product_attention`.

    It is that function with queries and keys of zero, whose products are 0, and the scores
    added to them as a bias: what it does for masks and empty rows holds here as well.

    Raises:
        ValueError: as there, or scores of another shape than [batch, heads, query, key].
    """
    require_fitting(query, key, value, mask, bias)
    scores = score(query, key)
    given, expected = list(scores.shape), [*query.shape[:3], key.shape[2]]
    if given != expected:
        raise ValueError(
            f"score gives {given}; expected [batch, heads, query, key] = {expected}"
        )
    zero_query, zero_key = torch.zeros_like(query[..., :1]), torch.zeros_like(key[..., :1])
    bias = scores if bias is None else scores + bias
    return scaled_dot_product_attention(
        zero_query, zero_key, value, mask=mask, bias=bias, dropout=dropout, return_weights=True
    )


class ScoredAttention(MultiHeadAttention):
    """Multi-head attention with a score of one's own instead of the scaled dot product.

    With rotary positions, `score` sees turned queries and keys. Only what is made of q · k,
    ‖q‖ and ‖k‖ then depends on differences of positions alone; W and tanh undo that.

    Args:
        score: maps query [B H T K] and key [B H S K] to scores [B H T S]; a module's
            parameters are learned with the others. Keys are repeated for their query heads.

    The rest is as in `MultiHeadAttention`.

    Raises:
        ValueError: as there, and as in `scored_attention`.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        score: Callable[[Tensor, Tensor], Tensor],
        **settings: Any,
    ):
        super().__init__(d_model, num_heads, **settings)
        self.score = score

    def attend(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        *,
        return_weights: bool = False,
        **settings: Any,
    ) -> Float[Tensor, "b h t k"] | tuple[Tensor, Tensor]:
        """`scored_attention` by this score."""
        found = scored_attention(query, key, value, score=self.score, **settings)
        return found if return_weights else found[0]


def require_pair(
    query: Tensor, key: Tensor, num_heads: int | None = None, head_dim: int | None = None
) -> None:
    """Raises ValueError unless query is [B H T K] and key [B H S K], with H and K if given."""
    q, k = list(query.shape), list(key.shape)
    fit = len(q) == len(k) == 4 and q[:2] == k[:2] and q[3] == k[3] > 0
    if not fit or num_heads not in (None, q[1]) or head_dim not in (None, q[3]):
        h, width = num_heads or "H", head_dim or "K >= 1"
        expected = f"query [B, {h}, T, {width}] and key [B, {h}, S, {width}]"
        raise ValueError(f"expected {expected}; got query {q}, key {k}")
