"""Attention in tiles: by hand, equal to the dense one at every size of tile, and never a tensor of queries by keys."""

import math
import weakref

import pytest
import torch
from inputs import close, random_inputs
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from llmbook.nn import causal_mask, flash_attention, flash_forward, scaled_dot_product_attention


def case(batch=2, heads=3, queries=5, keys=7, width=9, value_width=11, dtype=torch.float32):
    query = random_inputs(batch, heads, queries, width, dtype=dtype)
    key = random_inputs(batch, heads, keys, width, seed=1, dtype=dtype)
    return query, key, random_inputs(batch, heads, keys, value_width, seed=2, dtype=dtype)


def dense(query, key, value, *, causal):
    mask = causal_mask(query.shape[2], key.shape[2]) if causal else None
    return scaled_dot_product_attention(query, key, value, mask=mask)


def values_and_gradients(attend, inputs, **options):
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    output = attend(*leaves, **options)
    (output * random_inputs(*output.shape, seed=3, dtype=output.dtype)).sum().backward()
    return [output.detach(), *(x.grad for x in leaves)]


def same(actual, expected, tolerance):
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.isfinite().all()
        close(ours, theirs, tolerance)


def worked_example():
    # Scores are q · ln(1, 2, 3, 4): e to the power of them is 1, 2, 3, 4 for q = 1 and 1, 4, 9, 16 for q = 2.
    query = torch.tensor([1.0, 1, 2]).view(1, 1, 3, 1)
    key = torch.tensor([1.0, 2, 3, 4]).log().view(1, 1, 4, 1)
    value = torch.tensor([[6.0, 0], [0, 30], [12, 0], [0, 15]]).view(1, 1, 4, 2)
    return query, key, value


def test_by_hand_three_queries_and_four_keys_in_tiles_of_two():
    output, log_sum_exp = flash_forward(*worked_example(), causal=False, block_size=2)
    close(log_sum_exp.exp().flatten(), torch.tensor([10.0, 10, 30]))
    close(output[0, 0], torch.tensor([[4.2, 12], [4.2, 12], [3.8, 12]]))
    # Causal, the first query sees two keys, the second three.
    output, log_sum_exp = flash_forward(*worked_example(), causal=True, block_size=2)
    close(log_sum_exp.exp().flatten(), torch.tensor([3.0, 6, 30]))
    close(output[0, 0], torch.tensor([[2.0, 20], [7, 10], [3.8, 12]]))


def test_gradients_by_hand():
    query, key, value = (x.requires_grad_() for x in worked_example())
    flash_attention(query, key, value, causal=True, block_size=2).sum().backward()
    # For values, sums of weights by key: 1/3 + 1/6 + 1/30, 2/3 + 2/6 + 4/30, 3/6 + 9/30, 16/30.
    close(value.grad[0, 0], torch.tensor([[16.0] * 2, [34] * 2, [24] * 2, [16] * 2]) / 30)
    # First query: dP = (6, 30), D = 22, dS = (1/3 · −16, 2/3 · 8), dq = 16/3 ln 2.
    close(query.grad[0, 0, 0], torch.tensor([16 / 3 * math.log(2)]))
    # Last key, seen by the last query alone: D = 15.8, dS = 16/30 · (15 − 15.8), dk = 2 dS.
    close(key.grad[0, 0, 3], torch.tensor([2 * 16 / 30 * -0.8]))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
@pytest.mark.parametrize(
    ("queries", "keys", "causal"), [(5, 7, False), (5, 7, True), (7, 7, True), (1, 7, True), (9, 5, False)]
)
def test_at_every_size_of_tile_it_is_the_dense_one(queries, keys, causal, dtype, tolerance):
    inputs = case(queries=queries, keys=keys, dtype=dtype)
    expected = values_and_gradients(dense, inputs, causal=causal)
    for block_size in range(1, max(queries, keys) + 2):
        actual = values_and_gradients(flash_attention, inputs, causal=causal, block_size=block_size)
        assert all(x.dtype == dtype for x in actual)
        same(actual, expected, tolerance)


@pytest.mark.parametrize("causal", [False, True])
def test_more_tiles_of_the_usual_size(causal):
    inputs = case(queries=130, keys=201, width=8, value_width=4, dtype=torch.float64)
    actual = values_and_gradients(flash_attention, inputs, causal=causal)
    same(actual, values_and_gradients(dense, inputs, causal=causal), 1e-10)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("block_size", [1, 2, 9])
def test_gradients_are_those_of_differences(causal, block_size):
    inputs = [x.requires_grad_() for x in case(1, 2, 3, 4, 2, 3, dtype=torch.float64)]
    assert torch.autograd.gradcheck(lambda *x: flash_attention(*x, causal=causal, block_size=block_size), inputs)


def test_the_log_sum_exp_is_that_of_the_scores():
    query, key, value = case(dtype=torch.float64)
    scores = query @ key.mT / 3
    for causal in (False, True):
        seen = causal_mask(5, 7) if causal else torch.ones(5, 7, dtype=torch.bool)
        expected = scores.masked_fill(~seen, -math.inf).logsumexp(dim=-1)
        close(flash_forward(query, key, value, causal=causal, block_size=3).log_sum_exp, expected, 1e-12)


def test_parts_of_the_keys_are_put_together_by_their_log_sum_exp():
    query, key, value = case(dtype=torch.float64)
    parts = [
        flash_forward(query, key[:, :, keys], value[:, :, keys], causal=False, block_size=2)
        for keys in (slice(0, 3), slice(3, 7))
    ]
    share = torch.stack([part.log_sum_exp for part in parts]).softmax(dim=0)[..., None]
    close(share[0] * parts[0].output + share[1] * parts[1].output, dense(query, key, value, causal=False), 1e-12)


def test_what_forward_gives_by_itself_has_no_gradient():
    query, key, value = (x.requires_grad_() for x in case())
    assert not any(x.requires_grad for x in flash_forward(query, key, value, causal=True))
    assert flash_attention(query, key, value, causal=True).requires_grad


@pytest.mark.parametrize("order", [1, -1])
def test_scores_that_only_rise_or_only_fall_from_tile_to_tile(order):
    # Rising, each tile rescales all before it; falling, none does.
    query, value = torch.ones(1, 1, 1, 1), torch.eye(6, dtype=torch.float64)[None, None]
    key = order * torch.arange(0.0, 600, 100).view(1, 1, 6, 1).double()
    inputs = (query.double(), key, value)
    actual = values_and_gradients(flash_attention, inputs, causal=False, block_size=1)
    same(actual, values_and_gradients(dense, inputs, causal=False), 1e-12)
    assert actual[0].flatten().argmax() == (5 if order == 1 else 0)


def test_large_scores_do_not_overflow():
    query, key, value = case()
    output = flash_attention(1e4 * query, key, value, causal=False, block_size=2)
    best = (query @ key.mT).argmax(dim=-1)
    close(output, value.gather(2, best[..., None].expand(-1, -1, -1, 11)))
    for sign in (1e4, -1e4):
        inputs = (sign * query.double(), key.double(), value.double())
        for causal in (False, True):
            actual = values_and_gradients(flash_attention, inputs, causal=causal, block_size=2)
            same(actual, values_and_gradients(dense, inputs, causal=causal), 1e-8)


def test_a_key_in_the_future_changes_nothing_and_a_nan_is_not_hidden():
    query, key, value = case()
    output = flash_attention(query, key, value, causal=True, block_size=2)
    later_key, later_value = key.clone(), value.clone()
    later_key[:, :, 5:], later_value[:, :, 5:] = 1e4, -1e4
    changed = flash_attention(query, later_key, later_value, causal=True, block_size=2)
    assert torch.equal(changed[:, :, :3], output[:, :, :3])
    assert (changed[:, :, 3:] != output[:, :, 3:]).all()
    query[0, 0, 1, 0] = torch.nan
    output = flash_attention(query, key, value, causal=True, block_size=2)
    assert output[0, 0, 1].isnan().all()
    assert output.isnan().sum() == 11


def test_causal_is_aligned_at_the_bottom_right_as_in_flash_attention_since_2_1():
    # Its change log: two queries and five keys have the mask 1 1 1 1 0 / 1 1 1 1 1; before, and in torch, 1 0 0 0 0 / 1 1 0 0 0.
    query, key = torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 5, 3)
    weights = flash_attention(query, key, torch.eye(5)[None, None], causal=True, block_size=2)[0, 0]
    close(weights, torch.tensor([[1 / 4] * 4 + [0], [1 / 5] * 5]), 1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 0, 4), (2, 3, 0, 0), (0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 1, 1)])
@pytest.mark.parametrize("causal", [False, True])
def test_of_nothing_comes_nothing(shape, causal):
    inputs = case(*shape)
    actual = values_and_gradients(flash_attention, inputs, causal=causal, block_size=2)
    same(actual, values_and_gradients(dense, inputs, causal=causal), 1e-5)


def test_without_any_key_all_is_zero():
    inputs = case(keys=0)
    output, *gradients = values_and_gradients(flash_attention, inputs, causal=False)
    assert output.shape == (2, 3, 5, 11)
    assert all((x == 0).all() for x in (output, *gradients))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float16, 0.004)])
def test_half_types_are_summed_in_single_precision(dtype, tolerance):
    inputs = [x.to(dtype) for x in case(queries=40, keys=60)]
    single = [x.float() for x in inputs]
    actual = values_and_gradients(flash_attention, inputs, causal=True, block_size=8)
    assert all(x.dtype == dtype for x in actual)
    # Forward is the rounded result; backward starts from the rounded output.
    assert torch.equal(actual[0], flash_attention(*single, causal=True, block_size=8).to(dtype))
    expected = values_and_gradients(flash_attention, single, causal=True, block_size=8)
    same([x.float() for x in actual], expected, tolerance)
    # 3,000 equal keys: a total kept in bfloat16 would stop at 256.
    query, key = torch.zeros(1, 1, 1, 4, dtype=dtype), torch.zeros(1, 1, 3000, 4, dtype=dtype)
    ones = torch.ones(1, 1, 3000, 2, dtype=dtype)
    output, log_sum_exp = flash_forward(query, key, ones, causal=False, block_size=1000)
    assert (output == 1).all()
    close(log_sum_exp, torch.full((1, 1, 1), math.log(3000)), 1e-6)


@pytest.mark.parametrize("backward_too", [False, True])
def test_under_autocast_products_stay_in_single_precision(backward_too):
    inputs = case()
    expected = values_and_gradients(flash_attention, inputs, causal=True, block_size=3)
    leaves = [x.clone().requires_grad_() for x in inputs]
    with torch.autocast("cpu", torch.bfloat16):
        output = flash_attention(*leaves, causal=True, block_size=3)
    with torch.autocast("cpu", torch.bfloat16, enabled=backward_too):
        (output * random_inputs(*output.shape, seed=3)).sum().backward()
    assert all(map(torch.equal, [output, *(x.grad for x in leaves)], expected))


def test_each_gradient_has_the_type_of_its_input():
    query, key, value = (x.requires_grad_() for x in case())
    half = [key.bfloat16(), value.bfloat16()]
    output = flash_attention(query, *half, causal=True, block_size=3)
    assert output.dtype == torch.bfloat16
    gradients = torch.autograd.grad(output.sum(), (query, *half))
    assert [x.dtype for x in gradients] == [torch.float32, torch.bfloat16, torch.bfloat16]


class Memory(TorchDispatchMode):
    """The largest tensor made while it is on, and the most elements of such that were there at a time."""

    def __init__(self):
        super().__init__()
        self.largest = self.live = self.peak = 0
        self.known = weakref.WeakSet()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for x in tree_leaves(result):
            if isinstance(x, torch.Tensor) and x.untyped_storage() not in self.known:
                size = x.untyped_storage().nbytes() // x.element_size()
                self.known.add(x.untyped_storage())
                weakref.finalize(x.untyped_storage(), self.free, size)
                self.live += size
                self.largest, self.peak = max(self.largest, size), max(self.peak, self.live)
        return result

    def free(self, size):
        self.live -= size


def memory(attend, length, **options):
    with Memory() as seen:
        values_and_gradients(attend, case(2, 3, length, length, 8, 4), **options)
    return seen


@pytest.mark.parametrize("causal", [False, True])
def test_no_tensor_of_queries_by_keys_is_ever_made(causal):
    length, largest_input = 256, 2 * 3 * 256 * 8
    tile = 2 * 3 * 32 * 32
    assert memory(flash_attention, length, causal=causal, block_size=32).largest == max(largest_input, tile)
    assert memory(dense, length, causal=causal).largest == 2 * 3 * 256 * 256


@pytest.mark.parametrize("causal", [False, True])
def test_the_peak_grows_with_the_length_and_not_with_its_square(causal):
    short, long = (memory(flash_attention, n, causal=causal, block_size=16).peak for n in (128, 256))
    assert 1.8 * short < long <= 2 * short
    short, long = (memory(dense, n, causal=causal).peak for n in (128, 256))
    assert long > 3.5 * short


def saved(attend, length, **options):
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = attend(*(x.requires_grad_() for x in case(2, 3, length, length, 8, 4)), **options)
    assert output.requires_grad
    return sum(kept.values())


def test_for_backward_only_inputs_output_and_log_sum_exp_are_kept():
    for length in (64, 128):
        # 8 + 8 + 4 of the inputs, 4 of the output, 1.
        assert saved(flash_attention, length, causal=True, block_size=16) == 2 * 3 * length * 25
    assert saved(dense, 128, causal=True) > 2 * 3 * 128 * 128


def flops(causal, queries, keys, block_size):
    leaves = [x.requires_grad_() for x in case(2, 3, queries, keys, 8, 4)]
    with FlopCounterMode(display=False) as counter:
        output = flash_attention(*leaves, causal=causal, block_size=block_size)
    forward = counter.get_total_flops()
    with FlopCounterMode(display=False) as counter:
        output.sum().backward()
    return [forward, counter.get_total_flops()]


def test_causal_skips_the_tiles_in_the_future():
    forward, backward = flops(False, 32, 32, 8)
    # Multiplications and additions: Q Kᵀ and P V; the same scores again, and dV, dP, dQ, dK.
    assert forward == 2 * 2 * 3 * 32 * 32 * (8 + 4)
    assert backward == 2 * 2 * 3 * 32 * 32 * (3 * 8 + 2 * 4)
    # 10 of 16 tiles.
    assert flops(True, 32, 32, 8) == [forward * 10 / 16, backward * 10 / 16]
    # A tile ends where its last query's sight does: in ones 5 + 6 + 7 + 8 scores of 32, in threes 3 · 7 + 8.
    for block_size, scores in ((1, 26), (3, 29)):
        assert flops(True, 4, 8, block_size)[0] == flops(False, 4, 8, block_size)[0] * scores / 32


@pytest.mark.parametrize("weighted", [False, True])
def test_a_second_derivative_is_refused(weighted):
    query, key, value = (x.requires_grad_() for x in case())
    output = flash_attention(query, key, value, causal=True)
    # Squared, what comes back depends on the inputs; summed, it does not, and the gradient would pass for a constant.
    loss = output.square().sum() if weighted else output.sum()
    (gradient,) = torch.autograd.grad(loss, query, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice a function that was marked with @once_differentiable"):
        gradient.sum().backward()


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # torch's own compiler does
def test_compiled_and_without_data_it_is_the_same(unhooked):
    inputs = [x.requires_grad_() for x in case()]
    compiled = torch.compile(flash_attention, backend="eager", fullgraph=True)
    actual = values_and_gradients(compiled, inputs, causal=True, block_size=3)
    same(actual, values_and_gradients(flash_attention, inputs, causal=True, block_size=3), 1e-6)
    meta = [x.detach().to("meta").requires_grad_() for x in inputs]
    output = flash_attention(*meta, causal=True, block_size=3)
    output.sum().backward()
    assert output.is_meta
    assert [x.grad.shape for x in meta] == [x.shape for x in inputs]


def test_views_that_are_not_contiguous():
    query, key, value = case(dtype=torch.float64)
    inputs = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in (query, key, value)]
    output = flash_attention(*inputs, causal=True, block_size=3)
    close(output, dense(query, key, value, causal=True), 1e-12)


@pytest.mark.messages
@pytest.mark.parametrize("attend", [flash_attention, flash_forward])
def test_mistakes_are_named(attend):
    query, key, value = case()
    for block_size in (0, -1, 1.5, True):
        with pytest.raises(ValueError, match=f"block_size is {block_size}; expected at least 1, an integer"):
            attend(query, key, value, causal=True, block_size=block_size)
    with pytest.raises(ValueError, match="got 5 queries, 4 keys; causal needs as many keys"):
        attend(query, key[:, :, :4], value[:, :, :4], causal=True)
    fit = r"expected query \[B H T K\], key \[B H S K\], value \[B H S V\]; got query \[2, 3, 5, 9\], "
    with pytest.raises(ValueError, match=fit + r"key \[2, 3, 7, 8\]"):
        attend(query, key[..., :8], value, causal=True)
    with pytest.raises(ValueError, match=fit + r".*value \[2, 3, 6, 11\]"):
        attend(query, key, value[:, :, :6], causal=False)
    with pytest.raises(ValueError, match=r"with 4 dimensions \[batch, heads, length, width\]; got query \[3, 5, 9\]"):
        attend(query[0], key, value, causal=True)
    types = r"query is torch.float32, key torch.float64, value torch.float32; expected torch.float64 of all or of none"
    with pytest.raises(ValueError, match=types):
        attend(query, key.double(), value, causal=True)
