"""Linformer: reductions to exact attention, a module with its projections, and the uses that it must refuse."""

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import (
    LayerCache,
    LinformerAttention,
    MultiHeadAttention,
    TransformerBlock,
    apply_rotary,
    causal_mask,
    linformer_attention,
    padding_mask,
    rotary_tables,
    scaled_dot_product_attention,
)

B, H, T, S, K, V, R = 2, 3, 5, 6, 4, 7, 2
D_MODEL = 12


def case(keys=S):
    shapes = ((B, H, T, K), (B, H, keys, K), (B, H, keys, V))
    return [random_inputs(*shape, seed=seed, dtype=torch.float64) for seed, shape in enumerate(shapes)]


def projections():
    return [random_inputs(R, S, seed=seed, dtype=torch.float64) for seed in (5, 6)]


def test_by_equation_7():
    (query, key, value), (e, f) = case(), projections()
    expected = torch.empty(B, H, T, V, dtype=torch.float64)
    for b in range(B):
        for h in range(H):
            weights = (query[b, h] @ (e @ key[b, h]).T / 2).softmax(dim=-1)
            assert weights.shape == (T, R)
            expected[b, h] = weights @ (f @ value[b, h])
    close(linformer_attention(query, key, value, e, f), expected, 1e-10)


def test_with_identities_it_is_exact_attention():
    inputs = [x.requires_grad_() for x in case()]
    identity = torch.eye(S, dtype=torch.float64)
    output, exact = linformer_attention(*inputs, identity, identity), scaled_dot_product_attention(*inputs)
    close(output, exact, 1e-10)
    ours, theirs = (torch.autograd.grad(y.square().sum(), inputs) for y in (output, exact))
    for pair in zip(ours, theirs, strict=True):
        close(*pair, 1e-10)


def test_a_sequence_of_r_different_keys_needs_rank_r():
    # Keys and values that come three times each: E and F that average the copies lose nothing.
    query, key, value = case(R)
    average = torch.zeros(R, S, dtype=torch.float64)
    average[0, :3] = average[1, 3:] = 1 / 3
    copied = [x.repeat_interleave(3, dim=2) for x in (key, value)]
    close(linformer_attention(query, *copied, average, average), scaled_dot_product_attention(query, *copied), 1e-10)
    # Two copies and four would be seen as one and one.
    average[0, 2], average[0, :2], average[1, 2:] = 0, 1 / 2, 1 / 4
    copied = [x.repeat_interleave(torch.tensor([2, 4]), dim=2) for x in (key, value)]
    close(linformer_attention(query, *copied, average, average), scaled_dot_product_attention(query, key, value), 1e-10)


def test_with_rank_one_all_queries_get_one_mixture():
    (query, key, value), (e, f) = case(), projections()
    output = linformer_attention(query, key, value, e[:1], f[:1])
    close(output, (f[:1] @ value).expand(B, H, T, V), 1e-10)


def test_rows_of_the_batch_are_independent_and_gradients_right():
    inputs = case()
    output = linformer_attention(*inputs, *projections())
    close(output[1:], linformer_attention(*(x[1:] for x in inputs), *projections()), 1e-12)
    assert linformer_attention(*(x[:0] for x in inputs), *projections()).shape == (0, H, T, V)
    small = [x[:1, :1].requires_grad_() for x in inputs] + [x.requires_grad_() for x in projections()]
    assert torch.autograd.gradcheck(linformer_attention, small)


def layer(seq_len=S, rank=R, **options):
    torch.manual_seed(0)
    return LinformerAttention(D_MODEL, H, seq_len=seq_len, rank=rank, **options).double()


def vectors(length=S, seed=0):
    return random_inputs(B, length, D_MODEL, seed=seed, dtype=torch.float64)


@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 1}, {"use_bias": False}])
@pytest.mark.parametrize("length", [S, 4, 1, 0])
def test_a_module_by_its_heads(options, length):
    module, x = layer(**options), vectors(length)
    query, key, value = MultiHeadAttention.project(module, x, None)
    e, f = module.key_projection[:, :length], module.value_projection[:, :length]
    heads = linformer_attention(query, key, value, e, f)
    expected = module.output(heads.transpose(1, 2).flatten(2))
    close(module(x), expected, 1e-10)
    for mask in (torch.ones(length, length, dtype=torch.bool), padding_mask(torch.tensor([length] * B), length)):
        close(module(x, mask=mask if mask.shape[0] == length else mask[:, None, None]), expected, 1e-10)
    weights = module.attention_weights(x)
    assert weights.shape == (B, H, length, R)
    close(weights @ (f @ value), heads, 1e-10)


def test_with_identities_a_module_is_multi_head_attention():
    plain, module, x = MultiHeadAttention(D_MODEL, H).double(), layer(rank=S), vectors()
    state = {**module.state_dict(), **plain.state_dict()}
    state["key_projection"] = state["value_projection"] = torch.eye(S)
    module.load_state_dict(state)
    close(module(x), plain(x), 1e-10)
    close(module(x[:, :2], context=x), plain(x[:, :2], context=x), 1e-10)
    close(module(x[:, :2], context=plain.keys_values(x)), plain(x[:, :2], context=x), 1e-10)


def test_its_projections_are_shared_by_heads_learned_and_of_the_stated_variance():
    module, plain = layer(), MultiHeadAttention(D_MODEL, H)
    count = sum(p.numel() for p in module.parameters()) - sum(p.numel() for p in plain.parameters())
    assert count == 2 * R * S
    module(vectors()).square().sum().backward()
    assert (module.key_projection.grad.abs() > 0).all()
    assert (module.value_projection.grad.abs() > 0).all()
    big = layer(seq_len=400, rank=100)
    for p in (big.key_projection, big.value_projection):
        assert 0.98 < p.std() * 20 < 1.02  # 40,000 entries: a standard error of 0.0035


def test_every_output_depends_on_every_position_so_it_is_not_causal():
    module, x = layer(), vectors()
    changed = x.clone()
    changed[:, -1] += 1
    assert ((module(x) - module(changed)).abs() > 1e-4).any(dim=-1).all()


def test_a_module_with_rotary_positions_and_dropout():
    module, x, tables = layer(dropout=0.5), vectors(), rotary_tables(4, S)
    query, key, value = MultiHeadAttention.project(module, x, None)
    heads = linformer_attention(
        apply_rotary(query, tables), apply_rotary(key, tables), value, module.key_projection, module.value_projection
    )
    expected = module.output(heads.transpose(1, 2).flatten(2))
    close(module.eval()(x, rotary=tables), expected, 1e-10)
    assert (module.train()(x, rotary=tables) - expected).abs().max() > 1e-3


def test_a_block_takes_it_for_its_self_attention():
    def attention(d_model, num_heads, **options):
        return LinformerAttention(d_model, num_heads, seq_len=S, rank=R, **options)

    block, x = TransformerBlock(D_MODEL, H, 24, attention=attention).double(), vectors()
    y = x + block.self_attention(block.self_attention_norm(x))
    close(block(x), y + block.feed_forward(block.feed_forward_norm(y)), 1e-12)


@pytest.mark.messages
def test_mistakes_are_named():
    (query, key, value), (e, f) = case(), projections()
    for wrong in ((e[:, :5], f), (e, f[:1]), (e[0], f[0]), (e[:, :5], f[:, :5])):
        with pytest.raises(ValueError, match=r"have shapes \[\[.*; expected both \[rank, key\] with key = 6"):
            linformer_attention(query, key, value, *wrong)
    with pytest.raises(ValueError, match=r"expected query \[B H T K\]"):
        linformer_attention(query, key[:1], value, e, f)
    for sizes in ({"rank": 0}, {"seq_len": 0}):
        with pytest.raises(ValueError, match=r"(rank|seq_len) is 0; expected at least 1"):
            layer(**sizes)
    with pytest.raises(ValueError, match="the length is 7; expected at most seq_len = 6"):
        layer()(vectors(7))
    with pytest.raises(ValueError, match="the length is 7; expected at most seq_len = 6"):
        layer()(vectors(), context=vectors(7))


@pytest.mark.messages
def test_what_can_not_be_hidden_is_refused():
    module, x = layer(rank=S), vectors()  # weights [S, S], so that a mask would fit
    padded = padding_mask(torch.tensor([6, 4]), S)[:, None, None]
    for mask, count in ((causal_mask(S), 15), (padded, 2)):
        for call in (module, module.attention_weights):
            with pytest.raises(ValueError, match=rf"hides {count} places; expected 0: each projected key mixes all"):
                call(x, mask=mask)
    for call in (module, module.attention_weights):
        with pytest.raises(ValueError, match=r"got a bias of shape \[6, 6\]; projected keys have no positions"):
            call(x, bias=torch.zeros(S, S))
        with pytest.raises(ValueError, match=r"mask has dtype torch.float32; expected torch.bool"):
            call(x, mask=torch.ones(S, S))
    with pytest.raises(ValueError, match="got a cache of length 0; a new key would change all projected ones"):
        module(x, cache=LayerCache())
