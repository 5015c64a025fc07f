from torch import Tensor


def add_positions(x: Tensor, table: Tensor, first: int = 0) -> Tensor:
    """Adds to each token the vector of its position.

    Args:
        x: [batch, T, D], the embeddings of T tokens of each sentence.
        table: [longest, D], row p belongs to position p.
        first: the position of x[:, 0]; above 0 when earlier tokens are cached.

    Returns:
        [batch, T, D].
    """
    return x + table[first : first + x.size(0)].unsqueeze(1)
