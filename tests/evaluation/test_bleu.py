"""BLEU by hand: Papineni's examples, the brevity penalty, the smoothings; then properties and mistakes."""

import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbook.evaluation import corpus_bleu

# Papineni et al. 2002, section 2.1, examples 1 and 2, without the full stops.
GUIDE = "It is a guide to action which ensures that the military always obeys the commands of the party"
TROOPS = "It is to insure the troops forever hearing the activity guidebook that party direct"
REFERENCES = [
    "It is a guide to action that ensures that the military will forever heed Party commands",
    "It is the guiding principle which guarantees the military forces always being under the command of the Party",
    "It is the practical guide for the army always to heed the directions of the party",
]
THE = "the the the the the the the"
CATS = ["the cat is on the mat", "there is a cat on the mat"]
SENTENCES = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat"]), min_size=1, max_size=9).map(" ".join)


def percent(*shares: float) -> object:
    return pytest.approx([100 * share for share in shares], abs=1e-9)


def test_papineni_s_worked_example():
    guide = corpus_bleu([GUIDE], [REFERENCES], smoothing="none")
    assert guide.precisions == percent(17 / 18, 10 / 17, 7 / 16, 4 / 15)
    assert (guide.hypothesis_length, guide.reference_length, guide.brevity_penalty) == (18, 18, 1.0)
    assert guide.score == pytest.approx(100 * (17 / 18 * 10 / 17 * 7 / 16 * 4 / 15) ** 0.25, abs=1e-9)

    troops = corpus_bleu([TROOPS], [REFERENCES], smoothing="none")
    assert troops.precisions == percent(8 / 14, 1 / 13, 0, 0)
    assert (troops.hypothesis_length, troops.reference_length) == (14, 16)
    assert troops.brevity_penalty == pytest.approx(math.exp(1 - 16 / 14))
    assert troops.score == 0


def test_a_word_counts_only_as_often_as_one_reference_has_it():
    assert corpus_bleu([THE], [CATS], smoothing="none").precisions == percent(2 / 7, 0, 0, 0)
    # Not 2 + 1, the sum over the references.
    assert corpus_bleu([THE], [[*CATS, "the dog"]], smoothing="none").precisions == percent(2 / 7, 0, 0, 0)


def test_counts_are_summed_over_the_corpus_before_they_are_divided():
    bleu = corpus_bleu(["a b c d e", "x"], [["a b c d e"], ["y z"]], smoothing="none")
    assert bleu.precisions == percent(5 / 6, 1, 1, 1)
    assert (bleu.hypothesis_length, bleu.reference_length) == (6, 7)
    assert bleu.score == pytest.approx(100 * math.exp(1 - 7 / 6) * (5 / 6) ** 0.25, abs=1e-9)


@pytest.mark.parametrize(
    ("lengths", "closest"), [([2, 9], 2), ([4, 6], 4), ([6, 4], 4), ([5, 4], 5), ([1, 8, 7], 7), ([0], 0)]
)
def test_the_closest_reference_length_and_of_two_equally_close_the_shorter(lengths: list[int], closest: int):
    bleu = corpus_bleu(["a " * 5], [["a " * length for length in lengths]])
    assert bleu.reference_length == closest
    assert bleu.brevity_penalty == (1 if closest <= 5 else math.exp(1 - closest / 5))


# "a b x y" against "a b p q": 2 of 4 words, 1 of 3 pairs, 0 of 2 triples, 0 of 1.
@pytest.mark.parametrize(
    ("smoothing", "value", "expected"),
    [
        ("none", None, (2 / 4, 1 / 3, 0, 0)),
        ("exp", None, (2 / 4, 1 / 3, 1 / 2 / 2, 1 / 4 / 1)),
        ("floor", None, (2 / 4, 1 / 3, 0.1 / 2, 0.1 / 1)),
        ("floor", 0.5, (2 / 4, 1 / 3, 0.5 / 2, 0.5 / 1)),
        ("floor", 0, (2 / 4, 1 / 3, 0, 0)),
        ("add-k", None, (2 / 4, 2 / 4, 1 / 3, 1 / 2)),
        ("add-k", 0.5, (2 / 4, 1.5 / 3.5, 0.5 / 2.5, 0.5 / 1.5)),
        ("add-k", 0, (2 / 4, 1 / 3, 0, 0)),
        ("exp", 7.0, (2 / 4, 1 / 3, 1 / 2 / 2, 1 / 4 / 1)),  # "exp" and "none" have no value
    ],
)
def test_the_smoothings(smoothing: str, value: float | None, expected: tuple[float, ...]):
    bleu = corpus_bleu(["a b x y"], [["a b p q"]], smoothing=smoothing, smoothing_value=value)
    assert bleu.precisions == percent(*expected)
    assert bleu.score == pytest.approx(100 * math.prod(expected) ** 0.25, abs=1e-9)


@pytest.mark.parametrize("smoothing", ["none", "exp", "floor", "add-k"])
@pytest.mark.parametrize(
    ("hypothesis", "reference", "penalty"), [("a b c d", "e f g h", 1.0), ("", "a", 0.0), ("a", "", 1.0), ("", "", 1.0)]
)
def test_no_match_at_all_is_0_whatever_the_smoothing(smoothing: str, hypothesis: str, reference: str, penalty: float):
    bleu = corpus_bleu([hypothesis], [[reference]], smoothing=smoothing)
    assert (bleu.score, bleu.precisions, bleu.brevity_penalty) == (0.0, (0.0, 0.0, 0.0, 0.0), penalty)


def test_a_corpus_without_a_4_gram_scores_0_but_with_add_k():
    short = {"hypotheses": ["the cat"], "references": [["the cat"]]}
    assert corpus_bleu(**short).precisions == percent(1, 1, 0, 0)
    assert corpus_bleu(**short).score == 0
    assert corpus_bleu(**short, smoothing="add-k").score == pytest.approx(100)


def test_the_tokenizer_decides():
    scores = {
        kind: corpus_bleu(["我爱自然语言。"], [["我爱自然语言！"]], tokenize=kind)
        for kind in ("13a", "zh", "char", "none")
    }
    assert [scores[kind].hypothesis_length for kind in scores] == [1, 7, 7, 1]
    assert scores["zh"].precisions == percent(6 / 7, 5 / 6, 4 / 5, 3 / 4)
    assert scores["zh"] == scores["char"]
    assert scores["13a"].score == scores["none"].score == 0
    assert corpus_bleu(["Hi, you two."], [["Hi , you two ."]]).score == 100
    assert corpus_bleu(["Hi, you two."], [["Hi , you two ."]], tokenize="none").score < 100


@given(st.lists(SENTENCES, min_size=1, max_size=4), st.data())
def test_the_score_lies_in_0_to_100_and_a_further_reference_loses_no_match(hypotheses: list[str], data: st.DataObject):
    size = {"min_size": len(hypotheses), "max_size": len(hypotheses)}
    first, second = (data.draw(st.lists(SENTENCES, **size)) for _ in range(2))
    one = corpus_bleu(hypotheses, [[text] for text in first], smoothing="none")
    two = corpus_bleu(hypotheses, [list(texts) for texts in zip(first, second, strict=True)], smoothing="none")
    assert 0 <= one.score <= 100
    assert all(more >= less for less, more in zip(one.precisions, two.precisions, strict=True))
    assert corpus_bleu(hypotheses[::-1], [[text] for text in first[::-1]], smoothing="none") == one


@given(st.lists(SENTENCES, min_size=1))
def test_a_hypothesis_that_is_its_reference_has_100(sentences: list[str]):
    perfect = corpus_bleu(sentences, [[sentence] for sentence in sentences])
    assert perfect.score == (100 if max(len(sentence.split()) for sentence in sentences) >= 4 else 0)


def test_the_result_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        corpus_bleu(["a"], [["a"]]).score = 1.0


@pytest.mark.messages
@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "0 hypotheses and 0 lists of references; .* at least one"),
        (["a", "b"], [["a"]], "2 hypotheses and 1 lists of references"),
        (["a"], [["a"], ["b"]], "1 hypotheses and 2 lists of references"),
        (["a", "b"], [["a"], []], r"references\[1\] must be a list of at least one string; got \[\]"),
        (["a", "b"], [["a"], "b"], r"references\[1\] is a str; expected a list"),
        (["a", "b"], [["a"], ["b", None]], r"references\[1\] .* got \['b', None\]"),
        (["a"], "a", "references is a str; expected a list"),
        ("a", [["a"]], "hypotheses is a str; expected a list"),
        (["a", ["b"]], [["a"], ["b"]], r"hypotheses\[1\] must be a string; got \['b'\]"),
    ],
)
def test_a_corpus_that_is_none_is_refused(hypotheses, references, message):
    with pytest.raises(ValueError, match=message):
        corpus_bleu(hypotheses, references)


@pytest.mark.messages
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tokenize": "intl"}, "tokenize is 'intl'; expected one of 13a, zh, char, none"),
        ({"smoothing": "add-1"}, "smoothing is 'add-1'; expected one of none, exp, floor, add-k"),
        ({"smoothing": "floor", "smoothing_value": -0.1}, "smoothing_value must be finite and not negative; got -0.1"),
        ({"smoothing": "add-k", "smoothing_value": math.nan}, "got nan"),
        ({"smoothing": "add-k", "smoothing_value": math.inf}, "got inf"),
    ],
)
def test_unknown_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        corpus_bleu(["a"], [["a"]], **settings)
