"""Generation with a tiny model: by hand, cached as uncached, batched as alone, and the frequencies of its draws."""

import math

import pytest
import torch
from torch.nn import functional as F

from llmbook import seeding
from llmbook.generation import generate, stream
from llmbook.generation.generate import sample

EOS = 4


class Sums:
    """The next token is decided by the sum of all real tokens so far, modulo the vocabulary; the cache holds that sum."""

    def __init__(self, vocab_size=7, sharpness=50.0):
        self.vocab_size = vocab_size
        self.sharpness = sharpness
        self.seen = []

    def make_cache(self, batch_size):
        return [torch.zeros(batch_size, dtype=torch.long)]

    def forward(self, token_ids, *, token_mask=None, cache=None):
        self.seen.append(tuple(token_ids.shape))
        real = token_ids if token_mask is None else token_ids * token_mask
        sums = real.cumsum(dim=1)
        if cache is not None:
            sums = sums + cache[0][:, None]
            cache[0] = sums[:, -1]
        return self.sharpness * F.one_hot(sums % self.vocab_size, self.vocab_size).float()


class Fixed:
    """Always the same scores."""

    def __init__(self, logits):
        self.logits = torch.tensor(logits)

    def make_cache(self, batch_size):
        return None

    def forward(self, token_ids, *, token_mask=None, cache=None):
        return self.logits.expand(*token_ids.shape, -1)


def prompts(*rows):
    return torch.tensor(rows)


def test_greedy_by_hand():
    # 1 → 1; 1+1 → 2; 4 → 4; 8 mod 7 → 1
    assert generate(Sums(), prompts([1]), max_new_tokens=4, temperature=0).tolist() == [[1, 1, 2, 4, 1]]


def test_rows_end_by_themselves_and_are_filled():
    # Row 0: 1, 1, 2, <eos>, filled. Row 1: 3, 3, 6, 12 mod 7 = 5, 17 mod 7 = 3.
    ids = generate(Sums(), prompts([1], [3]), max_new_tokens=4, temperature=0, eos_id=EOS)
    assert ids.tolist() == [[1, 1, 2, 4, 4], [3, 3, 6, 5, 3]]
    ids = generate(Sums(), prompts([1], [3]), max_new_tokens=4, temperature=0, eos_id=EOS, pad_id=0)
    assert ids.tolist() == [[1, 1, 2, 4, 0], [3, 3, 6, 5, 3]]


def test_it_stops_when_all_rows_have_ended():
    model = Sums()
    ids = generate(model, prompts([1], [2]), max_new_tokens=50, temperature=0, eos_id=EOS)
    # 2, 2, <eos> ends earlier than 1, 1, 2, <eos>.
    assert ids.tolist() == [[1, 1, 2, 4], [2, 2, 4, 4]]
    assert len(model.seen) == 3


def test_an_end_in_the_prompt_does_not_end_the_row():
    # 4, 4, 8 mod 7 = 1, 9 mod 7 = 2
    assert generate(Sums(), prompts([4, 4]), max_new_tokens=2, temperature=0, eos_id=EOS).tolist() == [[4, 4, 1, 2]]


def test_a_stream_gives_each_id_before_the_next_is_computed():
    model = Sums()
    written = stream(model, prompts([1], [3]), max_new_tokens=4, temperature=0, eos_id=EOS, pad_id=0)
    assert model.seen == []
    assert next(written).tolist() == [1, 3]
    assert model.seen == [(2, 1)]
    assert [ids.tolist() for ids in written] == [[2, 6], [4, 5], [0, 3]]
    assert len(model.seen) == 4
    assert list(stream(model, prompts([1]), max_new_tokens=0)) == []


def test_a_stream_keeps_no_gradient_and_leaves_them_on_for_who_reads_it():
    class Asked(Sums):
        def forward(self, token_ids, **options):
            assert not torch.is_grad_enabled()
            return super().forward(token_ids, **options)

    for _ in stream(Asked(), prompts([1]), max_new_tokens=2):
        assert torch.is_grad_enabled()


def test_no_tokens_asked_none_given():
    assert generate(Sums(), prompts([1, 2]), max_new_tokens=0).tolist() == [[1, 2]]


def test_the_cache_sees_each_token_once_and_changes_nothing():
    cached, uncached = Sums(), Sums()
    prompt = prompts([1, 5], [3, 6], [2, 2])
    a = generate(cached, prompt, max_new_tokens=5, temperature=0)
    b = generate(uncached, prompt, max_new_tokens=5, temperature=0, use_cache=False)
    assert torch.equal(a, b)
    assert cached.seen == [(3, 2), (3, 1), (3, 1), (3, 1), (3, 1)]
    assert uncached.seen == [(3, 2), (3, 3), (3, 4), (3, 5), (3, 6)]


@pytest.mark.parametrize("use_cache", [True, False])
def test_left_padding_changes_nothing(use_cache):
    padded = prompts([6, 6, 1], [3, 1, 2])
    mask = torch.tensor([[False, False, True], [True, True, True]])
    ids = generate(Sums(), padded, token_mask=mask, max_new_tokens=3, temperature=0, use_cache=use_cache)
    assert ids[0, 2:].tolist() == generate(Sums(), prompts([1]), max_new_tokens=3, temperature=0)[0].tolist()
    assert ids[1].tolist() == generate(Sums(), padded[1:], max_new_tokens=3, temperature=0)[0].tolist()
    assert not torch.equal(ids[0], generate(Sums(), padded, max_new_tokens=3, temperature=0)[0])


@pytest.mark.parametrize("temperature", [0.5, 1, 2.0])
def test_draws_have_the_softmaxs_frequencies(temperature):
    logits = [0.0, 1.0, 2.0, -1.0]
    ids = generate(
        Fixed(logits),
        torch.zeros(20_000, 1, dtype=torch.long),
        max_new_tokens=1,
        temperature=temperature,
        generator=seeding.generator(0),
    )
    found = ids[:, 1].bincount(minlength=4) / 20_000
    expected = torch.tensor([logit / temperature for logit in logits]).softmax(dim=0)
    torch.testing.assert_close(found, expected, atol=0.012, rtol=0)


def test_draws_come_from_the_given_generator_alone():
    def draw(seed):
        return generate(
            Fixed([0.0] * 50), prompts([0]), max_new_tokens=8, temperature=1.0, generator=seeding.generator(seed)
        )

    first = draw(3)
    torch.rand(7)
    assert torch.equal(first, draw(3))
    assert not torch.equal(first, draw(4))


def test_greedy_takes_the_first_of_equals_and_a_low_temperature_tends_to_it():
    logits = torch.tensor([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]])
    assert sample(logits, temperature=0).tolist() == [1, 0]
    cold = sample(logits[1:].expand(100, -1), temperature=0.01, generator=seeding.generator(0))
    assert cold.tolist() == [0] * 100


def test_no_gradient_is_kept():
    class Learned(Fixed):
        def __init__(self):
            self.logits = torch.zeros(3, requires_grad=True)

    ids = generate(Learned(), prompts([0]), max_new_tokens=2, temperature=0)
    assert not ids.requires_grad
    assert torch.is_grad_enabled()


@pytest.mark.messages
def test_mistakes_are_named():
    def refused(message, token_ids=None, **options):
        model = Sums()
        prompt = prompts([1, 2]) if token_ids is None else token_ids
        with pytest.raises(ValueError, match=message):
            generate(model, prompt, **{"max_new_tokens": 2, **options})
        with pytest.raises(ValueError, match=message):
            stream(model, prompt, **{"max_new_tokens": 2, **options})  # nothing is asked of it
        assert model.seen == []

    refused(r"at least one token.*\(2, 0\)", torch.zeros(2, 0, dtype=torch.long))
    refused(r"at least one token.*\(0, 2\)", torch.zeros(0, 2, dtype=torch.long))
    refused("temperature is -0.5; expected 0 <= temperature < inf", temperature=-0.5)
    refused("max_new_tokens is -1; expected at least 0", max_new_tokens=-1)
    refused("padded on the left", token_mask=torch.tensor([[True, False]]))
    refused(
        r"the mask is torch.bool of shape \[1, 3\]; expected torch.bool of shape \[1, 2\]",
        token_mask=torch.ones(1, 3, dtype=torch.bool),
    )
    refused("the mask is torch.float32", token_mask=torch.ones(1, 2))
    for wrong in (math.nan, math.inf):
        refused(f"temperature is {wrong}", temperature=wrong)
    refused(r"max_new_tokens is 1.5; expected at least 0, an integer", max_new_tokens=1.5)
    refused("pad_id 0.*no eos_id", pad_id=0)
