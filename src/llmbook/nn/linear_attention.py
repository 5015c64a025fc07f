"""Linear attention: with a kernel in place of the softmax, sums over keys are shared.

Book: §2.1.2
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from llmbook.checks import require_positive
from llmbook.nn.dot_product import require_fitting
from llmbook.nn.kv_cache import LayerCache
from llmbook.nn.masks import require_causal
from llmbook.nn.multi_head import KeyValue, MultiHeadAttention
from llmbook.nn.precision import at_least_float32

Features = Callable[[Tensor], Tensor]  # [batch, heads, length, K] → [batch, heads, length, F]


def elu_plus_one(x: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
    """elu(x) + 1: x + 1 where x > 0, else eˣ, so always positive.

    Katharopoulos et al. 2020, equation 7. Written as eˣ since the sum of 1 and elu(x) rounds to
    0 far below 0.
    """
    return torch.where(x > 0, x + 1, x.clamp(max=0).exp())


class LinearState(NamedTuple):
    """What generation keeps of all earlier keys and values: two sums, however many they are."""

    numerator: Float[Tensor, "batch heads features value_dim"]  # Σ_j φ(k_j) v_jᵀ
    denominator: Float[Tensor, "batch heads features"]  # Σ_j φ(k_j)


def linear_attention(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    *,
    causal: bool,
    features: Features = elu_plus_one,
    chunk_size: int = 64,
) -> Float[Tensor, "batch heads query value_dim"]:
    """φ(q_i)ᵀ Σ_j φ(k_j) v_jᵀ / φ(q_i)ᵀ Σ_j φ(k_j), sums over the keys that i may attend to.

    Katharopoulos et al. 2020, equation 5, and with `causal` equations 8-12; their S_i and Z_i
    are the parts of our `LinearState`. Weights are in proportion to φ(q_i)·φ(k_j), but since
    (φ(q_i)ᵀ φ(k_j)) v_jᵀ = φ(q_i)ᵀ (φ(k_j) v_jᵀ) none of the T · S is made. With `causal` the
    sums go from chunk to chunk (`linear_step`), and weights are made within a chunk only:
    memory is linear in length, for what backward keeps too.

    Args:
        causal: query i sees key j where j <= i + S − T, as in `causal_mask`.
        features: φ, of each position by itself. Where the products of a query with all its keys
            are 0, the output is 0.
        chunk_size: queries taken at once; the result is the same up to rounding.

    Leaves out: the kernel that keeps the sums in fast memory and does not store them.

    Raises:
        ValueError: shapes that do not fit, more queries than keys with `causal`, a
            chunk_size < 1.
    """
    require_fitting(query, key, value, None, None)
    require_positive(chunk_size=chunk_size)
    earlier = key.shape[2] - query.shape[2] if causal else key.shape[2]
    if earlier < 0:
        raise ValueError(
            f"causal, with {query.shape[2]} queries and {key.shape[2]} keys; "
            "expected no more queries than keys"
        )
    state = sums(mapped(features, key[:, :, :earlier]), value[:, :, :earlier])
    if not causal:
        return quotient(*read(state, mapped(features, query))).to(value.dtype)
    outputs = []
    later = (query, key[:, :, earlier:], value[:, :, earlier:])
    for chunk in zip(*(x.split(chunk_size, dim=2) for x in later), strict=True):
        output, state = linear_step(state, *chunk, features=features)
        outputs.append(output)
    return torch.cat(outputs, dim=2)


def linear_step(
    state: LinearState | None,
    query: Float[Tensor, "batch heads new head_dim"],
    key: Float[Tensor, "batch heads new head_dim"],
    value: Float[Tensor, "batch heads new value_dim"],
    *,
    features: Features = elu_plus_one,
) -> tuple[Float[Tensor, "batch heads new value_dim"], LinearState]:
    """The outputs of one or more new positions, and the state with them in it.

    s ← s + φ(k) vᵀ, z ← z + φ(k), then y = φ(q)ᵀ s / φ(q)ᵀ z: a recurrent network whose state
    has a fixed size. Katharopoulos et al. 2020, equations 16-20; s is our `numerator`, z our
    `denominator`. Several new positions see each other causally.

    Args:
        state: of all earlier positions; None if there is none.

    Raises:
        ValueError: shapes that do not fit, also to the state.
    """
    require_fitting(query, key, value, None, None)
    phi_query, phi_key = mapped(features, query), mapped(features, key)
    state = sums(phi_key[:, :, :0], value[:, :, :0]) if state is None else state
    require_step(state, phi_query, phi_key, value)
    weights = (phi_query @ phi_key.mT).tril()  # of the new positions to each other
    numerator, denominator = read(state, phi_query)
    numerator = numerator + weights @ at_least_float32(value)
    output = quotient(numerator, denominator + weights.sum(dim=-1))
    new = sums(phi_key, value)
    state = LinearState(state.numerator + new.numerator, state.denominator + new.denominator)
    return output.to(value.dtype), state


def mapped(features: Features, x: Tensor) -> Float[Tensor, "batch heads length features"]:
    """φ(x), at least in float32."""
    phi = features(at_least_float32(x))
    if phi.ndim != 4 or phi.shape[:3] != x.shape[:3]:
        given, expected = list(phi.shape), list(x.shape[:3])
        raise ValueError(f"features have shape {given}; expected {expected} and any width")
    return phi


def sums(phi_key: Tensor, value: Tensor) -> LinearState:
    """Those over all keys given."""
    return LinearState(phi_key.mT @ at_least_float32(value), phi_key.sum(dim=2))


def read(state: LinearState, phi_query: Tensor) -> tuple[Tensor, Tensor]:
    """φ(q)ᵀ s, [batch, heads, query, value_dim], and φ(q)ᵀ z, [batch, heads, query]."""
    return phi_query @ state.numerator, (phi_query @ state.denominator[..., None])[..., 0]


def quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The outputs; 0 where no key has a weight."""
    return numerator / denominator.masked_fill(denominator == 0, 1)[..., None]


def require_step(state: LinearState, phi_query: Tensor, phi_key: Tensor, value: Tensor) -> None:
    """Raises ValueError unless there are as many queries as keys, and the state fits them."""
    if phi_query.shape != phi_key.shape:
        raise ValueError(
            f"features of queries have shape {list(phi_query.shape)}, of keys "
            f"{list(phi_key.shape)}; expected one shape: each new position has both"
        )
    given = [list(part.shape) for part in state]
    denominator = [*phi_key.shape[:2], phi_key.shape[3]]
    expected = [[*denominator, value.shape[3]], denominator]
    if given != expected:
        raise ValueError(
            f"the state's numerator and denominator have shapes {given}; expected {expected}"
        )


class LinearAttention(MultiHeadAttention):
    """Multi-head attention whose heads are causal `linear_attention`, with or without a mask.

    Katharopoulos et al. 2020, section 3.3.

    Args:
        features: φ, of a head's queries and keys [batch, heads, length, head_dim].

    The rest is as in `MultiHeadAttention`, but there is nothing to drop: dropout must be 0.

    Leaves out: masks of any other kind, and a cache that keeps a `LinearState`.

    Raises:
        ValueError: as there; any dropout, a bias, a cache, a mask that is not `causal_mask`.
    """

    def __init__(
        self,
        d_model: int,
        num_heads: int,
        *,
        dropout: float = 0.0,
        features: Features = elu_plus_one,
        **settings: Any,
    ):
        super().__init__(d_model, num_heads, **settings)
        if dropout != 0:
            raise ValueError(f"dropout is {dropout}; linear attention has no weights to drop")
        self.features = features

    def project(
        self,
        x: Tensor,
        context: Tensor | KeyValue | None,
        cache: LayerCache | None = None,
        **settings: Any,
    ) -> tuple[Float[Tensor, "b h t k"], Float[Tensor, "b h s k"], Float[Tensor, "b h s k"]]:
        """As `MultiHeadAttention`; the last positions of a context are those of x."""
        if cache is not None:
            raise ValueError("got a cache; linear attention has no scores and keeps no keys")
        return super().project(x, context, **settings)

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
        """Causal `linear_attention`; a weight is the output if each value is its one-hot.

        A mask is compared with `causal_mask`, as far as its values can be looked at.
        """
        if bias is not None:
            shape = list(bias.shape)
            raise ValueError(f"got a bias of shape {shape}; linear attention has no scores")
        require_fitting(query, key, value, mask, None)
        require_causal(mask, query.shape[2], key.shape[2])
        heads = linear_attention(query, key, value, causal=True, features=self.features)
        if not return_weights:
            return heads
        one_hot = torch.eye(key.shape[2]).to(value).expand(*key.shape[:3], -1)
        return heads, linear_attention(query, key, one_hot, causal=True, features=self.features)
