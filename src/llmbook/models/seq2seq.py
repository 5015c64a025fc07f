"""Sequence to sequence with LSTMs, with attention or with one vector between the two sides.

Book: §1.1.1
"""

from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.checks import require_even, require_positive, require_share
from llmbook.models.decoding_bytes import decoding_bytes
from llmbook.models.initialization import initialize
from llmbook.models.inputs import real_tokens, require_memory, require_padded_right
from llmbook.nn import LSTM, KVCache, LayerNorm, LayerState, LSTMState, MultiHeadAttention
from llmbook.nn.recurrent import reverse


@dataclass(frozen=True)
class Seq2SeqConfig:
    """Sizes of a `Seq2Seq`; both sides share vocabulary and embedding."""

    vocab_size: int
    _: KW_ONLY
    d_model: int = 256
    attention: bool = True
    dropout: float = 0.1

    def __post_init__(self) -> None:
        require_positive(vocab_size=self.vocab_size)
        require_even(d_model=self.d_model)
        require_share(dropout=self.dropout)


@dataclass(frozen=True)
class Encoded:
    """What the encoder leaves: an output a token, and the state after the last one.

    A copy or a pickle has its values; gradients end there.
    """

    memory: Float[Tensor, "batch source d_model"]
    source_mask: Bool[Tensor, "batch source"]
    states: tuple[LSTMState, LSTMState]

    def repeated(self, n: int) -> "Encoded":
        """Each source n times in a row."""
        return self.changed(lambda part: part.repeat_interleave(n, dim=0))

    def changed(self, f: Callable[[Tensor], Tensor]) -> "Encoded":
        """The same with f applied to each tensor."""
        first, second = (LSTMState(*map(f, state)) for state in self.states)
        return Encoded(f(self.memory), f(self.source_mask), (first, second))

    def __getstate__(self) -> dict[str, Any]:
        return dict(vars(self.changed(Tensor.detach)))


class Seq2Seq(nn.Module):
    """Two LSTM layers read, two write.

    The first layer that reads does so in both directions (Bahdanau et al. 2015). The two that
    write start from the states that reading ended with: without attention that is all they
    get (Sutskever et al. 2014). With attention, the first of them looks at all outputs of the
    encoder in each step; what it finds is added to what the second reads (as in Wu et al.
    2016). Layer normalization stands where attention asks and is asked, and before the
    output (Chen et al. 2018): without it attention is learned far more slowly.

    Leaves out: Bahdanau's additive scores; the attention here is one scaled dot-product head.

    Raises:
        ValueError: ids that are not integers [batch, tokens] or not in the vocabulary, masks of
            other shapes, a source that is padded on the left.
    """

    def __init__(self, config: Seq2SeqConfig):
        super().__init__()
        self.config, d_model = config, config.d_model
        self.embedding = nn.Embedding(config.vocab_size, d_model)
        self.forwards, self.backwards = LSTM(d_model, d_model // 2), LSTM(d_model, d_model // 2)
        self.reader = LSTM(d_model, d_model)
        self.asker, self.writer = LSTM(d_model, d_model), LSTM(d_model, d_model)
        self.attention = MultiHeadAttention(d_model, 1) if config.attention else None
        self.memory_norm, self.query_norm = LayerNorm(d_model), LayerNorm(d_model)
        self.output_norm = LayerNorm(d_model)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(d_model, config.vocab_size, bias=False)
        initialize(self)
        self.output.weight = self.embedding.weight

    def forward(
        self,
        source_ids: Int[Tensor, "batch source"],
        target_ids: Int[Tensor, "batch target"],
        *,
        source_mask: Bool[Tensor, "batch source"] | None = None,
        target_mask: Bool[Tensor, "batch target"] | None = None,
    ) -> Float[Tensor, "batch target vocab_size"]:
        """Teacher forcing: logits[:, t] are those of the token after target_ids[:, t]."""
        return self.decode(
            target_ids, self.encode(source_ids, source_mask), target_mask=target_mask
        )

    def embed(self, token_ids: Tensor) -> Tensor:
        return self.dropout(self.embedding(token_ids) * self.config.d_model**0.5)

    def encode(self, source_ids: Tensor, source_mask: Tensor | None = None) -> Encoded:
        """Reads the source."""
        real = real_tokens(source_ids, source_mask, self.config.vocab_size)
        require_padded_right(real, "source_mask")
        x = self.embed(source_ids)
        there, there_state = self.forwards(x, mask=real)
        back, back_state = self.backwards(reverse(x, real), mask=real)
        x = torch.cat([there, reverse(back, real)], dim=-1)
        both = LSTMState(
            *(torch.cat(pair, dim=-1) for pair in zip(there_state, back_state, strict=True))
        )
        memory, state = self.reader(self.dropout(x), mask=real)
        return Encoded(self.memory_norm(memory), real, (both, state))

    def decode(
        self,
        target_ids: Tensor,
        encoded: Encoded,
        *,
        target_mask: Tensor | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch target vocab_size"]:
        """Logits from the target so far and what was read."""
        real = real_tokens(target_ids, target_mask, self.config.vocab_size)
        require_memory(encoded.memory, encoded.source_mask, target_ids)
        states = encoded.states
        if cache is not None:
            cache.extend_mask(real)
            states = tuple(
                LSTMState(*layer.state) if layer.state else old
                for layer, old in zip(cache.layers, states, strict=True)
            )
        mask = None if target_mask is None else real
        x, asker_state = self.asker(self.embed(target_ids), state=states[0], mask=mask)
        x = self.query_norm(x)
        if self.attention is not None:
            seen = encoded.source_mask[:, None, None]
            x = x + self.attention(x, context=encoded.memory, mask=seen)
        x, writer_state = self.writer(self.dropout(x), state=states[1], mask=mask)
        if cache is not None:
            for layer, state in zip(cache.layers, (asker_state, writer_state), strict=True):
                layer.state = tuple(state)
        return self.output(self.dropout(self.output_norm(x)))

    def row_bytes(self, source_len: int) -> int:
        """Bytes of a source of this length while the decoder writes, however much it writes."""
        width = self.config.d_model
        seen = 1 if self.attention is None else 3  # memory, keys, values
        return decoding_bytes(
            fixed=seen * source_len * width,
            layer=2 * width,  # the state
            num_layers=2,
            output=self.output.weight,
        )

    def conditioned(
        self, source_ids: Tensor, *, source_mask: Tensor | None = None
    ) -> "ConditionedSeq2Seq":
        """A decoder for these sources, with the protocol that `generate` expects of a model."""
        return ConditionedSeq2Seq(self, self.encode(source_ids, source_mask))


class ConditionedSeq2Seq(nn.Module):
    """The decoder with what was read filled in, a row of the target for each of the source."""

    def __init__(self, model: Seq2Seq, encoded: Encoded):
        super().__init__()
        self.model, self.encoded = model, encoded

    def forward(
        self,
        token_ids: Int[Tensor, "batch target"],
        *,
        token_mask: Bool[Tensor, "batch target"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch target vocab_size"]:
        return self.model.decode(token_ids, self.encoded, target_mask=token_mask, cache=cache)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> "ConditionedSeq2Seq":
        """`to(…)` moves what was read too."""
        self.encoded = self.encoded.changed(fn)
        return super()._apply(fn, recurse)

    def repeated(self, n: int) -> "ConditionedSeq2Seq":
        """The same with each source n times in a row, for n rows of the target each."""
        return ConditionedSeq2Seq(self.model, self.encoded.repeated(n))

    def row_bytes(self, length: int) -> int:
        """Bytes of a row; they do not grow with its length."""
        return self.model.row_bytes(self.encoded.memory.shape[1])

    def make_cache(self, batch_size: int) -> KVCache:
        """The states of the two layers that write."""
        device = self.model.embedding.weight.device
        return KVCache([LayerState(), LayerState()], batch_size, device)
