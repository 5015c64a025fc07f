"""Latent attention: equation by equation, absorbed, cached, what it caches, what it can represent, and the mistakes that it refuses."""

import math

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import (
    LatentAttention,
    LayerCache,
    MultiHeadAttention,
    RMSNorm,
    apply_rotary,
    causal_mask,
    padding_mask,
    rotary_tables,
)

D_MODEL, HEADS, HEAD_DIM, KV_RANK, ROPE_DIM, QUERY_RANK = 12, 3, 5, 7, 4, 8
TABLES = rotary_tables(ROPE_DIM, 16)


def layer(**options):
    torch.manual_seed(0)
    sizes = {"kv_rank": KV_RANK, "rope_dim": ROPE_DIM, "head_dim": HEAD_DIM, **options}
    return LatentAttention(D_MODEL, HEADS, **sizes).double()


def vectors(*shape, seed=1):
    return random_inputs(*shape, D_MODEL, seed=seed, dtype=torch.float64)


KINDS = ({}, {"query_rank": QUERY_RANK}, {"query_rank": QUERY_RANK, "norm": RMSNorm})


def test_one_head_by_hand():
    module = LatentAttention(2, 1, kv_rank=1, rope_dim=2, head_dim=2)
    with torch.no_grad():
        module.kv_down[0].weight.copy_(torch.tensor([[1.0, 1.0]]))  # c = x₁ + x₂
        module.key_up.weight.copy_(torch.tensor([[1.0], [0.0]]))  # key (c, 0)
        module.value_up.weight.copy_(torch.tensor([[1.0], [2.0]]))  # value (c, 2 c)
        module.key_rotary.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))  # turned: (x₁, 0)
        module.query_up.weight.copy_(2 * math.log(3) * torch.tensor([[0.0, 1.0], [0.0, 0.0]]))  # (2 ln 3 · x₂, 0)
        module.query_rotary.weight.copy_(2 * math.log(3) * torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        module.output.weight.copy_(torch.eye(2))
    # Latents 1 and 2, values (1, 2) and (2, 4). The first query scores 2 ln 3 · x₁ / √(2 + 2): ln 3 against 0, weights 3/4 and
    # 1/4. The second scores 2 ln 3 · 2 c / 2: 2 ln 3 against 4 ln 3, weights 1/10 and 9/10.
    x = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]])
    for absorb in (False, True):
        close(module(x, absorb=absorb), torch.tensor([[[1.25, 2.5], [1.9, 3.8]]]), 1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_equation_by_equation(kind):
    module, x, mask = layer(**kind), vectors(2, 5), causal_mask(5)
    latent, queries = module.kv_down(x), module.query_down(x)
    if "norm" not in kind:
        close(latent, x @ module.kv_down[0].weight.T, 1e-12)
    shared = apply_rotary(module.key_rotary(x), TABLES)
    heads = []
    for i in range(HEADS):
        rows, turned = slice(i * HEAD_DIM, (i + 1) * HEAD_DIM), slice(i * ROPE_DIM, (i + 1) * ROPE_DIM)
        query = queries @ module.query_up.weight[rows].T
        query_rotary = apply_rotary(queries @ module.query_rotary.weight[turned].T, TABLES)
        key, value = latent @ module.key_up.weight[rows].T, latent @ module.value_up.weight[rows].T
        scores = (query @ key.mT + query_rotary @ shared.mT) / math.sqrt(HEAD_DIM + ROPE_DIM)
        heads.append(scores.masked_fill(~mask, -math.inf).softmax(dim=-1) @ value)
    expected = torch.cat(heads, dim=-1) @ module.output.weight.T
    close(module(x, mask=mask, rotary=TABLES), expected, 1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("masked", [False, True])
def test_absorbed_is_the_same_in_values_and_gradients(kind, masked):
    module = layer(**kind)
    mask = torch.rand(2, HEADS, 5, 5, generator=torch.Generator().manual_seed(0)) < 0.6 if masked else None
    results = []
    for absorb in (False, True):
        x = vectors(2, 5).requires_grad_()
        module.zero_grad()
        output = module(x, mask=mask, rotary=TABLES, absorb=absorb)
        (output * vectors(2, 5, seed=2)).sum().backward()
        results.append([output, x.grad, *(p.grad.clone() for p in module.parameters())])
    for actual, expected in zip(*results, strict=True):
        close(actual, expected, 1e-10)


@pytest.mark.parametrize("absorb", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", [[1] * 6, [3, 2, 1], [2, 0, 4], [6]])
def test_cached_equals_uncached(sizes, kind, absorb):
    module, x, cache, outputs = layer(**kind), vectors(2, 6), LayerCache(), []
    for chunk in x.split(sizes, dim=1):
        mask = causal_mask(chunk.shape[1], cache.length + chunk.shape[1])
        outputs.append(module(chunk, mask=mask, rotary=TABLES, cache=cache, absorb=absorb))
    close(torch.cat(outputs, dim=1), module(x, mask=causal_mask(6), rotary=TABLES), 1e-10)
    close(cache.key, module.kv_down(x)[:, None], 1e-12)
    close(cache.value, apply_rotary(module.key_rotary(x), TABLES)[:, None], 1e-12)


def test_the_cache_holds_the_latent_and_the_shared_key_only():
    cache, full = LayerCache(), LayerCache()
    layer()(vectors(2, 6), rotary=TABLES, cache=cache)
    MultiHeadAttention(D_MODEL, HEADS).double()(vectors(2, 6), cache=full)
    assert cache.key.numel() + cache.value.numel() == 2 * 6 * (KV_RANK + ROPE_DIM)
    assert full.key.numel() + full.value.numel() == 2 * 6 * 2 * D_MODEL


def test_reordered_rows_of_a_cache_are_those_of_the_batch():
    module, x, cache = layer(), vectors(2, 4), LayerCache()
    module(x[:, :3], rotary=TABLES, cache=cache)
    cache.reorder(torch.tensor([1, 1, 0]))
    rows = x[[1, 1, 0]]
    close(module(rows[:, 3:], rotary=TABLES, cache=cache), module(rows, rotary=TABLES)[:, 3:], 1e-10)


@pytest.mark.parametrize("absorb", [False, True])
@pytest.mark.parametrize("num_kv_heads", [3, 1])
def test_with_a_latent_as_wide_as_keys_and_values_it_can_be_multi_head_attention(num_kv_heads, absorb):
    full = MultiHeadAttention(D_MODEL, HEADS, num_kv_heads=num_kv_heads, use_bias=False).double()
    width = D_MODEL // HEADS
    rank = num_kv_heads * width  # of the keys, and of the values
    module = LatentAttention(D_MODEL, HEADS, kv_rank=2 * rank, rope_dim=3 * width).double()
    repeated = torch.eye(rank, dtype=torch.float64).unflatten(0, (num_kv_heads, width))
    repeated = repeated.repeat_interleave(HEADS // num_kv_heads, dim=0).flatten(0, 1)
    with torch.no_grad():
        module.kv_down[0].weight.copy_(torch.cat([full.key.weight, full.value.weight]))  # c = [key; value]
        module.key_up.weight.copy_(torch.cat([repeated, torch.zeros_like(repeated)], dim=1))
        module.value_up.weight.copy_(torch.cat([torch.zeros_like(repeated), repeated], dim=1))
        module.query_up.weight.copy_(2 * full.query.weight)  # √(width + 3 · width) = 2 √width
        module.query_rotary.weight.zero_()
        module.output.weight.copy_(full.output.weight)
    results = []
    for attention, options in ((module, {"absorb": absorb}), (full, {})):
        x = vectors(2, 5).requires_grad_()
        output = attention(x, mask=causal_mask(5), **options)
        output.square().sum().backward()
        results.append([output, x.grad])
    for actual, expected in zip(*results, strict=True):
        close(actual, expected, 1e-12)


def test_keys_and_values_of_all_heads_together_have_the_rank_of_the_latent():
    module = layer()
    latent = module.kv_down(vectors(1, 40))
    both = torch.cat([module.key_up(latent), module.value_up(latent)], dim=-1)[0]
    assert both.shape[1] == 2 * HEADS * HEAD_DIM
    assert torch.linalg.matrix_rank(both) == KV_RANK


def test_only_differences_of_positions_count_and_they_do():
    module, x = layer(), vectors(2, 5)
    plain = module(x, rotary=TABLES)
    close(module(x, rotary=TABLES, positions=torch.arange(7, 12)), plain, 1e-5)
    assert (module(x, rotary=TABLES, positions=2 * torch.arange(5)) - plain).abs().max() > 1e-4
    order = torch.tensor([3, 0, 4, 1, 2])
    close(module(x[:, order]), module(x)[:, order], 1e-12)  # without tables there are no positions
    close(module(x[:, order], rotary=TABLES, positions=order), plain[:, order], 1e-12)


@pytest.mark.parametrize("absorb", [False, True])
def test_padding_on_the_left_changes_nothing_and_a_batch_is_its_rows(absorb):
    module, x = layer(), vectors(2, 6)
    mask = (causal_mask(6) & (torch.arange(6) >= torch.tensor([[[0]], [[2]]])))[:, None]
    positions = torch.tensor([[0, 1, 2, 3, 4, 5], [0, 0, 0, 1, 2, 3]])
    output = module(x, mask=mask, rotary=TABLES, positions=positions, absorb=absorb)
    close(output[:1], module(x[:1], mask=causal_mask(6), rotary=TABLES), 1e-10)
    close(output[1:, 2:], module(x[1:, 2:], mask=causal_mask(4), rotary=TABLES), 1e-10)
    assert (output[1, :2] == 0).all()  # they see nothing


@pytest.mark.parametrize("absorb", [False, True])
def test_rows_that_see_nothing_have_no_gradient(absorb):
    module, x = layer(norm=RMSNorm), vectors(2, 5).requires_grad_()
    mask = padding_mask(torch.tensor([0, 5]), 5)[:, None, None]
    output = module(x, mask=mask, absorb=absorb)
    assert (output[0] == 0).all()
    output[0].sum().backward()
    assert (x.grad == 0).all()
    assert all((p.grad == 0).all() for p in module.parameters())


@pytest.mark.parametrize("absorb", [False, True])
@pytest.mark.parametrize("shape", [(2, 1), (2, 0), (0, 3)])
def test_one_or_none(shape, absorb):
    module, x = layer(), vectors(*shape)
    assert module(x, rotary=TABLES, absorb=absorb).shape == x.shape
    if shape == (2, 1):  # the one value is the answer
        close(module(x, rotary=TABLES, absorb=absorb), module.output(module.value_up(module.kv_down(x))), 1e-12)


def test_parameter_counts():
    count = {str(kind): sum(p.numel() for p in layer(**kind).parameters()) for kind in KINDS}
    keys_values = D_MODEL * (KV_RANK + ROPE_DIM) + 2 * KV_RANK * HEADS * HEAD_DIM
    output, query = HEADS * HEAD_DIM * D_MODEL, HEADS * (HEAD_DIM + ROPE_DIM)
    low = keys_values + output + D_MODEL * QUERY_RANK + QUERY_RANK * query
    assert list(count.values()) == [keys_values + output + D_MODEL * query, low, low + KV_RANK + QUERY_RANK]
    assert LatentAttention(D_MODEL, HEADS, kv_rank=1, rope_dim=2).head_dim == D_MODEL // HEADS


@pytest.mark.parametrize("absorb", [False, True])
def test_half_precision(absorb):
    module, x = layer().float(), vectors(2, 5).float()
    expected = module(x, mask=causal_mask(5), rotary=TABLES)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close(module(x, mask=causal_mask(5), rotary=TABLES, absorb=absorb).float(), expected, 0.05)
    output = module.bfloat16()(x.bfloat16(), mask=causal_mask(5), rotary=TABLES, absorb=absorb)
    assert output.dtype == torch.bfloat16
    close(output.float(), expected, 0.05)


@pytest.mark.messages
def test_mistakes_are_named():
    def refused(message, *sizes, **options):
        with pytest.raises(ValueError, match=message):
            LatentAttention(*sizes, **{"kv_rank": 4, "rope_dim": 2, **options})

    refused("d_model is 0; expected at least 1", 0, 1)
    refused("num_heads is 0; expected at least 1", 12, 0, head_dim=4)
    refused("num_heads = 5 does not divide d_model = 12", 12, 5)
    refused("kv_rank is 0; expected at least 1", 12, 3, kv_rank=0)
    refused("head_dim is 0; expected at least 1", 12, 3, head_dim=0)
    refused("query_rank is 0; expected at least 1", 12, 3, query_rank=0)
    for rope_dim in (3, 0):
        refused(f"rope_dim is {rope_dim}; expected an even number", 12, 3, rope_dim=rope_dim)
    module, x = layer(), vectors(2, 5)
    with pytest.raises(ValueError, match=r"x has shape \[2, 5, 11\]; expected \[batch, length, d_model = 12\]"):
        module(x[..., :11])
    with pytest.raises(ValueError, match=r"positions of shape \[5\] without rotary tables"):
        module(x, positions=torch.arange(5))
    with pytest.raises(ValueError, match=r"x has shape \[2, 3, 5, 4\]; expected \[\.\.\., length, head_dim = 6\]"):
        module(x, rotary=rotary_tables(6, 9))
    cache = LayerCache()
    for absorb in (False, True):
        with pytest.raises(ValueError, match=r"mask has shape \[4, 5\]; expected \[query, key\] = \[5, 5\]"):
            module(x, mask=causal_mask(4, 5), absorb=absorb)
    module(x, rotary=TABLES, cache=cache)
    with pytest.raises(ValueError, match=r"cache holds keys of shape \[2, 1, 5, 7\]; got \[1, 1, 5, 7\]"):
        module(x[:1], rotary=TABLES, cache=cache)
    with pytest.raises(ValueError, match="positions go from 5 to 16; expected 0 <= position < max_seq_len = 16"):
        module(vectors(2, 12), rotary=TABLES, cache=cache)
    assert cache.length == 5
