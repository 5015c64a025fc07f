"""Attention over blocks: equal to the dense one under its mask, in linear memory, and the mistakes that it must refuse."""

import re
from functools import partial

import pytest
import torch
from inputs import close, random_inputs
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from llmbook.nn import (
    LayerCache,
    LocalAttention,
    MultiHeadAttention,
    TransformerBlock,
    bigbird_layout,
    block_mask,
    block_sparse_attention,
    causal_mask,
    local_attention,
    padding_mask,
    reachable,
    rotary_tables,
    scaled_dot_product_attention,
    sink_mask,
    sliding_window_mask,
)

B, H, K, V = 2, 3, 4, 6


def case(queries, keys=None, dtype=torch.float64):
    keys = queries if keys is None else keys
    shapes = ((B, H, queries, K), (B, H, keys, K), (B, H, keys, V))
    return [random_inputs(*shape, seed=seed, dtype=dtype) for seed, shape in enumerate(shapes)]


def with_gradients(attend, inputs):
    """The output, and the gradients of a weighted sum of it."""
    inputs = [x.detach().clone().requires_grad_() for x in inputs]
    output = attend(*inputs)
    (output * random_inputs(*output.shape, seed=9).to(output)).sum().backward()
    return [output.detach(), *(x.grad for x in inputs)]


def same(attend, mask, inputs, tolerance):
    dense = with_gradients(partial(scaled_dot_product_attention, mask=mask), inputs)
    for ours, expected in zip(with_gradients(attend, inputs), dense, strict=True):
        assert ours.dtype == expected.dtype
        close(ours, expected, tolerance)


def test_a_worked_example():
    # Equal scores: the mean of the visible values.
    value = torch.tensor([1.0, 2, 4, 8, 16]).view(1, 1, 5, 1)
    zeros = torch.zeros(1, 1, 5, 2)
    attend = partial(local_attention, zeros, zeros, value)
    assert attend(window=2).flatten().tolist() == [1, 1.5, 3, 6, 12]
    assert attend(window=1, num_sinks=1).flatten().tolist() == [1, 1.5, 2.5, 4.5, 8.5]
    close(attend(window=2, causal=False).flatten(), torch.tensor([1.5, 7 / 3, 14 / 3, 28 / 3, 12]))
    layout = torch.tensor([[0, 0, 1], [1, 0, 0], [1, 1, 0]]).bool()
    output = block_sparse_attention(zeros, zeros, value, layout=layout, block_size=2, causal=False)
    assert output.flatten().tolist() == [16, 16, 1.5, 1.5, 3.75]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize("length", [1, 2, 5, 12, 13])
def test_local_is_dense_under_its_mask(length, dtype, tolerance):
    inputs = case(length, dtype=dtype)
    for window in range(1, length + 3):
        attend, mask = partial(local_attention, window=window), sliding_window_mask(length, window)
        same(attend, mask, inputs, tolerance)
        for num_sinks in range(4):
            mask = sink_mask(length, window, num_sinks)
            same(partial(attend, num_sinks=num_sinks), mask, inputs, tolerance)
        mask = sliding_window_mask(length, window, causal=False)
        same(partial(attend, causal=False), mask, inputs, tolerance)


def test_a_window_as_long_as_the_sequence_is_causal_attention():
    same(partial(local_attention, window=10**12), causal_mask(7), case(7), 1e-10)
    same(partial(local_attention, window=10**12, causal=False), None, case(7), 1e-10)
    same(partial(local_attention, window=1, num_sinks=10**12), causal_mask(7), case(7), 1e-10)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("length", "block_size"), [(12, 4), (13, 4), (5, 1), (3, 7), (1, 1)])
def test_block_sparse_is_dense_under_its_mask(length, block_size, causal):
    blocks = -(-length // block_size)
    for share in (0.0, 0.3, 0.7, 1.0):
        layout = torch.rand(blocks, blocks, generator=torch.Generator().manual_seed(1)) < share
        attend = partial(block_sparse_attention, layout=layout, block_size=block_size, causal=causal)
        same(attend, block_mask(layout, length, block_size, causal=causal), case(length), 1e-10)
        same(attend, block_mask(layout, length, block_size, causal=causal), case(length, dtype=torch.float32), 1e-5)


def test_a_full_layout_is_dense_and_bigbird_is_dense_under_its_mask():
    full = torch.ones(4, 4).bool()
    same(partial(block_sparse_attention, layout=full, block_size=3, causal=False), None, case(11), 1e-10)
    same(partial(block_sparse_attention, layout=full, block_size=3, causal=True), causal_mask(11), case(11), 1e-10)
    layout = bigbird_layout(8, window=3, num_random=1, num_global=1, generator=torch.Generator().manual_seed(0))
    attend = partial(block_sparse_attention, layout=layout, block_size=5, causal=False)
    same(attend, block_mask(layout, 38, 5, causal=False), case(38), 1e-10)


@pytest.mark.parametrize(("queries", "keys"), [(5, 9), (9, 5), (1, 8), (4, 0)])
def test_block_sparse_with_other_keys_than_queries(queries, keys):
    shape = (-(-queries // 2), -(-keys // 2))
    layout = torch.rand(shape, generator=torch.Generator().manual_seed(2)) < 0.6
    dense = layout.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)[:queries, :keys]
    attend = partial(block_sparse_attention, layout=layout, block_size=2)
    same(partial(attend, causal=False), dense, case(queries, keys), 1e-10)
    if queries <= keys:
        same(partial(attend, causal=True), dense & causal_mask(queries, keys), case(queries, keys), 1e-10)


@pytest.mark.parametrize("causal", [True, False])
def test_a_block_of_queries_without_keys_gives_zeros_and_no_nan(causal):
    layout = torch.tensor([[1, 0, 0], [0, 0, 0], [0, 1, 1]]).bool()
    attend = partial(block_sparse_attention, layout=layout, block_size=2, causal=causal)
    with pytest.warns(UserWarning, match="Anomaly"):
        watched = torch.autograd.detect_anomaly()
    with watched:
        output, query, key, value = with_gradients(attend, case(5))
    assert (output[:, :, 2:4] == 0).all()
    assert (query[:, :, 2:4] == 0).all()
    assert all(x.isfinite().all() for x in (output, query, key, value))
    assert (output[:, :, [0, 1, 4]] != 0).all()
    # All hidden by `causal`, though the layout has a block.
    upper = torch.tensor([[0, 1], [0, 1]]).bool()
    output, *gradients = with_gradients(partial(attend, layout=upper, causal=True), case(4))
    assert (output[:, :, :2] == 0).all()
    assert all(x.isfinite().all() for x in gradients)


class Largest(TorchDispatchMode):
    """Counts the elements of the largest tensor that an operation gives."""

    def __init__(self):
        super().__init__()
        self.elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [x.numel() for x in tree_leaves(result) if isinstance(x, torch.Tensor)]
        self.elements = max([self.elements, *sizes])
        return result


def largest(attend, length):
    inputs = [x[:1, :1] for x in case(length, dtype=torch.float32)]
    with Largest() as record:
        with_gradients(attend, inputs)
    return record.elements


@pytest.mark.parametrize("options", [{}, {"num_sinks": 4}, {"causal": False}])
def test_no_tensor_grows_faster_than_the_sequence(options):
    attend = partial(local_attention, window=16, **options)
    sizes = [largest(attend, length) for length in (256, 512, 1024)]
    assert sizes[1:] == [2 * sizes[0], 4 * sizes[0]]
    neighbours = 2 if options.get("causal", True) else 3
    assert sizes[0] == 256 * (neighbours * 16 + options.get("num_sinks", 0))  # the scores
    dense = partial(scaled_dot_product_attention, mask=sliding_window_mask(256, 16))
    assert largest(dense, 256) == 256 * 256  # the record does see a square


def test_block_sparse_grows_with_the_longest_row_of_the_layout():
    sizes = []
    for blocks in (16, 32, 64):
        layout = sliding_window_mask(blocks, 2)
        attend = partial(block_sparse_attention, layout=layout, block_size=16, causal=True)
        sizes.append(largest(attend, 16 * blocks))
    assert sizes[1:] == [2 * sizes[0], 4 * sizes[0]]
    layout[5] = True
    assert largest(attend, 1024) >= 1024 * 1024  # one full row costs as much as if all were


@pytest.mark.parametrize("causal", [True, False])
def test_nothing_to_attend_from(causal):
    layout = torch.zeros(0, 0).bool()
    for shape in ((B, H, 0, K), (0, H, 5, K), (B, 0, 5, K)):
        inputs = [torch.zeros(shape)] * 3
        outputs = with_gradients(partial(local_attention, window=3, causal=causal), inputs)
        assert all(x.shape == shape for x in outputs)
        layout = torch.ones(-(-shape[2] // 2), -(-shape[2] // 2)).bool()
        attend = partial(block_sparse_attention, layout=layout, block_size=2, causal=causal)
        assert all(x.shape == shape for x in with_gradients(attend, inputs))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_types_are_scored_in_single_precision(dtype):
    inputs = [x.to(dtype) for x in case(13, dtype=torch.float32)]
    dense = scaled_dot_product_attention(*inputs, mask=sliding_window_mask(13, 4))
    local = local_attention(*inputs, window=4)
    assert local.dtype == dtype
    close(local.float(), dense.float(), 1e-2)
    loud = [400 * inputs[0], 400 * inputs[1], inputs[2]]  # scores beyond 65,504
    assert local_attention(*loud, window=4).isfinite().all()


def test_gradients_by_finite_differences():
    inputs = [x[:1, :1].requires_grad_() for x in case(5)]
    layout = torch.tensor([[1, 0, 0], [0, 0, 0], [1, 1, 0]]).bool()
    assert torch.autograd.gradcheck(lambda q, k, v: local_attention(q, k, v, window=2, num_sinks=1), inputs)
    assert torch.autograd.gradcheck(
        lambda q, k, v: block_sparse_attention(q, k, v, layout=layout, block_size=2, causal=True), inputs
    )


def test_dropout_sets_a_share_to_zero_and_scales_the_rest():
    query, value = torch.zeros(1, 1, 100, 4), torch.eye(100)[None, None]
    torch.manual_seed(0)
    output = local_attention(query, query, value, window=50, causal=False, dropout=0.25)
    plain = local_attention(query, query, value, window=50, causal=False)
    kept = output != 0
    assert 0.73 < kept.sum() / (plain != 0).sum() < 0.77
    close(output[kept], plain[kept] / 0.75)


@pytest.mark.parametrize("options", [{"num_sinks": 1}, {"causal": False}])
def test_compiled_exported_mapped_and_without_data_it_is_the_same(options, unhooked):
    class Attend(torch.nn.Module):
        def forward(self, query, key, value):
            return local_attention(query, key, value, window=3, **options)

    inputs = tuple(case(7, dtype=torch.float32))
    expected = Attend()(*inputs)
    close(torch.compile(Attend(), backend="eager", fullgraph=True)(*inputs), expected, 1e-6)
    close(torch.export.export(Attend(), inputs).module()(*inputs), expected, 1e-6)
    mapped = torch.vmap(Attend())(*(torch.stack([x, x.flip(0)]) for x in inputs))
    close(mapped, torch.stack([expected, expected.flip(0)]), 1e-6)
    assert Attend()(*(x.to("meta") for x in inputs)).shape == expected.shape


def layers(seed=0, **options):
    """A local and a dense layer with the same weights."""
    torch.manual_seed(seed)
    local = LocalAttention(12, 6, window=3, num_sinks=1, **options)
    dense = MultiHeadAttention(12, 6, **options)
    dense.load_state_dict(local.state_dict())
    return local, dense


@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 2, "use_bias": False}])
def test_the_layer_is_the_dense_one_with_the_same_weights_under_the_mask(options):
    local, dense = layers(**options)
    x, mask = random_inputs(2, 10, 12), sink_mask(10, 3, 1)
    close(local(x), dense(x, mask=mask))
    close(local.attention_weights(x), dense.attention_weights(x, mask=mask))
    tables, positions = rotary_tables(2, 20), torch.arange(4, 24, 2)[:10] % 20
    turned = dict(rotary=tables, positions=positions)
    close(local(x, **turned), dense(x, mask=mask, **turned))
    close(local.attention_weights(x, **turned), dense.attention_weights(x, mask=mask, **turned))


def test_the_plain_causal_mask_is_taken_and_changes_nothing():
    local, _ = layers()
    x = random_inputs(2, 5, 12)
    padded = causal_mask(5) & padding_mask(torch.tensor([5, 5]), 5)[:, None, None]
    for mask in (causal_mask(5), causal_mask(5)[None, None], padded, causal_mask(5).expand(2, 6, 5, 5)):
        assert torch.equal(local(x, mask=mask), local(x))
        assert torch.equal(local.attention_weights(x, mask=mask), local.attention_weights(x))
    assert local.to("meta")(x.to("meta"), mask=causal_mask(5).to("meta")).shape == x.shape


def test_dropout_is_for_training_only():
    local, dense = layers(dropout=0.5)
    x = random_inputs(2, 10, 12)
    assert not torch.equal(local(x), local(x))
    close(local.eval()(x), dense.eval()(x, mask=sink_mask(10, 3, 1)))


def test_inputs_influence_stacked_blocks_just_as_far_as_reach_says():
    torch.manual_seed(0)
    attention = partial(LocalAttention, window=3)
    blocks = [TransformerBlock(12, 3, 24, attention=attention) for _ in range(3)]
    x = random_inputs(1, 12, 12).requires_grad_()
    output = x
    for block in blocks:
        output = block(output, mask=causal_mask(12))
    influence = torch.stack(
        [torch.autograd.grad(row.square().sum(), x, retain_graph=True)[0][0].norm(dim=-1) for row in output[0]]
    )
    assert torch.equal(influence > 0, reachable(sliding_window_mask(12, 3), 3))


def test_for_a_cache_the_same_weights_go_into_the_dense_layer():
    local, dense = layers()
    x, mask, cache = random_inputs(2, 7, 12), sink_mask(7, 3, 1), LayerCache()
    steps = [dense(x[:, t : t + 1], mask=mask[t : t + 1, : t + 1], cache=cache) for t in range(7)]
    close(torch.cat(steps, dim=1), local(x))


@pytest.mark.messages
def test_mistakes_are_named():
    query, key, value = case(6)

    def refused(message, query=query, key=key, value=value, **options):
        with pytest.raises(ValueError, match=message):
            local_attention(query, key, value, **{"window": 2, **options})

    refused(r"4 dimensions.*query \[3, 6, 4\]", query=query[0])
    refused(r"expected query \[B H T K\].*key \[2, 3, 6, 3\]", key=key[..., :3])
    refused(r"expected query \[B H T K\].*value \[2, 3, 5, 6\]", value=value[:, :, :5])
    refused("got 5 queries and 6 keys; expected as many", query=query[:, :, :5])
    refused("window is 0; expected at least 1", window=0)
    refused("window is 2.5; expected at least 1, an integer", window=2.5)
    refused("num_sinks is -1; expected at least 0", num_sinks=-1)
    refused("num_sinks is 1 without causal; expected 0", num_sinks=1, causal=False)


@pytest.mark.messages
def test_mistakes_with_blocks_are_named():
    query, key, value = case(6)
    layout = torch.ones(3, 3).bool()

    def refused(message, query=query, key=key, value=value, **options):
        with pytest.raises(ValueError, match=message):
            block_sparse_attention(query, key, value, **{"layout": layout, "block_size": 2, "causal": True, **options})

    refused(r"4 dimensions.*query \[3, 6, 4\]", query=query[0])
    refused("block_size is 0; expected at least 1", block_size=0)
    expected = r"of shape \[3, 3\]; expected torch.bool of shape \[2, 2\]: lengths 6 and 6 in blocks of 3"
    refused(expected, block_size=3)
    refused(r"shape \[2, 3\]; expected torch.bool of shape \[3, 3\]", layout=layout[:2])
    refused(r"shape \[3, 3\]; expected torch.bool of shape \[2, 3\]: lengths 4 and 6", query=query[:, :, :4])
    refused("layout is torch.int64", layout=layout.long())
    refused("got 6 queries, 4 keys; causal needs", key=key[:, :, :4], value=value[:, :, :4], layout=layout[:, :2])


@pytest.mark.messages
@pytest.mark.parametrize("method", ["forward", "attention_weights"])
def test_what_the_layer_cannot_take_is_named(method):
    local, _ = layers()
    x, mask = random_inputs(2, 5, 12), causal_mask(5)

    def refused(message, x=x, **options):
        with pytest.raises(ValueError, match=message):
            getattr(local, method)(x, **options)

    refused(r"x has shape \[2, 5, 11\]", x=x[..., :11])
    refused("got a context .*sliding-window mask", context=x)
    refused("got a context", context=local.keys_values(x))
    refused("got a bias", bias=torch.zeros(5, 5))
    if method == "forward":
        refused("got a cache .LayerCache.; local attention takes none", cache=LayerCache())
    padded = mask & padding_mask(torch.tensor([5, 3]), 5)[:, None, None]
    refused(r"of shape \[2, 1, 5, 5\] differs from causal_mask\(5, 5\) in 3 places", mask=padded)
    for wrong in (sliding_window_mask(5, 3), sink_mask(5, 3, 1), ~mask, torch.ones(5, 5).bool()):
        refused(r"shape \[5, 5\] differs from causal_mask\(5, 5\)", mask=wrong)
    refused(r"shape \[1, 5\] differs from causal_mask\(5, 5\) in 10 places", mask=mask[:1])
    refused("mask has dtype torch.float32", mask=mask.float())
    for wrong in (mask[:4, :4], mask[None], mask.expand(3, 1, 5, 5), mask[0], torch.tensor(True)):
        refused(rf"mask has shape {re.escape(str(list(wrong.shape)))}; expected", mask=wrong)


@pytest.mark.messages
def test_a_layer_of_no_window_is_refused():
    with pytest.raises(ValueError, match="window is 0; expected at least 1"):
        LocalAttention(12, 3, window=0)
    with pytest.raises(ValueError, match="num_sinks is -1; expected at least 0"):
        LocalAttention(12, 3, window=2, num_sinks=-1)
    with pytest.raises(ValueError, match="num_heads = 5 does not divide d_model = 12"):
        LocalAttention(12, 5, window=2)
