"""Multi-head attention against `nn.MultiheadAttention`, whose padding mask says the opposite of ours."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from llmbook.nn import MultiHeadAttention, causal_mask, padding_mask

D_MODEL, HEADS = 12, 3


def pair(use_bias=True):
    """Ours, and theirs with the same weights: its three input projections are the rows of one matrix."""
    torch.manual_seed(0)
    ours = MultiHeadAttention(D_MODEL, HEADS, use_bias=use_bias)
    theirs = nn.MultiheadAttention(D_MODEL, HEADS, bias=use_bias, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.out_proj.weight.copy_(ours.output.weight)
        if use_bias:
            theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
            theirs.out_proj.bias.copy_(ours.output.bias)
    return ours, theirs


def inputs():
    rng = torch.Generator().manual_seed(1)
    return torch.randn(2, 4, D_MODEL, generator=rng), torch.randn(2, 5, D_MODEL, generator=rng)


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("use_bias", [True, False])
def test_self_and_cross_attention_and_their_weights(use_bias):
    ours, theirs = pair(use_bias)
    x, context = inputs()
    for look in (x, context):
        output, weights = theirs(x, look, look, average_attn_weights=False)
        close(ours(x, context=look), output)
        close(ours.attention_weights(x, context=look), weights)


def test_gradients():
    ours, theirs = pair()
    x, context = inputs()
    ours(x, context=context).square().sum().backward()
    theirs(x, context, context)[0].square().sum().backward()
    stacked = torch.cat([ours.query.weight.grad, ours.key.weight.grad, ours.value.weight.grad])
    torch.testing.assert_close(stacked, theirs.in_proj_weight.grad, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ours.output.weight.grad, theirs.out_proj.weight.grad, atol=1e-5, rtol=1e-4)


def test_their_key_padding_mask_is_true_where_ours_is_false():
    ours, theirs = pair()
    x, context = inputs()
    real = padding_mask(torch.tensor([5, 3]), 5)
    expected = theirs(x, context, context, key_padding_mask=~real)[0]
    close(ours(x, context=context, mask=real[:, None, None]), expected)
    # The same mask, not inverted, hides what is real (row 0 would be NaN for them, all being hidden).
    wrong = theirs(x[1:], context[1:], context[1:], key_padding_mask=real[1:])[0]
    assert (wrong - expected[1:]).abs().max() > 0.05


def test_their_boolean_attention_mask_is_inverted_too_though_their_functions_is_not():
    ours, theirs = pair()
    x, _ = inputs()
    may = causal_mask(4)
    close(ours(x, mask=may), theirs(x, x, x, attn_mask=~may)[0])
    query, key, value = ours.project(x, None, None)
    heads = F.scaled_dot_product_attention(query, key, value, attn_mask=may)
    close(ours(x, mask=may), ours.output(heads.transpose(1, 2).flatten(2)))


def test_padding_and_causality_together():
    ours, theirs = pair()
    x, _ = inputs()
    real = padding_mask(torch.tensor([4, 2]), 4)
    output = ours(x, mask=causal_mask(4) & real[:, None, None])
    close(output, theirs(x, x, x, attn_mask=~causal_mask(4), key_padding_mask=~real)[0])


def test_a_row_of_padding_alone_is_nan_there_and_the_output_bias_here():
    ours, theirs = pair()
    x, _ = inputs()
    real = padding_mask(torch.tensor([4, 0]), 4)
    output = ours(x, mask=real[:, None, None])
    expected = theirs(x, x, x, key_padding_mask=~real)[0]
    close(output[0], expected[0])
    assert expected[1].isnan().all()
    assert torch.equal(output[1], ours.output.bias.expand(4, D_MODEL))


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4])
def test_grouped_heads_against_torch_and_against_repeated_weights(num_kv_heads):
    torch.manual_seed(0)
    ours = MultiHeadAttention(16, 4, num_kv_heads=num_kv_heads)
    x = torch.randn(2, 5, 16)
    query = ours.query(x).unflatten(-1, (4, 4)).transpose(1, 2)
    key, value = (p(x).unflatten(-1, (num_kv_heads, 4)).transpose(1, 2) for p in (ours.key, ours.value))
    heads = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
    close(ours(x, mask=causal_mask(5)), ours.output(heads.transpose(1, 2).flatten(2)))
    theirs = nn.MultiheadAttention(16, 4, batch_first=True)
    repeated = [
        getattr(p, name).unflatten(0, (num_kv_heads, 4)).repeat_interleave(4 // num_kv_heads, dim=0).flatten(0, 1)
        for name in ("weight", "bias")
        for p in (ours.key, ours.value)
    ]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, *repeated[:2]]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, *repeated[2:]]))
        theirs.out_proj.load_state_dict(ours.output.state_dict())
    close(ours(x, mask=causal_mask(5)), theirs(x, x, x, attn_mask=~causal_mask(5))[0])
