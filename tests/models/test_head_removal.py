"""A head switched off: exactly its term is missing, and the layer comes back bit for bit."""

from contextlib import ExitStack

import pytest
import torch

from llmbook.models import Transformer, TransformerConfig
from llmbook.models.head_removal import without_head
from llmbook.nn import MultiHeadAttention, causal_mask, scaled_dot_product_attention


def build(**changes):
    torch.manual_seed(0)
    return MultiHeadAttention(12, 6, **changes), torch.randn(2, 5, 12)


def terms(layer, x, mask):
    """head_i W_i^O of each head, without the layer's own forward."""
    query, key, value = layer.project(x, None, None)
    heads = scaled_dot_product_attention(query, key, value, mask=mask)
    rows = layer.output.weight.T.reshape(layer.num_heads, -1, layer.d_model)
    return [heads[:, head] @ rows[head] for head in range(layer.num_heads)]


@pytest.mark.parametrize("num_kv_heads", [None, 1, 2, 3])
@pytest.mark.parametrize("use_bias", [False, True])
@pytest.mark.parametrize("head", range(6))
def test_exactly_the_heads_own_term_is_missing(head, use_bias, num_kv_heads):
    layer, x = build(use_bias=use_bias, num_kv_heads=num_kv_heads)
    mask = causal_mask(5)
    parts = terms(layer, x, mask)
    torch.testing.assert_close(sum(parts) + (layer.output.bias if use_bias else 0), layer(x, mask=mask))
    whole = layer(x, mask=mask)
    with without_head(layer, head):
        rest = layer(x, mask=mask)
    torch.testing.assert_close(whole - rest, parts[head], atol=1e-6, rtol=1e-5)
    assert (whole - rest).abs().max() > 1e-2


def test_without_all_heads_the_bias_is_left():
    layer, x = build()
    with ExitStack() as stack:
        for head in range(6):
            stack.enter_context(without_head(layer, head))
        assert torch.equal(layer(x), layer.output.bias.expand(2, 5, 12))


def test_the_layer_comes_back_bit_for_bit():
    layer, x = build()
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    pointer, expected = layer.output.weight.data_ptr(), layer(x)
    for head in range(6):
        with without_head(layer, head):
            assert not torch.equal(layer(x), expected)
        assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    with pytest.raises(ZeroDivisionError), without_head(layer, 2):
        1 / 0  # noqa: B018
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert layer.output.weight.data_ptr() == pointer
    assert torch.equal(layer(x), expected)


def test_nested_and_twice_the_same_head():
    layer, x = build()
    before = layer.output.weight.clone()
    with without_head(layer, 1):
        once = layer(x)
        with without_head(layer, 1):
            assert torch.equal(layer(x), once)
        assert torch.equal(layer(x), once)
    assert torch.equal(layer.output.weight, before)


def test_training_goes_on_afterwards():
    layer, x = build()
    with without_head(layer, 0):
        layer(x).sum().backward()
    assert layer.output.weight.requires_grad
    assert (layer.query.weight.grad[:2] == 0).all()
    assert (layer.query.weight.grad[2:] != 0).any()


def test_one_head_of_a_transformer_changes_its_logits_only_meanwhile():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(9, d_model=16, num_heads=2, num_layers=2, dropout=0.0)).eval()
    source, target = torch.arange(10).view(2, 5) % 9, torch.arange(8).view(2, 4)
    expected = model(source, target)
    with without_head(model.decoder[1].cross_attention, 1):
        assert (model(source, target) - expected).abs().max() > 1e-4
    assert torch.equal(model(source, target), expected)


@pytest.mark.messages
@pytest.mark.parametrize("head", [-1, 6])
def test_a_head_that_is_not_there(head):
    layer, _ = build(num_kv_heads=2)
    before = layer.output.weight.clone()
    message = rf"head is {head}; expected 0 … 5 of a layer with num_heads = 6"
    with pytest.raises(ValueError, match=message), without_head(layer, head):
        pytest.fail("the context was entered")
    assert torch.equal(layer.output.weight, before)
