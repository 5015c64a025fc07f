"""Sequence to sequence with LSTMs: what goes from one side to the other, padding, generation, mistakes."""

import pytest
import torch

from llmbook.generation import beam_search, generate
from llmbook.models import Seq2Seq, Seq2SeqConfig


@pytest.fixture(params=[True, False], ids=["attention", "one vector"])
def model(request):
    torch.manual_seed(0)
    return Seq2Seq(Seq2SeqConfig(11, d_model=8, attention=request.param, dropout=0.0)).eval()


def ids(batch, length, seed=0):
    return torch.randint(3, 11, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_no_target_token_sees_a_later_one_and_each_sees_the_whole_source(model):
    source, target = ids(2, 5), ids(2, 6, seed=1)
    scores = model(source, target)
    changed = target.clone()
    changed[:, 3] = (target[:, 3] - 2) % 8 + 3
    difference = (model(source, changed) - scores).abs().amax(dim=(0, 2))
    assert (difference[:3] == 0).all()
    assert (difference[3:] > 1e-5).all()
    for place in range(5):
        other = source.clone()
        other[:, place] = (source[:, place] - 2) % 8 + 3
        assert ((model(other, target) - scores).abs().amax(dim=(0, 2)) > 1e-6).all()


def test_only_attention_looks_at_the_outputs_of_the_encoder(model):
    source, target = ids(2, 5), ids(2, 6, seed=1)
    encoded = model.encode(source)
    scores = model.decode(target, encoded)
    other = type(encoded)(encoded.memory + 1, encoded.source_mask, encoded.states)
    changed = (model.decode(target, other) - scores).abs().max() > 1e-4
    assert changed == model.config.attention


def test_padding_changes_nothing(model):
    source, target = ids(2, 5), ids(2, 6, seed=1)
    scores = model(source, target)
    wide = torch.cat([source, ids(2, 3, seed=2)], dim=1)
    mask = torch.arange(8).expand(2, 8) < 5
    torch.testing.assert_close(model(wide, target, source_mask=mask), scores, atol=1e-5, rtol=1e-5)
    longer = torch.cat([target, ids(2, 2, seed=3)], dim=1)
    real = torch.arange(8).expand(2, 8) < 6
    torch.testing.assert_close(model(source, longer, target_mask=real)[:, :6], scores, atol=1e-5, rtol=1e-5)


def test_generation_with_and_without_cache_and_beams(model):
    source = torch.cat([ids(2, 5), ids(2, 2, seed=2)], dim=1)
    mask = torch.tensor([[True] * 7, [True] * 5 + [False] * 2])
    decoder, prompt = model.conditioned(source, source_mask=mask), torch.ones(2, 1, dtype=torch.long)
    settings = {"max_new_tokens": 6, "temperature": 0.0}
    written = generate(decoder, prompt, **settings)
    assert torch.equal(written, generate(decoder, prompt, use_cache=False, **settings))
    alone = generate(model.conditioned(source[1:, :5]), prompt[:1], **settings)
    assert torch.equal(written[1:], alone)
    beams = beam_search(decoder, prompt, num_beams=3, max_new_tokens=4, length_penalty=0.0)
    for row in range(2):
        one = model.conditioned(source[row : row + 1], source_mask=mask[row : row + 1])
        expected = beam_search(one, prompt[:1], num_beams=3, max_new_tokens=4, length_penalty=0.0)
        torch.testing.assert_close(beams.scores[row], expected.scores[0], atol=1e-5, rtol=1e-5)


def test_a_source_has_several_rows_of_the_target_where_it_is_told_so(model):
    source, target = ids(2, 5), ids(6, 4, seed=1)
    expected = model(source.repeat_interleave(3, dim=0), target)
    decoder = model.conditioned(source).repeated(3)
    cache = decoder.make_cache(6)
    scores = torch.cat([decoder(part, cache=cache) for part in target.split(2, dim=1)], dim=1)
    torch.testing.assert_close(scores, expected, atol=1e-5, rtol=1e-5)


def test_embedding_and_output_are_one(model):
    assert model.output.weight is model.embedding.weight


@pytest.mark.messages
def test_mistakes_are_named(model):
    with pytest.raises(ValueError, match="d_model is 7; expected an even number"):
        Seq2SeqConfig(9, d_model=7)
    with pytest.raises(ValueError, match="vocab_size is 0; expected at least 1"):
        Seq2SeqConfig(0)
    with pytest.raises(ValueError, match=r"dropout is 1.0"):
        Seq2SeqConfig(9, dropout=1.0)
    with pytest.raises(ValueError, match=r"token ids go from 3 to 11"):
        model(torch.tensor([[3, 11]]), ids(1, 2))
    with pytest.raises(ValueError, match="memory has 2 rows, target_ids 3; expected as many"):
        model(ids(2, 3), ids(3, 2))
    with pytest.raises(ValueError, match="source_mask has padding before a real token"):
        model(ids(1, 3), ids(1, 2), source_mask=torch.tensor([[False, True, True]]))
