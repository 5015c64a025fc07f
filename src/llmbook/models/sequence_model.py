"""One language model, three ways for a token to learn of those before it.

Book: §1.1.2
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from llmbook.checks import (
    has_values,
    require_divides,
    require_even,
    require_one_of,
    require_positive,
    require_share,
)
from llmbook.models.decoding_bytes import decoding_bytes
from llmbook.models.initialization import initialize
from llmbook.models.inputs import real_tokens, seen_and_positions
from llmbook.nn import (
    LSTM,
    CausalConv1d,
    FeedForward,
    KVCache,
    LayerCache,
    LayerNorm,
    LayerState,
    LSTMState,
    MultiHeadAttention,
    NoPositions,
    Positions,
    SinusoidalPositions,
    causal_mask,
)

MIXERS = ("attention", "recurrence", "convolution")
NORMS = ("pre", "post", "none")


@dataclass(frozen=True, kw_only=True)
class SequenceModelConfig:
    """Sizes of a `SequenceModel`.

    `mixer` is "attention", "recurrence" or "convolution". Whichever it is, a layer has
    12 d_model² weights: what the mixer leaves, the feed-forward network gets. `kernel_size` is
    the convolution's, whose dilation doubles from layer to layer. `norm` is "pre", "post" or
    "none".
    """

    vocab_size: int
    mixer: str
    d_model: int = 128
    num_layers: int = 4
    num_heads: int = 4
    kernel_size: int = 3
    dropout: float = 0.0
    max_seq_len: int = 512
    norm: str = "pre"
    residual: bool = True

    def __post_init__(self) -> None:
        require_positive(
            vocab_size=self.vocab_size,
            d_model=self.d_model,
            num_layers=self.num_layers,
            num_heads=self.num_heads,
            max_seq_len=self.max_seq_len,
        )
        require_even(d_model=self.d_model)
        require_divides(num_heads=self.num_heads, d_model=self.d_model)
        require_one_of("mixer", self.mixer, MIXERS)
        require_one_of("norm", self.norm, NORMS)
        require_share(dropout=self.dropout)
        if not 2 <= self.kernel_size <= 5:
            raise ValueError(f"kernel_size is {self.kernel_size}; expected 2 … 5")

    @property
    def d_ff(self) -> int:
        """So that mixer (4, 8 or 2k d²) and feed-forward network (2 d d_ff) have 12 d²."""
        left = {"attention": 8, "recurrence": 4, "convolution": 12 - 2 * self.kernel_size}
        return left[self.mixer] * self.d_model // 2


class Attention(nn.Module):
    """Causal self-attention: each token looks at all before it."""

    def __init__(self, config: SequenceModelConfig):
        super().__init__()
        self.attention = MultiHeadAttention(config.d_model, config.num_heads)

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        real: Bool[Tensor, "batch tokens"],
        seen: Bool[Tensor, "batch length"],
        cache: LayerCache | None,
    ) -> Float[Tensor, "batch tokens d_model"]:
        """Padding is seen by none: `seen` are the real tokens, those in the cache first."""
        mask = causal_mask(x.shape[1], seen.shape[1]).to(x.device) & seen[:, None, None]
        return self.attention(x, mask=mask, cache=cache)


class Recurrence(nn.Module):
    """An LSTM: each token gets a state of fixed size from the one before it."""

    def __init__(self, config: SequenceModelConfig):
        super().__init__()
        self.lstm = LSTM(config.d_model, config.d_model)

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        real: Bool[Tensor, "batch tokens"],
        seen: Bool[Tensor, "batch length"],
        cache: LayerState | None,
    ) -> Float[Tensor, "batch tokens d_model"]:
        """Padding leaves the state as it is; the cache holds the state after the last token."""
        state = LSTMState(*cache.state) if cache is not None and cache.state else None
        padded = not has_values(real) or not real.all()
        output, state = self.lstm(x, state=state, mask=real if padded else None)
        if cache is not None:
            cache.state = tuple(state)
        return output


class Convolution(nn.Module):
    """a · σ(b), where (a, b) is a causal convolution: a token looks at itself and k − 1 before.

    The gated linear unit of Dauphin et al. 2017, as in Gehring et al. 2017.
    """

    def __init__(self, config: SequenceModelConfig, dilation: int):
        super().__init__()
        width = config.d_model
        self.convolution = CausalConv1d(width, 2 * width, config.kernel_size, dilation=dilation)

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        real: Bool[Tensor, "batch tokens"],
        seen: Bool[Tensor, "batch length"],
        cache: LayerState | None,
    ) -> Float[Tensor, "batch tokens d_model"]:
        """Padding counts as 0; the cache holds the inputs that the next tokens reach."""
        x = x * real[:, :, None]
        past = None
        if cache is not None:
            reach = self.convolution.reach
            (past,) = cache.state or (x.new_zeros(x.shape[0], reach, x.shape[2]),)
            kept = torch.cat([past, x], dim=1)
            cache.state = (kept[:, kept.shape[1] - reach :],)
        return F.glu(self.convolution(x, past=past), dim=-1)


class Layer(nn.Module):
    """Mix tokens, then transform each alone; norm and residual connection around both."""

    def __init__(self, config: SequenceModelConfig, index: int):
        super().__init__()
        self.norm_place, self.residual = config.norm, config.residual
        self.mixer = {
            "attention": partial(Attention, config),
            "recurrence": partial(Recurrence, config),
            "convolution": partial(Convolution, config, 2**index),
        }[config.mixer]()
        self.feed_forward = FeedForward(config.d_model, config.d_ff)
        make_norm = nn.Identity if config.norm == "none" else partial(LayerNorm, config.d_model)
        self.mixer_norm, self.feed_forward_norm = make_norm(), make_norm()
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        real: Bool[Tensor, "batch tokens"],
        seen: Bool[Tensor, "batch length"],
        cache: LayerCache | LayerState | None,
    ) -> Float[Tensor, "batch tokens d_model"]:
        """`real`: which new tokens are; `seen`: the same with those in the cache first."""
        mix = partial(self.mixer, real=real, seen=seen, cache=cache)
        x = self.sublayer(x, self.mixer_norm, mix)
        return self.sublayer(x, self.feed_forward_norm, self.feed_forward)

    def sublayer(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        norm: nn.Module,
        f: Callable[[Tensor], Tensor],
    ) -> Float[Tensor, "batch tokens d_model"]:
        """x + f(norm(x)), norm(x + f(x)) or x + f(x), as the configuration says."""
        before = norm(x) if self.norm_place == "pre" else x
        y = self.dropout(f(before))
        y = x + y if self.residual else y
        return norm(y) if self.norm_place == "post" else y


class SequenceModel(nn.Module):
    """Embedding, layers, scores of the next token; only the mixers differ.

    Attention gets sinusoidal positions; the other two know the order anyway. Embedding and
    output share one matrix. Pre-norm ends in one more norm.

    Raises:
        ValueError: ids that are not integers [batch, tokens] or not in the vocabulary, a mask
            of another shape, a sequence longer than max_seq_len.
    """

    positions: Positions

    def __init__(self, config: SequenceModelConfig):
        super().__init__()
        self.config, d_model = config, config.d_model
        self.embedding = nn.Embedding(config.vocab_size, d_model)
        self.positions = (
            SinusoidalPositions(config.max_seq_len, d_model)
            if config.mixer == "attention"
            else NoPositions()
        )
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.num_layers))
        self.norm = LayerNorm(d_model) if config.norm == "pre" else nn.Identity()
        initialize(self)

    def forward(
        self,
        token_ids: Int[Tensor, "batch tokens"],
        *,
        token_mask: Bool[Tensor, "batch tokens"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch tokens vocab_size"]:
        """Scores of the token after each; with a cache, token_ids are the new ones only."""
        x = self.hidden(token_ids, token_mask=token_mask, cache=cache)
        return F.linear(x, self.embedding.weight)

    def hidden(
        self,
        token_ids: Int[Tensor, "batch tokens"],
        *,
        token_mask: Bool[Tensor, "batch tokens"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch tokens d_model"]:
        """What the scores are computed from."""
        real = real_tokens(token_ids, token_mask, self.config.vocab_size)
        seen, positions = seen_and_positions(real, cache, self.config.max_seq_len)
        if cache is not None:
            cache.extend_mask(real)
        x = self.embedding(token_ids) * self.config.d_model**0.5
        x = self.dropout(x + self.positions(positions).to(x.dtype))
        for index, layer in enumerate(self.layers):
            x = layer(x, real, seen, None if cache is None else cache.layers[index])
        return self.norm(x)

    def row_bytes(self, length: int) -> int:
        """Bytes of a row while it grows to this length; only attention keeps all of it."""
        kept = {
            "attention": 2 * length,
            "recurrence": 2,
            "convolution": (self.config.kernel_size - 1) * 2 ** (self.config.num_layers - 1),
        }
        return decoding_bytes(
            fixed=0,
            layer=kept[self.config.mixer] * self.config.d_model,
            num_layers=self.config.num_layers,
            output=self.embedding.weight,
        )

    def make_cache(self, batch_size: int) -> KVCache:
        """Keys and values for attention; for the others a state that does not grow."""
        kept = LayerCache if self.config.mixer == "attention" else LayerState
        return KVCache([kept() for _ in self.layers], batch_size, self.embedding.weight.device)
