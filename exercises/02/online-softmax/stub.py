from torch import Tensor


def online_attention(scores: Tensor, values: Tensor, sizes: list[int]) -> Tensor:
    """Attention of one query to keys that arrive tile by tile.

    Args:
        scores: [S], of the query with each key; −∞ where the key is hidden.
        values: [S, d_v].
        sizes: the number of keys in each tile, in order; they add up to S.

    Returns:
        [d_v], the mean of the values with weights softmax(scores); zeros if no key is
        visible.
    """
    raise NotImplementedError
