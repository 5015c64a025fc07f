from torch import Tensor


def causal_convolution(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """A convolution over time that never looks ahead.

    Args:
        x: [batch, T, C].
        weight: [E, C, K]; weight[:, :, K - 1] is multiplied with the present token,
            weight[:, :, K - 2] with the one `dilation` steps before, and so on.
        dilation: how far apart the K tokens lie, at least 1.

    Returns:
        [batch, T, E]; what lies before the first token counts as zeros.
    """
    raise NotImplementedError
