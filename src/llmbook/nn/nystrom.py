"""Nyström attention: the matrix of weights is put together from a few of its columns and rows.

Book: §2.1.2
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from llmbook.checks import require_at_least, require_positive
from llmbook.nn.dot_product import require_fitting
from llmbook.nn.precision import at_least_float32


def nystrom_attention(
    query: Float[Tensor, "batch heads query head_dim"],
    key: Float[Tensor, "batch heads key head_dim"],
    value: Float[Tensor, "batch heads key value_dim"],
    *,
    num_landmarks: int,
    iterations: int = 6,
) -> Float[Tensor, "batch heads query value_dim"]:
    """softmax(Q K̃ᵀ / √K) A⁺ softmax(Q̃ Kᵀ / √K) V with A = softmax(Q̃ K̃ᵀ / √K).

    Q̃ and K̃ are the landmarks: means of queries and of keys by segment. Xiong et al. 2021,
    section 3; their m is our num_landmarks, d_q our head_dim. Memory is linear in length. With
    as many landmarks as positions it is exact attention, A A⁺ A = A, up to the error of A⁺.

    It cannot be causal, nor leave out padding: a landmark is a mean over positions.

    Args:
        num_landmarks: at most as many as queries, and as keys.
        iterations: of `pseudo_inverse`; 6 in the paper.

    Leaves out: the paper's convolution of the values along the sequence, added to the result.

    Raises:
        ValueError: shapes that do not fit, a number of landmarks below 1 or above a length,
            iterations < 0.
    """
    require_fitting(query, key, value, None, None)
    require_positive(num_landmarks=num_landmarks)
    require_at_least(0, iterations=iterations)
    queries, keys = query.shape[2], key.shape[2]
    if num_landmarks > min(queries, keys):
        raise ValueError(
            f"num_landmarks is {num_landmarks} for {queries} queries and {keys} keys; "
            "expected at most as many as either"
        )
    query, key = at_least_float32(query) / math.sqrt(query.shape[-1]), at_least_float32(key)
    query_landmarks = segment_means(query, num_landmarks)
    key_landmarks = segment_means(key, num_landmarks)
    to_landmarks = (query @ key_landmarks.mT).softmax(dim=-1)
    between = (query_landmarks @ key_landmarks.mT).softmax(dim=-1)
    from_landmarks = (query_landmarks @ key.mT).softmax(dim=-1)
    heads = from_landmarks @ at_least_float32(value)
    return (to_landmarks @ (pseudo_inverse(between, iterations) @ heads)).to(value.dtype)


def segment_means(
    x: Float[Tensor, "batch heads length width"], num_segments: int
) -> Float[Tensor, "batch heads num_segments width"]:
    """The mean of each of num_segments stretches of x, whose lengths differ by at most 1.

    Position p belongs to segment ⌊p · num_segments / length⌋. The paper (Xiong et al. 2021,
    section 3) pads to a length that num_segments divides.
    """
    length = x.shape[2]
    segment = torch.arange(length, device=x.device) * num_segments // length
    member = (segment == torch.arange(num_segments, device=x.device)[:, None]).to(x.dtype)
    return member / member.sum(dim=1, keepdim=True) @ x


def pseudo_inverse(
    matrix: Float[Tensor, "... m m"], iterations: int
) -> Float[Tensor, "... m m"]:
    """A⁺ as the limit of Z ← ¼ Z (13 I − A Z (15 I − A Z (7 I − A Z))).

    Razavi et al. 2014; Xiong et al. 2021, section 3. Z_0 = Aᵀ / (‖A‖₁ ‖A‖_∞), the largest sums
    of |A| by column and by row. I − A Z has one eigenvalue e for each singular value σ of A, at
    first 1 − σ² / (‖A‖₁ ‖A‖_∞), from 0 to 1. Each iteration makes it e³ (3 + e) / 4: in the end
    errors are cubed, but a small σ needs about log(1 / σ²) / log 3.25 iterations first.

    Each matrix has norms of its own. The published code takes the largest over the whole batch
    unless told otherwise, so that a result depends on what else is in its batch.
    """
    size = matrix.abs()
    norms = size.sum(dim=-2).amax(dim=-1) * size.sum(dim=-1).amax(dim=-1)
    identity = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    inverse = matrix.mT / norms[..., None, None]
    for _ in range(iterations):
        product = matrix @ inverse
        inner = 7 * identity - product
        inner = 15 * identity - product @ inner
        inverse = inverse @ (13 * identity - product @ inner) / 4
    return inverse
