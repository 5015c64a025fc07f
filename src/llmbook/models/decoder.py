"""A decoder-only Transformer, in which the way of telling positions can be chosen.

Book: §2.2.1
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.checks import (
    require_above_zero,
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
    FeedForward,
    KVCache,
    LayerCache,
    LayerNorm,
    LearnedPositions,
    MultiHeadAttention,
    NoPositions,
    Positions,
    RotaryScaling,
    ShawAttention,
    SinusoidalPositions,
    T5Bias,
    TransformerBlock,
    alibi_bias,
    rotary_tables,
)

POSITIONS = ("none", "sinusoidal", "learned", "shaw", "t5", "rotary", "alibi")


@dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """Sizes of a `Decoder`.

    `positions`: "sinusoidal" and "learned" add a vector to the embedding; "shaw" puts vectors
    into each layer's attention; "t5" and "alibi" add a bias to the scores; "rotary" turns
    queries and keys; "none" does nothing. `max_distance` is where "shaw" and "t5" stop telling
    distances apart. With a `window` a token sees itself and the `window` − 1 before it.
    `d_ff` is 4 d_model unless given.
    """

    vocab_size: int
    d_model: int = 128
    num_heads: int = 4
    num_kv_heads: int | None = None
    num_layers: int = 4
    d_ff: int | None = None
    dropout: float = 0.0
    max_seq_len: int = 512
    positions: str = "rotary"
    max_distance: int = 128
    window: int | None = None
    rope_base: float = 10_000.0
    rope_scaling: RotaryScaling | None = None
    norm_eps: float = 1e-5
    tie_embeddings: bool = True

    def __post_init__(self) -> None:
        optional = {"d_ff": self.d_ff, "window": self.window}
        require_positive(
            vocab_size=self.vocab_size,
            d_model=self.d_model,
            num_heads=self.num_heads,
            num_layers=self.num_layers,
            max_seq_len=self.max_seq_len,
            max_distance=self.max_distance,
            **{name: size for name, size in optional.items() if size is not None},
        )
        require_even(d_model=self.d_model)
        require_divides(num_heads=self.num_heads, d_model=self.d_model)
        if self.num_kv_heads is not None:
            require_divides(num_kv_heads=self.num_kv_heads, num_heads=self.num_heads)
        require_share(dropout=self.dropout)
        require_above_zero(norm_eps=self.norm_eps)
        require_one_of("positions", self.positions, POSITIONS)
        if self.positions == "rotary":
            require_even(head_dim=self.head_dim)

    @property
    def head_dim(self) -> int:
        return self.d_model // self.num_heads


class Decoder(nn.Module):
    """p(x_{t+1} | x_≤t) for every t at once: embedding, pre-norm blocks, norm, scores.

    Args:
        config: sizes, and how positions are told.
        attention, norm, feed_forward, use_bias: what the blocks are made of, as in
            `TransformerBlock`.
        scale_embedding: whether embeddings are multiplied by √d_model, as in Vaswani et al.
            2017, section 3.4; positions that are added have about half of their squared length.

    Raises:
        ValueError: ids that are not integers [batch, tokens] or not in the vocabulary, a mask
            of another shape, a sequence longer than max_seq_len.
    """

    positions: Positions

    def __init__(
        self,
        config: DecoderConfig,
        *,
        attention: Callable[..., nn.Module] = MultiHeadAttention,
        norm: Callable[..., nn.Module] = LayerNorm,
        feed_forward: Callable[[int, int], nn.Module] = FeedForward,
        use_bias: bool = True,
        scale_embedding: bool = True,
    ):
        super().__init__()
        self.config, d_model = config, config.d_model
        self.embedding = nn.Embedding(config.vocab_size, d_model)
        self.scale = d_model**0.5 if scale_embedding else 1.0
        added = {"sinusoidal": SinusoidalPositions, "learned": LearnedPositions}
        self.positions = (
            added[config.positions](config.max_seq_len, d_model)
            if config.positions in added
            else NoPositions()
        )
        self.rotary = (
            rotary_tables(
                config.head_dim,
                config.max_seq_len,
                base=config.rope_base,
                scaling=config.rope_scaling,
            )
            if config.positions == "rotary"
            else None
        )
        if config.positions == "shaw":
            attention = partial(ShawAttention, max_distance=config.max_distance)
        self.bias = {
            "t5": partial(
                T5Bias,
                config.num_heads,
                bidirectional=False,
                max_distance=config.max_distance,
            ),
            "alibi": lambda: partial(alibi_bias, config.num_heads),
        }.get(config.positions, lambda: None)()
        self.dropout = nn.Dropout(config.dropout)
        norm = partial(norm, eps=config.norm_eps)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                d_model,
                config.num_heads,
                config.d_ff or 4 * d_model,
                norm=norm,
                attention=attention,
                feed_forward=feed_forward,
                num_kv_heads=config.num_kv_heads,
                use_bias=use_bias,
                dropout=config.dropout,
            )
            for _ in range(config.num_layers)
        )
        self.norm = norm(d_model)
        self.output = nn.Linear(d_model, config.vocab_size, bias=False)
        initialize(self)
        if config.tie_embeddings:
            self.output.weight = self.embedding.weight

    def forward(
        self,
        token_ids: Int[Tensor, "batch tokens"],
        *,
        token_mask: Bool[Tensor, "batch tokens"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch tokens vocab_size"]:
        """Scores of the token after each; with a cache, token_ids are the new ones only."""
        return self.output(self.hidden(token_ids, token_mask=token_mask, cache=cache))

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
        x = self.embedding(token_ids) * self.scale
        x = self.dropout(x + self.positions(positions).to(x.dtype))
        mask = self.mask(seen, token_ids.shape[1])
        bias = None if self.bias is None else self.bias(*mask.shape[2:]).to(x)
        for index, block in enumerate(self.blocks):
            x = block(
                x,
                mask=mask,
                bias=bias,
                rotary=self.rotary,
                positions=None if self.rotary is None else positions,
                cache=None if cache is None else cache.layers[index],
            )
        return self.norm(x)

    def mask(
        self, seen: Bool[Tensor, "batch length"], new: int
    ) -> Bool[Tensor, "batch 1 new length"]:
        """The last `new` tokens see the real ones up to themselves, within the window."""
        place = torch.arange(seen.shape[1], device=seen.device)
        distance = place[seen.shape[1] - new :, None] - place
        near = distance < (self.config.window or seen.shape[1])
        return (distance >= 0) & near & seen[:, None, None]

    def row_bytes(self, length: int) -> int:
        """Bytes of a row while it grows to this length: keys and values, and the scores."""
        heads = self.config.num_kv_heads or self.config.num_heads
        return decoding_bytes(
            fixed=0,
            layer=2 * length * heads * self.config.head_dim,
            num_layers=self.config.num_layers,
            output=self.output.weight,
        )

    def make_cache(self, batch_size: int) -> KVCache:
        """Empty: keys and values of each layer."""
        return KVCache(
            [LayerCache() for _ in self.blocks], batch_size, self.output.weight.device
        )
