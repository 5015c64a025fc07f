"""Boolean masks: True means that a query may attend to a key, or that a token is real.

PyTorch's `key_padding_mask` says the opposite (True = ignore), and its `is_causal` aligns a
rectangle at the top left, where the first query sees the first key; here the queries are
the last rows, as they are when a cache holds the earlier keys.

Book: §1.2.1
"""

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from llmbook.checks import has_values


def causal_mask(query_len: int, key_len: int | None = None) -> Bool[Tensor, "query key"]:
    """Row i sees key j where j <= i + key_len − query_len; the queries come last.

    Raises:
        ValueError: a negative length, or more queries than keys.
    """
    key_len = query_len if key_len is None else key_len
    if query_len < 0 or key_len < query_len:
        raise ValueError(
            f"query_len is {query_len}, key_len {key_len}; expected 0 <= query_len <= key_len"
        )
    return torch.ones(query_len, key_len, dtype=torch.bool).tril(key_len - query_len)


def sliding_window_mask(
    length: int, window: int, *, causal: bool = True
) -> Bool[Tensor, "query key"]:
    """Position i sees j where |i − j| < window; with `causal`, only j <= i.

    The window counts i itself (Mistral). Without `causal` it is Longformer's two-sided
    window, `window − 1` positions to each side.

    Raises:
        ValueError: a negative length, or `window` < 1.
    """
    if length < 0 or window < 1:
        raise ValueError(
            f"length is {length}, window {window}; expected length >= 0 and window >= 1"
        )
    position = torch.arange(length)
    distance = position[:, None] - position[None, :]
    return (distance < window) & (distance >= 0 if causal else distance > -window)


def padding_mask(lengths: Int[Tensor, "batch"], max_len: int) -> Bool[Tensor, "batch max_len"]:
    """Row b is True in its first `lengths[b]` places.

    Into attention it goes as `[:, None, None]`, to be one of [batch, 1, 1, key].

    Raises:
        ValueError: a length outside 0 … max_len, or lengths that are not [batch].
    """
    require_lengths(lengths, max_len)
    return torch.arange(max_len, device=lengths.device) < lengths[:, None]


def require_lengths(lengths: Tensor, max_len: int) -> None:
    """Raises ValueError unless lengths are [batch], each from 0 to max_len."""
    if lengths.ndim != 1 or max_len < 0:
        raise ValueError(
            f"lengths have shape {list(lengths.shape)}; "
            f"expected [batch], and 0 <= max_len = {max_len}"
        )
    if (
        lengths.numel()
        and has_values(lengths)
        and not 0 <= lengths.min() <= lengths.max() <= max_len
    ):
        raise ValueError(
            f"lengths are {lengths.tolist()}; expected each between 0 and max_len = {max_len}"
        )


def require_causal(mask: Bool[Tensor, "..."] | None, query_len: int, key_len: int) -> None:
    """Raises ValueError if there is a mask that differs from the causal one.

    For attention that hides the future by itself, and nothing else. The mask is compared as
    far as its values can be looked at.
    """
    if mask is None or query_len > key_len or not has_values(mask):
        return
    wrong = (mask != causal_mask(query_len, key_len).to(mask.device)).sum().item()
    if wrong:
        raise ValueError(
            f"the mask of shape {list(mask.shape)} differs from "
            f"causal_mask({query_len}, {key_len}) in {wrong} places; expected that one or "
            "none: this attention can hide no others, nor padding"
        )
