from torch import Tensor


def linear_recurrence(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Causal linear attention, one token after the other, with φ = elu + 1.

    Args:
        query, key: [T, d_k].
        value: [T, d_v].

    Returns:
        [T, d_v]; output t is the mean of the values up to t, with weights in proportion
        to φ(query t) · φ(key j). The state does not grow with T.
    """
    raise NotImplementedError
