"""Beam search: by hand, against all sequences, against a plain search that never stops early, greedy, cached, batched."""

import math
from itertools import product

import pytest
import torch

from llmbook.generation import Beams, beam_search, generate
from llmbook.generation.beam_search import greatest
from llmbook.models import Transformer, TransformerConfig

EOS = 0
PENALTIES = [-1.0, 0, 0.5, 1.0, 2]


class Prefix(list):
    """A cache that holds the tokens themselves, so that the model computes all of them again."""

    def reorder(self, rows):
        self[0] = self[0][rows]


class RandomModel:
    """Logits that depend on every token of the prefix and on where it stands."""

    def __init__(self, seed, vocab_size=4, sharpness=2.0):
        generator = torch.Generator().manual_seed(seed)
        self.embedding = torch.randn(12, vocab_size, 8, generator=generator)
        self.output = sharpness * torch.randn(8, vocab_size, generator=generator)
        self.steps = 0

    def make_cache(self, batch_size):
        return Prefix([torch.zeros(batch_size, 0, dtype=torch.long)])

    def forward(self, token_ids, *, token_mask=None, cache=None):
        self.steps += 1
        new = token_ids.shape[1]
        if cache is not None:
            token_ids = cache[0] = torch.cat([cache[0], token_ids], dim=1)
        x = self.embedding[torch.arange(token_ids.shape[1]), token_ids].cumsum(dim=1)
        return (x.sin() @ self.output)[:, -new:]


class Chain:
    """The next token's probabilities by the last token alone."""

    def __init__(self, *rows):
        self.logits = torch.tensor(rows).log()

    def make_cache(self, batch_size):
        return Prefix([torch.zeros(batch_size, 0)])

    def forward(self, token_ids, *, token_mask=None, cache=None):
        return self.logits[token_ids]


def prompts(*rows):
    return torch.tensor(rows)


def sequences(vocab_size, max_new_tokens):
    """All that end at the first EOS or at the greatest length."""
    for length in range(1, max_new_tokens + 1):
        for ids in product(range(vocab_size), repeat=length):
            if EOS not in ids[:-1] and (ids[-1] == EOS or length == max_new_tokens):
                yield ids


def score(model, prompt, ids, length_penalty):
    whole = torch.tensor([[*prompt, *ids]])
    log_probs = model.forward(whole).log_softmax(dim=-1)[0, len(prompt) - 1 : -1]
    return log_probs.gather(1, torch.tensor(ids)[:, None]).sum().item() / len(ids) ** length_penalty


def plain_search(model, prompt, num_beams, max_new_tokens, length_penalty):
    """The same search on lists, which never stops before the greatest length."""
    live, kept = [(0.0, ())], []
    for _ in range(max_new_tokens):
        extended = []
        for total, ids in live:
            log_probs = model.forward(torch.tensor([[*prompt, *ids]])).log_softmax(dim=-1)[0, -1].tolist()
            extended += [(total + log_p, (*ids, token)) for token, log_p in enumerate(log_probs)]
        extended = sorted(extended, reverse=True)[: 2 * num_beams]
        kept += [one for one in extended[:num_beams] if one[1][-1] == EOS]
        live = [one for one in extended if one[1][-1] != EOS][:num_beams]
    ranked = sorted(((total / len(ids) ** length_penalty, ids) for total, ids in kept + live), reverse=True)
    return ranked[:num_beams]


def new_tokens(beams, row, beam, prompt_length=1):
    """What follows the prompt, up to its end."""
    ids = beams.token_ids[row, beam, prompt_length:].tolist()
    return tuple(ids[: ids.index(EOS) + 1] if EOS in ids else ids)


def test_by_hand_the_best_second_step_is_not_the_best_first_one():
    # From 1: 0.6 to 2, 0.4 to 3. From 2 everything is even, 3 is sure of itself: 0.6 · 0.25 < 0.4 · 0.97.
    model = Chain([0.25] * 4, [0.0, 0.0, 0.6, 0.4], [0.25] * 4, [0.97, 0.01, 0.01, 0.01])
    greedy = generate(model, prompts([1]), max_new_tokens=1, temperature=0)
    beams = beam_search(model, prompts([1]), num_beams=2, max_new_tokens=2, eos_id=EOS)
    assert isinstance(beams, Beams)
    assert greedy.tolist() == [[1, 2]]
    assert beams.token_ids[0, 0].tolist() == [1, 3, 0]
    assert beams.scores[0, 0].item() == pytest.approx(math.log(0.4 * 0.97) / 2, abs=1e-6)
    assert beams.scores[0, 1].item() == pytest.approx(math.log(0.6 * 0.25) / 2, abs=1e-6)


def test_the_penalty_by_hand_and_what_ended_is_filled():
    # 1 ends with 0.5, or goes on to 2, which goes on to itself with 0.6.
    model = Chain([1.0, 0, 0], [0.5, 0, 0.5], [0.4, 0, 0.6])
    short = beam_search(model, prompts([1]), num_beams=2, max_new_tokens=3, eos_id=EOS, length_penalty=0)
    assert short.token_ids.tolist()[0][0] == [1, 0, 0, 0]
    assert short.scores[0].tolist() == pytest.approx([math.log(0.5), math.log(0.5 * 0.4)], abs=1e-6)
    long = beam_search(model, prompts([1]), num_beams=2, max_new_tokens=3, eos_id=EOS, length_penalty=1)
    assert long.token_ids.tolist() == [[[1, 2, 2, 2], [1, 0, 0, 0]]]
    expected = [math.log(0.5 * 0.6 * 0.6) / 3, math.log(0.5)]
    assert long.scores[0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("length_penalty", PENALTIES)
@pytest.mark.parametrize("seed", range(4))
def test_wide_enough_it_finds_the_best_of_all_sequences(seed, length_penalty):
    model, prompt, vocab_size, max_new_tokens = RandomModel(seed), (2, 1), 4, 3
    found = beam_search(
        model,
        prompts(prompt),
        num_beams=vocab_size**max_new_tokens,
        max_new_tokens=max_new_tokens,
        eos_id=EOS,
        length_penalty=length_penalty,
    )
    ranked = sorted(
        ((score(model, prompt, ids, length_penalty), ids) for ids in sequences(vocab_size, max_new_tokens)),
        reverse=True,
    )
    count = len(ranked)
    assert count == 1 + 3 + 9 + 27
    assert [new_tokens(found, 0, beam, 2) for beam in range(count)] == [ids for _, ids in ranked]
    assert found.scores[0, :count].tolist() == pytest.approx([value for value, _ in ranked], abs=1e-5)
    assert (found.scores[0, count:] == -math.inf).all()
    assert (found.token_ids[0, count:, 2:] == EOS).all()


@pytest.mark.parametrize("length_penalty", PENALTIES)
@pytest.mark.parametrize("num_beams", [2, 3, 5])
def test_stopping_early_loses_nothing(num_beams, length_penalty):
    steps = []
    for seed in range(12):
        model, max_new_tokens = RandomModel(seed), 8
        found = beam_search(
            model,
            prompts([1]),
            num_beams=num_beams,
            max_new_tokens=max_new_tokens,
            eos_id=EOS,
            length_penalty=length_penalty,
        )
        steps.append(model.steps)
        expected = plain_search(model, (1,), num_beams, max_new_tokens, length_penalty)
        assert [new_tokens(found, 0, beam) for beam in range(num_beams)] == [ids for _, ids in expected]
        assert found.scores[0].tolist() == pytest.approx([value for value, _ in expected], abs=1e-5)
    assert min(steps) < 8 or length_penalty >= 1
    assert max(steps) <= 8


def test_a_bound_at_the_present_length_would_lose():
    """At the first step the end has -0.7 and the other -1.6; after two sure steps more that is -1.6/3 = -0.5."""
    model = Chain([1.0, 0, 0, 0], [0.5, 0, 0.2, 0.3], [0, 0, 0, 1.0], [0, 0, 1.0, 0])
    beams = beam_search(model, prompts([1]), num_beams=2, max_new_tokens=3, eos_id=EOS)
    assert beams.token_ids.tolist() == [[[1, 3, 2, 3], [1, 2, 3, 2]]]


@pytest.mark.parametrize("eos_id", [None, EOS])
@pytest.mark.parametrize("length_penalty", PENALTIES)
def test_one_beam_is_greedy(eos_id, length_penalty):
    for seed in range(10):
        model, prompt = RandomModel(seed), prompts([1, 2], [3, 3], [2, 1])
        greedy = generate(model, prompt, max_new_tokens=6, temperature=0, eos_id=eos_id)
        beams = beam_search(model, prompt, num_beams=1, max_new_tokens=6, eos_id=eos_id, length_penalty=length_penalty)
        assert torch.equal(beams.token_ids[:, 0], greedy)
        for row in range(3):
            ids = new_tokens(beams, row, 0, 2) if eos_id is not None else tuple(greedy[row, 2:].tolist())
            expected = score(model, prompt[row].tolist(), ids, length_penalty)
            assert beams.scores[row, 0].item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("vocab_size", [4, 50, 4000])
def test_among_equals_the_first_is_taken_as_in_greedy_decoding(vocab_size):
    class Coarse(RandomModel):
        """Logits of few values, so that many are equal."""

        def forward(self, token_ids, *, token_mask=None, cache=None):
            return super().forward(token_ids, token_mask=token_mask, cache=cache).round().clamp(-1, 1)

    for seed in range(5):
        model, prompt = Coarse(seed, vocab_size), prompts([1, 2], [3, 3], [2, 1])
        greedy = generate(model, prompt, max_new_tokens=6, temperature=0)
        assert torch.equal(beam_search(model, prompt, num_beams=1, max_new_tokens=6).token_ids[:, 0], greedy)


def test_beams_of_equal_scores_are_those_with_the_lowest_ids():
    model = Chain(*[[0.1] * 10] * 10)
    beams = beam_search(model, prompts([7], [2]), num_beams=3, max_new_tokens=2, eos_id=9)
    assert beams.token_ids[:, :, 1:].tolist() == [[[0, 0], [0, 1], [0, 2]]] * 2


def test_the_greatest_are_those_of_a_stable_sort():
    scores = torch.randint(4, (6, 40), generator=torch.Generator().manual_seed(0)).float()
    values, indices = scores.sort(dim=1, descending=True, stable=True)
    found = greatest(scores, 25)
    assert torch.equal(found[0], values[:, :25])
    assert torch.equal(found[1], indices[:, :25])


def transformer():
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(7, d_model=16, num_heads=2, num_layers=2, d_ff=32, max_seq_len=16)).eval()
    with torch.no_grad():
        model.target_embedding.weight *= 3  # less even probabilities
    return model


class Uncached:
    """The same model, which reads the whole prefix at each step."""

    def __init__(self, model):
        self.model = model

    def make_cache(self, batch_size):
        return Prefix([torch.zeros(batch_size, 0, dtype=torch.long)])

    def forward(self, token_ids, *, token_mask=None, cache=None):
        cache[0] = torch.cat([cache[0], token_ids], dim=1)
        return self.model.forward(cache[0])


@pytest.mark.parametrize("num_beams", [1, 2, 4])
def test_a_transformer_cached_as_uncached_and_a_batch_as_its_rows(num_beams):
    model = transformer()
    source = torch.tensor([[3, 4, 5, 6], [1, 2, 0, 0], [6, 6, 1, 0]])
    source_mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]], dtype=torch.bool)
    decoder = model.conditioned(source, source_mask=source_mask)
    options = {"num_beams": num_beams, "max_new_tokens": 8, "eos_id": EOS}
    begin = prompts([1], [1], [1])
    cached = beam_search(decoder, begin, **options)
    uncached = beam_search(Uncached(decoder.repeated(num_beams)), begin, **options)
    assert torch.equal(cached.token_ids, uncached.token_ids)
    torch.testing.assert_close(cached.scores, uncached.scores, atol=1e-5, rtol=0)
    assert len({tuple(row) for row in cached.token_ids[:, 0].tolist()}) > 1
    for row in range(3):
        alone = model.conditioned(source[row : row + 1, : source_mask[row].sum()])
        one = beam_search(alone, begin[:1], **options)
        for beam in range(num_beams):
            assert new_tokens(cached, row, beam) == new_tokens(one, 0, beam)
        torch.testing.assert_close(cached.scores[row], one.scores[0], atol=1e-5, rtol=0)


def test_a_model_with_something_for_each_row_is_told_how_many_beams_share_it():
    class Sources(Chain):
        """Row r repeats what its source says, whatever is asked."""

        def __init__(self, said):
            self.said = said

        def repeated(self, n):
            return Sources(self.said.repeat_interleave(n))

        def forward(self, token_ids, *, token_mask=None, cache=None):
            assert len(token_ids) == len(self.said)
            return torch.nn.functional.one_hot(self.said, 5).float()[:, None].expand(-1, token_ids.shape[1], -1)

    beams = beam_search(Sources(torch.tensor([3, 1])), prompts([2], [2]), num_beams=3, max_new_tokens=2)
    assert beams.token_ids[:, 0].tolist() == [[2, 3, 3], [2, 1, 1]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_log_probabilities_of_half_types_are_summed_in_single_precision(dtype):
    class Half(RandomModel):
        def forward(self, token_ids, *, token_mask=None, cache=None):
            return super().forward(token_ids, token_mask=token_mask, cache=cache).to(dtype)

    class Rounded(Half):
        def forward(self, token_ids, *, token_mask=None, cache=None):
            return super().forward(token_ids, token_mask=token_mask, cache=cache).float()

    options = {"num_beams": 3, "max_new_tokens": 8, "length_penalty": 0}
    half, single = (beam_search(kind(0), prompts([1], [2]), **options) for kind in (Half, Rounded))
    assert half.scores.dtype == torch.float32
    assert torch.equal(half.token_ids, single.token_ids)
    assert torch.equal(half.scores, single.scores)


def test_rows_that_stop_at_different_times_are_as_alone():
    for seed in range(8):
        model, prompt = RandomModel(seed, sharpness=4.0), prompts([1], [2], [3])
        together = beam_search(model, prompt, num_beams=3, max_new_tokens=8, eos_id=EOS, length_penalty=0.3)
        for row in range(3):
            alone = beam_search(
                model, prompt[row : row + 1], num_beams=3, max_new_tokens=8, eos_id=EOS, length_penalty=0.3
            )
            for beam in range(3):
                assert new_tokens(together, row, beam) == new_tokens(alone, 0, beam)


def test_more_beams_than_tokens_and_impossible_tokens():
    model = Chain([0.5, 0.5, 0], [0.25, 0.75, 0], [0, 0, 1.0])
    beams = beam_search(model, prompts([1]), num_beams=5, max_new_tokens=3)
    assert beams.scores.isfinite().all()
    assert (beams.token_ids != 2).all()
    assert (beams.scores.diff(dim=1) <= 0).all()


def test_no_gradient_is_kept():
    beams = beam_search(transformer().conditioned(prompts([1, 2])), prompts([1]), num_beams=2, max_new_tokens=2)
    assert not beams.scores.requires_grad
    assert torch.is_grad_enabled()


@pytest.mark.messages
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"token_ids": torch.zeros(2, 0, dtype=torch.long)}, r"at least one token; got token_ids of shape \(2, 0\)"),
        ({"token_ids": torch.zeros(0, 2, dtype=torch.long)}, r"got token_ids of shape \(0, 2\)"),
        ({"token_ids": torch.tensor([1])}, r"got token_ids of shape \(1,\)"),
        ({"num_beams": 0}, "num_beams is 0; expected at least 1"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0; expected at least 1"),
        ({"length_penalty": math.nan}, "length_penalty is nan; expected a finite number"),
        ({"length_penalty": math.inf}, "length_penalty is inf"),
        ({"num_beams": 17}, "num_beams is 17; 4 tokens make 16 sequences of length 2"),
        ({"eos_id": 4}, "eos_id is 4; expected 0 <= eos_id < vocab_size = 4"),
        ({"eos_id": -1}, "eos_id is -1"),
    ],
)
def test_mistakes_are_named(options, message):
    options = {"token_ids": prompts([1, 2]), "num_beams": 2, "max_new_tokens": 2, **options}
    with pytest.raises(ValueError, match=message):
        beam_search(RandomModel(0), options.pop("token_ids"), **options)


@pytest.mark.messages
@pytest.mark.parametrize("logit", [math.nan, math.inf])
def test_logits_without_probabilities_are_refused(logit):
    model = Chain([0.5, 0.5], [0.5, 0.5])
    model.logits[1, 0] = logit
    with pytest.raises(ValueError, match="logits must be finite or -inf, not all -inf; row 0 gives NaN"):
        beam_search(model, prompts([1]), num_beams=2, max_new_tokens=2)
