"""The definition by hand. That `ByteBPE` gives the same is in test_fast_bpe.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.tokenizers import encode_bpe, train_bpe
from llmbook.tokenizers.plain_bpe import merge_pair

WORDS = ["low"] * 5 + ["lower"] * 2 + ["widest"] * 3 + ["newest"] * 6


def test_the_example_of_sennrich_et_al():
    # es 9, st 9 → st; est 9; lo 7, ow 7 → ow; low 7
    merges = train_bpe(WORDS, 4)
    assert merges == [(b"s", b"t"), (b"e", b"st"), (b"o", b"w"), (b"l", b"ow")]
    assert encode_bpe("lowest", merges) == [b"low", b"est"]
    assert encode_bpe("new low", merges) == [b"n", b"e", b"w", b" ", b"low"]


def test_it_ends_where_no_pair_is_left():
    assert train_bpe(["ab"], 5) == [(b"a", b"b")]
    assert train_bpe([], 5) == train_bpe(["a", ""], 5) == train_bpe(["ab"], 0) == []
    assert encode_bpe("", [(b"a", b"b")]) == []


def test_repeats_are_merged_from_the_left():
    assert merge_pair([b"a"] * 5, (b"a", b"a")) == [b"aa", b"aa", b"a"]
    assert merge_pair([b"a", b"b", b"a", b"b"], (b"b", b"a")) == [b"a", b"ba", b"b"]
    assert merge_pair([], (b"a", b"b")) == []


def test_a_tie_goes_to_the_greatest_pair():
    assert train_bpe(["ab", "ac"], 1) == [(b"a", b"c")]


@given(st.lists(st.text(max_size=20), max_size=5), st.text(max_size=30))
@settings(derandomize=True, deadline=None)
def test_the_tokens_are_the_text(texts, text):
    assert b"".join(encode_bpe(text, train_bpe(texts, 20))) == text.encode()


@pytest.mark.messages
def test_mistakes_are_named():
    for texts, num_merges, message in (
        ("ab", 1, "texts is a str; expected a list"),
        (b"ab", 1, "texts is a bytes; expected a list"),
        (["ab", None], 1, "expected a text, which is a str; got NoneType None"),
        (["a\ud800"], 1, "a lone surrogate, .* at place 1"),
        (["ab"], -1, "num_merges is -1; expected at least 0"),
        (["ab"], 1.0, "num_merges is 1.0; expected at least 0, an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            train_bpe(texts, num_merges)
    for text, message in ((b"ab", "got bytes b'ab'"), (None, "got NoneType"), ("\ud800", "at place 0")):
        with pytest.raises(ValueError, match=message):
            encode_bpe(text, [])
