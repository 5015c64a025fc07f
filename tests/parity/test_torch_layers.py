"""One layer, and the whole model, against PyTorch's `nn.TransformerEncoderLayer`, `nn.TransformerDecoderLayer` and `nn.Transformer`."""

from functools import partial

import pytest
import torch
from inputs import close
from torch import nn

from llmbook.models import Transformer, TransformerConfig
from llmbook.nn import FeedForward, TransformerBlock, causal_mask, padding_mask

D_MODEL, HEADS, D_FF = 8, 2, 12


def attention_weights(ours, prefix):
    stacked = {
        f"{prefix}.in_proj_{kind}": torch.cat([getattr(p, kind) for p in (ours.query, ours.key, ours.value)])
        for kind in ("weight", "bias")
    }
    return stacked | {f"{prefix}.out_proj.{name}": value for name, value in ours.output.state_dict().items()}


def layer_weights(block):
    """Our block's weights under the names of PyTorch's layers."""
    state = attention_weights(block.self_attention, "self_attn")
    norms = [block.self_attention_norm, block.feed_forward_norm]
    if block.cross_attention is not None:
        state |= attention_weights(block.cross_attention, "multihead_attn")
        norms.insert(1, block.cross_attention_norm)
    parts = {"linear1": block.feed_forward.inner, "linear2": block.feed_forward.outer}
    parts |= {f"norm{i}": norm for i, norm in enumerate(norms, start=1)}
    for name, part in parts.items():
        state |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    return state


def jolt(module):
    """Biases and norms start as 0 and 1; away from there a wrong one shows."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter), alpha=0.3)
    return module


def pair(reference, norm_first, activation, cross_attention):
    torch.manual_seed(0)
    feed_forward = partial(FeedForward, activation=activation)
    block = TransformerBlock(
        D_MODEL, HEADS, D_FF, norm_first=norm_first, feed_forward=feed_forward, cross_attention=cross_attention
    )
    theirs = reference(
        D_MODEL, HEADS, D_FF, dropout=0.0, activation=activation, norm_first=norm_first, batch_first=True
    )
    theirs.load_state_dict(layer_weights(jolt(block)))
    return block, theirs


def inputs():
    rng = torch.Generator().manual_seed(2)
    return torch.randn(2, 4, D_MODEL, generator=rng), torch.randn(2, 5, D_MODEL, generator=rng)


orders = pytest.mark.parametrize("norm_first", [True, False])
activations = pytest.mark.parametrize("activation", ["relu", "gelu"])


@orders
@activations
def test_encoder_layer(norm_first, activation):
    block, theirs = pair(nn.TransformerEncoderLayer, norm_first, activation, cross_attention=False)
    x, _ = inputs()
    real = padding_mask(torch.tensor([4, 2]), 4)
    close(block(x), theirs(x))
    close(block(x, mask=real[:, None, None]), theirs(x, src_key_padding_mask=~real))
    close(block(x, mask=causal_mask(4)), theirs(x, src_mask=~causal_mask(4)))
    other = {"relu": "gelu", "gelu": "relu"}[activation]
    assert (pair(nn.TransformerEncoderLayer, norm_first, other, False)[0](x) - block(x)).abs().max() > 1e-3


@orders
@activations
def test_decoder_layer(norm_first, activation):
    block, theirs = pair(nn.TransformerDecoderLayer, norm_first, activation, cross_attention=True)
    x, context = inputs()
    target_real, source_real = padding_mask(torch.tensor([4, 3]), 4), padding_mask(torch.tensor([2, 5]), 5)
    close(block(x, context=context), theirs(x, context))
    ours = block(
        x,
        context=context,
        mask=causal_mask(4) & target_real[:, None, None],
        context_mask=source_real[:, None, None],
    )
    masks = {"tgt_key_padding_mask": ~target_real, "memory_key_padding_mask": ~source_real}
    close(ours, theirs(x, context, tgt_mask=~causal_mask(4), **masks))


@orders
def test_gradients(norm_first):
    block, theirs = pair(nn.TransformerDecoderLayer, norm_first, "relu", cross_attention=True)
    results = []
    for module, run in (
        (block, lambda x, c: block(x, context=c, mask=causal_mask(4))),
        (theirs, lambda x, c: theirs(x, c, tgt_mask=~causal_mask(4))),
    ):
        x, context = (t.requires_grad_() for t in inputs())
        run(x, context)[..., 0].square().sum().backward()
        results.append((x.grad, context.grad, sum(p.grad.square().sum() for p in module.parameters())))
    for actual, expected in zip(*results, strict=True):
        close(actual, expected, 1e-4)


@orders
@pytest.mark.parametrize("training", [True, False])
def test_the_whole_model(norm_first, training):
    """`nn.Transformer` always ends both stacks in a norm: for post-norm, where the paper has none, it is taken out.

    In evaluation PyTorch's encoder layers take their fast path, with fused kernels.
    """
    torch.manual_seed(0)
    config = TransformerConfig(
        11, d_model=D_MODEL, num_heads=HEADS, num_layers=2, d_ff=D_FF, dropout=0.0, norm_first=norm_first
    )
    model = jolt(Transformer(config)).train(training)
    sizes = (D_MODEL, HEADS, D_FF)
    options = {"dropout": 0.0, "norm_first": norm_first, "batch_first": True}
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(*sizes, **options), 2, nn.LayerNorm(D_MODEL), enable_nested_tensor=False
    )
    theirs = nn.Transformer(D_MODEL, HEADS, 2, 2, D_FF, custom_encoder=encoder, **options)
    for our_stack, stack, norm in (
        (model.encoder, theirs.encoder, model.encoder_norm),
        (model.decoder, theirs.decoder, model.decoder_norm),
    ):
        for block, layer in zip(our_stack, stack.layers, strict=True):
            layer.load_state_dict(layer_weights(block))
        if norm_first:
            stack.norm.load_state_dict(norm.state_dict())
        else:
            stack.norm = None
    theirs.train(training)

    rng = torch.Generator().manual_seed(3)
    source, target = torch.randint(11, (2, 5), generator=rng), torch.randint(11, (2, 4), generator=rng)
    source_real, target_real = padding_mask(torch.tensor([3, 5]), 5), padding_mask(torch.tensor([4, 2]), 4)

    def embed(ids):
        return model.target_embedding(ids) * D_MODEL**0.5 + model.positions.rows[: ids.shape[1]]

    with torch.no_grad():
        hidden = theirs(
            embed(source),
            embed(target),
            tgt_mask=~causal_mask(4),
            src_key_padding_mask=~source_real,
            tgt_key_padding_mask=~target_real,
            memory_key_padding_mask=~source_real,
        )
        expected = hidden @ model.target_embedding.weight.T
        logits = model(source, target, source_mask=source_real, target_mask=target_real)
    close(logits[target_real], expected[target_real])
    assert (model(source, target) - logits).abs().max() > 1e-3
