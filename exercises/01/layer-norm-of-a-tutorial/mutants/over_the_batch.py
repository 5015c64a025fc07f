from torch import Tensor


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    mean = x.mean()
    variance = x.var(correction=0)
    return weight * (x - mean) / (variance + eps).sqrt() + bias
