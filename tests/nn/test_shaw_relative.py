"""Shaw's relative positions: by hand, against the dense computation, caches, padding, and the mistakes that it must refuse."""

import math

import pytest
import torch
from inputs import close, random_inputs
from torch.utils._python_dispatch import TorchDispatchMode

from llmbook.nn import (
    LayerCache,
    MultiHeadAttention,
    ShawAttention,
    TransformerBlock,
    apply_rotary,
    causal_mask,
    rotary_tables,
    shaw_index,
)

D_MODEL = 12


def layer(num_heads=3, max_distance=2, seed=0, **options):
    torch.manual_seed(seed)
    module = ShawAttention(D_MODEL, num_heads, max_distance=max_distance, **options)
    for name, parameter in module.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter)
    return module


def vectors(*shape, seed=1, dtype=torch.float32):
    return random_inputs(*shape, D_MODEL, seed=seed, dtype=dtype)


def dense(module, x, mask=None, bias=None):
    """Equations 3 and 4 with a vector for each pair of a query and a key; gives output and weights."""
    query, key, value = module.project(x, None)
    length = x.shape[1]
    clipped = [
        [max(-module.max_distance, min(module.max_distance, j - i)) for j in range(length)] for i in range(length)
    ]
    index = torch.tensor(clipped, dtype=torch.long).view(length, length) + module.max_distance
    keys = key[:, :, None] + module.key_vectors[index]
    scores = torch.einsum("bhtk,bhtsk->bhts", query, keys) / math.sqrt(query.shape[-1])
    scores = scores if bias is None else scores + bias
    scores = scores if mask is None else scores.masked_fill(~mask, -math.inf)
    weights = scores.softmax(dim=-1)
    values = value[:, :, None].expand(-1, -1, length, -1, -1)
    if module.value_vectors is not None:
        values = values + module.value_vectors[index]
    heads = torch.einsum("bhts,bhtsk->bhtk", weights, values)
    return module.output(heads.transpose(1, 2).flatten(2)), weights


def test_an_index_by_hand_with_the_queries_last():
    expected = [[2, 3, 4, 4], [1, 2, 3, 4], [0, 1, 2, 3], [0, 0, 1, 2]]
    assert shaw_index(4, 4, max_distance=2).tolist() == expected
    assert shaw_index(2, 4, max_distance=2).tolist() == expected[2:]
    assert shaw_index(1, 1, max_distance=3).tolist() == [[3]]
    assert shaw_index(2, 3, max_distance=0).tolist() == [[0] * 3] * 2
    assert shaw_index(0, 3, max_distance=1).shape == (0, 3)
    assert shaw_index(50, 50, max_distance=7).unique().tolist() == list(range(15))


def test_attention_by_hand():
    # One head of width 1 without projections; x = (1, 1), a^K = (0, 0, ln 3), so the first query has scores 1 and 1 + ln 3.
    module = ShawAttention(1, 1, max_distance=1, use_bias=False)
    for linear in (module.query, module.key, module.value, module.output):
        torch.nn.init.ones_(linear.weight)
    module.key_vectors.data = torch.tensor([[0.0], [0.0], [math.log(3)]])
    module.value_vectors.data = torch.tensor([[10.0], [20.0], [40.0]])
    x = torch.ones(1, 2, 1)
    close(module.attention_weights(x), torch.tensor([[[[0.25, 0.75], [0.5, 0.5]]]]))
    # 1 + 20 / 4 + 40 · 3 / 4 and 1 + 10 / 2 + 20 / 2.
    close(module(x), torch.tensor([[[36.0], [16.0]]]))


@pytest.mark.parametrize("value_vectors", [True, False])
@pytest.mark.parametrize(("num_heads", "num_kv_heads"), [(1, None), (3, None), (4, 2), (12, 1)])
@pytest.mark.parametrize(("length", "max_distance"), [(5, 2), (7, 1), (4, 9), (1, 3), (6, 0)])
def test_against_the_dense_computation(value_vectors, num_heads, num_kv_heads, length, max_distance):
    module = layer(num_heads, max_distance, num_kv_heads=num_kv_heads, value_vectors=value_vectors)
    assert isinstance(module, MultiHeadAttention)
    x, bias = vectors(2, length), random_inputs(num_heads, length, length, seed=3)
    for options in ({}, {"mask": causal_mask(length)}, {"bias": bias}, {"mask": causal_mask(length), "bias": bias}):
        output, weights = dense(module, x, **options)
        close(module(x, **options), output)
        close(module.attention_weights(x, **options), weights)


def test_gradients_are_those_of_the_dense_computation():
    module, x, mask = layer().double(), vectors(2, 6, dtype=torch.float64).requires_grad_(), causal_mask(6)
    parameters = dict(module.named_parameters())
    inputs = [x, *parameters.values()]
    weighting = vectors(2, 6, seed=5, dtype=torch.float64)
    grads = torch.autograd.grad((module(x, mask=mask) * weighting).sum(), inputs)
    expected = torch.autograd.grad((dense(module, x, mask)[0] * weighting).sum(), inputs)
    for grad, want in zip(grads, expected, strict=True):
        close(grad, want, 1e-10)
    # Behind a causal mask the rows of the future are never used.
    by_row = grads[1 + list(parameters).index("value_vectors")].abs().sum(dim=1)
    assert (by_row > 0).tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("length", [5, 1])
def test_with_tables_of_zeros_it_is_plain_attention(length):
    module, plain, x = layer(), MultiHeadAttention(D_MODEL, 3), vectors(2, length)
    plain.load_state_dict({name: p for name, p in module.state_dict().items() if "vectors" not in name})
    assert (module(x) - plain(x)).abs().max() > 1e-2
    torch.nn.init.zeros_(module.key_vectors)
    torch.nn.init.zeros_(module.value_vectors)
    close(module(x), plain(x), 1e-6)


def test_with_one_vector_for_all_distances_keys_lose_it_and_values_keep_it():
    # Softmax does not see q · a, the same for all keys; a^V comes in with weights that sum to 1.
    module, plain, x = layer(max_distance=0), MultiHeadAttention(D_MODEL, 3), vectors(2, 5)
    plain.load_state_dict({name: p for name, p in module.state_dict().items() if "vectors" not in name})
    close(module.attention_weights(x), plain.attention_weights(x))
    close(module(x), plain(x) + module.output.weight @ module.value_vectors[0].repeat(3))


def test_only_distance_counts_and_order_does():
    module, x = layer(max_distance=8), vectors(1, 4)
    shifted = torch.cat([vectors(1, 3, seed=7), x], dim=1)
    mask = torch.arange(7) >= 3
    close(module(shifted, mask=mask[None, :].expand(7, 7))[:, 3:], module(x))
    assert (module(x.flip(1)).flip(1) - module(x)).abs().max() > 1e-2


@pytest.mark.parametrize("num_kv_heads", [4, 2])
@pytest.mark.parametrize("sizes", [[1] * 6, [3, 2, 1], [2, 0, 4]])
def test_with_a_cache_the_queries_are_the_last(sizes, num_kv_heads):
    module, x = layer(4, num_kv_heads=num_kv_heads), vectors(2, 6)
    cache, outputs = LayerCache(), []
    for chunk in x.split(sizes, dim=1):
        mask = causal_mask(chunk.shape[1], cache.length + chunk.shape[1])
        outputs.append(module(chunk, mask=mask, cache=cache))
    close(torch.cat(outputs, dim=1), module(x, mask=causal_mask(6)))


def test_padding_on_either_side_changes_nothing():
    module, x, padding = layer(), vectors(1, 4), vectors(1, 2, seed=9)
    alone = module(x, mask=causal_mask(4))
    batch = torch.cat([torch.cat([padding, x], dim=1), torch.cat([x, padding], dim=1)])
    real = torch.tensor([[0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]], dtype=torch.bool)
    output = module(batch, mask=causal_mask(6) & real[:, None, None])
    close(output[:1, 2:], alone)
    close(output[1:, :4], alone)


def test_a_row_that_may_attend_to_nothing_gives_zeros_before_the_projection():
    module, x = layer(use_bias=False), vectors(2, 4).requires_grad_()
    mask = causal_mask(4)
    mask[1] = False
    output = module(x, mask=mask)
    assert (output[:, 1] == 0).all()
    output[:, 1].sum().backward()
    assert (x.grad == 0).all()
    assert all((p.grad == 0).all() for p in module.parameters() if p.grad is not None)
    hiding = torch.zeros(4, 4).masked_fill(~mask, -math.inf)
    close(module(x, bias=hiding), output)


def test_dropout_drops_the_same_weights_for_values_and_for_a_v():
    module, x = layer(1, max_distance=20, dropout=0.5, use_bias=False), vectors(1, 9)
    weights = module.attention_weights(x)
    # With values of 0, a^V of 1 and no projection, what comes out is the sum of the weights.
    for linear, matrix in ((module.value, torch.zeros(D_MODEL, D_MODEL)), (module.output, torch.eye(D_MODEL))):
        linear.weight.data = matrix
    module.value_vectors.data = torch.zeros(41, D_MODEL)
    module.value_vectors.data[:, 0] = 1
    close(module.eval()(x)[..., 0], torch.ones(1, 9))
    module.train()
    torch.manual_seed(3)
    dropped = module(x)[..., 0]
    torch.manual_seed(3)
    close(dropped, torch.nn.functional.dropout(weights, 0.5).sum(dim=-1)[:, 0])
    assert (dropped - 1).abs().max() > 0.1


def test_rotary_tables_turn_queries_and_keys_as_in_the_base_class():
    module, x, tables = layer(), vectors(2, 5), rotary_tables(4, 12)
    query, key, _ = module.project(x, None)
    query, key = apply_rotary(query, tables), apply_rotary(key, tables)
    scores = query @ key.mT
    scores = scores + torch.einsum("bhtk,tsk->bhts", query, module.key_vectors[shaw_index(5, 5, max_distance=2)])
    close(module.attention_weights(x, rotary=tables), (scores / 2).softmax(dim=-1))
    assert torch.equal(module(x, rotary=tables, positions=torch.arange(5)), module(x, rotary=tables))


def test_it_stands_in_for_the_attention_of_a_block():
    torch.manual_seed(0)
    block, x = TransformerBlock(D_MODEL, 3, 24), vectors(2, 5)
    block.self_attention = layer()
    y = x + block.self_attention(block.self_attention_norm(x), mask=causal_mask(5))
    close(block(x, mask=causal_mask(5)), y + block.feed_forward(block.feed_forward_norm(y)))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_types(dtype):
    module, x = layer().to(dtype), vectors(2, 5, dtype=dtype)
    assert module(x).dtype == dtype
    assert module.attention_weights(x).dtype == dtype
    close(module(x).float(), module.float()(x.float()), 0.05 if dtype != torch.float64 else 1e-5)


def test_nothing_and_no_data():
    module = layer()
    assert module(vectors(0, 4)).shape == (0, 4, D_MODEL)
    assert module(vectors(2, 0)).shape == (2, 0, D_MODEL)
    assert module.to("meta")(vectors(2, 4).to("meta")).shape == (2, 4, D_MODEL)


def test_no_tensor_of_query_times_key_times_width_is_made():
    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            for one in result if isinstance(result, (tuple, list)) else [result]:
                if isinstance(one, torch.Tensor):
                    self.size = max(self.size, one.numel())
            return result

    module, x = layer(1), vectors(1, 40).requires_grad_()
    with Largest() as watched:
        module(x, mask=causal_mask(40)).sum().backward()
    assert watched.size == 40 * 40
    with Largest() as watched:
        dense(module, x, causal_mask(40))
    assert watched.size == 40 * 40 * D_MODEL


def test_tables():
    module = layer(3, 5)
    assert module.key_vectors.shape == module.value_vectors.shape == (11, 4)
    assert layer(value_vectors=False).value_vectors is None
    count = sum(p.numel() for p in module.parameters()) - sum(p.numel() for p in MultiHeadAttention(12, 3).parameters())
    assert count == 2 * 11 * 4
    torch.manual_seed(0)
    lengths = ShawAttention(256, 2, max_distance=100).key_vectors.norm(dim=1)
    close(lengths.mean(), torch.tensor(1.0), 0.05)


@pytest.mark.messages
def test_mistakes_are_named():
    module, x = layer(), vectors(2, 5)
    for call in (module, module.attention_weights):
        for context in (x[:, :3], module.keys_values(x[:, :3])):
            shape = r"\[2, 3, 12\]" if isinstance(context, torch.Tensor) else r"\[2, 3, 3, 4\]"
            with pytest.raises(ValueError, match=f"got a context of shape {shape}; expected none"):
                call(x, context=context)
        with pytest.raises(ValueError, match=r"mask has shape \[5, 4\]; expected \[query, key\] = \[5, 5\]"):
            call(x, mask=torch.ones(5, 4, dtype=torch.bool))
        with pytest.raises(ValueError, match=r"bias has shape \[4, 5\]; expected \[query, key\] = \[5, 5\]"):
            call(x, bias=torch.ones(4, 5))
        with pytest.raises(ValueError, match=r"bias has dtype torch\.bool"):
            call(x, bias=torch.ones(5, 5, dtype=torch.bool))
        with pytest.raises(ValueError, match=r"x has shape \[2, 5, 11\]; expected \[batch, length, d_model = 12\]"):
            call(x[..., :11])
        with pytest.raises(ValueError, match=r"positions of shape \[5\] without rotary tables"):
            call(x, positions=torch.arange(5))
    cache = LayerCache()
    with pytest.raises(ValueError, match="got a context of shape"):
        module(x, context=x, cache=cache)
    assert cache.length == 0
    for max_distance in (-1, 1.5):
        with pytest.raises(ValueError, match=f"max_distance is {max_distance}; expected at least 0"):
            layer(max_distance=max_distance)
        with pytest.raises(ValueError, match=f"max_distance is {max_distance}; expected at least 0"):
            shaw_index(2, 2, max_distance=max_distance)
    with pytest.raises(ValueError, match="num_heads = 5 does not divide d_model = 12"):
        layer(5)
    with pytest.raises(ValueError, match="query_len is 3, key_len 2; expected 0 <= query_len <= key_len"):
        shaw_index(3, 2, max_distance=1)
