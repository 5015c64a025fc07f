"""One layer of a Transformer: both norm orders written out, masks where they belong, dropout, caches, and the mistakes it must refuse."""

from functools import partial

import pytest
import torch
from inputs import close, random_inputs

from llmbook.nn import FeedForward, LayerCache, LayerNorm, RMSNorm, TransformerBlock, causal_mask, padding_mask

D_MODEL = 8


def layer(**options):
    torch.manual_seed(0)
    module = TransformerBlock(D_MODEL, 2, 16, **options)
    for parameter in module.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=0.5)
    return module


def vectors(*shape, seed=1, dtype=torch.float32):
    return random_inputs(*shape, D_MODEL, seed=seed, dtype=dtype)


def test_pre_norm_written_out():
    block, x, context = layer(cross_attention=True), vectors(2, 4), vectors(2, 3, seed=2)
    y = x + block.self_attention(block.self_attention_norm(x))
    y = y + block.cross_attention(block.cross_attention_norm(y), context=context)
    y = y + block.feed_forward(block.feed_forward_norm(y))
    close(block(x, context=context), y, 1e-6)


def test_post_norm_written_out():
    block = layer(cross_attention=True, norm_first=False)
    x, context = vectors(2, 4), vectors(2, 3, seed=2)
    y = block.self_attention_norm(x + block.self_attention(x))
    y = block.cross_attention_norm(y + block.cross_attention(y, context=context))
    y = block.feed_forward_norm(y + block.feed_forward(y))
    close(block(x, context=context), y, 1e-6)


def test_pre_norm_is_the_default_and_differs():
    x = vectors(2, 4)
    assert torch.equal(layer()(x), layer(norm_first=True)(x))
    assert (layer()(x) - layer(norm_first=False)(x)).abs().max() > 0.1


def test_a_pre_norm_block_whose_sublayers_are_silent_is_the_identity():
    block, x = layer(), vectors(2, 4)
    for linear in (block.self_attention.output, block.feed_forward.outer):
        torch.nn.init.zeros_(linear.weight)
        torch.nn.init.zeros_(linear.bias)
    assert torch.equal(block(x), x)


def test_the_parts_asked_for_are_the_parts_used():
    block = layer(norm=RMSNorm, feed_forward=partial(FeedForward, activation="gelu"), num_kv_heads=1, use_bias=False)
    assert isinstance(block.self_attention_norm, RMSNorm)
    assert isinstance(block.feed_forward_norm, RMSNorm)
    assert block.self_attention.num_kv_heads == 1
    assert block.self_attention.query.bias is None
    assert block.feed_forward.activation is torch.nn.functional.gelu
    assert isinstance(layer().self_attention_norm, LayerNorm)
    assert not any("cross" in name for name, _ in layer().named_parameters())


@pytest.mark.parametrize(("cross_attention", "expected"), [(False, 288 + 280 + 2 * 16), (True, 2 * 288 + 280 + 3 * 16)])
def test_parameter_counts(cross_attention, expected):
    assert sum(p.numel() for p in layer(cross_attention=cross_attention).parameters()) == expected


def test_each_mask_belongs_to_its_attention():
    block = layer(cross_attention=True)
    x, context = vectors(2, 4), vectors(2, 5, seed=2)
    context_mask = padding_mask(torch.tensor([5, 3]), 5)[:, None, None]
    masked = block(x, context=context, mask=causal_mask(4), context_mask=context_mask)
    changed_context, changed_x = context.clone(), x.clone()
    changed_context[1, 3:] = 9.0
    close(block(x, context=changed_context, mask=causal_mask(4), context_mask=context_mask), masked, 1e-6)
    changed_x[:, 2:] = 9.0
    after = block(changed_x, context=context, mask=causal_mask(4), context_mask=context_mask)
    close(after[:, :2], masked[:, :2], 1e-6)
    assert (after[:, 2:] - masked[:, 2:]).abs().max() > 0.1
    assert (block(x, context=changed_context) - block(x, context=context)).abs().max() > 0.01
    assert (block(x, context=context) - masked)[:, :3].abs().max() > 0.01


def test_a_bias_goes_to_the_self_attention():
    block, x = layer(), vectors(2, 4)
    forbid = torch.zeros(4, 4).masked_fill(~causal_mask(4), -1e9)
    close(block(x, bias=forbid), block(x, mask=causal_mask(4)))
    by_head = torch.stack([forbid, torch.zeros(4, 4)])
    assert torch.equal(block(x, bias=by_head), block(x, bias=by_head.expand(2, 2, 4, 4)))


def test_without_positions_a_block_is_permutation_equivariant():
    block, x, context = layer(cross_attention=True), vectors(2, 5), vectors(2, 4, seed=2)
    order = torch.tensor([3, 0, 4, 1, 2])
    close(block(x[:, order], context=context), block(x, context=context)[:, order])
    close(block(x, context=context.flip(1)), block(x, context=context))


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("sizes", [[1] * 5, [3, 2]])
def test_cached_equals_uncached(norm_first, sizes):
    block = layer(cross_attention=True, norm_first=norm_first)
    x, context = vectors(2, 5), vectors(2, 3, seed=2)
    cache, outputs, seen = LayerCache(), [], 0
    for chunk in x.split(sizes, dim=1):
        seen += chunk.shape[1]
        outputs.append(block(chunk, context=context, mask=causal_mask(chunk.shape[1], seen), cache=cache))
    close(torch.cat(outputs, dim=1), block(x, context=context, mask=causal_mask(5)))
    assert cache.key.shape[2] == 5  # the context's keys are not in it


def test_dropout_only_in_training_and_from_the_global_generator():
    block, x = layer(dropout=0.5), vectors(2, 4)
    torch.manual_seed(0)
    first, second = block(x), block(x)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(block(x), first)
    assert torch.equal(block.eval()(x), layer()(x))


def test_dropout_falls_on_the_sublayers_output_and_never_on_the_residual():
    class AddOne(torch.nn.Module):
        def forward(self, x):
            return x + 1

    x = torch.full((1, 50, D_MODEL), 100.0)
    # What f gives, 10, is dropped or doubled; in post-norm the norm comes after, in pre-norm before f.
    before = layer(dropout=0.5).sublayer(x, AddOne(), lambda x: x - 91)
    assert set(before.unique().tolist()) == {100.0, 120.0}
    after = layer(dropout=0.5, norm_first=False).sublayer(x, AddOne(), lambda x: x - 90)
    assert set(after.unique().tolist()) == {101.0, 121.0}


def test_a_row_that_may_attend_to_nothing_is_finite_in_values_and_gradients():
    for norm_first in (True, False):
        block = layer(cross_attention=True, norm_first=norm_first)
        x, context = vectors(2, 3).requires_grad_(), vectors(2, 4, seed=2).requires_grad_()
        nothing = padding_mask(torch.tensor([4, 0]), 4)[:, None, None]
        output = block(x, context=context, mask=nothing[..., :3], context_mask=nothing)
        output.square().sum().backward()
        assert output.isfinite().all()
        assert x.grad.isfinite().all()
        assert (context.grad[1] == 0).all()
        assert (context.grad[0] != 0).any()
        assert all(p.grad.isfinite().all() for p in block.parameters())


def test_empty_and_single():
    block = layer(cross_attention=True)
    for batch, queries, keys in ((2, 0, 3), (2, 3, 0), (0, 3, 3), (1, 1, 1)):
        output = block(vectors(batch, queries), context=vectors(batch, keys, seed=2))
        assert output.shape == (batch, queries, D_MODEL)
        assert output.isfinite().all()


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("norm", [LayerNorm, RMSNorm])
def test_gradients_by_finite_differences(norm_first, norm):
    block = layer(
        cross_attention=True, norm_first=norm_first, norm=norm, feed_forward=partial(FeedForward, activation="gelu")
    ).double()
    x = vectors(1, 3, dtype=torch.float64).requires_grad_()
    context = vectors(1, 2, seed=2, dtype=torch.float64).requires_grad_()
    mask = causal_mask(3)
    mask[1] = False
    assert torch.autograd.gradcheck(lambda x, c: block(x, context=c, mask=mask), (x, context))


def test_half_precision_and_autocast():
    block, x = layer(), vectors(2, 4)
    expected = block(x, mask=causal_mask(4))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close(block(x, mask=causal_mask(4)).float(), expected, 0.1)
    output = block.bfloat16()(x.bfloat16(), mask=causal_mask(4))
    assert output.dtype == torch.bfloat16
    close(output.float(), expected, 0.1)


@pytest.mark.messages
def test_mistakes_are_named():
    x = vectors(2, 4)
    with pytest.raises(ValueError, match="this layer has no cross-attention; it got a context"):
        layer()(x, context=x)
    with pytest.raises(ValueError, match="this layer has cross-attention; it got no context"):
        layer(cross_attention=True)(x)
    with pytest.raises(ValueError, match=r"query \[2, 2, 4, 4\], key \[1, 2, 4, 4\]"):
        layer(cross_attention=True)(x, context=x[:1])
    with pytest.raises(ValueError, match="num_heads = 3 does not divide d_model = 8"):
        TransformerBlock(8, 3, 16)
    with pytest.raises(ValueError, match="num_kv_heads = 3 does not divide num_heads = 4"):
        TransformerBlock(8, 4, 16, num_kv_heads=3)
    with pytest.raises(ValueError, match="d_ff is 0"):
        TransformerBlock(8, 2, 0)
    with pytest.raises(ValueError, match=r"dropout is 1\.5"):
        TransformerBlock(8, 2, 16, dropout=1.5)
    for norm_first in (True, False):
        with pytest.raises(ValueError, match=r"x has shape \[2, 4, 7\].*d_model = 8"):
            layer(norm_first=norm_first)(x[..., :7])
    with pytest.raises(ValueError, match=r"mask has shape \[2, 4\]; expected \[query, key\] = \[4, 4\]"):
        layer()(x, mask=padding_mask(torch.tensor([4, 2]), 4))


@pytest.mark.messages
def test_a_context_mask_without_a_context_is_refused():
    with pytest.raises(ValueError, match=r"context_mask of shape \[2, 2\] without"):
        TransformerBlock(8, 2, 16)(torch.ones(1, 2, 8), context_mask=torch.ones(2, 2, dtype=torch.bool))
