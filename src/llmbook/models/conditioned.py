"""The decoder of a Transformer for given sources, with the protocol of a language model.

Book: §1.2.1
"""

from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from llmbook.nn import KeyValue, KVCache, LayerCache


class Conditioned(nn.Module):
    """The decoder with its memory filled in, for one target row a source or n neighbours.

    What depends on the sources alone, the cross-attention's keys and values, is computed once.

    Args:
        model: the Transformer.
        memory: what its encoder gives, [source rows, source, d_model].
        source_mask: True = real.
    """

    def __init__(self, model: nn.Module, memory: Tensor, source_mask: Tensor | None):
        super().__init__()
        contexts = [block.cross_attention.keys_values(memory) for block in model.decoder]
        self.model, self.num_sources = model, memory.shape[0]
        self.by_repeats = {1: (memory, source_mask, contexts)}

    def forward(
        self,
        token_ids: Int[Tensor, "batch target"],
        *,
        token_mask: Bool[Tensor, "batch target"] | None = None,
        cache: KVCache | None = None,
    ) -> Float[Tensor, "batch target vocab_size"]:
        repeats = max(1, token_ids.shape[0] // max(1, self.num_sources))
        if repeats not in self.by_repeats:
            self.by_repeats[repeats] = self.repeated(repeats)
        memory, source_mask, contexts = self.by_repeats[repeats]
        return self.model.decode(
            token_ids,
            memory,
            source_mask=source_mask,
            target_mask=token_mask,
            cache=cache,
            contexts=contexts,
        )

    def repeated(self, n: int) -> tuple[Tensor, Tensor | None, list[KeyValue]]:
        """Memory, mask, keys and values with each source n times in a row."""
        memory, source_mask, contexts = self.by_repeats[1]
        mask = None if source_mask is None else source_mask.repeat_interleave(n, dim=0)
        repeated = [
            KeyValue(*(part.repeat_interleave(n, dim=0) for part in context))
            for context in contexts
        ]
        return memory.repeat_interleave(n, dim=0), mask, repeated

    def make_cache(self, batch_size: int) -> KVCache:
        layers = [LayerCache() for _ in self.model.decoder]
        return KVCache(layers, batch_size, self.by_repeats[1][0].device)
