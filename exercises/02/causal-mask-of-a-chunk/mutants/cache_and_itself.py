import torch
from torch import Tensor


def chunk_mask(query_len: int, key_len: int) -> Tensor:
    cached = torch.ones(query_len, key_len - query_len, dtype=torch.bool)
    return torch.cat([cached, torch.eye(query_len, dtype=torch.bool)], dim=1)
