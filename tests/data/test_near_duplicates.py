"""Resemblance by hand, as a property, and the candidates' index against all comparisons."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbook.data.near_duplicates import character_pairs, near_duplicates, similarity

TEXTS = st.text(alphabet="我你他好是", min_size=1, max_size=6)


def test_a_worked_example():
    # {书在, 在桌, 桌子, 子下} and {书在, 在桌, 桌子, 子上} share 3 of 5.
    assert similarity("书在桌子下", "书在桌子上") == 3 / 5
    assert similarity("好", "好") == 1
    assert similarity("你", "好") == 0
    assert character_pairs("aaaa") == {"aa"}


@given(TEXTS, TEXTS)
def test_similarity_is_symmetric_and_between_0_and_1(a, b):
    assert similarity(a, b) == similarity(b, a)
    assert 0 <= similarity(a, b) <= 1
    assert similarity(a, a) == 1


@given(st.lists(TEXTS), st.lists(TEXTS), st.sampled_from([0.1, 1 / 3, 0.5, 0.55, 0.7, 1]))
def test_the_index_finds_what_comparing_all_finds(texts, others, threshold):
    expected = {a for a in texts if any(similarity(a, b) >= threshold for b in others)}
    assert near_duplicates(texts, others, threshold=threshold) == expected


@pytest.mark.messages
@pytest.mark.parametrize("threshold", [0, 1.5])
def test_a_threshold_that_means_nothing_is_refused(threshold):
    with pytest.raises(ValueError, match=str(threshold)):
        near_duplicates(["a"], ["a"], threshold=threshold)


def test_texts_may_be_words():
    a, b = ("call", "me", "ishmael", "some"), ("call", "me", "ishmael", "now")
    assert character_pairs(a) == {("call", "me"), ("me", "ishmael"), ("ishmael", "some")}
    assert similarity(a, b) == 0.5
    assert near_duplicates([a], [b]) == {a}
    assert near_duplicates([a], [("call", "me", "later")]) == set()
    assert similarity(("one",), ("one",)) == 1
