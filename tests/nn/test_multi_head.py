"""Multi-head attention: head by head by hand, grouped heads, its symmetries, dropout, caches, and the mistakes that it must refuse."""

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import LayerCache, MultiHeadAttention, causal_mask, padding_mask, scaled_dot_product_attention

D_MODEL = 12


def layer(num_heads=3, seed=0, **options):
    torch.manual_seed(seed)
    module = MultiHeadAttention(D_MODEL, num_heads, **options)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return module


def vectors(*shape, seed=1, dtype=torch.float32):
    return random_inputs(*shape, D_MODEL, seed=seed, dtype=dtype)


@pytest.mark.parametrize(("num_heads", "num_kv_heads"), [(1, None), (3, None), (4, 2), (4, 1), (12, 3)])
def test_head_by_head(num_heads, num_kv_heads):
    module = layer(num_heads, num_kv_heads=num_kv_heads)
    x, context = vectors(2, 4), vectors(2, 5, seed=2)
    width = D_MODEL // num_heads
    heads = []
    for i in range(num_heads):
        j = i // (num_heads // (num_kv_heads or num_heads))  # neighbours share
        rows, shared = slice(i * width, (i + 1) * width), slice(j * width, (j + 1) * width)
        query = x @ module.query.weight[rows].T + module.query.bias[rows]
        key = context @ module.key.weight[shared].T + module.key.bias[shared]
        value = context @ module.value.weight[shared].T + module.value.bias[shared]
        heads.append((query @ key.mT / width**0.5).softmax(dim=-1) @ value)
    expected = torch.cat(heads, dim=-1) @ module.output.weight.T + module.output.bias
    close(module(x, context=context), expected)


def test_without_context_a_sequence_looks_at_itself():
    module, x = layer(), vectors(2, 4)
    assert torch.equal(module(x), module(x, context=x))
    assert not torch.equal(module(x), module(x, context=x.flip(1)[:, :2]))


def test_grouped_heads_are_full_heads_with_repeated_weights():
    grouped, full = layer(4, num_kv_heads=2), layer(4)
    state = grouped.state_dict()
    for name in ("key.weight", "key.bias", "value.weight", "value.bias"):
        by_head = state[name].unflatten(0, (2, 3))
        state[name] = by_head[[0, 0, 1, 1]].flatten(0, 1)
    full.load_state_dict(state)
    x = vectors(2, 5)
    close(grouped(x, mask=causal_mask(5)), full(x, mask=causal_mask(5)))


@pytest.mark.parametrize(("use_bias", "num_kv_heads", "expected"), [(True, 4, 624), (False, 4, 576), (True, 1, 390)])
def test_parameter_counts(use_bias, num_kv_heads, expected):
    module = MultiHeadAttention(D_MODEL, 4, num_kv_heads=num_kv_heads, use_bias=use_bias)
    assert sum(p.numel() for p in module.parameters()) == expected


def test_without_positions_attention_is_permutation_equivariant():
    module, x = layer(), vectors(2, 6)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    close(module(x[:, order]), module(x)[:, order])
    causal = module(x[:, order], mask=causal_mask(6))
    assert (causal - module(x, mask=causal_mask(6))[:, order]).abs().max() > 0.01


def test_causality():
    module, x = layer(), vectors(2, 6)
    changed = x.clone()
    changed[:, 3:] = 9.0
    before, after = module(x, mask=causal_mask(6)), module(changed, mask=causal_mask(6))
    close(before[:, :3], after[:, :3], 1e-6)
    assert (before[:, 3:] - after[:, 3:]).abs().max() > 0.1


def test_padding_changes_nothing_and_a_batch_is_its_rows():
    module, x = layer(), vectors(2, 5)
    mask = padding_mask(torch.tensor([5, 3]), 5)[:, None, None]
    together = module(x, mask=mask)
    close(together[:1], module(x[:1]))
    close(together[1:, :3], module(x[1:, :3]))


def test_nothing_visible_leaves_the_bias_of_the_output_projection():
    module, x = layer(), vectors(2, 4).requires_grad_()
    output = module(x, mask=torch.zeros(4, 4, dtype=torch.bool))
    assert torch.equal(output, module.output.bias.expand(2, 4, D_MODEL))
    output.sum().backward()
    assert (x.grad == 0).all()
    assert all(p.grad.isfinite().all() for p in module.parameters())


def test_a_bias_is_added_to_the_scores():
    module, x = layer(), vectors(2, 4)
    forbid = torch.zeros(4, 4).masked_fill(~causal_mask(4), -1e9)
    close(module(x, bias=forbid), module(x, mask=causal_mask(4)))
    by_head = torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(3))
    assert (module(x, bias=by_head) - module(x)).abs().max() > 0.01
    assert torch.equal(module(x, bias=by_head), module(x, bias=by_head[None]))


@pytest.mark.parametrize("num_kv_heads", [4, 2])
@pytest.mark.parametrize("sizes", [[1] * 6, [3, 2, 1], [6], [2, 0, 4]])
def test_cached_equals_uncached(num_kv_heads, sizes):
    module, x = layer(4, num_kv_heads=num_kv_heads), vectors(2, 6)
    cache, outputs, seen = LayerCache(), [], 0
    for chunk in x.split(sizes, dim=1):
        seen += chunk.shape[1]
        outputs.append(module(chunk, mask=causal_mask(chunk.shape[1], seen), cache=cache))
    close(torch.cat(outputs, dim=1), module(x, mask=causal_mask(6)))
    assert cache.key.shape == (2, num_kv_heads, 6, 3)  # a group's keys are kept once


@pytest.mark.parametrize("num_kv_heads", [4, 2])
def test_a_context_may_be_given_as_its_keys_and_values(num_kv_heads):
    module, x, context = layer(4, num_kv_heads=num_kv_heads), vectors(2, 3), vectors(2, 5, seed=2)
    mask = padding_mask(torch.tensor([5, 2]), 5)[:, None, None]
    known = module.keys_values(context)
    assert known.key.shape == known.value.shape == (2, num_kv_heads, 5, 3)
    assert torch.equal(module(x, context=known, mask=mask), module(x, context=context, mask=mask))
    weights = module.attention_weights(x, context=context)
    assert torch.equal(module.attention_weights(x, context=known), weights)


def test_weights_to_look_at_are_those_of_forward():
    module, x = layer(4, num_kv_heads=2, dropout=0.5).eval(), vectors(2, 5)
    options = {"mask": causal_mask(5), "bias": torch.linspace(-1, 1, 25).view(5, 5)}
    weights = module.attention_weights(x, **options)
    assert weights.shape == (2, 4, 5, 5)
    close(weights.sum(dim=-1), torch.ones(2, 4, 5))
    value = module.value(x).unflatten(-1, (2, 3)).transpose(1, 2)[:, [0, 0, 1, 1]]
    close(module.output((weights @ value).transpose(1, 2).flatten(2)), module(x, **options))
    assert torch.equal(module.train().attention_weights(x, **options), weights)
    assert module.attention_weights(x, context=x[:, :2]).shape == (2, 4, 5, 2)


def test_dropout_only_in_training_and_from_the_global_generator():
    module, x = layer(dropout=0.5), vectors(2, 5)
    torch.manual_seed(0)
    first, second = module(x), module(x)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(module(x), first)
    plain = layer()
    close(module.eval()(x), plain(x), 1e-6)
    before = torch.get_rng_state()
    module(x)
    assert torch.equal(before, torch.get_rng_state())


def test_empty_and_single():
    module = layer()
    assert module(vectors(2, 0)).shape == (2, 0, D_MODEL)
    assert module(vectors(0, 3)).shape == (0, 3, D_MODEL)
    x = vectors(1, 3)
    assert torch.equal(module(x, context=x[:, :0]), module.output.bias.expand(1, 3, D_MODEL))
    # With one key, its value is the answer whatever the question.
    close(module(x, context=x[:, :1]), module.output(module.value(x[:, :1])).expand(1, 3, D_MODEL))


@pytest.mark.parametrize("num_kv_heads", [3, 1])
def test_gradients_by_finite_differences(num_kv_heads):
    module = layer(num_kv_heads=num_kv_heads).double()
    mask = causal_mask(4)
    mask[1] = False
    x, context = (vectors(1, n, seed=n, dtype=torch.float64).requires_grad_() for n in (4, 4))
    assert torch.autograd.gradcheck(lambda x, c: module(x, context=c, mask=mask), (x, context))
    assert torch.autograd.gradcheck(lambda x: module(x, mask=mask), (x,))


def test_half_precision_and_autocast():
    module, x = layer(), vectors(2, 4)
    expected = module(x, mask=causal_mask(4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = module(x, mask=causal_mask(4))
    assert output.dtype == torch.bfloat16
    close(output.float(), expected, 0.05)
    output = module.bfloat16()(x.bfloat16(), mask=causal_mask(4))
    assert output.dtype == torch.bfloat16
    close(output.float(), expected, 0.05)


@pytest.mark.messages
def test_mistakes_are_named():
    for d_model, num_heads in ((12, 5), (12, 0), (12, -3), (0, 1), (-8, 4)):
        with pytest.raises(ValueError, match=f"num_heads = {num_heads} does not divide d_model = {d_model}"):
            MultiHeadAttention(d_model, num_heads)
    for num_kv_heads in (3, 0, 8, -1):
        with pytest.raises(ValueError, match=f"num_kv_heads = {num_kv_heads} does not divide num_heads = 4"):
            MultiHeadAttention(12, 4, num_kv_heads=num_kv_heads)
    for dropout in (-0.1, 1.0):
        with pytest.raises(ValueError, match=rf"dropout is {dropout}; expected 0 <= dropout < 1"):
            MultiHeadAttention(12, 4, dropout=dropout)
    module, x = layer(), vectors(2, 4)
    with pytest.raises(ValueError, match=r"x has shape \[2, 4, 11\]; expected \[batch, length, d_model = 12\]"):
        module(x[..., :11])
    with pytest.raises(ValueError, match=r"x has shape \[4, 12\]"):
        module(x[0])
    with pytest.raises(ValueError, match=r"context has shape \[2, 4, 6\]; expected \[batch, length, d_model = 12\]"):
        module(x, context=x[..., :6])
    with pytest.raises(ValueError, match=r"expected query \[B H T K\].*query \[2, 3, 4, 4\], key \[1, 3, 4, 4\]"):
        module(x, context=x[:1])
    with pytest.raises(ValueError, match=r"mask has shape \[2, 4\]; expected \[query, key\] = \[4, 4\]"):
        module(x, mask=padding_mask(torch.tensor([4, 2]), 4))
    with pytest.raises(ValueError, match=r"mask has shape \[4, 4\]; expected \[query, key\] = \[4, 3\]"):
        module(x, context=x[:, :3], mask=causal_mask(4))
    with pytest.raises(ValueError, match=r"mask has dtype torch\.float32; expected torch\.bool"):
        module.attention_weights(x, mask=torch.zeros(4, 4))


def test_the_layer_is_nothing_but_projections_around_attention():
    module, x = layer(2), vectors(1, 3)
    query, key, value = (p(x).unflatten(-1, (2, 6)).transpose(1, 2) for p in (module.query, module.key, module.value))
    heads = scaled_dot_product_attention(query, key, value)
    close(module.output(heads.transpose(1, 2).flatten(2)), module(x))


@pytest.mark.messages
def test_a_cache_and_a_context_exclude_each_other():
    x = torch.ones(2, 3, 8)
    with pytest.raises(ValueError, match=r"context too, of shape \[2, 3, 8\]"):
        MultiHeadAttention(8, 2)(x, context=x, cache=LayerCache())
