"""The language model with three mixers: equal sizes, causality, caches, padding, and the mistakes that it must refuse."""

from functools import partial

import pytest
import torch

from llmbook.generation import generate
from llmbook.models import SequenceModel, SequenceModelConfig
from llmbook.models.sequence_model import MIXERS
from llmbook.nn import receptive_field


@pytest.fixture(params=MIXERS)
def mixer(request):
    return request.param


def small(mixer, **settings):
    torch.manual_seed(0)
    sizes = {"vocab_size": 11, "d_model": 8, "num_layers": 3, "num_heads": 2, "max_seq_len": 40} | settings
    model = SequenceModel(SequenceModelConfig(mixer=mixer, **sizes)).eval()
    with torch.no_grad():
        for parameter in model.parameters():  # away from biases of 0
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def ids(batch, length):
    return torch.randint(11, (batch, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kernel_size", [2, 3, 4, 5])
def test_a_layer_has_twelve_d_squared_weights_whatever_the_mixer(mixer, kernel_size):
    model = small(mixer, d_model=16, kernel_size=kernel_size)
    matrices = [parameter.numel() for parameter in model.layers[0].parameters() if parameter.ndim == 2]
    assert sum(matrices) == 12 * 16**2


def test_no_token_sees_a_later_one(mixer):
    model, x = small(mixer), ids(2, 9)
    changed = x.clone()
    changed[:, 5] = (x[:, 5] + 1) % 11
    difference = (model(changed) - model(x)).abs().amax(dim=(0, 2))
    assert (difference[:5] == 0).all()
    assert difference[5] > 1e-3


@pytest.mark.parametrize("kernel_size", [2, 3])
def test_how_far_back_each_sees(mixer, kernel_size):
    model, x = small(mixer, kernel_size=kernel_size).double(), ids(1, 30)
    changed = x.clone()
    changed[:, 0] = (x[:, 0] + 1) % 11
    reached = ((model(changed) - model(x)).abs().amax(dim=(0, 2)) > 0).tolist()
    field = receptive_field(kernel_size, 3) if mixer == "convolution" else 30
    assert reached == [True] * field + [False] * (30 - field)


@pytest.mark.parametrize("cuts", [(4, 1, 1, 3), (1,) * 9, (9,)])
def test_with_a_cache_in_pieces_the_scores_are_the_same(mixer, cuts):
    model, x = small(mixer), ids(2, 9)
    cache = model.make_cache(2)
    pieces = [model(piece, cache=cache) for piece in x.split(cuts, dim=1)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), model(x), atol=1e-5, rtol=1e-5)
    assert cache.length == 9


def test_padding_on_either_side_changes_nothing(mixer):
    model, x = small(mixer), ids(1, 6)
    for left, right in ((0, 3), (3, 0)):
        padded, mask = torch.full((1, 9), 7), torch.zeros(1, 9, dtype=torch.bool)
        padded[:, left : 9 - right], mask[:, left : 9 - right] = x, True
        scores = model(padded, token_mask=mask)[:, left : 9 - right]
        torch.testing.assert_close(scores, model(x), atol=1e-5, rtol=1e-5)


def test_a_batch_of_two_is_two_batches_of_one(mixer):
    model, x = small(mixer), ids(2, 6)
    torch.testing.assert_close(model(x), torch.cat([model(x[:1]), model(x[1:])]), atol=1e-5, rtol=1e-5)


def test_generation_with_and_without_cache_from_prompts_of_different_lengths(mixer):
    model, x = small(mixer), ids(3, 5)
    mask = torch.tensor([[False, False, True, True, True], [True] * 5, [False, True, True, True, True]])
    settings = {"token_mask": mask, "max_new_tokens": 12, "temperature": 0.0}
    assert torch.equal(generate(model, x, **settings), generate(model, x, use_cache=False, **settings))
    alone = generate(model, x[:1, 2:], max_new_tokens=12, temperature=0.0)
    assert torch.equal(generate(model, x, **settings)[0, 5:], alone[0, 3:])


def test_rows_of_a_cache_are_reordered(mixer):
    model, x = small(mixer), ids(3, 6)
    cache, rows = model.make_cache(3), torch.tensor([2, 0])
    model(x[:, :4], cache=cache)
    cache.reorder(rows)
    torch.testing.assert_close(model(x[rows, 4:], cache=cache), model(x)[rows, 4:], atol=1e-5, rtol=1e-5)


def test_what_recurrence_and_convolution_keep_does_not_grow():
    for mixer in ("recurrence", "convolution"):
        model = small(mixer)
        cache = model.make_cache(1)
        sizes = []
        for piece in ids(1, 30).split(10, dim=1):
            model(piece, cache=cache)
            sizes.append(sum(part.numel() for layer in cache.layers for part in layer.state))
        assert sizes[0] == sizes[1] == sizes[2]


def test_norm_and_residual_as_the_formulas_say(mixer):
    x = torch.randn(1, 4, 8, generator=torch.Generator().manual_seed(0))
    real = torch.ones(1, 4, dtype=torch.bool)
    for norm in ("pre", "post", "none"):
        for residual in (True, False):
            layer = small(mixer, norm=norm, residual=residual).layers[0]
            y = x
            for part, around in (
                (partial(layer.mixer, real=real, seen=real, cache=None), layer.mixer_norm),
                (layer.feed_forward, layer.feed_forward_norm),
            ):
                f = part(around(y) if norm == "pre" else y)
                y = y + f if residual else f
                y = around(y) if norm == "post" else y
            torch.testing.assert_close(layer(x, real, real, None), y)


def test_made_on_the_meta_device_and_filled_it_computes_what_the_other_does(mixer):
    model, x = small(mixer), ids(2, 6)
    with torch.device("meta"):
        other = SequenceModel(model.config)
    other.to_empty(device="cpu").load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))


def test_empty_input(mixer):
    model = small(mixer)
    assert model(torch.zeros(2, 0, dtype=torch.long)).shape == (2, 0, 11)
    assert model(torch.zeros(0, 4, dtype=torch.long)).shape == (0, 4, 11)


@pytest.mark.messages
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mixer": "magic"}, r"mixer is 'magic'; expected one of \('attention', 'recurrence', 'convolution'\)"),
        ({"norm": "batch"}, r"norm is 'batch'; expected one of"),
        ({"num_layers": 0}, "num_layers is 0; expected at least 1"),
        ({"kernel_size": 6}, "kernel_size is 6; expected 2 … 5"),
        ({"dropout": 1.0}, r"dropout is 1.0; expected 0 <= dropout < 1"),
        ({"d_model": 7}, "d_model is 7; expected an even number"),
        ({"d_model": 10}, "num_heads = 4 does not divide d_model = 10"),
    ],
)
def test_settings_that_cannot_be_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        SequenceModelConfig(**({"vocab_size": 9, "mixer": "attention"} | settings))


@pytest.mark.messages
def test_mistakes_are_named(mixer):
    model = small(mixer)
    with pytest.raises(ValueError, match=r"token ids go from 3 to 11; expected 0 <= id < vocab_size = 11"):
        model(torch.tensor([[3, 11]]))
    with pytest.raises(ValueError, match=r"a sequence has 41 tokens; max_seq_len is 40"):
        model(ids(1, 41))
    cache = model.make_cache(1)
    model(ids(1, 38), cache=cache)
    with pytest.raises(ValueError, match=r"a sequence has 41 tokens; max_seq_len is 40"):
        model(ids(1, 3), cache=cache)
    assert cache.length == 38
    with pytest.raises(ValueError, match=r"the cache was made for a batch of 1; got 2 rows"):
        model(ids(2, 1), cache=cache)
