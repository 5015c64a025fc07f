from torch import Tensor


def attention_weights(query: Tensor, key: Tensor, visible: Tensor) -> Tensor:
    """The weights of scaled dot-product attention.

    Args:
        query: [batch, T, d_k].
        key: [batch, S, d_k].
        visible: [batch, T, S], boolean; True where a query may look at a key.

    Returns:
        [batch, T, S]; each row sums to 1, or is all zeros if it sees nothing.
    """
    raise NotImplementedError
