"""The Transformer: sizes, causality, padding, caches, gradients, beginnings, and the mistakes that it must refuse."""

import dataclasses
import math

import pytest
import torch
from inputs import close

from llmbook.models import Transformer, TransformerConfig
from llmbook.models.inputs import positions_of
from llmbook.nn import sinusoidal_encoding

VOCAB = 11


def config(**changes):
    sizes = {"d_model": 16, "num_heads": 2, "num_layers": 2, "d_ff": 32, "dropout": 0.0, "max_seq_len": 12}
    return TransformerConfig(VOCAB, **{**sizes, **changes})


def build(seed=0, **changes):
    torch.manual_seed(seed)
    return Transformer(config(**changes))


def ids(*shape, seed=0):
    return torch.randint(0, VOCAB, shape, generator=torch.Generator().manual_seed(seed))


def parameters(**changes):
    with torch.device("meta"):
        return sum(p.numel() for p in Transformer(TransformerConfig(37_000, **changes)).parameters())


BIG = {"d_model": 1024, "num_heads": 16}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 63_082_496),
        (BIG, 214_245_376),
        ({"norm_first": True}, 63_084_544),
        ({**BIG, "norm_first": True}, 214_249_472),
        ({"tie_embeddings": False}, 63_082_496 + 2 * 37_000 * 512),
        ({"source_vocab_size": 30_000}, 63_082_496 + 30_000 * 512),
        ({"source_vocab_size": 37_000}, 63_082_496 + 37_000 * 512),
        ({"source_vocab_size": 30_000, "tie_embeddings": False}, 63_082_496 + (30_000 + 37_000) * 512),
        ({"d_ff": 1024}, 63_082_496 - 12 * (2 * 512 + 1) * 1024),
        ({"positions": "learned"}, 63_082_496 + 512 * 512),
        ({"positions": "none"}, 63_082_496),
    ],
)
def test_parameter_counts_at_the_papers_sizes(changes, expected):
    assert parameters(**changes) == expected


def test_the_config_is_frozen_and_its_defaults_are_the_base_model():
    base = TransformerConfig(37_000)
    assert (base.d_model, base.num_heads, base.num_layers, base.dropout, base.norm_first) == (512, 8, 6, 0.1, False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        base.d_model = 1
    with pytest.raises(TypeError):
        TransformerConfig(37_000, 37_000)
    assert build(d_ff=None).encoder[0].feed_forward.inner.out_features == 64


def test_embeddings_are_tied_where_both_sides_share_a_vocabulary():
    model = build()
    assert model.output.weight is model.target_embedding.weight is model.source_embedding.weight
    model = build(source_vocab_size=VOCAB)
    assert model.output.weight is model.target_embedding.weight
    assert model.source_embedding.weight is not model.target_embedding.weight
    model = build(tie_embeddings=False)
    assert len({id(w.weight) for w in (model.output, model.target_embedding, model.source_embedding)}) == 3


def test_runs_on_the_meta_device():
    with torch.device("meta"):
        model = Transformer(config())
        source, target = torch.zeros(2, 5, dtype=torch.long), torch.zeros(2, 4, dtype=torch.long)
        assert model(source, target).shape == (2, 4, VOCAB)


@pytest.mark.parametrize("positions", ["sinusoidal", "learned", "none"])
@pytest.mark.parametrize("assign", [False, True])
def test_made_on_the_meta_device_and_filled_it_computes_what_the_other_does(positions, assign):
    model, source, target = build(positions=positions), ids(2, 5), ids(2, 4, seed=1)
    with torch.device("meta"):
        other = build(positions=positions)
    if not assign:
        other.to_empty(device="cpu")
    other.load_state_dict(model.state_dict(), assign=assign)
    assert torch.equal(other(source, target), model(source, target))


def test_written_out():
    model, source, target = build(norm_first=True), ids(2, 5), ids(2, 4, seed=1)
    table = sinusoidal_encoding(12, 16)
    x = model.source_embedding.weight[source] * 4 + table[:5]
    for block in model.encoder:
        x = block(x)
    memory = model.encoder_norm(x)
    close(model.encode(source), memory)
    y = model.target_embedding.weight[target] * 4 + table[:4]
    for block in model.decoder:
        y = block(y, context=memory, mask=torch.ones(4, 4, dtype=torch.bool).tril())
    expected = model.decoder_norm(y) @ model.target_embedding.weight.T
    close(model(source, target), expected)
    close(model.decode(target, memory), expected)


def test_without_positions_the_encoder_only_permutes_and_the_target_order_still_counts_through_the_mask():
    model, source, target, order = build(positions="none"), ids(2, 5), ids(2, 4, seed=1), torch.tensor([3, 0, 4, 1, 2])
    close(model.encode(source[:, order]), model.encode(source)[:, order])
    close(model(source[:, order], target), model(source, target))
    embedded = model.embed(source, model.source_embedding, torch.arange(5).expand(2, -1))
    assert torch.equal(embedded, model.source_embedding.weight[source] * 4)
    # Causality alone tells the decoder how much precedes a token, but the last one sees a set.
    swapped, logits = model(source, target[:, [1, 0, 2, 3]]), model(source, target)
    assert (swapped - logits)[:, 0].abs().max() > 1e-3
    one = build(positions="none", num_layers=1)
    close(one(source, target[:, [1, 0, 2, 3]])[:, -1], one(source, target)[:, -1])


def test_learned_positions_are_rows_of_one_table_for_both_sides():
    model, source, target = build(positions="learned"), ids(2, 5), ids(2, 4, seed=1)
    table, fixed = model.positions.rows, build()
    assert table.shape == (12, 16)
    assert "positions.rows" in model.state_dict()
    others = {name: value for name, value in model.state_dict().items() if not name.startswith("positions.")}
    fixed.load_state_dict(others)
    fixed.positions.rows = table.detach()
    close(fixed(source, target), model(source, target))
    model(source, target).square().sum().backward()
    assert (table.grad.abs().sum(dim=1) > 0).tolist() == [True] * 5 + [False] * 7


def test_post_norm_ends_in_no_further_norm():
    model = build()
    memory = model.encode(ids(2, 5))
    close(memory.mean(dim=-1), torch.zeros(2, 5))  # the last sublayer's norm is the last step
    assert not any(name.startswith(("encoder_norm", "decoder_norm")) for name, _ in model.named_parameters())


@pytest.mark.parametrize("norm_first", [True, False])
def test_logits_start_with_about_unit_variance(norm_first):
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(500, d_model=64, num_heads=4, num_layers=2, norm_first=norm_first)).eval()
    source, target = torch.arange(1000).remainder(500).view(40, 25), torch.arange(1000).view(40, 25).flip(0) % 500
    with torch.no_grad():
        memory = model.encode(source)
        logits = model(source, target)
    assert 0.8 < memory.var() < 1.2
    # The token's own logit, which the residual connections carry, stands out.
    others = logits.scatter(2, target[..., None], torch.nan)
    assert 0.8 < others[~others.isnan()].var() < 1.2
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target.roll(1, 1).flatten())
    assert abs(loss - math.log(500)) < 1


@pytest.mark.parametrize("norm_first", [True, False])
def test_later_targets_change_no_earlier_logits_and_the_whole_source_is_seen(norm_first):
    model, source, target = build(norm_first=norm_first), ids(2, 5), ids(2, 6, seed=1)
    logits = model(source, target)
    for t in range(1, 6):
        changed = target.clone()
        changed[:, t:] = (changed[:, t:] + 1) % VOCAB
        after = model(source, changed)
        close(after[:, :t], logits[:, :t], 1e-6)
        assert ((after - logits)[:, t:].abs().amax(dim=-1) > 1e-3).all()
    changed = source.clone()
    changed[:, -1] = (changed[:, -1] + 1) % VOCAB
    assert ((model(changed, target) - logits).abs().amax(dim=-1) > 1e-4).all()


def test_order_matters():
    model, source, target = build(), ids(1, 5), ids(1, 4, seed=1)
    assert (model(source.flip(1), target) - model(source, target)).abs().max() > 1e-2
    swapped = target[:, [1, 0, 2, 3]]
    assert (model(source, swapped) - model(source, target))[:, -1].abs().max() > 1e-3


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("norm_first", [True, False])
def test_padding_changes_nothing_and_a_batch_is_its_rows(side, norm_first):
    model = build(norm_first=norm_first)
    sources, targets = (ids(1, 6), ids(1, 3, seed=1)), (ids(1, 2, seed=2), ids(1, 5, seed=3))
    alone = [model(source, target) for source, target in zip(sources, targets, strict=True)]

    def pad(rows, filler):
        width = max(row.shape[1] for row in rows) + 1
        padded, mask = torch.full((2, width), filler), torch.zeros(2, width, dtype=torch.bool)
        for b, row in enumerate(rows):
            n = row.shape[1]
            where = slice(0, n) if side == "right" else slice(width - n, width)
            padded[b, where], mask[b, where] = row[0], True
        return padded, mask

    for filler in (0, 7):
        source, source_mask = pad(sources, filler)
        target, target_mask = pad(targets, filler)
        logits = model(source, target, source_mask=source_mask, target_mask=target_mask)
        assert logits.isfinite().all()
        for b in range(2):
            close(logits[b][target_mask[b]], alone[b][0])


def test_without_a_mask_padding_does_change_something():
    model, source, target = build(), ids(1, 4), ids(1, 3, seed=1)
    longer = torch.nn.functional.pad(source, (0, 2))
    assert (model(longer, target) - model(source, target)).abs().max() > 1e-3
    mask = torch.tensor([[True] * 4 + [False] * 2])
    close(model(longer, target, source_mask=mask), model(source, target))


def test_positions_are_counted_over_real_tokens():
    mask = torch.tensor([[1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 1, 1], [0, 0, 0, 0]], dtype=torch.bool)
    positions = positions_of(mask)
    assert [row[m].tolist() for row, m in zip(positions, mask, strict=True)] == [[0, 1, 2], [0, 1], [0, 1, 2], []]
    assert positions.min() >= 0
    # Padding does not count towards the longest sequence either.
    model, source = build(max_seq_len=4), ids(1, 4)
    padded = torch.nn.functional.pad(source, (3, 2))
    mask = torch.nn.functional.pad(torch.ones(1, 4, dtype=torch.bool), (3, 2))
    close(model.encode(padded, source_mask=mask)[:, 3:7], model.encode(source))


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_fully_padded_row_is_finite_and_leaves_the_others_alone(norm_first):
    model = build(norm_first=norm_first)
    source, target = ids(2, 4), ids(2, 3, seed=1)
    nothing = torch.tensor([[True] * 4, [False] * 4])
    for masks in ({"source_mask": nothing}, {"source_mask": nothing, "target_mask": nothing[:, :3]}):
        model.zero_grad()
        logits = model(source, target, **masks)
        assert logits.isfinite().all()
        close(logits[:1], model(source[:1], target[:1]))
        logits.square().sum().backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("norm_first", [True, False])
@pytest.mark.parametrize("sizes", [[1] * 6, [3, 1, 2], [6], [4, 0, 2]])
def test_cached_equals_uncached(norm_first, sizes):
    model = build(norm_first=norm_first)
    source, target = ids(2, 5), ids(2, 6, seed=1)
    source_mask = torch.tensor([[True] * 5, [False, False, True, True, True]])
    target_mask = torch.tensor([[True] * 6, [False, False, True, True, True, True]])
    expected = model(source, target, source_mask=source_mask, target_mask=target_mask)
    decoder = model.conditioned(source, source_mask=source_mask)
    cache, outputs = decoder.make_cache(2), []
    for new_ids, new_mask in zip(target.split(sizes, dim=1), target_mask.split(sizes, dim=1), strict=True):
        outputs.append(decoder(new_ids, token_mask=new_mask, cache=cache))
    close(torch.cat(outputs, dim=1)[target_mask], expected[target_mask])
    assert cache.length == 6
    memory = model.encode(source, source_mask=source_mask)
    close(
        model.decode(target, memory, source_mask=source_mask, target_mask=target_mask)[target_mask],
        expected[target_mask],
    )


def test_a_cache_without_masks():
    model, source, target = build(), ids(2, 5), ids(2, 6, seed=1)
    decoder = model.conditioned(source)
    cache = decoder.make_cache(2)
    stepwise = torch.cat([decoder(target[:, t : t + 1], cache=cache) for t in range(6)], dim=1)
    close(stepwise, model(source, target))
    close(decoder(target), model(source, target))


def test_a_reordered_cache_goes_on_from_the_other_rows():
    # Three beams of one source; the second is kept twice, the first dropped.
    model, source, target = build(), ids(1, 5).expand(3, -1), ids(3, 6, seed=1)
    decoder = model.conditioned(source[:1]).repeated(3)
    cache = decoder.make_cache(3)
    decoder(target[:, :4], cache=cache)
    rows = torch.tensor([1, 1, 2])
    cache.reorder(rows)
    expected = model(source, torch.cat([target[rows, :4], target[:, 4:]], dim=1))
    close(decoder(target[:, 4:], cache=cache), expected[:, 4:])
    assert (expected - model(source, target))[0, 4:].abs().max() > 1e-3


def test_a_source_has_several_rows_of_the_target_where_it_is_told_so():
    model, source, target = build(), ids(2, 5), ids(6, 4, seed=1)
    source_mask = torch.tensor([[True] * 5, [True, True, True, False, False]])
    decoder = model.conditioned(source, source_mask=source_mask)
    expected = model(source.repeat_interleave(3, dim=0), target, source_mask=source_mask.repeat_interleave(3, dim=0))
    threefold = decoder.repeated(3)
    close(threefold(target), expected)
    cache = threefold.make_cache(6)
    close(torch.cat([threefold(part, cache=cache) for part in target.split(2, dim=1)], dim=1), expected)
    close(decoder(target[:2]), model(source, target[:2], source_mask=source_mask))
    close(
        model.conditioned(source).repeated(2).repeated(3)(target.repeat(2, 1))[:3],
        model(source[:1].expand(3, -1), target[:3]),
    )


def test_keys_and_values_of_the_memory_are_computed_once(monkeypatch):
    model, target = build(), ids(2, 4, seed=1)
    decoder = model.conditioned(ids(2, 5))
    for block in model.decoder:
        monkeypatch.setattr(block.cross_attention.key, "forward", None)  # calling it would fail
        monkeypatch.setattr(block.cross_attention.value, "forward", None)
    cache = decoder.make_cache(2)
    stepwise = torch.cat([decoder(part, cache=cache) for part in target.split(1, dim=1)], dim=1)
    monkeypatch.undo()
    close(stepwise, model(ids(2, 5), target))


def test_empty_and_single():
    model = build()
    for batch, sources, targets in ((2, 3, 0), (2, 0, 3), (0, 3, 3), (1, 1, 1), (2, 0, 0)):
        logits = model(ids(batch, sources), ids(batch, targets))
        assert logits.shape == (batch, targets, VOCAB)
        assert logits.isfinite().all()


def test_dropout_only_in_training_and_from_the_global_generator():
    model, source, target = build(dropout=0.3), ids(2, 5), ids(2, 4, seed=1)
    torch.manual_seed(0)
    first, second = model(source, target), model(source, target)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(model(source, target), first)
    plain = build()
    before = torch.get_rng_state()
    assert torch.equal(model.eval()(source, target), plain(source, target))
    assert torch.equal(before, torch.get_rng_state())


def test_dropout_is_everywhere_it_should_be():
    model = build(dropout=0.3)
    shares = {name: module.p for name, module in model.named_modules() if isinstance(module, torch.nn.Dropout)}
    assert set(shares.values()) == {0.3}
    assert len(shares) == 1 + 4 * 2  # of embeddings; in each of four blocks its own and its feed-forward's
    for block in [*model.encoder, *model.decoder]:
        assert block.self_attention.dropout == 0.3
    assert all(block.cross_attention.dropout == 0.3 for block in model.decoder)
    embedded = model.embed(ids(50, 10), model.source_embedding, torch.arange(10).expand(50, -1))
    assert 0.27 < (embedded == 0).float().mean() < 0.33


def test_the_same_seed_makes_the_same_model():
    a, b, c = build(1), build(1), build(2)
    assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.target_embedding.weight, c.target_embedding.weight)


@pytest.mark.parametrize("norm_first", [True, False])
def test_gradients_by_finite_differences(norm_first):
    model = build(norm_first=norm_first, num_layers=1, d_model=4, d_ff=4).double()
    source, target = ids(2, 3), ids(2, 3, seed=1)
    source_mask = torch.tensor([[True, True, False], [False] * 3])
    names, values = zip(*model.named_parameters(), strict=True)

    def run(*values):
        given = dict(zip(names, values, strict=True))
        masks = {"source_mask": source_mask, "target_mask": source_mask.flip(1)}
        return torch.func.functional_call(model, given, (source, target), masks)

    assert torch.autograd.gradcheck(run, values, fast_mode=True)


def test_it_learns_to_copy():
    model = build(num_layers=1, d_model=32)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    source = ids(64, 5, seed=4)
    target = torch.nn.functional.pad(source[:, :-1], (1, 0), value=0)
    losses = []
    for _ in range(60):
        loss = torch.nn.functional.cross_entropy(model(source, target).flatten(0, 1), source.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 2
    assert losses[-1] < 0.2


def test_half_precision_and_autocast():
    model, source, target = build(), ids(2, 5), ids(2, 4, seed=1)
    mask = torch.tensor([[True] * 5, [False] * 5])
    expected = model(source, target, source_mask=mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(source, target, source_mask=mask)
    close(logits.float(), expected, 0.15)
    logits.float().square().sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    logits = model.bfloat16()(source, target, source_mask=mask)
    assert logits.dtype == torch.bfloat16
    close(logits.float(), expected, 0.3)


def test_a_state_dict_round_trips_and_holds_no_positions():
    model, other = build(1), build(2)
    assert not any(name.startswith("positions") for name in model.state_dict())
    other.load_state_dict(model.state_dict())
    source, target = ids(2, 5), ids(2, 4, seed=1)
    assert torch.equal(model(source, target), other(source, target))


@pytest.mark.messages
def test_configs_that_cannot_be_are_named():
    for name in ("source_vocab_size", "d_model", "num_heads", "num_layers", "max_seq_len", "d_ff"):
        with pytest.raises(ValueError, match=f"{name} is 0; expected at least 1"):
            config(**{name: 0})
    with pytest.raises(ValueError, match="vocab_size is -1; expected at least 1"):
        TransformerConfig(-1)
    with pytest.raises(ValueError, match="num_heads = 3 does not divide d_model = 16"):
        config(num_heads=3)
    with pytest.raises(ValueError, match="d_model is 15; expected an even number"):
        config(d_model=15, num_heads=3)
    with pytest.raises(ValueError, match=r"dropout is 1\.0; expected 0 <= dropout < 1"):
        build(dropout=1.0)
    with pytest.raises(ValueError, match=r"dropout is -0\.1; expected 0 <= dropout < 1"):
        build(dropout=-0.1)
    with pytest.raises(ValueError, match=r"norm_eps is 0\.0; expected norm_eps > 0"):
        build(norm_eps=0.0)
    with pytest.raises(ValueError, match=r"positions is 'rotary'; expected one of \('sinusoidal', 'learned', 'none'\)"):
        config(positions="rotary")


@pytest.mark.messages
def test_mistakes_are_named():
    model, source, target = build(), ids(2, 5), ids(2, 4, seed=1)

    def refused(message, source=source, target=target, **masks):
        with pytest.raises(ValueError, match=message):
            model(source, target, **masks)

    refused(r"token ids are torch.int64 of shape \[5\]; expected integers \[batch, tokens\]", source[0])
    refused(r"token ids are torch.int64 of shape \[4\]", target=target[0])
    refused("token ids go from 0 to 11; expected 0 <= id < vocab_size = 11", torch.tensor([[0, 11], [1, 2]]))
    refused("token ids go from -1 to 2; expected 0 <= id < vocab_size = 11", target=torch.tensor([[0, -1], [1, 2]]))
    refused(r"token ids are torch.float32 of shape \[2, 4\]; expected integers", target=target.float())
    refused("a sequence has 13 tokens; max_seq_len is 12", ids(2, 13))
    refused("a sequence has 13 tokens; max_seq_len is 12", target=ids(2, 13))
    refused("memory has 2 rows, target_ids 3; expected as many", target=ids(3, 4))
    wrong = r"the mask is torch.bool of shape \[2, 3\]; expected torch.bool of shape \[2, "
    refused(wrong + r"5\]", source_mask=torch.ones(2, 3, dtype=torch.bool))
    refused(wrong + r"4\]", target_mask=torch.ones(2, 3, dtype=torch.bool))
    refused(r"the mask is torch.float32 of shape \[2, 5\]; expected torch.bool", source_mask=torch.ones(2, 5))
    refused(r"the mask is torch.int64 of shape \[2, 4\]; expected torch.bool", target_mask=torch.ones_like(target))


@pytest.mark.messages
def test_mistakes_of_the_two_halves_are_named():
    model, source, target = build(source_vocab_size=5), ids(2, 5) % 5, ids(2, 4, seed=1)
    with pytest.raises(ValueError, match="go from 0 to 5; expected 0 <= id < vocab_size = 5"):
        model.encode(torch.tensor([[0, 5]]))
    memory = model.encode(source)
    with pytest.raises(ValueError, match=r"source_mask has shape \[2, 4\]; expected \[2, 5\]"):
        model.decode(target, memory, source_mask=torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match=r"mask has dtype torch\.float32; expected torch\.bool"):
        model.decode(target, memory, source_mask=torch.ones(2, 5))
    with pytest.raises(ValueError, match=r"context has shape \[2, 5, 8\]; expected \[batch, length, d_model = 16\]"):
        model.decode(target, memory[..., :8])
    decoder = model.conditioned(source)
    for rows in (1, 3, 4):
        with pytest.raises(ValueError, match=f"memory has 2 rows, target_ids {rows}; expected as many"):
            decoder(ids(rows, 4))
    with pytest.raises(ValueError, match="the cache was made for a batch of 3; got 2 rows"):
        decoder(target, cache=decoder.make_cache(3))
    cache = decoder.make_cache(2)
    decoder(ids(2, 12), cache=cache)
    with pytest.raises(ValueError, match="a sequence has 13 tokens; max_seq_len is 12"):
        decoder(target[:, :1], cache=cache)


@pytest.mark.messages
def test_a_refused_call_leaves_the_cache_as_it_was():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(11, d_model=16, num_heads=2, num_layers=2, max_seq_len=12)).eval()
    decoder, target = model.conditioned(torch.tensor([[3, 4, 5]])), torch.arange(12)[None] % 11
    cache = decoder.make_cache(1)
    decoder(target[:, :10], cache=cache)
    with pytest.raises(ValueError, match="13 tokens"):
        decoder(target[:, :3], cache=cache)
    assert cache.length == 10
    torch.testing.assert_close(decoder(target[:, 10:], cache=cache), decoder(target)[:, 10:], atol=1e-5, rtol=0)


@pytest.mark.messages
@pytest.mark.parametrize(
    ("changes", "words"), [({"dropout": 1.0}, "dropout is 1.0"), ({"norm_eps": 0.0}, "norm_eps is 0.0")]
)
def test_a_config_names_a_bad_dropout_or_eps_before_a_model_is_built(changes, words):
    with pytest.raises(ValueError, match=words):
        TransformerConfig(11, **changes)
