"""The decoder of a Transformer for given sources, with the protocol of a language model.

Book: §1.2.1
"""

from collections.abc import Callable, Sequence
from typing import Any

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.nn import KeyValue, KVCache, LayerCache


class Conditioned(nn.Module):
    """The decoder with its memory filled in, a row of the target for each row of the source.

    What depends on the sources alone, the cross-attention's keys and values, is computed once.
    A copy or a pickle has a model of its own and the values of the memory; gradients end there.

    Args:
        model: the Transformer.
        memory: what its encoder gives.
        source_mask: True = real.
        contexts: each layer's keys and values of the memory, where they are known.
    """

    def __init__(
        self,
        model: nn.Module,
        memory: Float[Tensor, "batch source d_model"],
        source_mask: Bool[Tensor, "batch source"] | None,
        *,
        contexts: Sequence[KeyValue] | None = None,
    ):
        super().__init__()
        if contexts is None:
            contexts = [block.cross_attention.keys_values(memory) for block in model.decoder]
        self.model, self.memory, self.source_mask = model, memory, source_mask
        self.contexts = contexts

    def forward(
        self,
        token_ids: Int[Tensor, "batch target"],
        *,
        token_mask: Bool[Tensor, "batch target"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch target vocab_size"]:
        return self.model.decode(
            token_ids,
            self.memory,
            source_mask=self.source_mask,
            target_mask=token_mask,
            cache=cache,
            contexts=self.contexts,
        )

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Conditioned":
        """`to(…)` moves the memory too."""
        self.memory = fn(self.memory)
        self.source_mask = None if self.source_mask is None else fn(self.source_mask)
        self.contexts = [KeyValue(*map(fn, context)) for context in self.contexts]
        return super()._apply(fn, recurse)

    def __getstate__(self) -> dict[str, Any]:
        contexts = [KeyValue(*(part.detach() for part in context)) for context in self.contexts]
        return {**vars(self), "memory": self.memory.detach(), "contexts": contexts}

    def repeated(self, n: int) -> "Conditioned":
        """The same with each source n times in a row, for n rows of the target each."""
        memory, mask = self.memory, self.source_mask
        return Conditioned(
            self.model,
            memory.repeat_interleave(n, dim=0),
            None if mask is None else mask.repeat_interleave(n, dim=0),
            contexts=[
                KeyValue(*(part.repeat_interleave(n, dim=0) for part in context))
                for context in self.contexts
            ],
        )

    def row_bytes(self, length: int) -> int:
        """Bytes of a row while it grows to this length."""
        return self.model.row_bytes(self.memory.shape[1], length)

    def make_cache(self, batch_size: int) -> KVCache:
        layers = [LayerCache() for _ in self.model.decoder]
        return KVCache(layers, batch_size, self.memory.device)
