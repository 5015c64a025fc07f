import torch
from torch import Tensor


def chunk_mask(query_len: int, key_len: int) -> Tensor:
    """The causal mask of a chunk of new tokens after a cache.

    Args:
        query_len: the number of new tokens, at least 1.
        key_len: the number of all tokens, those in the cache and the new ones, which
            are the last; at least query_len.

    Returns:
        [query_len, key_len], boolean; True where a new token may look at a key.
    """
    mask = torch.ones(query_len, key_len, dtype=torch.bool)
    return mask.tril(diagonal=0)
