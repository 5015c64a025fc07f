"""Random features: unbiased, with the paper's variances, orthogonal ones better, and attention by them near that by softmax."""

import math

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import (
    causal_mask,
    orthogonal_projections,
    performer_attention,
    positive_features,
    scaled_dot_product_attention,
    trigonometric_features,
)

K, DRAWS = 3, 90_000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pair(scale=0.7):
    """A query and a key of moderate length."""
    return scale * random_inputs(2, K, seed=5, dtype=torch.float64)


def independent(num_features=DRAWS, head_dim=K):
    return torch.randn(num_features, head_dim, generator=generator(), dtype=torch.float64)


def kernel(query, key):
    return (query @ key / math.sqrt(K)).exp()


def products(features, query, key, projections):
    """What each projection by itself would give for φ(q)·φ(k)."""
    terms = features(query, projections) * features(key, projections) * len(projections)
    return terms.unflatten(-1, (-1, len(projections))).sum(dim=0)


def variance(features, query, key):
    """The paper's lemma 2 for one independent projection; u and w are the scaled query and key."""
    u, w = query / K**0.25, key / K**0.25
    plus, minus, mean = (u + w).square().sum(), (u - w).square().sum(), (u @ w).exp()
    if features is positive_features:
        return plus.exp() * mean**2 * (1 - (-plus).exp())
    return plus.exp() / mean**2 * (1 - (-minus).exp()) ** 2 / 2


def standard_error(samples):
    return samples.std() / math.sqrt(len(samples))


def test_by_hand():
    # K = 1, so nothing is scaled: φ(2) = exp(2ω − 2) / √2 for ω = 0 and 1.
    projections, x = torch.tensor([[0.0], [1.0]]), torch.tensor([2.0])
    close(positive_features(x, projections), torch.tensor([math.exp(-2), 1.0]) / math.sqrt(2), 1e-6)
    expected = torch.tensor([0, math.sin(2), 1, math.cos(2)]) * math.exp(2) / math.sqrt(2)
    close(trigonometric_features(x, projections), expected, 1e-5)
    # K = 16 scales by 1/2.
    x, projections = random_inputs(2, 16), random_inputs(5, 16, seed=1)
    u = x / 2
    expected = (u @ projections.T - u.square().sum(dim=-1, keepdim=True) / 2).exp() / math.sqrt(5)
    close(positive_features(x, projections), expected)


@pytest.mark.parametrize("features", [positive_features, trigonometric_features])
def test_the_mean_is_the_kernel_and_the_variance_the_papers(features):
    for query, key in (pair(), pair(0.4) * torch.tensor([[1.0], [-1]])):
        samples = products(features, query, key, independent())
        assert (samples.mean() - kernel(query, key)).abs() < 4 * standard_error(samples)
        squares = (samples - kernel(query, key)) ** 2
        assert (squares.mean() - variance(features, query, key)).abs() < 4 * standard_error(squares)
        assert standard_error(squares) < 0.05 * squares.mean()  # so that this can fail
        assert standard_error(samples) < 0.01 * kernel(query, key)
        at_once = features(query, independent()) @ features(key, independent())
        close(at_once, samples.mean(), 1e-10)


def test_each_orthogonal_projection_is_gaussian():
    blocks = orthogonal_projections(K * DRAWS, K, generator=generator(), dtype=torch.float64).view(-1, K, K)
    gram = blocks @ blocks.mT
    close(gram, torch.diag_embed(gram.diagonal(dim1=-2, dim2=-1)), 1e-10)
    length = gram.diagonal(dim1=-2, dim2=-1)
    for row in range(K):
        for samples, mean in (
            *((blocks[:, row, i], 0.0) for i in range(K)),  # fails for Q of a QR as it is
            *((blocks[:, row, i] * blocks[:, row, j], float(i == j)) for i in range(K) for j in range(i + 1)),
            (length[:, row] ** 2, K * (K + 2.0)),
            (length[:, row] * length[:, row - 1], K**2 * 1.0),  # lengths are independent
        ):
            assert (samples.mean() - mean).abs() < 4.5 * standard_error(samples)


@pytest.mark.parametrize("features", [positive_features, trigonometric_features])
def test_orthogonal_projections_are_unbiased_and_vary_less(features):
    query, key = pair()
    together = orthogonal_projections(K * DRAWS, K, generator=generator(), dtype=torch.float64)
    samples = products(features, query, key, together).view(-1, K).mean(dim=-1)  # by block
    assert (samples.mean() - kernel(query, key)).abs() < 4 * standard_error(samples)
    squares = (samples - kernel(query, key)) ** 2
    assert squares.mean() + 5 * standard_error(squares) < variance(features, query, key) / K


def test_positive_features_vary_less_where_the_kernel_is_small_and_more_where_it_is_large():
    query, _ = pair(1.5)
    for key, better in ((-0.9 * query, positive_features), (0.9 * query, trigonometric_features)):
        errors = {}
        for features in (positive_features, trigonometric_features):
            samples = products(features, query, key, independent())
            errors[features] = (samples - kernel(query, key)).square().mean()
        worse = trigonometric_features if better is positive_features else positive_features
        assert errors[better] < errors[worse] / 10
        assert variance(better, query, key) < variance(worse, query, key) / 10


def test_projections_of_any_number():
    for num_features, head_dim in ((1, 4), (4, 4), (5, 4), (11, 4), (3, 1)):
        projections = orthogonal_projections(num_features, head_dim, generator=generator())
        assert projections.shape == (num_features, head_dim)
        assert projections.dtype == torch.float32
        for block in projections.split(head_dim):
            gram = block @ block.T
            close(gram, gram.diagonal().diag())
        again = orthogonal_projections(num_features, head_dim, generator=generator())
        assert torch.equal(projections, again)
    assert orthogonal_projections(5, 4, dtype=torch.bfloat16).dtype == torch.bfloat16
    assert orthogonal_projections(5, 4, device="meta").is_meta


B, H, T, S, V = 2, 2, 6, 9, 5


def case(queries=T, keys=S, scale=1.0, dtype=torch.float64):
    shapes = ((B, H, queries, K), (B, H, keys, K), (B, H, keys, V))
    query, key, value = (random_inputs(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes))
    return scale * query, scale * key, value


@pytest.mark.parametrize("causal", [False, True])
def test_stabilizing_changes_neither_values_nor_gradients(causal):
    inputs, projections = [x.requires_grad_() for x in case()], independent(8)
    query, key, value = inputs
    weights = positive_features(query, projections) @ positive_features(key, projections).mT
    weights = weights * causal_mask(T, S) if causal else weights
    expected = weights / weights.sum(dim=-1, keepdim=True) @ value
    output = performer_attention(*inputs, projections, causal=causal)
    close(output, expected, 1e-10)
    upstream = random_inputs(*output.shape, seed=9, dtype=torch.float64)
    for ours, theirs in zip(
        torch.autograd.grad(output, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        close(ours, theirs, 1e-10)


def test_the_largest_feature_of_each_query_and_of_all_keys_together_is_one():
    query, key, _ = case(scale=30.0, dtype=torch.float32)
    projections = independent(8)
    largest = math.sqrt(8) * positive_features(query, projections, stabilize_over=(-1,)).amax(-1)
    close(largest, torch.ones(B, H, T))
    largest = math.sqrt(8) * positive_features(key, projections, stabilize_over=(-2, -1)).amax((-2, -1))
    close(largest, torch.ones(B, H))


def test_large_scores_are_no_nan():
    # Nothing but ω = (9, 0, 0): with q = k = 13 ω / 9 the bare exponents are about 90, beyond e^88.
    inputs = [torch.tensor([13.0, 0, 0]).expand(1, 1, 2, K)] * 2 + [random_inputs(1, 1, 2, V)]
    projections = torch.tensor([[17.0, 0, 0]])
    assert positive_features(inputs[0], projections).isinf().all()
    output = performer_attention(*inputs, projections, causal=False)
    close(output, inputs[2].mean(dim=2, keepdim=True).expand(1, 1, 2, V))


def test_rows_of_the_batch_are_independent():
    # One maximum over the whole batch would round all features of long keys to 0, beside short ones.
    query, key, value = case()
    key[1] *= 300
    together = performer_attention(query, key, value, independent(8), causal=False)
    for row in range(B):
        one = [x[row : row + 1] for x in (query, key, value)]
        close(together[row : row + 1], performer_attention(*one, independent(8), causal=False), 1e-6)
    assert together[1].abs().max() > 0.1


@pytest.mark.parametrize("causal", [False, True])
def test_the_error_falls_like_one_over_the_root_of_the_number_of_features(causal):
    # Of moderate length: for long ones the variance comes from draws too rare to be seen yet.
    query, key, value = case()
    inputs = [*(torch.nn.functional.normalize(x, dim=-1) / 2 for x in (query, key)), value]
    exact = scaled_dot_product_attention(*inputs, mask=causal_mask(T, S) if causal else None)
    sizes, rng = (24, 96, 384, 1536), generator()
    errors = []
    for num_features in sizes:
        squares = []
        for _ in range(30):
            projections = orthogonal_projections(num_features, K, generator=rng, dtype=torch.float64)
            output = performer_attention(*inputs, projections, causal=causal)
            squares.append((output - exact).square().mean())
        errors.append(torch.stack(squares).mean().sqrt().item())
    assert errors[-1] < 0.03
    x, y = torch.tensor(sizes).double().log(), torch.tensor(errors).double().log()
    slope = ((x - x.mean()) @ (y - y.mean())) / (x - x.mean()).square().sum()
    assert -0.6 < slope < -0.4


def test_half_types_and_nothing_to_attend_from_or_to():
    projections = independent(8)
    halves = [x.to(torch.bfloat16) for x in case(dtype=torch.float32)]
    output = performer_attention(*halves, projections, causal=True)
    assert torch.equal(output, performer_attention(*(x.float() for x in halves), projections, causal=True).bfloat16())
    for queries, keys in ((0, 4), (0, 0)):
        for causal in (False, True):
            output = performer_attention(*case(queries, keys), projections, causal=causal)
            assert output.shape == (B, H, queries, V)
    assert (performer_attention(*case(3, 0), projections, causal=False) == 0).all()
    assert performer_attention(*(x.to("meta") for x in case()), projections.to("meta"), causal=True).is_meta


@pytest.mark.messages
def test_mistakes_are_named():
    query, key, value = case()
    for sizes in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match=r"(num_features|head_dim) is 0; expected at least 1"):
            orthogonal_projections(*sizes)
    for features in (positive_features, trigonometric_features):
        with pytest.raises(ValueError, match=r"x has shape \[2, 2, 6, 3\]; expected a last dimension of head_dim = 4"):
            features(query, independent(8, 4))
        with pytest.raises(ValueError, match=r"projections have shape \[3\]; expected \[num_features, head_dim\]"):
            features(query, independent(8)[0])
    with pytest.raises(ValueError, match="head_dim = 4"):
        performer_attention(query, key, value, independent(8, 4), causal=False)
    with pytest.raises(ValueError, match=r"expected query \[B H T K\]"):
        performer_attention(query, key[:, :1], value, independent(8), causal=False)
    with pytest.raises(ValueError, match="causal, with 6 queries and 4 keys"):
        performer_attention(query, key[:, :, :4], value[:, :, :4], independent(8), causal=True)
