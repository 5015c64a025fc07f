from torch import Tensor


def layer_norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    scale = (x.var(dim=-1, correction=0, keepdim=True) + eps).sqrt()
    normal = (x - x.mean(dim=-1, keepdim=True)) / scale
    g = grad * weight
    grad_x = (
        g
        - g.mean(dim=-1, keepdim=True)
        - normal * (g * normal).mean(dim=-1, keepdim=True)
    ) / scale
    return grad_x, (g * normal).sum(dim=(0, 1)), grad.sum(dim=(0, 1))
