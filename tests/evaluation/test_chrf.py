"""chrF and chrF++ by hand, then properties and mistakes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbook.evaluation import corpus_chrf
from llmbook.evaluation.chrf import f_score, split_words

TEXTS = st.text("abc .我", max_size=8)


def f(precision: float, recall: float, beta: float = 2) -> object:
    return pytest.approx(100 * (1 + beta**2) * precision * recall / (beta**2 * precision + recall), abs=1e-9)


def test_a_worked_example():
    # Characters of "abcd" in "abce f": 3 of 4 and of 5 alike; pairs ab, bc: 2 of 3 and of 4.
    precision, recall = (3 / 4 + 2 / 3) / 2, (3 / 5 + 2 / 4) / 2
    assert corpus_chrf(["ab cd"], [["abce f"]], char_order=2) == f(precision, recall)
    # Triples abc: 1 of 2 and of 3; abcd, and of five characters the hypothesis has none.
    precision, recall = (3 / 4 + 2 / 3 + 1 / 2 + 0 / 1) / 4, (3 / 5 + 2 / 4 + 1 / 3 + 0 / 2) / 4
    assert corpus_chrf(["ab cd"], [["abce f"]]) == f(precision, recall)


def test_chrf_plus_plus_adds_words():
    # Words the cat . of the cats . : 2 of 3 and of 3, pairs 0 of 2; characters 7 of 7 and of 8.
    precision, recall = (7 / 7 + 2 / 3 + 0 / 2) / 3, (7 / 8 + 2 / 3 + 0 / 2) / 3
    assert corpus_chrf(["the cat."], [["the cats."]], char_order=1, word_order=2) == f(precision, recall)
    assert corpus_chrf(["the cat."], [["the cats."]], char_order=0, word_order=1) == f(2 / 3, 2 / 3)


@pytest.mark.parametrize("beta", [0, 0.5, 1, 2, 3])
def test_beta_weighs_recall(beta: float):
    assert corpus_chrf(["ab"], [["abcd"]], char_order=1, beta=beta) == f(1, 1 / 2, beta)


def test_the_reference_with_the_highest_score_counts_for_its_sentence():
    assert corpus_chrf(["ab"], [["cd", "ab", "abcd"]]) == 100
    # Summed: 2 + 1 of 2 + 2 and of 2 + 4; with the first reference of each it would be 1 + 1 of 4 and of 6.
    both = corpus_chrf(["ab", "cx"], [["ay", "ab"], ["cdef"]], char_order=1)
    assert both == f(3 / 4, 3 / 6)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(hi) hi, (hi 'tis", ["(hi", ")", "hi", ",", "(", "hi", "'", "tis"]),
        (". ... a", [".", "..", ".", "a"]),
        ("你好。 “a”", ["你好。", "“a”"]),
        ("", []),
    ],
)
def test_one_punctuation_mark_is_cut_off_a_word(text: str, words: list[str]):
    assert split_words(text) == words


@pytest.mark.parametrize(("hypothesis", "reference"), [("", "a"), ("a", ""), ("", ""), ("abc", "xyz"), (" ", "\n")])
def test_no_match_is_0(hypothesis: str, reference: str):
    assert corpus_chrf([hypothesis], [[reference]]) == 0.0


def test_an_empty_hypothesis_costs_recall_and_an_empty_reference_costs_nothing():
    assert corpus_chrf(["ab", ""], [["ab"], ["cd"]], char_order=1) == f(1, 2 / 4)
    assert corpus_chrf(["ab", "cd"], [["ab"], [""]], char_order=1) == 100


def test_an_order_that_one_side_is_too_short_for_is_left_out_of_the_means():
    assert (
        f_score([(2, 4, 1), (2, 0, 0), (0, 2, 0)], 1) == f_score([(2, 4, 1)], 1) == pytest.approx(2 / 2 / 4 / (3 / 4))
    )


@given(TEXTS, TEXTS, st.sampled_from([0, 2]))
def test_the_score_lies_in_0_to_100_and_beta_1_is_symmetric(a: str, b: str, word_order: int):
    score = corpus_chrf([a], [[b]], word_order=word_order, beta=1)
    assert 0 <= score <= 100 + 1e-9
    assert corpus_chrf([b], [[a]], word_order=word_order, beta=1) == pytest.approx(score)
    assert corpus_chrf([a], [[a]], word_order=word_order) == (pytest.approx(100) if a.strip() else 0)


@pytest.mark.messages
@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "0 hypotheses"),
        (["a", "b"], [["a"]], "2 hypotheses and 1 lists"),
        (["a"], [[]], r"references\[0\] must be a list of at least one string"),
        (["a"], ["a"], r"references\[0\] is a str; expected a list"),
        ("a", ["a"], "hypotheses is a str; expected a list"),
    ],
)
def test_a_corpus_that_is_none_is_refused(hypotheses, references, message):
    with pytest.raises(ValueError, match=message):
        corpus_chrf(hypotheses, references)


@pytest.mark.messages
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"char_order": -1}, "char_order is -1, word_order 0"),
        ({"word_order": -2}, "char_order is 6, word_order -2"),
        ({"char_order": 0}, "char_order is 0, word_order 0"),
        ({"beta": -1}, "beta must be finite and not negative; got -1"),
        ({"beta": math.nan}, "got nan"),
    ],
)
def test_unusable_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        corpus_chrf(["a"], [["a"]], **settings)
