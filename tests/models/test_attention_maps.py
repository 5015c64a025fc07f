"""Attention maps: the weights that the layers really used, and nothing left behind."""

import pytest
import torch

from llmbook.models import Transformer, TransformerConfig, attention_maps
from llmbook.nn import LayerCache, MultiHeadAttention, causal_mask


def build(**changes):
    torch.manual_seed(0)
    sizes = {"d_model": 16, "num_heads": 2, "num_layers": 3, "d_ff": 32, "dropout": 0.0}
    return Transformer(TransformerConfig(9, **{**sizes, **changes}))


SOURCE, TARGET = torch.arange(10).view(2, 5) % 9, torch.arange(8).view(2, 4)


def test_one_layer_by_hand():
    layer, x = MultiHeadAttention(8, 2), torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
    maps = attention_maps([layer], lambda: layer(x, mask=causal_mask(4)))
    assert torch.equal(maps[0], layer.attention_weights(x, mask=causal_mask(4)))


def test_all_layers_of_a_transformer():
    model = build()
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])

    def run():
        model(SOURCE, TARGET, source_mask=mask)

    looks = {
        "encoder": attention_maps([block.self_attention for block in model.encoder], run),
        "decoder": attention_maps([block.self_attention for block in model.decoder], run),
        "cross": attention_maps([block.cross_attention for block in model.decoder], run),
    }
    assert {name: tuple(maps.shape) for name, maps in looks.items()} == {
        "encoder": (3, 2, 2, 5, 5),
        "decoder": (3, 2, 2, 4, 4),
        "cross": (3, 2, 2, 4, 5),
    }
    for maps in looks.values():
        torch.testing.assert_close(maps.sum(dim=-1), torch.ones(maps.shape[:-1]))
        assert not maps.requires_grad
    assert (looks["decoder"][..., ~causal_mask(4)] == 0).all()
    assert (looks["encoder"][:, 1, :, :, 3:] == 0).all()
    assert (looks["cross"][:, 1, :, :, 3:] == 0).all()
    assert (looks["cross"][:, 0] > 0).all()


def test_layers_come_in_the_order_asked_for():
    model = build()
    layers = [block.self_attention for block in model.encoder]
    maps = attention_maps(layers, lambda: model.encode(SOURCE))
    assert torch.equal(attention_maps(layers[::-1], lambda: model.encode(SOURCE)), maps.flip(0))
    assert (maps[0] - maps[1]).abs().max() > 1e-3


def test_looking_changes_nothing_and_leaves_nothing_behind():
    model = build(dropout=0.2)
    layer = model.encoder[0].self_attention
    before = {name: value.clone() for name, value in model.state_dict().items()}
    torch.manual_seed(1)
    expected = model.encode(SOURCE)
    seen = []
    torch.manual_seed(1)
    attention_maps([layer], lambda: seen.append(model.encode(SOURCE)))
    assert torch.equal(seen[0], expected)
    assert not layer._forward_pre_hooks
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.is_grad_enabled()
    with pytest.raises(ZeroDivisionError):
        attention_maps([layer], lambda: 1 / 0)
    assert not layer._forward_pre_hooks


def test_a_first_step_with_a_cache_is_seen_and_the_cache_filled_once():
    layer, x = MultiHeadAttention(8, 2), torch.randn(1, 3, 8, generator=torch.Generator().manual_seed(0))
    cache = LayerCache()
    maps = attention_maps([layer], lambda: layer(x, mask=causal_mask(3), cache=cache))
    assert maps.shape == (1, 1, 2, 3, 3)
    assert cache.key.shape[2] == 3


@pytest.mark.messages
def test_mistakes_are_named():
    model = build()
    layers = [block.self_attention for block in model.encoder]
    with pytest.raises(ValueError, match=r"expected layers that run\(\) calls once each; got calls \[\]"):
        attention_maps([], lambda: model.encode(SOURCE))
    with pytest.raises(ValueError, match=r"got calls \[0, 0, 0\]"):
        attention_maps(layers, lambda: None)
    with pytest.raises(ValueError, match=r"got calls \[2\]"):
        attention_maps(layers[:1], lambda: (model.encode(SOURCE), model.encode(SOURCE)))
    crossed = [model.decoder[0].self_attention, model.decoder[0].cross_attention]
    with pytest.raises(ValueError, match=r"got shapes \[\(2, 2, 4, 4\), \(2, 2, 4, 5\)\]"):
        attention_maps(crossed, lambda: model(SOURCE, TARGET))
