"""Accuracy of 汉字 → 拼音, counted by hand."""

import math

import pytest

from llmbook.data import PinyinPair
from llmbook.evaluation import pinyin_accuracy

BOOK = PinyinPair(tuple("他还没还书。"), ("tā", "hái", "méi", "huán", "shū"))
PLAY = PinyinPair(tuple("去玩儿吧"), ("qù", "wánr", "ba"))


def test_a_hand_counted_example():
    predictions = [["tā", "hái", "méi", "hái", "shū"], ["qù", "wánr", "ba"]]
    accuracy = pinyin_accuracy(predictions, [BOOK, PLAY], polyphones={"还", "吧"})
    assert (accuracy.num_syllables, accuracy.num_polyphones, accuracy.num_sentences) == (8, 3, 2)
    assert accuracy.syllables == pytest.approx(100 * 7 / 8)
    assert accuracy.polyphones == pytest.approx(100 * 2 / 3)
    assert accuracy.sentences == 50.0


@pytest.mark.parametrize(("prediction", "right"), [([], 0), (["tā"], 1), (["hái", "méi", "huán", "shū"], 0)])
def test_a_prediction_that_is_short_or_slipped(prediction: list[str], right: int):
    accuracy = pinyin_accuracy([prediction], [BOOK], polyphones=set())
    assert accuracy.syllables == pytest.approx(100 * right / 5)
    assert accuracy.sentences == 0.0
    assert math.isnan(accuracy.polyphones)


def test_a_prediction_that_goes_on_too_long_is_no_right_sentence():
    accuracy = pinyin_accuracy([[*BOOK.syllables, "le"]], [BOOK], polyphones=set())
    assert accuracy.syllables == 100.0
    assert accuracy.sentences == 0.0


@pytest.mark.messages
def test_lengths_that_differ_and_nothing_to_compare_are_refused():
    with pytest.raises(ValueError, match="0 predictions for 1 sentences"):
        pinyin_accuracy([], [BOOK], polyphones=set())
    with pytest.raises(ValueError, match="no syllable to compare"):
        pinyin_accuracy([], [], polyphones=set())
