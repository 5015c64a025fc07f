import torch
from torch import Tensor


def chunk_mask(query_len: int, key_len: int) -> Tensor:
    mask = torch.ones(query_len, key_len, dtype=torch.bool)
    return mask.triu(diagonal=key_len - query_len)
