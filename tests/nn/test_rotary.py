"""Rotary positions: by hand, relative, caches, scaling by formula, and the mistakes that they must refuse."""

import math

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import (
    LayerCache,
    MultiHeadAttention,
    RotaryScaling,
    TransformerBlock,
    apply_rotary,
    causal_mask,
    dynamic_scaling,
    half_split_rows,
    rotary_tables,
)


def test_by_hand():
    # Two pairs, (x_0, x_2) and (x_1, x_3); the second turns ten times slower.
    tables = rotary_tables(4, 4, base=100.0)
    assert tables.cos.shape == tables.sin.shape == (4, 4)
    angles = torch.tensor([[p, p / 10, p, p / 10] for p in range(4)])
    close(tables.cos, angles.cos(), 1e-7)
    close(tables.sin, angles.sin(), 1e-7)
    turned = apply_rotary(torch.tensor([[1.0, 2, 3, 4]] * 4)[None, None], tables)[0, 0]
    for p in range(4):
        fast, slow = complex(1, 3), complex(2, 4)
        fast, slow = fast * complex(math.cos(p), math.sin(p)), slow * complex(math.cos(p / 10), math.sin(p / 10))
        close(turned[p], torch.tensor([fast.real, slow.real, fast.imag, slow.imag]), 1e-6)


def test_angles_are_precise_far_out():
    tables = rotary_tables(8, 10_001)
    angles = 10_000 * 10_000.0 ** (-torch.arange(0, 8, 2, dtype=torch.float64) / 8)
    close(tables.cos[-1].double(), angles.cos().repeat(2), 1e-7)
    close(tables.sin[-1].double(), angles.sin().repeat(2), 1e-7)


def test_scores_depend_on_the_distance_alone_and_lengths_stay():
    tables, query, key = rotary_tables(8, 64), random_inputs(8), random_inputs(8, seed=1)
    turned = [apply_rotary(x.expand(1, 1, 64, 8), tables)[0, 0] for x in (query, key)]
    scores = turned[0] @ turned[1].T
    for distance in (-9, 0, 1, 30):
        diagonal = scores.diagonal(distance)
        close(diagonal, diagonal[:1].expand_as(diagonal), 1e-4)
    assert (scores.diagonal(1).mean() - scores.diagonal(9).mean()).abs() > 1e-3
    close(turned[0].norm(dim=-1), query.norm().expand(64))
    close(turned[0][0], query, 0)


def test_pairs_of_neighbours_are_the_same_in_another_order():
    # Su et al. pair (x_0, x_1), (x_2, x_3), …; here the partner stands half a width further on.
    x, positions = random_inputs(2, 3, 5, 8), torch.arange(5)
    angle = positions[:, None] * 10_000.0 ** (-torch.arange(0, 8, 2) / 8)
    even, odd = x[..., 0::2], x[..., 1::2]
    paper = torch.stack([even * angle.cos() - odd * angle.sin(), odd * angle.cos() + even * angle.sin()], dim=-1)
    halves = torch.cat([even, odd], dim=-1)
    turned = apply_rotary(halves, rotary_tables(8, 5))
    close(turned, torch.cat([paper[..., 0], paper[..., 1]], dim=-1))
    assert (apply_rotary(x, rotary_tables(8, 5)) - paper.flatten(-2)).abs().max() > 0.1


def test_positions_by_row():
    x, tables = random_inputs(2, 3, 4, 8), rotary_tables(8, 10)
    positions = torch.tensor([[0, 1, 2, 3], [6, 0, 9, 1]])
    turned = apply_rotary(x, tables, positions=positions)
    for row in range(2):
        close(turned[row], apply_rotary(x[row : row + 1], tables, positions=positions[row])[0], 0)
    close(apply_rotary(x, tables, positions=torch.arange(4)), apply_rotary(x, tables), 0)
    close(apply_rotary(x[0, 0], tables), apply_rotary(x, tables)[0, 0], 0)
    assert apply_rotary(x[:, :, :0], tables).shape == (2, 3, 0, 8)


def test_half_types_are_turned_in_single_precision_and_double_stays_double():
    x, tables = random_inputs(2, 3, 40, 8), rotary_tables(8, 40)
    for dtype in (torch.bfloat16, torch.float16):
        assert torch.equal(apply_rotary(x.to(dtype), tables), apply_rotary(x.to(dtype).float(), tables).to(dtype))
    assert apply_rotary(x.double(), tables).dtype == torch.float64


def test_without_data_and_mapped():
    x, tables = random_inputs(2, 3, 4, 8), rotary_tables(8, 10)
    assert apply_rotary(x.to("meta"), tables).is_meta
    positions = torch.tensor([[3, 2, 1, 0], [5, 6, 7, 8]])
    mapped = torch.vmap(lambda one: apply_rotary(x, tables, positions=one))(positions)
    close(mapped[1], apply_rotary(x, tables, positions=positions[1]), 0)


def test_linear_scaling_stretches_positions():
    scaled = rotary_tables(8, 33, scaling=RotaryScaling("linear", 4.0, 8))
    plain = rotary_tables(8, 9)
    close(scaled.cos[::4], plain.cos, 1e-6)
    close(scaled.sin[::4], plain.sin, 1e-6)


def test_ntk_leaves_the_fastest_pair_and_stretches_the_slowest():
    scaled, plain = rotary_tables(8, 33, scaling=RotaryScaling("ntk", 4, 8)), rotary_tables(8, 33)
    close(scaled.sin[:, 0], plain.sin[:, 0], 1e-6)
    close(scaled.sin[::4, 3], plain.sin[:9, 3], 1e-6)
    other = rotary_tables(8, 33, base=10_000.0 * 4 ** (8 / 6))
    close(scaled.cos, other.cos, 1e-6)


def test_yarn_keeps_what_turns_often_stretches_what_does_not_and_multiplies_the_tables():
    length, factor = 1024, 8.0
    scaled = rotary_tables(64, 64, scaling=RotaryScaling("yarn", factor, length))
    plain, attention_factor = rotary_tables(64, 64), 0.1 * math.log(factor) + 1
    omega = 10_000.0 ** (-torch.arange(32) / 32)
    turns = length * omega / (2 * math.pi)
    often, seldom = turns > 33, turns < 0.7  # the ends of the ramp are rounded outwards
    assert often.sum() > 2
    assert seldom.sum() > 2
    close(scaled.cos[:, :32][:, often], attention_factor * plain.cos[:, :32][:, often], 1e-5)
    close(scaled.sin[::8, :32][:, seldom], attention_factor * plain.sin[:8, :32][:, seldom], 1e-5)
    close(scaled.cos[0], torch.full((64,), attention_factor), 1e-6)


def test_dynamic_scaling_by_hand():
    def at(length):
        return dynamic_scaling(length, factor=2.0, original_max_seq_len=8)

    assert [at(length) for length in (0, 1, 7, 8)] == [None] * 4
    assert at(12) == RotaryScaling("ntk", 2.0, 8)  # 2 · 12 / 8 − 1
    assert at(16) == RotaryScaling("ntk", 3.0, 8)
    # A factor of 1 is L / L₀, as in the paper.
    assert dynamic_scaling(20, factor=1, original_max_seq_len=8) == RotaryScaling("ntk", 2.5, 8)
    factors = [at(length).factor for length in range(9, 40)]
    assert factors == sorted(set(factors))
    assert 1 < factors[0] < 1.3


def test_after_a_long_prompt_a_short_one_has_the_original_base_again():
    # Transformers kept the long one's base (its pull requests 27033 and, once more, 46624).
    def tables(length):
        return rotary_tables(8, length, scaling=dynamic_scaling(length, factor=4.0, original_max_seq_len=8))

    before, long, after = tables(8), tables(64), tables(8)
    assert torch.equal(before.cos, after.cos)
    assert torch.equal(before.cos, rotary_tables(8, 8).cos)
    assert (long.cos[:8] - before.cos).abs().max() > 0.01


def test_keys_cached_under_another_base_do_not_fit():
    module, x = attention(), 3 * random_inputs(2, 24, 16)

    def generate(scaling_at):
        cache, outputs = LayerCache(), []
        for chunk in x.split([8, 16], dim=1):
            length = cache.length + chunk.shape[1]
            tables = rotary_tables(4, length, scaling=scaling_at(length))
            outputs.append(module(chunk, mask=causal_mask(chunk.shape[1], length), rotary=tables, cache=cache))
        return torch.cat(outputs, dim=1)[:, 8:]

    def dynamic(length):
        return dynamic_scaling(length, factor=4.0, original_max_seq_len=8)

    tables = rotary_tables(4, 24, scaling=dynamic(24))
    uncached = module(x, mask=causal_mask(24), rotary=tables)[:, 8:]
    assert (generate(dynamic) - uncached).abs().max() > 1e-2
    close(generate(lambda length: dynamic(24)), uncached)


def neighbours(x, positions):
    """The turn of Su et al.: of the pairs (x_0, x_1), (x_2, x_3), …"""
    angle = positions[:, None] * 10_000.0 ** (-torch.arange(0, x.shape[-1], 2) / x.shape[-1])
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack([even * angle.cos() - odd * angle.sin(), odd * angle.cos() + even * angle.sin()], -1).flatten(-2)


def test_the_two_layouts_by_hand():
    x, at_one = torch.tensor([[1.0, 2, 3, 4]]), torch.tensor([1])
    close(neighbours(x, at_one), torch.tensor([[-1.1426, 1.9221, 2.9599, 4.0298]]), 5e-5)
    turned = apply_rotary(x, rotary_tables(4, 2), positions=at_one)
    close(turned, torch.tensor([[-1.9841, 1.9599, 2.4624, 4.0198]]), 5e-5)
    # What half_split_rows does to the rows it does to what they give: [0, 2, 1, 3].
    assert half_split_rows(x.T, 1).flatten().tolist() == [1, 3, 2, 4]
    assert half_split_rows(torch.arange(12.0)[:, None], 2).flatten().tolist() == [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
    assert half_split_rows(torch.arange(4.0), 1).tolist() == [0, 2, 1, 3]


@pytest.mark.parametrize(("num_heads", "num_kv_heads", "head_dim"), [(1, 1, 4), (6, 2, 8), (3, 3, 2)])
def test_with_rows_permuted_in_both_scores_are_those_of_neighbours(num_heads, num_kv_heads, head_dim):
    x, positions, tables = random_inputs(5, 24), torch.tensor([0, 1, 2, 3, 40]), rotary_tables(head_dim, 41)
    query = random_inputs(num_heads * head_dim, 24, seed=1)
    key = random_inputs(num_kv_heads * head_dim, 24, seed=2)
    group = num_heads // num_kv_heads

    def scores(query, key, turn):
        query, key = (turn((x @ w.T).unflatten(-1, (-1, head_dim)).transpose(0, 1)) for w in (query, key))
        return query @ key.repeat_interleave(group, dim=0).mT

    def halves(x):
        return apply_rotary(x, tables, positions=positions)

    paper = scores(query, key, lambda x: neighbours(x, positions))
    permuted = half_split_rows(query, num_heads), half_split_rows(key, num_kv_heads)
    close(scores(*permuted, halves), paper, 1e-4)
    if head_dim > 2:
        assert (scores(query, key, halves) - paper).abs().max() > 1
        assert (scores(permuted[0], key, halves) - paper).abs().max() > 1


@pytest.mark.parametrize("kind", ["linear", "ntk", "yarn"])
def test_a_factor_of_one_changes_nothing(kind):
    scaled, plain = rotary_tables(16, 40, scaling=RotaryScaling(kind, 1.0, 20)), rotary_tables(16, 40)
    close(scaled.cos, plain.cos, 1e-6)
    close(scaled.sin, plain.sin, 1e-6)


def attention(num_kv_heads=None):
    torch.manual_seed(0)
    return MultiHeadAttention(16, 4, num_kv_heads=num_kv_heads)


@pytest.mark.parametrize("num_kv_heads", [4, 2])
def test_attention_turns_queries_and_keys_but_no_values(num_kv_heads):
    module, x, tables = attention(num_kv_heads), random_inputs(2, 5, 16), rotary_tables(4, 12)
    query = apply_rotary(module.query(x).unflatten(-1, (4, 4)).transpose(1, 2), tables)
    key, value = module.keys_values(x)
    key = apply_rotary(key, tables).repeat_interleave(4 // num_kv_heads, dim=1)
    weights = (query @ key.mT / 2).softmax(dim=-1)
    heads = weights @ value.repeat_interleave(4 // num_kv_heads, dim=1)
    close(module(x, rotary=tables), module.output(heads.transpose(1, 2).flatten(2)))
    close(module.attention_weights(x, rotary=tables), weights)
    assert (module(x, rotary=tables) - module(x)).abs().max() > 1e-3
    # Only differences of positions count.
    close(module(x, rotary=tables, positions=torch.arange(7, 12)), module(x, rotary=tables))


@pytest.mark.parametrize("sizes", [[1] * 6, [3, 2, 1], [2, 0, 4]])
def test_with_a_cache_positions_go_on_and_keys_are_kept_turned(sizes):
    module, x, tables = attention(2), random_inputs(2, 6, 16), rotary_tables(4, 12)
    cache, outputs = LayerCache(), []
    for chunk in x.split(sizes, dim=1):
        mask = causal_mask(chunk.shape[1], cache.length + chunk.shape[1])
        outputs.append(module(chunk, mask=mask, rotary=tables, cache=cache))
    close(torch.cat(outputs, dim=1), module(x, mask=causal_mask(6), rotary=tables))
    close(cache.key, apply_rotary(module.keys_values(x).key, tables))


def test_padding_on_the_left_changes_nothing_where_positions_are_those_of_real_tokens():
    module, x, tables = attention(), random_inputs(1, 6, 16), rotary_tables(4, 6)
    mask = causal_mask(6) & (torch.arange(6) >= 2)
    positions = torch.tensor([[0, 0, 0, 1, 2, 3]])
    padded = module(x, mask=mask[None, None], rotary=tables, positions=positions)
    close(padded[:, 2:], module(x[:, 2:], mask=causal_mask(4), rotary=tables))


def test_a_block_hands_them_to_its_self_attention():
    torch.manual_seed(0)
    block, x, context = (
        TransformerBlock(16, 4, 32, cross_attention=True),
        random_inputs(2, 5, 16),
        random_inputs(2, 3, 16),
    )
    tables, positions = rotary_tables(4, 12), torch.tensor([[0, 2, 4, 6, 8], [0, 1, 2, 3, 4]])
    given = {"rotary": tables, "positions": positions}
    y = x + block.self_attention(block.self_attention_norm(x), **given)
    y = y + block.cross_attention(block.cross_attention_norm(y), context=context)
    y = y + block.feed_forward(block.feed_forward_norm(y))
    close(block(x, context=context, **given), y)


@pytest.mark.messages
def test_mistakes_are_named():
    for head_dim in (7, 0, -2):
        with pytest.raises(ValueError, match=f"head_dim is {head_dim}, max_seq_len 4, base 10000.0; expected an even"):
            rotary_tables(head_dim, 4)
    with pytest.raises(ValueError, match="max_seq_len -1"):
        rotary_tables(8, -1)
    with pytest.raises(ValueError, match="base 1;"):
        rotary_tables(8, 4, base=1)
    with pytest.raises(ValueError, match="head_dim is 2; expected at least 4 for ntk"):
        rotary_tables(2, 4, scaling=RotaryScaling("ntk", 2, 4))
    with pytest.raises(ValueError, match=r"kind is 'dynamic'; expected one of \('linear', 'ntk', 'yarn'\)"):
        RotaryScaling("dynamic", 2, 4)
    for factor in (0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match=f"factor is {factor}; expected factor >= 1"):
            RotaryScaling("yarn", factor, 4)
    with pytest.raises(ValueError, match="original_max_seq_len is 0; expected at least 1"):
        RotaryScaling("yarn", 2, 0)
    for length in (4, 40):
        with pytest.raises(ValueError, match=r"factor is 0\.5; expected factor >= 1"):
            dynamic_scaling(length, factor=0.5, original_max_seq_len=8)
    with pytest.raises(ValueError, match="length is -1; expected at least 0"):
        dynamic_scaling(-1, factor=2, original_max_seq_len=8)
    with pytest.raises(ValueError, match="original_max_seq_len is 0; expected at least 1"):
        dynamic_scaling(4, factor=2, original_max_seq_len=0)
    for shape, num_heads in (((12, 5), 4), ((7, 5), 1), ((6,), 2), ((), 1)):
        given = rf"weight has shape \[{', '.join(map(str, shape))}\]; expected rows of num_heads = {num_heads} heads"
        with pytest.raises(ValueError, match=given):
            half_split_rows(torch.ones(shape), num_heads)
    with pytest.raises(ValueError, match="num_heads is 0; expected at least 1"):
        half_split_rows(torch.ones(4, 4), 0)
    tables, x = rotary_tables(8, 6), torch.ones(2, 3, 4, 8)
    with pytest.raises(ValueError, match=r"x has shape \[2, 3, 4, 6\]; expected \[\.\.\., length, head_dim = 8\]"):
        apply_rotary(x[..., :6], tables)
    with pytest.raises(ValueError, match="positions go from 3 to 6; expected 0 <= position < max_seq_len = 6"):
        apply_rotary(x, tables, positions=torch.arange(3, 7))
    with pytest.raises(ValueError, match="positions go from 0 to 6; expected 0 <= position < max_seq_len = 6"):
        apply_rotary(torch.ones(2, 3, 7, 8), tables)
    for shape in ((3,), (2, 3), (1, 4), (1, 1, 4)):
        with pytest.raises(ValueError, match=rf"positions have shape \[{', '.join(map(str, shape))}\]; expected"):
            apply_rotary(x, tables, positions=torch.zeros(shape, dtype=torch.long))


@pytest.mark.messages
def test_mistakes_in_attention_are_named():
    module, x, tables = attention(), torch.ones(2, 5, 16), rotary_tables(4, 6)
    with pytest.raises(ValueError, match=r"rotary positions turn the keys of x itself; got a context.* \[2, 5, 16\]"):
        module(x, context=x, rotary=tables)
    with pytest.raises(ValueError, match=r"positions of shape \[5\] without rotary tables"):
        module(x, positions=torch.arange(5))
    with pytest.raises(ValueError, match=r"x has shape \[2, 4, 5, 4\]; expected \[\.\.\., length, head_dim = 8\]"):
        module(x, rotary=rotary_tables(8, 6))
    cache = LayerCache()
    module(x, rotary=tables, cache=cache)
    with pytest.raises(ValueError, match="positions go from 5 to 9; expected 0 <= position < max_seq_len = 6"):
        module(x, rotary=tables, cache=cache)
    assert cache.length == 5
