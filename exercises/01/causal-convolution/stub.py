from torch import Tensor


def causal_convolution(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """A convolution over time that never looks ahead.

    Args:
        x: [batch, T, C].
        weight: [E, C, k]; weight[:, :, k - 1] is multiplied with the present token,
            weight[:, :, k - 2] with the one `dilation` steps before, and so on.
        dilation: how far apart the k tokens lie, at least 1.

    Returns:
        [batch, T, E]; what lies before the first token counts as zeros.
    """
    raise NotImplementedError
