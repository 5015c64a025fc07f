"""Attention by hand, its symmetries, rows that may attend to nothing, gradients, and the mistakes that it must refuse."""

import math

import pytest
import torch

from llmbook.nn import causal_mask, padding_mask, scaled_dot_product_attention


def random_case(batch=2, heads=3, queries=4, keys=5, width=6, value_width=7, dtype=torch.float32):
    rng = torch.Generator().manual_seed(0)
    query = torch.randn(batch, heads, queries, width, generator=rng, dtype=dtype)
    key = torch.randn(batch, heads, keys, width, generator=rng, dtype=dtype)
    value = torch.randn(batch, heads, keys, value_width, generator=rng, dtype=dtype)
    return query, key, value


def a_mask_with_an_empty_row():
    mask = torch.tensor([[1, 0, 1, 1, 0], [0, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    return mask


def test_a_worked_example():
    # One head of width 4, so scores are halved: 2 ln 3 / 2 = ln 3 against 0, weights 3/4 and 1/4.
    query = torch.tensor([1.0, 0, 0, 0]).view(1, 1, 1, 4)
    key = torch.tensor([[2 * math.log(3.0), 0, 0, 0], [0, 5, 0, 0]]).view(1, 1, 2, 4)
    value = torch.tensor([[8.0, 0], [0, 4]]).view(1, 1, 2, 2)
    output, weights = scaled_dot_product_attention(query, key, value, return_weights=True)
    torch.testing.assert_close(weights.flatten(), torch.tensor([0.75, 0.25]))
    torch.testing.assert_close(output.flatten(), torch.tensor([6.0, 1.0]))
    # A bias of ln 3 on the second key evens them out.
    bias = torch.tensor([[0.0, math.log(3.0)]])
    torch.testing.assert_close(
        scaled_dot_product_attention(query, key, value, bias=bias).flatten(), torch.tensor([4.0, 2.0])
    )


def test_equal_scores_give_the_mean_of_the_visible_values():
    _, key, value = random_case()
    query = torch.zeros(2, 3, 4, 6)
    output = scaled_dot_product_attention(query, key, value)
    torch.testing.assert_close(output, value.mean(dim=2, keepdim=True).expand(-1, -1, 4, -1))
    mask = torch.tensor([[True, True, False, False, False]])
    output = scaled_dot_product_attention(query, key, value, mask=mask)
    torch.testing.assert_close(output, value[:, :, :2].mean(dim=2, keepdim=True).expand(-1, -1, 4, -1))


def test_rows_of_weights_sum_to_one_or_where_all_is_masked_to_zero():
    query, key, value = random_case()
    mask = a_mask_with_an_empty_row()
    _, weights = scaled_dot_product_attention(query, key, value, mask=mask, return_weights=True)
    expected = torch.tensor([1.0, 0.0, 1.0, 1.0]).expand(2, 3, 4)
    torch.testing.assert_close(weights.sum(dim=-1), expected)
    assert (weights[..., ~mask] == 0).all()
    assert (weights[..., mask] > 0).all()
    _, weights = scaled_dot_product_attention(query, key, value, return_weights=True)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(2, 3, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_a_row_that_may_attend_to_nothing_gives_zeros_in_values_and_gradients(scale, dtype):
    query, key, value = (x.to(dtype).requires_grad_() for x in random_case())
    mask = a_mask_with_an_empty_row()
    output, weights = scaled_dot_product_attention(scale * query, key, value, mask=mask, return_weights=True)
    assert output.dtype == dtype
    assert (output[:, :, 1] == 0).all()
    assert output.isfinite().all()
    assert weights.isfinite().all()
    output.square().sum().backward()
    for x in (query, key, value):
        assert x.grad.isfinite().all()
    assert (query.grad[:, :, 1] == 0).all()
    assert (query.grad[:, :, 3] != 0).any() or scale > 1
    # The empty row's query reaches nothing: key and value have the gradients that they have without it.
    kept = [0, 2, 3]
    key_alone, value_alone = key.detach().requires_grad_(), value.detach().requires_grad_()
    alone = scaled_dot_product_attention(scale * query.detach()[:, :, kept], key_alone, value_alone, mask=mask[kept])
    alone.square().sum().backward()
    # The matrices have other sizes, so sums round elsewhere.
    close = {"atol": 1e-5 * scale, "rtol": 1e-5} if dtype == torch.float32 else {"atol": 0.05 * scale, "rtol": 0.05}
    torch.testing.assert_close(key.grad, key_alone.grad, **close)
    torch.testing.assert_close(value.grad, value_alone.grad, **close)


def test_all_rows_masked_by_padding():
    query, key, value = (x.requires_grad_() for x in random_case())
    mask = padding_mask(torch.tensor([5, 0]), 5)[:, None, None]
    output = scaled_dot_product_attention(query, key, value, mask=mask)
    assert (output[1] == 0).all()
    torch.testing.assert_close(output[0], scaled_dot_product_attention(query, key, value)[0])
    output.sum().backward()
    for x in (query, key, value):
        assert (x.grad[1] == 0).all()
        assert x.grad.isfinite().all()


def test_masked_keys_change_nothing():
    query, key, value = random_case()
    mask = torch.tensor([[True, True, True, False, False]])
    output = scaled_dot_product_attention(query, key, value, mask=mask)
    torch.testing.assert_close(output, scaled_dot_product_attention(query, key[:, :, :3], value[:, :, :3]))
    key[:, :, 3:], value[:, :, 3:] = 1e4, -1e4
    assert torch.equal(output, scaled_dot_product_attention(query, key, value, mask=mask))


def test_keys_have_no_order_and_queries_do_not_see_each_other():
    query, key, value = random_case()
    output = scaled_dot_product_attention(query, key, value)
    keys = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(scaled_dot_product_attention(query, key[:, :, keys], value[:, :, keys]), output)
    queries = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(scaled_dot_product_attention(query[:, :, queries], key, value), output[:, :, queries])


def test_adding_the_same_to_a_whole_row_of_scores_changes_nothing():
    query, key, value = random_case()
    bias = torch.tensor([[-3.0], [0.0], [1.0], [50.0]])
    torch.testing.assert_close(
        scaled_dot_product_attention(query, key, value, bias=bias),
        scaled_dot_product_attention(query, key, value),
        atol=1e-5,
        rtol=1e-5,
    )


def test_large_scores_pick_the_greatest_and_do_not_overflow():
    query, key, value = random_case()
    output, weights = scaled_dot_product_attention(1e4 * query, key, value, return_weights=True)
    best = (query @ key.mT).argmax(dim=-1)
    assert torch.equal(weights.argmax(dim=-1), best)
    torch.testing.assert_close(output, value.gather(2, best[..., None].expand(-1, -1, -1, 7)))


def test_what_is_visible_is_weighed_however_low_its_scores_are():
    query, key, value = random_case()
    mask = torch.tensor([[True, True, True, False, False]])
    output = scaled_dot_product_attention(query, key, value, mask=mask, bias=torch.full((1, 1), -1e12))
    torch.testing.assert_close(output, value[:, :, :3].mean(dim=2, keepdim=True).expand(-1, -1, 4, -1))


def test_a_nan_in_the_input_is_not_hidden():
    query, key, value = random_case()
    query[0, 0, 0, 0] = torch.nan
    output = scaled_dot_product_attention(query, key, value, mask=causal_mask(4, 5))
    assert output[0, 0, 0].isnan().all()
    assert output.isnan().sum() == 7


def test_one_visible_key_is_copied():
    query, key, value = random_case()
    mask = torch.zeros(4, 5, dtype=torch.bool)
    mask[torch.arange(4), [4, 1, 1, 0]] = True
    assert torch.equal(scaled_dot_product_attention(query, key, value, mask=mask), value[:, :, [4, 1, 1, 0]])


@pytest.mark.parametrize(
    "shape", [(4, 5), (1, 5), (4, 1), (2, 3, 4, 5), (2, 1, 1, 5), (1, 3, 4, 1), (1, 1, 4, 5), (1, 1, 1, 1)]
)
def test_masks_and_biases_broadcast(shape):
    query, key, value = random_case()
    rng = torch.Generator().manual_seed(1)
    mask, bias = torch.rand(shape, generator=rng) < 0.6, torch.randn(shape, generator=rng)
    full = (2, 3, 4, 5)
    assert torch.equal(
        scaled_dot_product_attention(query, key, value, mask=mask, bias=bias),
        scaled_dot_product_attention(query, key, value, mask=mask.expand(full), bias=bias.expand(full)),
    )


@pytest.mark.parametrize("shape", [(3, 4, 5), (1, 4, 5), (3, 1, 5), (3, 4, 1)])
def test_a_bias_by_head_is_the_same_for_all_of_the_batch(shape):
    query, key, value = random_case()
    bias = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    mask = torch.rand(2, 1, 4, 5, generator=torch.Generator().manual_seed(2)) < 0.6
    for options in ({}, {"mask": mask}):
        assert torch.equal(
            scaled_dot_product_attention(query, key, value, bias=bias, **options),
            scaled_dot_product_attention(query, key, value, bias=bias.expand(2, 3, 4, 5), **options),
        )


def test_minus_infinity_in_a_bias_hides_as_a_mask_does():
    query, key, value = random_case()
    seen = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(1)) < 0.5
    seen[1, 2] = False
    hiding = torch.zeros(3, 4, 5).masked_fill(~seen, -math.inf)
    output = scaled_dot_product_attention(query, key, value, bias=hiding)
    assert torch.equal(output, scaled_dot_product_attention(query, key, value, mask=seen[None]))
    assert (output[:, 1, 2] == 0).all()


def test_a_row_of_which_the_mask_hides_one_half_and_the_bias_the_other_gives_zeros():
    query, key, value = (x.requires_grad_() for x in random_case())
    mask = torch.tensor([[True, True, False, False, False]])
    bias = torch.ones(3, 4, 5)
    bias[0, 1, :2] = -math.inf
    bias.requires_grad_()
    output, weights = scaled_dot_product_attention(query, key, value, mask=mask, bias=bias, return_weights=True)
    assert (output[:, 0, 1] == 0).all()
    assert (weights[:, 0, 1] == 0).all()
    torch.testing.assert_close(weights.sum(dim=-1).sum(), torch.tensor(2 * (12 - 1.0)))
    output.square().sum().backward()
    assert (query.grad[:, 0, 1] == 0).all()
    assert (bias.grad[0, 1] == 0).all()
    assert all(x.grad.isfinite().all() for x in (query, key, value, bias))


def test_nothing_to_attend_from_or_to():
    for sizes in ((2, 3, 0, 5), (2, 3, 4, 0), (0, 3, 4, 5), (2, 3, 0, 0), (2, 0, 4, 5)):
        query, key, value = (x.requires_grad_() for x in random_case(*sizes))
        for mask in (None, torch.ones(sizes[2:], dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)):
            output, weights = scaled_dot_product_attention(query, key, value, mask=mask, return_weights=True)
            assert output.shape == (*sizes[:3], 7)
            assert weights.shape == sizes
            assert (output == 0).all()
            output.sum().backward()
            assert all((x.grad == 0).all() for x in (query, key, value))
    one = random_case(1, 1, 1, 1)
    assert torch.equal(scaled_dot_product_attention(*one), one[2])


def test_dropout_sets_a_share_to_zero_scales_the_rest_and_draws_from_the_global_generator():
    query, key = torch.zeros(1, 1, 200, 4), torch.zeros(1, 1, 100, 4)
    value = torch.eye(100)[None, None]
    torch.manual_seed(0)
    output, weights = scaled_dot_product_attention(query, key, value, dropout=0.25, return_weights=True)
    kept = output != 0
    assert 0.73 < kept.float().mean() < 0.77
    torch.testing.assert_close(output[kept], torch.full_like(output[kept], 0.01 / 0.75))
    torch.testing.assert_close(weights, torch.full_like(weights, 0.01))
    assert not torch.equal(output, scaled_dot_product_attention(query, key, value, dropout=0.25))
    torch.manual_seed(0)
    assert torch.equal(output, scaled_dot_product_attention(query, key, value, dropout=0.25))


def test_without_dropout_the_global_generator_is_not_touched():
    before = torch.get_rng_state()
    scaled_dot_product_attention(*random_case())
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("kind", ["plain", "masked", "biased", "causal"])
def test_gradients_by_finite_differences(kind):
    inputs = [x.requires_grad_() for x in random_case(1, 2, 4, 5, 3, 2, dtype=torch.float64)]
    if kind == "biased":
        inputs.append(torch.linspace(-1, 1, 20, dtype=torch.float64).view(4, 5).requires_grad_())
    mask = {"masked": a_mask_with_an_empty_row(), "causal": causal_mask(4, 5)}.get(kind)

    def attend(query, key, value, bias=None):
        return scaled_dot_product_attention(query, key, value, mask=mask, bias=bias)

    assert torch.autograd.gradcheck(attend, inputs)


def test_autocast_computes_scores_in_half_precision():
    query, key, value = random_case()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = scaled_dot_product_attention(query, key, value, mask=a_mask_with_an_empty_row())
    assert output.dtype == torch.bfloat16
    exact = scaled_dot_product_attention(query, key, value, mask=a_mask_with_an_empty_row())
    torch.testing.assert_close(output.float(), exact, atol=0.05, rtol=0.05)
    assert (output[:, :, 1] == 0).all()


def test_a_padding_mask_without_its_two_dimensions_is_misread_where_batch_and_length_agree():
    # 2-D is read as [query, key]: with a batch as large as the sequence nothing tells that [batch, key] was meant.
    query, key, value = random_case(batch=4, keys=4)
    padding = padding_mask(torch.tensor([4, 3, 2, 1]), 4)
    misread = scaled_dot_product_attention(query, key, value, mask=padding)
    meant = scaled_dot_product_attention(query, key, value, mask=padding[:, None, None])
    assert torch.equal(misread, scaled_dot_product_attention(query, key, value, mask=padding[None, None]))
    assert (misread - meant).abs().max() > 0.1


@pytest.mark.messages
def test_mistakes_are_named():
    query, key, value = random_case()

    def refused(message, query=query, key=key, value=value, **options):
        with pytest.raises(ValueError, match=message):
            scaled_dot_product_attention(query, key, value, **options)

    refused(r"4 dimensions.*query \[3, 4, 6\], key \[2, 3, 5, 6\], value \[2, 3, 5, 7\]", query=query[0])
    refused(r"4 dimensions.*value \[3, 5, 7\]", value=value[0])
    fit = r"expected query \[B H T K\], key \[B H S K\], value \[B H S V\]; got "
    refused(fit + r".*query \[2, 3, 4, 5\]", query=query[..., :5])
    refused(fit + r".*query \[1, 3, 4, 6\]", query=query[:1])
    refused(fit + r".*query \[2, 2, 4, 6\]", query=query[:, :2])
    refused(fit + r".*key \[2, 3, 4, 6\]", key=key[:, :, :4])
    refused(r"head width of at least 1; got query \[2, 3, 4, 0\]", query=query[..., :0], key=key[..., :0])


@pytest.mark.messages
@pytest.mark.parametrize("name", ["mask", "bias"])
def test_masks_and_biases_that_do_not_fit_are_named(name):
    case = random_case()
    by_head = [(3, 4, 5), (1, 4, 5)] if name == "mask" else []  # a mask [batch, query, key] is the likelier mistake
    for shape in ((2, 5), (5, 4), (4, 6), (5,), (2, 4, 5), (3, 3, 4, 5), (2, 2, 4, 5), (1, 2, 3, 4, 5), (), *by_head):
        given = torch.ones(shape, dtype=torch.bool if name == "mask" else torch.float32)
        expected = (
            rf"{name} has shape \[{', '.join(map(str, shape))}\]; expected \[query, key\] = \[4, 5\], "
            + (r"\[heads, query, key\] = \[3, 4, 5\], " if name == "bias" else "")
            + r"or 4-D and broadcasting to \[2, 3, 4, 5\]"
        )
        with pytest.raises(ValueError, match=expected):
            scaled_dot_product_attention(*case, **{name: given})


@pytest.mark.messages
def test_a_padding_mask_that_does_not_fit_is_told_its_shape():
    with pytest.raises(ValueError, match=r"a padding mask \[batch, key\] goes in as mask\[:, None, None\]"):
        scaled_dot_product_attention(*random_case(), mask=padding_mask(torch.tensor([5, 2]), 5))


@pytest.mark.messages
def test_an_additive_mask_is_refused_and_so_is_a_boolean_bias():
    case = random_case()
    for dtype in (torch.float32, torch.int64):
        with pytest.raises(ValueError, match=rf"mask has dtype {dtype}; expected torch.bool"):
            scaled_dot_product_attention(*case, mask=torch.zeros(4, 5, dtype=dtype))
    with pytest.raises(ValueError, match=r"bias has dtype torch.bool; expected a floating-point type"):
        scaled_dot_product_attention(*case, bias=torch.ones(4, 5, dtype=torch.bool))


@pytest.mark.parametrize("as_bias", [False, True])
def test_an_empty_row_makes_no_nan_on_the_way_back_either(as_bias):
    query, key, value = (x.requires_grad_() for x in random_case())
    mask = a_mask_with_an_empty_row()
    given = {"bias": torch.zeros(4, 5).masked_fill(~mask, -math.inf)} if as_bias else {"mask": mask}
    with pytest.warns(UserWarning, match="Anomaly"):
        watched = torch.autograd.detect_anomaly()
    with watched:
        output = scaled_dot_product_attention(query, key, value, **given)
        output.square().sum().backward()
    assert (output[:, :, 1] == 0).all()
    assert (query.grad[:, :, 1] == 0).all()
    assert all(x.grad.isfinite().all() for x in (query, key, value))


@pytest.mark.parametrize("given", ["nothing", "mask", "bias", "both"])
def test_for_the_way_back_the_weights_are_kept_once_and_no_scores(given):
    query, key, value = (x.requires_grad_() for x in random_case())
    options = {"mask": a_mask_with_an_empty_row(), "bias": torch.randn(3, 4, 5)}
    options = {name: options[name] for name in options if given in (name, "both")}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        scaled_dot_product_attention(query, key, value, **options)
    assert sum(tensor.shape[-2:] == (4, 5) and tensor.numel() >= 2 * 3 * 4 * 5 for tensor in kept.values()) == 1


@pytest.mark.parametrize("shape", [None, (4, 5), (2, 1, 4, 5)])
def test_compiled_exported_mapped_and_without_data_it_is_the_same(shape, unhooked):
    query, key, value = random_case()
    mask = None if shape is None else torch.rand(shape, generator=torch.Generator().manual_seed(1)) < 0.4
    bias = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(2))
    bias[1, 2] = -math.inf

    class Attend(torch.nn.Module):
        def forward(self, query, key, value, bias):
            return scaled_dot_product_attention(query, key, value, mask=mask, bias=bias)

    inputs = (query, key, value, bias)
    expected = Attend()(*inputs)
    assert torch.equal(torch.compile(Attend(), backend="eager", fullgraph=True)(*inputs), expected)
    assert torch.equal(torch.export.export(Attend(), inputs).module()(*inputs), expected)
    several = torch.stack([bias, bias - 1])
    mapped = torch.vmap(lambda bias: Attend()(query, key, value, bias))(several)
    torch.testing.assert_close(mapped, torch.stack([Attend()(query, key, value, one) for one in several]))
    mask = None if mask is None else mask.to("meta")
    assert Attend()(*(x.to("meta") for x in inputs)).shape == expected.shape
