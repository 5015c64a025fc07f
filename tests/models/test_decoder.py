"""The decoder with every way of telling positions: causality, caches, padding, windows, order, and the mistakes that it must refuse."""

from dataclasses import replace

import pytest
import torch
from inputs import close

from llmbook.generation import generate
from llmbook.models import Decoder, DecoderConfig
from llmbook.models.decoder import POSITIONS
from llmbook.nn import RotaryScaling


@pytest.fixture(params=POSITIONS)
def positions(request):
    return request.param


def small(positions="rotary", **settings):
    torch.manual_seed(0)
    sizes = dict(vocab_size=11, d_model=12, num_layers=3, num_heads=3, d_ff=20, max_seq_len=40, max_distance=17)
    model = Decoder(DecoderConfig(positions=positions, **(sizes | settings))).eval().double()
    with torch.no_grad():
        for parameter in model.parameters():  # away from biases and tables of 0
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def ids(batch, length, seed=0):
    return torch.randint(11, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_no_token_sees_a_later_one(positions):
    model, x = small(positions), ids(2, 9)
    changed = x.clone()
    changed[:, 5] = (x[:, 5] + 1) % 11
    difference = (model(changed) - model(x)).abs().amax(dim=(0, 2))
    assert (difference[:5] == 0).all()
    assert (difference[5:] > 1e-3).all()


@pytest.mark.parametrize("cuts", [(4, 1, 1, 3), (1,) * 9, (9,)])
@pytest.mark.parametrize("window", [None, 1, 4])
def test_with_a_cache_in_pieces_the_scores_are_the_same(positions, cuts, window):
    model, x = small(positions, num_kv_heads=1, window=window), ids(2, 9)
    cache = model.make_cache(2)
    pieces = [model(piece, cache=cache) for piece in x.split(cuts, dim=1)]
    close(torch.cat(pieces, dim=1), model(x), 1e-10)
    assert cache.length == 9


@pytest.mark.parametrize("window", [None, 3])
def test_padding_on_either_side_changes_nothing(positions, window):
    model, x = small(positions, window=window), ids(1, 6)
    alone = model(x)
    for left, right in [(3, 0), (0, 3), (2, 2)]:
        padded = torch.cat([ids(1, left, 1), x, ids(1, right, 2)], dim=1)
        mask = torch.tensor([[False] * left + [True] * 6 + [False] * right])
        close(model(padded, token_mask=mask)[:, left : left + 6], alone, 1e-10)


def test_generation_with_left_padding_and_without_a_cache_agree(positions):
    model = small(positions)
    rows = [ids(1, 3), ids(1, 6, 1)]
    batch = torch.cat([torch.cat([torch.zeros(1, 3, dtype=torch.long), rows[0]], dim=1), rows[1]])
    mask = torch.tensor([[False] * 3 + [True] * 3, [True] * 6])
    together = generate(model, batch, token_mask=mask, max_new_tokens=5, temperature=0)
    for row, alone in enumerate(rows):
        for use_cache in (True, False):
            said = generate(model, alone, max_new_tokens=5, temperature=0, use_cache=use_cache)
            assert together[row, 6:].tolist() == said[0, alone.shape[1] :].tolist()


def test_a_window_reaches_as_far_as_its_layers_add_up(positions):
    model, x = small(positions, window=3), ids(1, 20)
    changed = x.clone()
    changed[:, 2] = (x[:, 2] + 1) % 11
    reached = ((model(changed) - model(x)).abs().amax(dim=(0, 2)) > 0).tolist()
    assert reached == [False] * 2 + [True] * (1 + 3 * 2) + [False] * 11  # three layers, two back in each


def test_only_some_tell_absolute_places_apart(positions):
    """Shifted by padding that counts (real tokens before, hidden from these by the window), only absolute encodings change."""
    model, x = small(positions, window=2, num_layers=1), ids(1, 6)
    before = torch.cat([ids(1, 7, 3), x], dim=1)
    moved = (model(before)[:, 8:] - model(x)[:, 1:]).abs().max()
    assert (moved > 1e-3) == (positions in ("sinusoidal", "learned"))


def test_without_positions_one_layer_sees_a_set_and_two_see_an_order():
    x = torch.tensor([[1, 2, 3, 4, 5]])
    swapped = torch.tensor([[2, 1, 3, 4, 5]])
    one, two = small("none", num_layers=1), small("none", num_layers=2)
    close(one(x)[:, 2:], one(swapped)[:, 2:], 1e-10)
    assert (two(x) - two(swapped))[:, 2:].abs().max() > 1e-3  # causality tells them apart: each prefix is another set


def test_every_other_way_tells_an_order_in_one_layer(positions):
    x, swapped = torch.tensor([[1, 2, 3, 4, 5]]), torch.tensor([[2, 1, 3, 4, 5]])
    model = small(positions, num_layers=1)
    assert ((model(x) - model(swapped))[:, 2:].abs().max() > 1e-3) == (positions != "none")


def test_rotary_scaling_keeps_weights_and_changes_scores():
    model = small()
    longer = Decoder(replace(model.config, max_seq_len=80, rope_scaling=RotaryScaling("linear", 2.0, 40))).double()
    longer.load_state_dict(model.state_dict())
    x = ids(1, 60)
    assert longer.eval()(x).shape == (1, 60, 11)
    assert (longer(x[:, :20]) - model(x[:, :20])).abs().max() > 1e-3


def test_tied_or_not_and_how_many_parameters():
    model, untied = small(), small(tie_embeddings=False)
    count = sum(p.numel() for p in model.parameters())
    block = 4 * (12 * 12 + 12) + (12 * 20 + 20 + 20 * 12 + 12) + 4 * 12
    assert count == 11 * 12 + 3 * block + 2 * 12
    assert sum(p.numel() for p in untied.parameters()) == count + 11 * 12
    kv = small(num_kv_heads=1)
    assert count - sum(p.numel() for p in kv.parameters()) == 3 * 2 * (8 * 12 + 8)


def test_the_cache_holds_what_row_bytes_counts():
    model = small(num_kv_heads=1)
    cache = model.make_cache(1)
    model(ids(1, 9), cache=cache)
    held = sum(x.nbytes for layer in cache.layers for x in (layer.key, layer.value))
    assert held == 3 * 2 * 9 * 4 * 8
    assert model.row_bytes(9) == held * 4 // 3 + 4 * 11 * 8


@pytest.mark.messages
def test_mistakes_are_named():
    fine = dict(vocab_size=11, d_model=12, num_heads=3)
    for wrong, message in [
        (dict(window=0), "window is 0; expected at least 1"),
        (dict(num_heads=5), "num_heads = 5 does not divide d_model = 12"),
        (dict(num_kv_heads=2), "num_kv_heads = 2 does not divide num_heads = 3"),
        (dict(positions="rope"), "positions is 'rope'; expected one of"),
        (dict(num_heads=4), "head_dim is 3; expected an even number"),
        (dict(max_distance=0), "max_distance is 0"),
        (dict(norm_eps=0.0), "norm_eps is 0.0"),
        (dict(dropout=1.0), "dropout is 1.0"),
    ]:
        with pytest.raises(ValueError, match=message):
            DecoderConfig(**(fine | wrong))
    model = small()
    with pytest.raises(ValueError, match="a sequence has 41 tokens; max_seq_len is 40"):
        model(ids(1, 41))
    with pytest.raises(ValueError, match="expected 0 <= id < vocab_size = 11"):
        model(torch.tensor([[11]]))
    with pytest.raises(ValueError, match="the cache was made for a batch of 2; got 1 rows"):
        model(ids(1, 3), cache=model.make_cache(2))
