"""Keys and values of the positions already read, which generation need not compute again.

Book: §2.1.2
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from llmbook.checks import require_indices


class LayerCache:
    """The keys and values of one attention layer, [batch, kv_heads, length, head_dim] each."""

    def __init__(self) -> None:
        self.key: Tensor | None = None
        self.value: Tensor | None = None

    @property
    def length(self) -> int:
        return 0 if self.key is None else self.key.shape[2]

    def extend(
        self,
        key: Float[Tensor, "batch heads new head_dim"],
        value: Float[Tensor, "batch heads new value_dim"],
    ) -> tuple[
        Float[Tensor, "batch heads length head_dim"],
        Float[Tensor, "batch heads length value_dim"],
    ]:
        """Appends the new positions and returns all of them.

        Raises:
            ValueError: another batch size, number of heads or width than before.
        """
        if self.key is not None and self.value is not None:
            require_same_but_length(self.key, key, "keys")
            require_same_but_length(self.value, value, "values")
            key = torch.cat([self.key, key], dim=2)
            value = torch.cat([self.value, value], dim=2)
        self.key, self.value = key, value
        return key, value

    def __getstate__(self) -> dict[str, Tensor | None]:
        """For copies and pickles: the values, without the way back to what they came from."""
        return {name: x if x is None else x.detach() for name, x in vars(self).items()}

    def reorder(self, rows: Int[Tensor, "new_batch"]) -> None:
        if self.key is not None and self.value is not None:
            self.key, self.value = self.key[rows], self.value[rows]


class LayerState:
    """What a layer without attention keeps of the past: tensors [batch, …] that do not grow.

    `state` is empty before the first token. What its parts mean the layer knows.
    """

    def __init__(self) -> None:
        self.state: tuple[Tensor, ...] = ()

    def __getstate__(self) -> dict[str, tuple[Tensor, ...]]:
        """For copies and pickles: the values, without the way back to what they came from."""
        return {"state": tuple(part.detach() for part in self.state)}

    def reorder(self, rows: Int[Tensor, "new_batch"]) -> None:
        self.state = tuple(part[rows] for part in self.state)


class KVCache:
    """What each layer keeps, and which cached tokens are real: `mask` [batch, length].

    Args:
        layers: a `LayerCache` for each layer with attention, a `LayerState` for each other.
        batch_size: rows.
        device: where the mask lies.

    Raises:
        ValueError: no layer, or a negative batch size.
    """

    def __init__(
        self,
        layers: Sequence[LayerCache | LayerState],
        batch_size: int,
        device: torch.device | str = "cpu",
    ):
        if not layers or batch_size < 0:
            raise ValueError(
                f"got {len(layers)} layers and batch_size {batch_size}; expected >= 1 and >= 0"
            )
        self.layers = list(layers)
        self.mask: Bool[Tensor, "batch length"] = torch.ones(
            batch_size, 0, dtype=torch.bool, device=device
        )

    @property
    def length(self) -> int:
        return self.mask.shape[1]

    def followed_by(
        self, token_mask: Bool[Tensor, "batch new"]
    ) -> Bool[Tensor, "batch length"]:
        """The mask of the cached tokens and the new ones.

        Raises:
            ValueError: another batch size than that of the cache.
        """
        batch_size, rows = self.mask.shape[0], token_mask.shape[0]
        if rows != batch_size:
            raise ValueError(f"the cache was made for a batch of {batch_size}; got {rows} rows")
        return torch.cat([self.mask, token_mask], dim=1)

    def extend_mask(
        self, token_mask: Bool[Tensor, "batch new"]
    ) -> Bool[Tensor, "batch length"]:
        """Appends the new tokens' mask and returns all of it."""
        self.mask = self.followed_by(token_mask)
        return self.mask

    def reorder(self, rows: Int[Tensor, "new_batch"]) -> None:
        """Row i becomes the former row `rows[i]`, as when a beam search keeps some beams.

        Raises:
            ValueError: a row that the cache does not have.
        """
        require_indices(rows, "rows", "row", batch_size=self.mask.shape[0])
        self.mask = self.mask[rows]
        for layer in self.layers:
            layer.reorder(rows)


def require_same_but_length(cached: Tensor, new: Tensor, name: str) -> None:
    """Raises ValueError unless the shapes differ in the length, the third of four, at most."""
    old, got = list(cached.shape), list(new.shape)
    if len(got) != 4 or old[:2] + old[3:] != got[:2] + got[3:]:
        raise ValueError(
            f"the cache holds {name} of shape {old}; got {got}, where only the third may differ"
        )
