import torch
from torch import Tensor


def chunk_mask(query_len: int, key_len: int) -> Tensor:
    return torch.ones(query_len, key_len, dtype=torch.bool)
