"""Scores of queries and keys: by hand, their variance and bounds, against torch, and attention that is given one of them."""

import itertools
import math

import pytest
import torch
from inputs import close, random_inputs
from torch.nn import functional as F

from llmbook.nn import (
    Additive,
    CosineGain,
    LayerCache,
    MultiHeadAttention,
    Multiplicative,
    ScoredAttention,
    causal_mask,
    cosine,
    dot_product,
    padding_mask,
    rotary_tables,
    scaled_dot_product,
    scored_attention,
)

D_MODEL, HEADS, HEAD_DIM = 12, 3, 4
KINDS = ("dot", "scaled", "cosine", "gain", "multiplicative", "additive")


def score_of(kind, heads=HEADS, head_dim=HEAD_DIM):
    """A score, with weights drawn at random where it has some."""
    torch.manual_seed(7)
    if kind == "multiplicative":
        score = Multiplicative(heads, head_dim)
        torch.nn.init.normal_(score.weight)
        return score
    if kind == "gain":
        score = CosineGain(heads, 3.0)
        torch.nn.init.uniform_(score.gain, 1, 5)
        return score
    if kind == "additive":
        return Additive(heads, head_dim, 5)
    return {"dot": dot_product, "scaled": scaled_dot_product, "cosine": cosine}[kind]


def pair(batch=2, heads=HEADS, queries=5, keys=6, head_dim=HEAD_DIM, dtype=torch.float64):
    query = random_inputs(batch, heads, queries, head_dim, seed=1, dtype=dtype)
    return query, random_inputs(batch, heads, keys, head_dim, seed=2, dtype=dtype)


def attention(kind, **options):
    score = options.pop("score", None) or score_of(kind, HEADS)
    torch.manual_seed(0)
    module = ScoredAttention(D_MODEL, HEADS, score=score, **options)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return module.double()


def vectors(*shape, seed=3):
    return random_inputs(*shape, D_MODEL, seed=seed, dtype=torch.float64)


def test_three_queries_and_four_keys_by_hand():
    query = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]]).view(1, 1, 3, 2)
    key = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0], [-6.0, -8.0]]).view(1, 1, 4, 2)
    products = torch.tensor([[3.0, 8, 25, -50], [1, 0, 3, -6], [0, 0, 0, 0]])
    cosines = torch.tensor([[0.6, 0.8, 1, -1], [1, 0, 0.6, -0.6], [0, 0, 0, 0]])
    close(dot_product(query, key)[0, 0], products, 0)
    close(scaled_dot_product(query, key)[0, 0], products / 2**0.5, 1e-6)
    close(cosine(query, key)[0, 0], cosines, 1e-6)
    close(CosineGain(1, 10)(query, key)[0, 0], 10 * cosines, 1e-6)
    bilinear, network = Multiplicative(1, 2), Additive(1, 2, 3)
    with torch.no_grad():
        bilinear.weight.copy_(torch.tensor([[[0.0, 1.0], [2.0, 0.0]]]))  # q₁ k₂ + 2 q₂ k₁
        network.query_weight.copy_(torch.tensor([[[1.0, 0, 0], [0, 1, 0]]]))
        network.key_weight.copy_(torch.tensor([[[0.0, 1, 0], [0, 0, 1]]]))
        network.v.copy_(torch.tensor([[1.0, 10.0, 100.0]]))
    close(bilinear(query, key)[0, 0], torch.tensor([[8.0, 6, 36, -72], [0, 2, 4, -8], [0, 0, 0, 0]]), 0)
    # tanh(q₁) + 10 tanh(q₂ + k₁) + 100 tanh(k₂)
    expected = [
        [math.tanh(q1) + 10 * math.tanh(q2 + k1) + 100 * math.tanh(k2) for k1, k2 in key[0, 0].tolist()]
        for q1, q2 in query[0, 0].tolist()
    ]
    close(network(query, key)[0, 0], torch.tensor(expected))


def score_of_one_pair(kind, score, q, k, h):
    if kind in ("cosine", "gain"):
        return (score.gain[h] if kind == "gain" else 1) * (q @ k) / (q.norm() * k.norm())
    if kind == "multiplicative":
        return q @ score.weight[h] @ k
    if kind == "additive":
        return score.v[h] @ torch.tanh(q @ score.query_weight[h] + k @ score.key_weight[h])
    return q @ k / (2 if kind == "scaled" else 1)


@pytest.mark.parametrize("kind", KINDS)
def test_pair_by_pair(kind):
    score, (query, key) = score_of(kind), pair()
    if isinstance(score, torch.nn.Module):
        score.double()
    scores = score(query, key)
    assert scores.shape == (2, HEADS, 5, 6)
    for b, h, t, s in itertools.product(*map(range, scores.shape)):
        close(scores[b, h, t, s], score_of_one_pair(kind, score, query[b, h, t], key[b, h, s], h), 1e-12)


@pytest.mark.parametrize("fourth_moment", [3.0, 1.8])
def test_the_variance_of_products_of_unit_entries_is_the_width_and_after_scaling_one(fourth_moment):
    number, width = 20_000, 48
    entries = random_inputs(2, number, 1, 1, width)
    if fourth_moment < 3:  # uniform with variance 1
        entries = math.sqrt(12) * (torch.rand(entries.shape, generator=torch.Generator().manual_seed(0)) - 0.5)
    # Of `number` independent scores of variance 1 and fourth moment m, the mean square has the deviation √((m − 1) / number);
    # a sum of `width` products of fourth moment f² over √width has m = 3 + (f² − 3) / width. Five deviations are allowed.
    bound = 5 * math.sqrt((2 + (fourth_moment**2 - 3) / width) / number)
    for score, variance in ((dot_product, width), (scaled_dot_product, 1)):
        mean_square = score(*entries).square().mean().item()
        assert abs(mean_square / variance - 1) < bound < 0.06


def test_multiplicative_starts_as_the_scaled_dot_product():
    query, key = pair()
    close(Multiplicative(HEADS, HEAD_DIM).double()(query, key), scaled_dot_product(query, key), 1e-7)
    score = Multiplicative(HEADS, HEAD_DIM).double()
    torch.nn.init.eye_(score.weight.data[1]).div_(math.sqrt(HEAD_DIM))
    close(score(query, key)[:, 1], scaled_dot_product(query, key)[:, 1], 1e-12)


def test_cosines_do_not_depend_on_lengths_and_are_one_for_what_points_the_same_way():
    query, key = pair()
    lengths = torch.linspace(0.1, 100, 5, dtype=torch.float64)[:, None]
    close(cosine(lengths * query, key), cosine(query, key), 1e-12)
    close(cosine(query, 3 * query).diagonal(dim1=-2, dim2=-1), torch.ones(2, HEADS, 5, dtype=torch.float64), 1e-12)
    assert cosine(query, key).abs().max() <= 1
    nothing = torch.zeros(2, HEADS, 5, HEAD_DIM, requires_grad=True)
    scores = cosine(nothing, key.float())
    assert (scores == 0).all()
    scores.sum().backward()
    assert nothing.grad.isfinite().all()


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_additive_scores_stay_within_the_sum_of_absolute_weights(scale):
    score, (query, key) = score_of("additive").double(), pair()
    bound = score.v.abs().sum(dim=1)[:, None, None]
    scores = score(scale * query, scale * key)
    assert (scores.abs() <= bound).all()
    with torch.no_grad():  # reached where all hidden units agree with their weights
        score.query_weight.copy_(score.v[:, None].sign().expand(-1, HEAD_DIM, -1))
    close(score(torch.full_like(query, 1e3), key), bound.expand(2, -1, 5, 6), 1e-12)


def test_against_torch():
    query, key = pair()
    close(cosine(query, key), F.cosine_similarity(query[:, :, :, None], key[:, :, None], dim=-1), 1e-12)
    close(cosine(query, key, eps=2.0), F.cosine_similarity(query[:, :, :, None], key[:, :, None], -1, 2.0), 1e-12)
    score = score_of("multiplicative").double()
    bilinear = torch.nn.Bilinear(HEAD_DIM, HEAD_DIM, HEADS, bias=False, dtype=torch.float64)
    bilinear.weight.data.copy_(score.weight)
    for h in range(HEADS):
        each = (x.expand(2, 5, 6, -1).contiguous() for x in (query[:, h, :, None], key[:, h, None]))
        close(score(query, key)[:, h], bilinear(*each)[..., h], 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_half_types_are_summed_in_single_precision(kind):
    score, (query, key) = score_of(kind), pair(dtype=torch.float32)
    exact = score(query, key)
    if isinstance(score, torch.nn.Module):
        score.bfloat16()
    scores = score(query.bfloat16(), key.bfloat16())
    assert scores.dtype == torch.float32
    close(scores, exact, 0.15)
    if kind in ("dot", "scaled", "cosine"):
        assert torch.equal(scores, score(query.bfloat16().float(), key.bfloat16().float()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [(2, 3, 1, 1), (2, 3, 0, 4), (2, 3, 4, 0), (0, 3, 2, 4)])
def test_one_or_none(kind, sizes):
    assert score_of(kind)(*pair(*sizes, dtype=torch.float32)).shape == sizes


@pytest.mark.parametrize("num_kv_heads", [3, 1])
@pytest.mark.parametrize("given", ["nothing", "mask", "bias", "both", "rotary", "context"])
def test_with_the_scaled_dot_product_it_is_multi_head_attention_in_values_and_gradients(given, num_kv_heads):
    ours = attention("scaled", num_kv_heads=num_kv_heads)
    theirs = MultiHeadAttention(D_MODEL, HEADS, num_kv_heads=num_kv_heads).double()
    theirs.load_state_dict(ours.state_dict())
    empty_row = torch.rand(2, 1, 5, 5, generator=torch.Generator().manual_seed(0)) < 0.6
    empty_row[0, 0, 2] = False
    bias = random_inputs(HEADS, 5, 5, seed=4, dtype=torch.float64)
    options = {
        "nothing": {},
        "mask": {"mask": empty_row},
        "bias": {"bias": bias.masked_fill(bias > 1.5, -math.inf)},
        "both": {"mask": empty_row, "bias": bias},
        "rotary": {"rotary": rotary_tables(HEAD_DIM, 9), "positions": torch.tensor([4, 0, 1, 8, 2])},
        "context": {"context": vectors(2, 7, seed=5)},
    }[given]
    results = []
    for module in (ours, theirs):
        x = vectors(2, 5).requires_grad_()
        output = module(x, **options)
        (output * vectors(2, 5, seed=6)).sum().backward()
        results.append([output, module.attention_weights(x, **options), x.grad, *(p.grad for p in module.parameters())])
    for actual, expected in zip(*results, strict=True):
        close(actual, expected, 1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_the_softmax_of_its_scores(kind):
    module, x = attention(kind), vectors(2, 5)
    query, key, value = (
        p(x).unflatten(-1, (HEADS, HEAD_DIM)).transpose(1, 2) for p in (module.query, module.key, module.value)
    )
    scores = module.score(query, key).masked_fill(~causal_mask(5), -math.inf)
    weights = scores.softmax(dim=-1)
    close(module.attention_weights(x, mask=causal_mask(5)), weights, 1e-12)
    close(module(x, mask=causal_mask(5)), module.output((weights @ value).transpose(1, 2).flatten(2)), 1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [[1] * 6, [3, 2, 1], [2, 0, 4]])
def test_cached_equals_uncached(kind, sizes):
    module, x, tables = attention(kind, num_kv_heads=1), vectors(2, 6), rotary_tables(HEAD_DIM, 6)
    cache, outputs = LayerCache(), []
    for chunk in x.split(sizes, dim=1):
        mask = causal_mask(chunk.shape[1], cache.length + chunk.shape[1])
        outputs.append(module(chunk, mask=mask, rotary=tables, cache=cache))
    close(torch.cat(outputs, dim=1), module(x, mask=causal_mask(6), rotary=tables), 1e-12)
    assert cache.key.shape == (2, 1, 6, HEAD_DIM)


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_keys_change_nothing_and_rows_that_see_nothing_give_zeros(kind):
    module = attention(kind, use_bias=False)
    x = vectors(2, 5).requires_grad_()
    mask = padding_mask(torch.tensor([0, 3]), 5)[:, None, None]
    output = module(x, mask=mask)
    close(output[1, :3], module(x[1:, :3])[0], 1e-12)
    assert (output[0] == 0).all()
    output.square().sum().backward()
    assert (x.grad[0] == 0).all()
    assert all(p.grad.isfinite().all() for p in module.parameters())
    alone = vectors(2, 5)[:1].requires_grad_()
    module.zero_grad()
    module(alone, mask=mask[:1]).square().sum().backward()
    assert all((p.grad == 0).all() for p in module.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_finite_differences(kind):
    module = attention(kind)
    mask = causal_mask(4)
    mask[1] = False
    x, weights = vectors(1, 4).requires_grad_(), dict(module.score.named_parameters()) if kind in KINDS[3:] else {}

    def attend(x, *weights_given):
        given = dict(zip((f"score.{name}" for name in weights), weights_given, strict=True))
        return torch.func.functional_call(module, given, (x,), {"mask": mask})

    assert torch.autograd.gradcheck(attend, (x, *weights.values()))


@pytest.mark.parametrize("kind", ["dot", "cosine", "gain"])
def test_with_rotary_positions_products_and_cosines_depend_on_differences_alone(kind):
    tables, x = rotary_tables(HEAD_DIM, 12), vectors(2, 5)
    module, other = attention(kind), attention("additive")
    later = {"rotary": tables, "positions": torch.arange(7, 12)}
    close(module(x, **later), module(x, rotary=tables), 1e-5)
    assert (other(x, **later) - other(x, rotary=tables)).abs().max() > 1e-3


def test_the_weights_of_a_score_are_learned_and_kept_with_the_layer():
    module = attention("additive")
    assert {"score.query_weight", "score.key_weight", "score.v"} < set(module.state_dict())
    assert sum(p.numel() for p in module.score.parameters()) == HEADS * (2 * HEAD_DIM * 5 + 5)
    assert sum(p.numel() for p in score_of("gain").parameters()) == HEADS
    assert sum(p.numel() for p in score_of("multiplicative").parameters()) == HEADS * HEAD_DIM**2


def test_dropout_only_in_training():
    module, x = attention("cosine", dropout=0.5), vectors(2, 5)
    torch.manual_seed(0)
    first, second = module(x), module(x)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(module(x), first)
    assert torch.equal(module.eval()(x), attention("cosine")(x))
    close(module.train().attention_weights(x).sum(dim=-1), torch.ones(2, HEADS, 5, dtype=torch.float64), 1e-12)


def test_half_precision_and_autocast():
    module = attention("additive").float()
    x, mask = vectors(2, 5).float(), causal_mask(5)
    expected = module(x, mask=mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close(module(x, mask=mask).float(), expected, 0.1)
    output = module.bfloat16()(x.bfloat16(), mask=mask)
    assert output.dtype == torch.bfloat16
    close(output.float(), expected, 0.1)


@pytest.mark.messages
def test_sizes_and_pairs_that_do_not_fit_are_named():
    query, key = pair(dtype=torch.float32)
    for given in (query[:, :, :, :3], query[:1], query[:, :2]):
        for score in (dot_product, scaled_dot_product, cosine):
            shape = ", ".join(map(str, given.shape))
            with pytest.raises(ValueError, match=rf"expected query \[B, H, T, K >= 1\].*got query \[{shape}\], key \["):
                score(given, key)
    with pytest.raises(ValueError, match=r"got query \[3, 5, 4\], key \[2, 3, 6, 4\]"):
        dot_product(query[0], key)
    with pytest.raises(ValueError, match=r"got query \[2, 3, 5, 0\]"):
        scaled_dot_product(query[..., :0], key[..., :0])
    with pytest.raises(ValueError, match="eps is 0"):
        cosine(query, key, eps=0)
    for score in (Multiplicative(2, 4), Multiplicative(3, 5), Additive(2, 4, 5), Additive(3, 5, 5)):
        with pytest.raises(ValueError, match=r"expected query \[B, [23], T, [45]\].*got query \[2, 3, 5, 4\]"):
            score(query, key)
    with pytest.raises(ValueError, match=r"expected query \[B, 2, T, K >= 1\] and key \[B, 2, S, K >= 1\]"):
        CosineGain(2, 1)(query, key)
    for make in (lambda: CosineGain(0, 1), lambda: Multiplicative(0, 4), lambda: Additive(0, 4, 5)):
        with pytest.raises(ValueError, match="num_heads is 0; expected at least 1"):
            make()
    for make in (lambda: Multiplicative(3, -1), lambda: Additive(3, -1, 5)):
        with pytest.raises(ValueError, match="head_dim is -1; expected at least 1"):
            make()
    with pytest.raises(ValueError, match="hidden is 0; expected at least 1"):
        Additive(3, 4, 0)
    with pytest.raises(ValueError, match="gain is 0; expected gain > 0"):
        CosineGain(3, 0)


@pytest.mark.messages
def test_mistakes_in_attention_are_named():
    x = vectors(2, 5)
    with pytest.raises(ValueError, match=r"score gives \[2, 3, 5, 4\]; expected .* = \[2, 3, 5, 5\]"):
        attention("", score=lambda query, key: dot_product(query, key)[..., :4])(x)
    with pytest.raises(ValueError, match="num_heads = 5 does not divide d_model = 12"):
        ScoredAttention(D_MODEL, 5, score=dot_product)
    for name in ("mask", "bias"):
        given = torch.ones(4, 5, dtype=torch.bool if name == "mask" else torch.float64)
        with pytest.raises(ValueError, match=rf"{name} has shape \[4, 5\]; expected \[query, key\] = \[5, 5\]"):
            attention("dot")(x, **{name: given})
    query, key = pair()
    with pytest.raises(ValueError, match=r"expected query \[B H T K\].*value \[2, 3, 5, 4\]"):
        scored_attention(query, key, query, score=dot_product)
