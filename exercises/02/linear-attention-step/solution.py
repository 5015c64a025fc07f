import torch
from torch import Tensor
from torch.nn import functional as F


def linear_recurrence(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal linear attention, one token after the other, with φ = elu + 1.

    Args:
        query, key: [T, d_k].
        value: [T, d_v].

    Returns:
        [T, d_v]; output t is the mean of the values up to t, with weights in proportion
        to φ(query t) · φ(key j). The state does not grow with T.
    """
    phi_query, phi_key = F.elu(query) + 1, F.elu(key) + 1
    numerator = value.new_zeros(key.shape[1], value.shape[1])
    denominator = key.new_zeros(key.shape[1])
    outputs = []
    for q, k, v in zip(phi_query, phi_key, value, strict=True):
        numerator = numerator + torch.outer(k, v)
        denominator = denominator + k
        outputs.append(q @ numerator / (q @ denominator))
    return torch.stack(outputs)
