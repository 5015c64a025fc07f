"""The Transformer, encoder and decoder.

Book: §1.2.1
"""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial

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
from llmbook.models.conditioned import Conditioned
from llmbook.models.decoding_bytes import decoding_bytes
from llmbook.models.initialization import initialize
from llmbook.models.inputs import real_tokens, require_memory, seen_and_positions
from llmbook.nn import (
    FeedForward,
    KeyValue,
    KVCache,
    LayerNorm,
    LearnedPositions,
    NoPositions,
    Positions,
    SinusoidalPositions,
    TransformerBlock,
    causal_mask,
)


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a Transformer; the defaults are the base model of Vaswani et al. 2017, table 3.

    `vocab_size` is the target's; without `source_vocab_size` both sides share one vocabulary
    and, if tied, one embedding. `norm_first=False` is the paper's post-norm; pre-norm stacks
    end in one more norm each. `d_ff` is 4 d_model unless given. `positions` are "sinusoidal",
    "learned" (one table serves both sides) or "none" (nothing is added).
    """

    vocab_size: int
    _: KW_ONLY
    source_vocab_size: int | None = None
    d_model: int = 512
    num_heads: int = 8
    num_layers: int = 6
    d_ff: int | None = None
    dropout: float = 0.1
    max_seq_len: int = 512
    norm_first: bool = False
    norm_eps: float = 1e-5
    tie_embeddings: bool = True
    positions: str = "sinusoidal"

    def __post_init__(self) -> None:
        optional = {"source_vocab_size": self.source_vocab_size, "d_ff": self.d_ff}
        require_positive(
            vocab_size=self.vocab_size,
            d_model=self.d_model,
            num_heads=self.num_heads,
            num_layers=self.num_layers,
            max_seq_len=self.max_seq_len,
            **{name: size for name, size in optional.items() if size is not None},
        )
        require_even(d_model=self.d_model)
        require_divides(num_heads=self.num_heads, d_model=self.d_model)
        require_share(dropout=self.dropout)
        require_above_zero(norm_eps=self.norm_eps)
        require_one_of("positions", self.positions, ("sinusoidal", "learned", "none"))


class Transformer(nn.Module):
    """p(y_t | y_<t, x) for every t at once: logits = Decoder(y, Encoder(x)) Eᵀ.

    Vaswani et al. 2017, section 3. Both sides add positions, sinusoidal unless the config says
    otherwise, to √d_model times the embedding. With tied embeddings E is the target's
    embedding (section 3.4).

    Raises:
        ValueError: ids that are not integers [batch, tokens] or not in the vocabulary, masks
            of other shapes or not boolean, a sequence longer than max_seq_len.
    """

    positions: Positions

    def __init__(self, config: TransformerConfig):
        super().__init__()
        self.config, d_model = config, config.d_model
        self.target_embedding = nn.Embedding(config.vocab_size, d_model)
        self.source_embedding = self.target_embedding
        if config.source_vocab_size is not None or not config.tie_embeddings:
            source_vocab_size = config.source_vocab_size or config.vocab_size
            self.source_embedding = nn.Embedding(source_vocab_size, d_model)
        self.positions = {
            "sinusoidal": partial(SinusoidalPositions, config.max_seq_len, d_model),
            "learned": partial(LearnedPositions, config.max_seq_len, d_model),
            "none": NoPositions,
        }[config.positions]()
        self.dropout = nn.Dropout(config.dropout)

        norm = partial(LayerNorm, eps=config.norm_eps)
        block = partial(
            TransformerBlock,
            d_model,
            config.num_heads,
            config.d_ff or 4 * d_model,
            norm_first=config.norm_first,
            norm=norm,
            feed_forward=partial(FeedForward, dropout=config.dropout),
            dropout=config.dropout,
        )
        layers = range(config.num_layers)
        self.encoder = nn.ModuleList(block() for _ in layers)
        self.decoder = nn.ModuleList(block(cross_attention=True) for _ in layers)
        self.encoder_norm = norm(d_model) if config.norm_first else nn.Identity()
        self.decoder_norm = norm(d_model) if config.norm_first else nn.Identity()
        self.output = nn.Linear(d_model, config.vocab_size, bias=False)
        initialize(self)
        if config.tie_embeddings:
            self.output.weight = self.target_embedding.weight

    def forward(
        self,
        source_ids: Int[Tensor, "batch source"],
        target_ids: Int[Tensor, "batch target"],
        *,
        source_mask: Bool[Tensor, "batch source"] | None = None,
        target_mask: Bool[Tensor, "batch target"] | None = None,
    ) -> Float[Tensor, "batch target vocab_size"]:
        """Teacher forcing: logits[:, t] are those of the token after target_ids[:, t].

        target_ids start with bos. Masks: True = real.
        """
        memory = self.encode(source_ids, source_mask=source_mask)
        return self.decode(target_ids, memory, source_mask=source_mask, target_mask=target_mask)

    def encode(
        self,
        source_ids: Int[Tensor, "batch source"],
        *,
        source_mask: Bool[Tensor, "batch source"] | None = None,
    ) -> Float[Tensor, "batch source d_model"]:
        """The memory: a vector for each source token, which sees all real ones."""
        source_mask = real_tokens(source_ids, source_mask, self.source_embedding.num_embeddings)
        _, positions = seen_and_positions(source_mask, None, self.config.max_seq_len)
        x = self.embed(source_ids, self.source_embedding, positions)
        for block in self.encoder:
            x = block(x, mask=source_mask[:, None, None])
        return self.encoder_norm(x)

    def decode(
        self,
        target_ids: Int[Tensor, "batch target"],
        memory: Float[Tensor, "batch source d_model"],
        *,
        source_mask: Bool[Tensor, "batch source"] | None = None,
        target_mask: Bool[Tensor, "batch target"] | None = None,
        cache: KVCache | None = None,
        contexts: Sequence[KeyValue] | None = None,
    ) -> Float[Tensor, "batch target vocab_size"]:
        """Logits from the target so far and the memory.

        With a cache, target_ids are the new tokens only. `contexts`: each layer's keys and
        values of the memory, where they are known.
        """
        target_mask = real_tokens(target_ids, target_mask, self.config.vocab_size)
        require_memory(memory, source_mask, target_ids)
        seen, positions = seen_and_positions(target_mask, cache, self.config.max_seq_len)
        x = self.embed(target_ids, self.target_embedding, positions)
        if cache is not None:
            cache.extend_mask(target_mask)
        mask = causal_mask(target_ids.shape[1], seen.shape[1]).to(seen.device)
        mask = mask & seen[:, None, None]
        context_mask = None if source_mask is None else source_mask[:, None, None]
        for i, block in enumerate(self.decoder):
            layer_cache = None if cache is None else cache.layers[i]
            context = memory if contexts is None else contexts[i]
            x = block(
                x, context=context, mask=mask, context_mask=context_mask, cache=layer_cache
            )
        return self.output(self.decoder_norm(x))

    def embed(
        self,
        token_ids: Int[Tensor, "batch tokens"],
        embedding: nn.Embedding,
        positions: Int[Tensor, "batch tokens"],
    ) -> Float[Tensor, "batch tokens d_model"]:
        """√d_model times the embedding, plus the position."""
        scaled = embedding(token_ids) * self.config.d_model**0.5
        return self.dropout(scaled + self.positions(positions).to(scaled.dtype))

    def row_bytes(self, source_len: int, target_len: int) -> int:
        """Bytes of a source and a target of these lengths while the decoder writes."""
        width = self.config.d_model
        return decoding_bytes(
            fixed=source_len * width,
            layer=2 * (source_len + target_len) * width,  # keys and values of both attentions
            num_layers=self.config.num_layers,
            output=self.output.weight,
        )

    def conditioned(
        self,
        source_ids: Int[Tensor, "batch source"],
        *,
        source_mask: Bool[Tensor, "batch source"] | None = None,
    ) -> Conditioned:
        """A decoder for these sources, with the protocol that `generate` expects of a model."""
        return Conditioned(self, self.encode(source_ids, source_mask=source_mask), source_mask)
