from torch import Tensor


def extend_vectors(query: Tensor, key: Tensor, h: float) -> tuple[Tensor, Tensor]:
    """Queries and keys whose dot products ask which key is nearest.

    The softmax of query′ · key′, over keys, has to be the weights of a Gaussian kernel,
    in proportion to exp(−‖query − key‖² / 2h²).

    Args:
        query: [T, d_k].
        key: [S, d_k].
        h: the width of the kernel, above 0.

    Returns:
        Queries [T, d_k + 1], whose last number is 1/h², and keys [S, d_k + 1], whose
        first d_k numbers are the key itself and which do not depend on h.
    """
    raise NotImplementedError
