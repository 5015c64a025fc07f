import torch
from torch import Tensor


def extend_vectors(query: Tensor, key: Tensor, h: float) -> tuple[Tensor, Tensor]:
    length = -(query * query).sum(dim=1, keepdim=True) / 2
    added = -(key * key).sum(dim=1, keepdim=True) / 2
    return torch.cat([query, length], dim=1) / h**2, torch.cat([key, added], dim=1)
