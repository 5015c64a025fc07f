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
    raise NotImplementedError
