from torch import Tensor


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Layer normalization as Ba et al. (2016) and torch.nn.LayerNorm have it.

    Args:
        x: [batch, T, D].
        weight, bias: [D], γ and β.
        eps: ε.

    Returns:
        [batch, T, D].
    """
    mean = x.mean(-1, keepdim=True)
    variance = x.var(-1, correction=0, keepdim=True)
    return weight * (x - mean) / (variance + eps).sqrt() + bias
