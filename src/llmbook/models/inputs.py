"""What models do with token ids and masks before they compute: positions, and what is refused.

Book: §1.2.1
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from llmbook.checks import has_values, require_indices, require_mask
from llmbook.nn import KVCache


def positions_of(mask: Bool[Tensor, "batch tokens"]) -> Int[Tensor, "batch tokens"]:
    """0, 1, 2, … over the real tokens of each row: padding on either side changes nothing."""
    return (mask.cumsum(dim=1) - 1).clamp(min=0)


def real_tokens(
    token_ids: Int[Tensor, "batch tokens"],
    mask: Bool[Tensor, "batch tokens"] | None,
    vocab_size: int,
) -> Bool[Tensor, "batch tokens"]:
    """The mask, or one that is all True.

    Raises:
        ValueError: ids that are not integers [batch, tokens] or not in the vocabulary, or a
            mask of another shape or type.
    """
    require_tokens(token_ids, mask, vocab_size)
    return torch.ones_like(token_ids, dtype=torch.bool) if mask is None else mask


def seen_and_positions(
    real: Bool[Tensor, "batch tokens"], cache: KVCache | None, max_seq_len: int
) -> tuple[Bool[Tensor, "batch length"], Int[Tensor, "batch tokens"]]:
    """The mask of the cached tokens and the new ones, and the positions of the new ones.

    The cache stays as it is.

    Raises:
        ValueError: a cache for another batch size, or a position from max_seq_len on.
    """
    seen = real if cache is None else cache.followed_by(real)
    positions = positions_of(seen)[:, seen.shape[1] - real.shape[1] :]
    require_room(positions, max_seq_len)
    return seen, positions


def require_tokens(token_ids: Tensor, mask: Tensor | None, vocab_size: int) -> None:
    """Raises ValueError unless ids are [batch, tokens] of the vocabulary, with such a mask."""
    if token_ids.ndim != 2 or token_ids.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"token ids are {token_ids.dtype} of shape {list(token_ids.shape)}; "
            "expected integers [batch, tokens]"
        )
    require_indices(token_ids, "token ids", "id", vocab_size=vocab_size)
    if mask is not None:
        require_mask(mask, token_ids.shape)


def require_memory(memory: Tensor, source_mask: Tensor | None, target_ids: Tensor) -> None:
    """Raises ValueError unless memory has as many rows as target_ids, and the mask fits it."""
    rows, wanted = memory.shape[0], target_ids.shape[0]
    if rows != wanted:
        raise ValueError(f"memory has {rows} rows, target_ids {wanted}; expected as many")
    if source_mask is not None and source_mask.shape != memory.shape[:2]:
        given, expected = list(source_mask.shape), list(memory.shape[:2])
        raise ValueError(f"source_mask has shape {given}; expected {expected}")


def require_padded_right(mask: Bool[Tensor, "batch tokens"], name: str) -> None:
    """Raises ValueError where padding stands before a real token."""
    if has_values(mask) and (~mask[:, :-1] & mask[:, 1:]).any():
        raise ValueError(f"{name} has padding before a real token; expected it on the right")


def require_room(positions: Tensor, max_seq_len: int) -> None:
    """Raises ValueError unless every position is below max_seq_len."""
    if positions.numel() and has_values(positions) and positions.max() >= max_seq_len:
        longest = positions.max().item() + 1
        raise ValueError(f"a sequence has {longest} tokens; max_seq_len is {max_seq_len}")
