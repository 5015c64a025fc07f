from torch import Tensor


def layer_norm_backward(
    grad: Tensor, x: Tensor, weight: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of y = γ ⊙ x̂ + β, where x̂ = (x − μ) / √(σ² + ε) in each row.

    Without autograd: write down the formulas of section 1.4.2.

    Args:
        grad: [batch, T, D], the gradient of the loss with respect to y.
        x: [batch, T, D].
        weight: [D], γ.
        eps: ε.

    Returns:
        The gradients with respect to x [batch, T, D], γ [D] and β [D].
    """
    scale = (x.var(dim=-1, correction=0, keepdim=True) + eps).sqrt()
    normal = (x - x.mean(dim=-1, keepdim=True)) / scale
    g = grad * weight
    grad_x = (
        g
        - g.mean(dim=-1, keepdim=True)
        - normal * (g * normal).mean(dim=-1, keepdim=True)
    ) / scale
    return grad_x, (grad * normal).sum(dim=(0, 1)), grad.sum(dim=(0, 1))
