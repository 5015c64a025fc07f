"""Linear attention: both orders of summation, chunks, recurrence, what is kept, the module, and the mistakes that it must refuse."""

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import (
    LayerCache,
    LinearAttention,
    LinearState,
    MultiHeadAttention,
    TransformerBlock,
    apply_rotary,
    causal_mask,
    elu_plus_one,
    linear_attention,
    linear_step,
    padding_mask,
    rotary_tables,
)

B, H, T, S, K, V = 2, 3, 5, 7, 4, 6


def case(queries=T, keys=S, batch=B, dtype=torch.float64):
    shapes = ((batch, H, queries, K), (batch, H, keys, K), (batch, H, keys, V))
    return [random_inputs(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


def wider(x):
    """Features of another width than a head."""
    return torch.cat([elu_plus_one(x), x.square(), x[..., :1].exp()], dim=-1)


def quadratic(query, key, value, *, causal, features=elu_plus_one):
    """Every weight by itself."""
    weights = torch.einsum("bhtf,bhsf->bhts", features(query), features(key))
    if causal:
        weights = weights * causal_mask(query.shape[2], key.shape[2])
    return weights / weights.sum(dim=-1, keepdim=True) @ value


def test_by_hand():
    query, key = torch.tensor([[1.0, 0], [1, 1]])[None, None], torch.tensor([[1.0, 2], [3, 1]])[None, None]
    value = torch.tensor([[8.0], [4]])[None, None]
    # Products are 1 and 3 for the first query, 3 and 4 for the second.
    for causal, first in ((False, (1 * 8 + 3 * 4) / 4), (True, 8.0)):
        output = linear_attention(query, key, value, causal=causal, features=torch.nn.Identity())
        close(output.flatten(), torch.tensor([first, (3 * 8 + 4 * 4) / 7]), 1e-6)


def test_elu_plus_one():
    x = torch.tensor([-60.0, -1, 0, 1, 60])
    close(elu_plus_one(x[1:]), torch.nn.functional.elu(x[1:]) + 1, 1e-6)
    assert elu_plus_one(x)[0] > 0  # where 1 + elu is rounded to 0
    x = x.double().requires_grad_()
    elu_plus_one(x).sum().backward()
    close(x.grad, x.detach().clamp(max=0).exp(), 1e-12)
    assert torch.autograd.gradcheck(elu_plus_one, random_inputs(9, dtype=torch.float64).requires_grad_())
    assert elu_plus_one(torch.tensor(500.0)) == 501  # the branch not taken makes no infinity
    large = torch.tensor(500.0, requires_grad=True)
    assert torch.autograd.grad(elu_plus_one(large), large)[0] == 1


@pytest.mark.parametrize("features", [elu_plus_one, wider])
@pytest.mark.parametrize(("queries", "keys"), [(5, 7), (7, 5), (1, 4), (4, 1), (1, 1)])
def test_both_orders_of_summation_are_equal(queries, keys, features):
    inputs = [x.requires_grad_() for x in case(queries, keys)]
    output = linear_attention(*inputs, causal=False, features=features)
    expected = quadratic(*inputs, causal=False, features=features)
    close(output, expected, 1e-10)
    upstream = random_inputs(*output.shape, seed=9, dtype=torch.float64)
    for ours, theirs in zip(
        torch.autograd.grad(output, inputs, upstream), torch.autograd.grad(expected, inputs, upstream), strict=True
    ):
        close(ours, theirs, 1e-10)


@pytest.mark.parametrize("features", [elu_plus_one, wider])
@pytest.mark.parametrize(("queries", "keys"), [(6, 6), (5, 7), (1, 4), (1, 1)])
def test_causal_in_chunks_of_any_size(queries, keys, features):
    inputs = [x.requires_grad_() for x in case(queries, keys)]
    expected = quadratic(*inputs, causal=True, features=features)
    upstream = random_inputs(*expected.shape, seed=9, dtype=torch.float64)
    gradients = torch.autograd.grad(expected, inputs, upstream)
    for chunk_size in (*range(1, queries + 2), 64):
        output = linear_attention(*inputs, causal=True, features=features, chunk_size=chunk_size)
        close(output, expected, 1e-10)
        for ours, theirs in zip(torch.autograd.grad(output, inputs, upstream), gradients, strict=True):
            close(ours, theirs, 1e-10)


def test_gradients_by_finite_differences():
    inputs = [x.requires_grad_() for x in case(3, 4, batch=1)]
    for causal in (False, True):
        assert torch.autograd.gradcheck(lambda *x, c=causal: linear_attention(*x, causal=c, chunk_size=2), inputs)


def test_causal_looks_at_nothing_later():
    query, key, value = case(6, 6)
    output = linear_attention(query, key, value, causal=True, chunk_size=4)
    key[:, :, 3:], value[:, :, 3:] = 7, -7
    later = linear_attention(query, key, value, causal=True, chunk_size=4)
    assert torch.equal(output[:, :, :3], later[:, :, :3])
    assert ((output - later)[:, :, 3:].abs() > 1e-3).any(dim=-1).all()


def test_rows_of_the_batch_are_independent():
    inputs = case(6, 6, batch=3)
    for causal in (False, True):
        output = linear_attention(*inputs, causal=causal)
        close(output[1:2], linear_attention(*(x[1:2] for x in inputs), causal=causal), 1e-12)


@pytest.mark.parametrize("sizes", [[1] * 6, [3, 2, 1], [6], [2, 0, 4]])
@pytest.mark.parametrize("features", [elu_plus_one, wider])
def test_the_recurrence_is_the_parallel_form(sizes, features):
    inputs = case(6, 6)
    state, outputs = None, []
    for chunk in zip(*(x.split(sizes, dim=2) for x in inputs), strict=True):
        output, state = linear_step(state, *chunk, features=features)
        outputs.append(output)
    close(torch.cat(outputs, dim=2), linear_attention(*inputs, causal=True, features=features), 1e-10)
    phi = features(inputs[1])
    close(state.numerator, torch.einsum("bhsf,bhsv->bhfv", phi, inputs[2]), 1e-10)
    close(state.denominator, phi.sum(dim=2), 1e-10)


def test_a_step_leaves_the_state_that_it_was_given():
    query, key, value = case(2, 2)
    _, state = linear_step(None, query, key, value)
    before = LinearState(*(part.clone() for part in state))
    linear_step(state, query, key, value)
    assert torch.equal(before.numerator, state.numerator)
    assert torch.equal(before.denominator, state.denominator)


def kept_numbers(length, **options):
    inputs = [x.requires_grad_() for x in case(length, length, dtype=torch.float32)]
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        linear_attention(*inputs, **options)
    return sum(tensor.untyped_storage().size() for tensor in kept.values())


@pytest.mark.parametrize("causal", [False, True])
def test_what_is_kept_for_the_way_back_grows_like_the_length(causal):
    short, long = (kept_numbers(length, causal=causal, chunk_size=16) for length in (128, 512))
    assert 3.5 < long / short < 4.5
    if causal:  # the comparison: one chunk for all is the quadratic form
        assert kept_numbers(512, causal=True, chunk_size=512) > 2 * long


def test_half_types_are_summed_in_single_precision():
    for dtype in (torch.bfloat16, torch.float16):
        halves = [x.to(dtype) for x in case(300, 300, dtype=torch.float32)]
        for causal in (False, True):
            output = linear_attention(*halves, causal=causal)
            exact = linear_attention(*(x.float() for x in halves), causal=causal)
            assert output.dtype == dtype
            assert torch.equal(output, exact.to(dtype))
        _, state = linear_step(None, *halves)
        assert state.numerator.dtype == state.denominator.dtype == torch.float32


def test_where_no_key_has_a_weight_there_are_zeros_and_no_nan():
    query, key, value = (x.requires_grad_() for x in case(3, 3))
    hidden = torch.cat([torch.full_like(key[:, :, :2], -1), key[:, :, 2:].abs()], dim=2)
    output = linear_attention(query.abs(), hidden, value, causal=True, features=torch.relu)
    assert (output[:, :, :2] == 0).all()
    close(output[:, :, 2], value[:, :, 2], 1e-10)
    for gradient in torch.autograd.grad(output.square().sum(), (query, key, value)):
        assert gradient.isfinite().all()
        assert (gradient[:, :, :2] == 0).all()


def test_nothing_to_attend_from_or_to():
    for queries, keys, batch in ((0, 4, 2), (0, 0, 2), (3, 4, 0)):
        for causal in (False, True):
            assert linear_attention(*case(queries, keys, batch), causal=causal).shape == (batch, H, queries, V)
    assert (linear_attention(*case(3, 0), causal=False) == 0).all()
    output, state = linear_step(None, *case(0, 0))
    assert output.shape == (B, H, 0, V)
    assert (state.numerator == 0).all()
    for causal in (False, True):
        assert linear_attention(*(x.to("meta") for x in case()), causal=causal).is_meta


D_MODEL = 12


def layer(**options):
    torch.manual_seed(0)
    return LinearAttention(D_MODEL, 3, **options).double()


def vectors(length, seed=0):
    return random_inputs(B, length, D_MODEL, seed=seed, dtype=torch.float64)


@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 1}, {"use_bias": False}, {"features": wider}])
def test_a_module_by_its_heads(options):
    module, x = layer(**options), vectors(5)
    features = options.get("features", elu_plus_one)
    query, key, value = module.project(x, None)
    heads = quadratic(query, key, value, causal=True, features=features)
    expected = module.output(heads.transpose(1, 2).flatten(2))
    close(module(x), expected, 1e-10)
    for mask in (causal_mask(5), causal_mask(5)[None, None], causal_mask(5).expand(B, 1, 5, 5)):
        close(module(x, mask=mask), expected, 1e-10)
    weights = module.attention_weights(x, mask=causal_mask(5))
    close(weights @ value, heads, 1e-10)
    close(weights.sum(dim=-1), torch.ones(B, 3, 5, dtype=torch.float64), 1e-10)


def test_it_has_the_parameters_of_multi_head_attention():
    plain = MultiHeadAttention(D_MODEL, 3, num_kv_heads=1)
    layer(num_kv_heads=1).load_state_dict(plain.state_dict())


def test_a_module_with_rotary_positions_or_an_earlier_context():
    module, x, tables = layer(), vectors(5), rotary_tables(4, 9)
    query, key, value = module.project(x, None)
    query, key = apply_rotary(query, tables), apply_rotary(key, tables)
    heads = quadratic(query, key, value, causal=True)
    close(module(x, rotary=tables), module.output(heads.transpose(1, 2).flatten(2)), 1e-6)
    shifted = module(x, rotary=tables, positions=torch.arange(4, 9))
    assert (shifted - module(x, rotary=tables)).abs().max() > 1e-4  # φ undoes that only distances count
    for context in (x, module.keys_values(x)):
        close(module(x[:, 3:], context=context, mask=causal_mask(2, 5)), module(x)[:, 3:], 1e-10)


def test_a_block_takes_it_for_its_self_attention():
    torch.manual_seed(0)
    block, x = TransformerBlock(D_MODEL, 3, 24, attention=LinearAttention).double(), vectors(5)
    y = x + block.self_attention(block.self_attention_norm(x))
    y = y + block.feed_forward(block.feed_forward_norm(y))
    close(block(x, mask=causal_mask(5)), y, 1e-12)


@pytest.mark.messages
def test_mistakes_are_named():
    query, key, value = case()
    with pytest.raises(ValueError, match=r"expected query \[B H T K\].*key \[2, 3, 6, 4\]"):
        linear_attention(query, key[:, :, :6], value, causal=True)
    with pytest.raises(ValueError, match="causal, with 5 queries and 4 keys; expected no more queries"):
        linear_attention(query, key[:, :, :4], value[:, :, :4], causal=True)
    with pytest.raises(ValueError, match="chunk_size is 0; expected at least 1"):
        linear_attention(query, key, value, causal=False, chunk_size=0)
    with pytest.raises(ValueError, match=r"features have shape \[2, 3, 7\]; expected \[2, 3, 7\] and any width"):
        linear_attention(query, key, value, causal=False, features=lambda x: x.sum(dim=-1))
    with pytest.raises(ValueError, match=r"queries have shape \[2, 3, 5, 4\], of keys \[2, 3, 7, 4\]; expected one"):
        linear_step(None, query, key, value)
    _, state = linear_step(None, key, key, value)
    for wrong in (LinearState(state.numerator, state.denominator[:1]), LinearState(state.numerator.mT, state[1])):
        with pytest.raises(
            ValueError, match=r"the state's numerator and denominator have shapes .*; expected \[\[2, 3"
        ):
            linear_step(wrong, key, key, value)


@pytest.mark.messages
def test_what_the_module_can_not_do_is_refused():
    module, x = layer(), vectors(5)
    two_sided, padded = torch.ones(5, 5, dtype=torch.bool), padding_mask(torch.tensor([5, 3]), 5)[:, None, None]
    for mask, count in ((two_sided, 10), (causal_mask(5) & padded, 3), (causal_mask(5).T, 20), (padded, 16)):
        for call in (module, module.attention_weights):
            with pytest.raises(ValueError, match=rf"differs from causal_mask\(5, 5\) in {count} places; expected that"):
                call(x, mask=mask)
    with pytest.raises(ValueError, match=r"mask has dtype torch.float32; expected torch.bool"):
        module(x, mask=torch.zeros(5, 5))
    with pytest.raises(ValueError, match=r"mask has shape \[4, 4\]; expected \[query, key\] = \[5, 5\]"):
        module(x, mask=causal_mask(4))
    for call in (module, module.attention_weights):
        with pytest.raises(ValueError, match=r"got a bias of shape \[5, 5\]; linear attention has no scores"):
            call(x, bias=torch.zeros(5, 5))
    with pytest.raises(ValueError, match="got a cache; linear attention has no scores and keeps no keys"):
        module(x, cache=LayerCache())
    with pytest.raises(ValueError, match=r"dropout is 0.1; linear attention has no weights to drop"):
        layer(dropout=0.1)
    with pytest.raises(ValueError, match="causal, with 5 queries and 3 keys"):
        module(x, context=x[:, :3])
    with pytest.raises(ValueError, match="num_heads = 3 does not divide d_model = 10"):
        LinearAttention(10, 3)
