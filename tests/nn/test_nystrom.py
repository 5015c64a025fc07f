"""Nyström attention: where it is exact, how fast the pseudo-inverse converges, batches, and the mistakes that it must refuse."""

from itertools import pairwise

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import nystrom_attention, scaled_dot_product_attention
from llmbook.nn.nystrom import pseudo_inverse, segment_means

B, H, T, S, K, V = 2, 3, 7, 11, 4, 5


def case(queries=T, keys=S, dtype=torch.float64):
    shapes = ((B, H, queries, K), (B, H, keys, K), (B, H, keys, V))
    return [random_inputs(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


def weights(query, key):
    return (query @ key.mT / K**0.5).softmax(dim=-1)


def predicted_errors(matrix, iterations):
    """e for each singular value of the matrix, by the recursion of the docstring."""
    sigma = torch.linalg.svdvals(matrix)
    error = 1 - sigma**2 / (matrix.abs().sum(-2).amax(-1) * matrix.abs().sum(-1).amax(-1))[..., None]
    for _ in range(iterations):
        error = error**3 * (3 + error) / 4
    return sigma, error


def test_segment_means_by_hand():
    x = torch.arange(5.0).view(1, 1, 5, 1)
    close(segment_means(x, 3).flatten(), torch.tensor([0.5, 2.5, 4]), 0)  # 0 1 | 2 3 | 4
    close(segment_means(x, 2).flatten(), torch.tensor([1, 3.5]), 0)  # 0 1 2 | 3 4
    x = random_inputs(B, H, 12, K)
    for num_segments in (1, 2, 3, 4, 6, 12):
        pooled = torch.nn.functional.adaptive_avg_pool1d(x.mT.flatten(0, 1), num_segments)
        close(segment_means(x, num_segments), pooled.unflatten(0, (B, H)).mT, 1e-6)


@pytest.mark.parametrize("length", [1, 5, 12, 13])
def test_segments_are_stretches_of_nearly_equal_length(length):
    for num_segments in range(1, length + 1):
        share = segment_means(torch.eye(length, dtype=torch.float64)[None, None], num_segments)[0, 0]
        sizes = (share > 0).sum(dim=1)
        assert sizes.sum() == length
        assert sizes.max() - sizes.min() <= 1
        start = 0
        for row, size in zip(share, sizes.tolist(), strict=True):
            close(row[start : start + size], torch.full((size,), 1 / size, dtype=torch.float64), 1e-12)
            start += size


@pytest.mark.parametrize(("queries", "keys", "landmarks"), [(7, 7, 3), (7, 11, 4), (11, 7, 5), (6, 12, 1)])
def test_by_the_papers_formula_with_a_true_pseudo_inverse(queries, keys, landmarks):
    query, key, value = case(queries, keys)
    means = [torch.stack([part.mean(dim=2) for part in split(x, landmarks)], dim=2) for x in (query, key)]
    expected = weights(query, means[1]) @ torch.linalg.pinv(weights(*means)) @ weights(means[0], key) @ value
    close(nystrom_attention(query, key, value, num_landmarks=landmarks, iterations=25), expected, 1e-8)
    rough = nystrom_attention(query, key, value, num_landmarks=landmarks, iterations=2)
    assert landmarks == 1 or (rough - expected).abs().max() > 1e-4


def split(x, number):
    position = torch.arange(x.shape[2])
    return [x[:, :, position * number // x.shape[2] == i] for i in range(number)]


def test_with_one_landmark_all_queries_attend_as_their_mean_does():
    query, key, value = case()
    expected = scaled_dot_product_attention(query.mean(dim=2, keepdim=True), key, value).expand(B, H, T, V)
    close(nystrom_attention(query, key, value, num_landmarks=1), expected, 1e-10)


@pytest.mark.parametrize("iterations", [0, 3, 6, 9, 30])
def test_with_as_many_landmarks_as_positions_it_is_exact_up_to_the_error_predicted(iterations):
    # A − A Z A has the singular values σ e; nothing else but rounding parts the result from A V.
    query, key, value = case(T, T)
    output = nystrom_attention(query, key, value, num_landmarks=T, iterations=iterations)
    exact = scaled_dot_product_attention(query, key, value)
    sigma, error = predicted_errors(weights(query, key), iterations)
    bound = (sigma * error).amax(dim=-1)
    distance = torch.linalg.matrix_norm(output - exact, ord=2)
    assert (distance <= bound * torch.linalg.matrix_norm(value, ord=2) + 1e-9).all()
    if iterations == 30:  # converged: the smallest σ² is above 3.25^−20, then errors are cubed
        close(output, exact, 1e-9)
    if iterations <= 3:
        assert (distance > 1e-3).any()


@pytest.mark.parametrize("length", [12, 13])
def test_queries_and_keys_that_repeat_by_segment_lose_nothing(length):
    # Rank 3: landmarks are the three different queries and keys.
    segment = torch.arange(length) * 3 // length
    query, key = (x[:, :, segment] for x in case(3, 3)[:2])
    value = random_inputs(B, H, length, V, seed=3, dtype=torch.float64)
    output = nystrom_attention(query, key, value, num_landmarks=3, iterations=25)
    close(output, scaled_dot_product_attention(query, key, value), 1e-8)


def test_the_error_falls_with_the_number_of_landmarks():
    # Smooth sequences, whose neighbours are alike.
    position = torch.linspace(0, 3, 64, dtype=torch.float64)[:, None]
    query, key, value = (
        (position * frequency + phase).sin().expand(1, 1, 64, K)
        for frequency, phase in ((torch.arange(1, 5), 0.0), (torch.arange(1, 5), 1.0), (torch.arange(2, 6), 0.5))
    )
    exact = scaled_dot_product_attention(query, key, value)
    errors = [
        (nystrom_attention(query, key, value, num_landmarks=m, iterations=12) - exact).abs().max()
        for m in (2, 4, 8, 16)
    ]
    assert all(later < earlier / 2 for earlier, later in pairwise(errors))


@pytest.mark.parametrize("iterations", [0, 1, 4, 8])
def test_the_pseudo_inverse_converges_as_predicted(iterations):
    matrix = random_inputs(2, 3, 5, 5, dtype=torch.float64)
    inverse = pseudo_inverse(matrix, iterations)
    left = torch.linalg.svdvals(torch.eye(5) - matrix @ inverse)
    _, error = predicted_errors(matrix, iterations)
    close(left, error.sort(dim=-1, descending=True).values, 1e-8)
    assert (error <= 1).all()


def test_the_pseudo_inverse_of_other_matrices():
    matrix = random_inputs(2, 4, 4, dtype=torch.float64)
    close(pseudo_inverse(matrix, 25), torch.linalg.inv(matrix), 1e-8)
    singular = matrix.clone()
    singular[:, 3] = singular[:, 0]
    close(pseudo_inverse(singular, 12), torch.linalg.pinv(singular), 1e-6)
    scaled = matrix * torch.tensor([1e-3, 1e3])[:, None, None]  # any scale: the norms take it out
    close(pseudo_inverse(scaled, 5) * torch.tensor([1e-3, 1e3])[:, None, None], pseudo_inverse(matrix, 5), 1e-8)
    identity = torch.eye(3, dtype=torch.float64)
    close(pseudo_inverse(identity, 0), identity, 0)


@pytest.mark.parametrize("iterations", [0, 2, 6])
def test_a_result_does_not_depend_on_its_batch(iterations):
    # Where one norm is taken over the batch, a row with peaked columns slows down all the others.
    query, key, value = case(T, T)
    key[1, 1] += 4 * query[1, 1].mean(dim=1, keepdim=True) + 3
    query[1, 1] *= 5
    options = {"num_landmarks": 4, "iterations": iterations}
    output = nystrom_attention(query, key, value, **options)
    for b in range(B):
        for h in range(H):
            one = [x[b : b + 1, h : h + 1] for x in (query, key, value)]
            close(output[b : b + 1, h : h + 1], nystrom_attention(*one, **options), 1e-10)


def test_gradients_by_finite_differences():
    inputs = [x[:1, :1].requires_grad_() for x in case(5, 6)]
    assert torch.autograd.gradcheck(lambda *x: nystrom_attention(*x, num_landmarks=3), inputs)


def test_half_types_no_batch_and_no_data():
    halves = [x.bfloat16() for x in case(dtype=torch.float32)]
    output = nystrom_attention(*halves, num_landmarks=3)
    assert torch.equal(output, nystrom_attention(*(x.float() for x in halves), num_landmarks=3).bfloat16())
    assert nystrom_attention(*(x[:0] for x in case()), num_landmarks=3).shape == (0, H, T, V)
    assert nystrom_attention(*(x.to("meta") for x in case()), num_landmarks=3).is_meta
    one = case(1, 1)
    close(nystrom_attention(*one, num_landmarks=1), one[2], 1e-12)


@pytest.mark.messages
def test_mistakes_are_named():
    query, key, value = case()
    for number in (8, 12):
        with pytest.raises(ValueError, match=f"num_landmarks is {number} for 7 queries and 11 keys; expected at most"):
            nystrom_attention(query, key, value, num_landmarks=number)
    with pytest.raises(ValueError, match="num_landmarks is 1 for 0 queries and 11 keys"):
        nystrom_attention(query[:, :, :0], key, value, num_landmarks=1)
    for number in (0, -1):
        with pytest.raises(ValueError, match=f"num_landmarks is {number}; expected at least 1"):
            nystrom_attention(query, key, value, num_landmarks=number)
    with pytest.raises(ValueError, match="iterations is -1; expected at least 0"):
        nystrom_attention(query, key, value, num_landmarks=2, iterations=-1)
    with pytest.raises(ValueError, match=r"expected query \[B H T K\]"):
        nystrom_attention(query, key[:1], value, num_landmarks=2)
