"""BLEU, its tokenizers and chrF against sacrebleu, on whatever Hypothesis thinks of."""

import sys
from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics import BLEU, CHRF
from sacrebleu.metrics.bleu import _get_tokenizer
from sacrebleu.significance import _bootstrap_resample

from llmbook.evaluation import (
    bleu_metric,
    bleu_statistics,
    bootstrap_difference,
    bootstrap_score,
    corpus_bleu,
    corpus_chrf,
)
from llmbook.evaluation.bleu_tokenizers import TOKENIZERS

# Pieces on which the rules turn; any other character comes from st.text.
CHARACTERS = "ab15-.,'\"&;:/()[]{}~`^_@$% \n\t\0\x1c\x85\u3000我爱，。“”—…𠀀丽é㈠Ａｱが한☃\u2000\u2001\u2a6d\u2a6e\ud800"
STRINGS = [
    "3.5",
    "1,000",
    "--",
    "&quot;",
    "&amp;",
    "&lt;",
    "&gt;",
    "&amp;lt;",
    "<skipped>",
    "-\n",
    "e\u0301",
    "👩‍👩‍👧",
    "🇨🇳",
]
PIECES = [*CHARACTERS, *STRINGS]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=8)
# Few words, so that n-grams match, repeat and tie.
SENTENCES = st.lists(st.sampled_from(["a", "b", "c", "a,", "(b)", "我", "1.5"]), max_size=9).map(" ".join)
CORPORA = st.lists(
    st.one_of(st.tuples(text, st.lists(text, min_size=1, max_size=4)) for text in (TEXTS, SENTENCES)),
    min_size=1,
    max_size=4,
)


def transposed(references: list[list[str]]) -> list[list[str | None]]:
    """sacrebleu's form: one list a translator, None where a sentence has fewer."""
    return [list(stream) for stream in zip_longest(*references)]


@pytest.mark.parametrize("kind", TOKENIZERS)
@settings(max_examples=400, deadline=None)
@given(text=TEXTS)
def test_tokenizers(kind: str, text: str):
    assert TOKENIZERS[kind](text) == _get_tokenizer(kind)()(text.rstrip()).split()


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_tokenizers_on_characters_of_every_kind(kind: str):
    """Every one of the first plane, every 97th of the others, between letters, digits, commas, and at both ends of the line."""
    characters = list(map(chr, [*range(0x10000), *range(0x10000, sys.maxunicode + 1, 97)]))
    theirs = _get_tokenizer(kind)()
    for left, right in ("aa", "a5", "5a", "55", ",,"):
        text = " ".join(left + character + right for character in characters)
        assert TOKENIZERS[kind](text) == theirs(text).split()
    assert all(TOKENIZERS[kind](character) == theirs(character.rstrip()).split() for character in characters)


@settings(max_examples=500, deadline=None)
@given(
    corpus=CORPORA,
    tokenize=st.sampled_from(["13a", "zh", "char", "none"]),
    smoothing=st.sampled_from(["exp", "none", "floor", "add-k"]),
    value=st.none() | st.sampled_from([0, 0.01, 0.1, 0.5, 1, 2, 10.0]),
)
def test_bleu(corpus: list[tuple[str, list[str]]], tokenize: str, smoothing: str, value: float | None):
    hypotheses, references = map(list, zip(*corpus, strict=True))
    ours = corpus_bleu(hypotheses, references, tokenize=tokenize, smoothing=smoothing, smoothing_value=value)
    reference = BLEU(tokenize=tokenize, smooth_method=smoothing, smooth_value=value, force=True)
    theirs = reference.corpus_score(hypotheses, transposed(references))
    assert ours.score == pytest.approx(theirs.score, abs=1e-9)
    assert ours.precisions == pytest.approx(theirs.precisions, abs=1e-9)
    assert ours.brevity_penalty == pytest.approx(theirs.bp, abs=1e-9)
    assert (ours.hypothesis_length, ours.reference_length) == (theirs.sys_len, theirs.ref_len)


@settings(max_examples=500, deadline=None)
@given(
    corpus=CORPORA,
    char_order=st.integers(0, 7),
    word_order=st.integers(0, 3),
    beta=st.sampled_from([0, 0.5, 1, 2, 3]),
)
def test_chrf(corpus: list[tuple[str, list[str]]], char_order: int, word_order: int, beta: float):
    word_order = word_order or int(char_order == 0)
    hypotheses, references = map(list, zip(*corpus, strict=True))
    ours = corpus_chrf(hypotheses, references, char_order=char_order, word_order=word_order, beta=beta)
    theirs = CHRF(char_order=char_order, word_order=word_order, beta=beta)
    assert ours == pytest.approx(theirs.corpus_score(hypotheses, transposed(references)).score, abs=1e-9)


HYPOTHESES = ["the cat sat on the mat", "a dog ran in the park"]
REFERENCES = [["the cat sat on a mat", "a cat sat on the mat"], ["the dog ran in the park", "a dog was in a park"]]


def test_the_defaults():
    assert corpus_bleu(HYPOTHESES, REFERENCES).score == pytest.approx(
        BLEU().corpus_score(HYPOTHESES, transposed(REFERENCES)).score, abs=1e-9
    )
    for ours, theirs in (({}, CHRF()), ({"word_order": 2}, CHRF(word_order=2))):
        score = theirs.corpus_score(HYPOTHESES, transposed(REFERENCES)).score
        assert corpus_chrf(HYPOTHESES, REFERENCES, **ours) == pytest.approx(score, abs=1e-9)


def test_references_are_one_list_a_hypothesis_against_sacrebleu_s_transposed_one():
    """With as many references as hypotheses the wrong form is not refused, it only scores wrong."""
    score = corpus_bleu(HYPOTHESES, REFERENCES).score
    assert BLEU().corpus_score(HYPOTHESES, transposed(REFERENCES)).score == pytest.approx(score, abs=1e-9)
    assert BLEU().corpus_score(HYPOTHESES, REFERENCES).score < score - 10
    assert corpus_bleu(HYPOTHESES, transposed(REFERENCES)).score < score - 10
    assert corpus_chrf(HYPOTHESES, transposed(REFERENCES)) < corpus_chrf(HYPOTHESES, REFERENCES) - 10


def sentences(seed: int, wrong: float) -> tuple[list[str], list[list[str]]]:
    """60 references, and hypotheses in which a share of the words is another."""
    words, rng = list("abcdefghijkl"), np.random.default_rng(seed)
    references = [rng.choice(words, size=rng.integers(4, 15)).tolist() for _ in range(60)]
    hypotheses = [[word if rng.random() > wrong else str(rng.choice(words)) for word in text] for text in references]
    return list(map(" ".join, hypotheses)), [[" ".join(text)] for text in references]


def test_the_bootstrap_s_intervals():
    """Other draws, so other ends: the 2.5th percentile of 4,000 normal draws is off by σ √(0.025 · 0.975 / 4000) / φ(1.96) = 0.042 σ, that
    of two independent sets by 0.06 σ; four times that is allowed.
    """
    num_samples, metric = 4000, BLEU()
    systems, theirs = [], []
    for wrong in (0.1, 0.3):
        hypotheses, references = sentences(0, wrong)
        statistics = metric._extract_corpus_statistics(hypotheses, transposed(references))
        assert bleu_statistics(hypotheses, references).tolist() == [
            [system, reference, *counts] for system, reference, *counts in statistics
        ]
        scores = _bootstrap_resample(statistics, metric, num_samples)[1]
        systems.append(hypotheses)
        theirs.append(np.array([score.score for score in scores]))
    options = {"metric": bleu_metric(), "num_samples": num_samples, "seed": 0}
    ours = [bootstrap_score(hypotheses, references, **options) for hypotheses in systems]
    # sacrebleu's generator starts alike for each system: its samples are paired too.
    for found, samples in [
        *zip(ours, theirs, strict=True),
        (bootstrap_difference(*systems, references, **options), theirs[0] - theirs[1]),
    ]:
        expected = np.percentile(samples, [2.5, 97.5])
        assert [found.low, found.high] == pytest.approx(expected.tolist(), abs=0.24 * samples.std())


@pytest.mark.messages
def test_three_references_in_sacrebleu_s_form_for_two_hypotheses_are_refused():
    three = [[*texts, "x"] for texts in REFERENCES]
    with pytest.raises(ValueError, match="2 hypotheses and 3 lists of references"):
        corpus_bleu(HYPOTHESES, transposed(three))
