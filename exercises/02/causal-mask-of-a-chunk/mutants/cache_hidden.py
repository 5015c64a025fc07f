import torch
from torch import Tensor


def chunk_mask(query_len: int, key_len: int) -> Tensor:
    cached = torch.zeros(query_len, key_len - query_len, dtype=torch.bool)
    new = torch.ones(query_len, query_len, dtype=torch.bool).tril()
    return torch.cat([cached, new], dim=1)
