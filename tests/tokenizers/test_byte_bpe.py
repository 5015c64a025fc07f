"""Merges by count, ties by bytes; every text comes back; special tokens only where asked for."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.tokenizers import ByteBPE
from llmbook.tokenizers.byte_bpe import CACHE_SIZE, LONGEST_KEPT

SENNRICH = ["low"] * 5 + ["lower"] * 2 + ["widest"] * 3 + ["newest"] * 6
CORPUS = ["你好，世界！你好吗？", "Hello, hello world: it's the world's 2nd.", "naïve café, 123 123 1234\n\n  naïve"]


def pairs(*merges):
    return tuple(tuple(token.encode() for token in merge.split()) for merge in merges)


def test_the_example_of_sennrich_et_al():
    # es 9, st 9 -> st; est 9; lo 7, ow 7 -> ow; low 7; ne 6, ew 6, w·est 6 -> west; ne 6; newest 6; wi 3, id 3, d·est 3 -> wi; …
    expected = pairs(
        *("s t", "e st", "o w", "l ow", "w est", "n e", "ne west", "w i", "wi d", "wid est", "low e", "lowe r")
    )
    for num_merges in range(13):
        assert ByteBPE.train(SENNRICH, 256 + num_merges).merges == expected[:num_merges]
    tokenizer = ByteBPE.train(SENNRICH, 262)
    assert tokenizer.tokens(tokenizer.encode("lowest")) == [b"low", b"est"]
    assert tokenizer.encode("newest") == [261, 260]  # ne, west
    assert tokenizer.vocab_size == 262


def test_ties_go_to_the_greatest_pair_of_raw_bytes():
    assert ByteBPE.train(["ab", "ac"], 257).merges == pairs("a c")
    assert ByteBPE.train(["ac", "ab"], 257).merges == pairs("a c")
    # A space is the least of these bytes, though the character written for it in a file, Ġ, is the greatest.
    assert ByteBPE.train([" a", "bb"], 258).merges == ((b"b", b"b"), (b" ", b"a"))
    assert ByteBPE.train(["zz", "é"], 257).merges == ((b"\xc3", b"\xa9"),)
    # After aa: (aa, b) and (a, c) once each; aa is greater than its beginning a.
    assert ByteBPE.train(["aab", "ac", "aa"], 258).merges == pairs("a a", "aa b")


def test_the_smallest_inputs():
    assert (ByteBPE.train([], 256).vocab_size, ByteBPE.train([], 256).merges) == (256, ())
    assert ByteBPE.train(["ab"], 257).merges == pairs("a b")  # a pair seen once
    assert ByteBPE.train(["ab"], 256).encode("ab") == [97, 98]
    assert ByteBPE.train(["a", "b", ""], 1000).vocab_size == 256
    assert ByteBPE.train(["ab"], 1000).vocab_size == 257  # no pair is left
    assert ByteBPE.train(["ab"], 258, special_tokens=["<s>"]).special_ids == {"<s>": 257}
    assert ByteBPE.train(iter(["ab"]), 257).merges == pairs("a b")


def test_merges_cross_neither_texts_nor_pre_tokens():
    tokenizer = ByteBPE.train(["ab", "ab", "x1!", "x1!"], 300)
    assert tokenizer.merges == pairs("a b")
    tokens = [left + right for left, right in ByteBPE.train(CORPUS, 600).merges]
    assert not [token for token in tokens if b" " in token[1:] and not token.isspace()]
    assert ByteBPE.train(["a b"], 300).merges == ((b" ", b"b"),)


def test_repeats_are_merged_from_the_left():
    tokenizer = ByteBPE.train(["aaa"], 258)
    assert tokenizer.merges == pairs("a a", "aa a")
    assert tokenizer.encode("aaaaa") == [256, 257]
    assert [ByteBPE.train(["aaa"], 257).encode("a" * n) for n in (1, 2, 3)] == [[97], [256], [256, 97]]


@given(st.text())
@settings(derandomize=True, deadline=None)
def test_every_text_comes_back(text):
    for tokenizer in (ByteBPE.train([], 256), ByteBPE.train(CORPUS, 330)):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert all(0 <= id_ < tokenizer.vocab_size for id_ in ids)
    assert ByteBPE.train([], 256).encode(text) == list(text.encode())


@pytest.mark.parametrize("text", ["", "\0", "a\0\0b", "\ufeffa", "👩‍👩‍👧", "é", "\r\n\t \u3000", "\U0010ffff"])
def test_unusual_texts_come_back(text):
    tokenizer = ByteBPE.train([*CORPUS, text], 400)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_bytes_that_are_no_text_decode_to_the_replacement_character():
    tokenizer = ByteBPE.train(["中"], 258)
    assert tokenizer.decode([]) == ""
    assert tokenizer.decode([0xFF, 97, 0xE4, 0xB8]) == "\ufffda\ufffd" == b"\xffa\xe4\xb8".decode(errors="replace")
    assert tokenizer.decode([0xE4, 0xB8, 0xAD]) == "中"
    assert tokenizer.tokens(tokenizer.encode("中")) == ["中".encode()]


@given(st.lists(st.integers(0, 255)))
def test_any_bytes_decode_as_in_python(values):
    assert ByteBPE.train([], 256).decode(values) == bytes(values).decode(errors="replace")


def test_long_words():
    rng = Random(0)
    for word in ("a" * 10_240, "中" * 3_400, "".join(rng.choices("abcdefgh", k=10_240))):
        tokenizer = ByteBPE.train([word[:3000], "abcdefgh"], 400)
        ids = tokenizer.encode(word)
        assert tokenizer.decode(ids) == word
        assert len(ids) < len(word.encode()) / 2
    assert len(ByteBPE.train(["a" * 10_240], 269).encode("a" * 10_240)) == 2  # 8192 + 2048


def test_special_tokens_are_split_off_only_when_asked():
    tokenizer = ByteBPE.train(["<|end|>ab"], 262, special_tokens=("<|end|>", "<|end|><|end|>", "(a|b)*"))
    assert tokenizer.vocab_size == 262
    assert tokenizer.special_ids == {"<|end|>": 259, "<|end|><|end|>": 260, "(a|b)*": 261}
    plain = tokenizer.encode("x<|end|>y")
    assert max(plain) < 259
    assert tokenizer.decode(plain) == "x<|end|>y"
    assert tokenizer.encode("x<|end|>y", allow_special=True) == [120, 259, 121]
    assert tokenizer.encode("<|end|><|end|><|end|>(a|b)*", allow_special=True) == [260, 259, 261]  # the longest first
    assert tokenizer.decode([0xE4, 259, 261]) == "\ufffd<|end|>(a|b)*"
    assert tokenizer.encode("ab", allow_special=True) == tokenizer.encode("ab")
    # Without special tokens there is nothing to split off.
    assert ByteBPE.train([], 256).encode("a", allow_special=True) == [97]


def test_special_tokens_learn_nothing_and_take_no_merge():
    assert ByteBPE.train(SENNRICH, 260, special_tokens=["<s>", "</s>"]).merges == ByteBPE.train(SENNRICH, 258).merges


def test_training_twice_gives_the_same():
    first, second = (ByteBPE.train(texts, 500) for texts in (CORPUS, list(reversed(CORPUS))))
    assert first.merges == second.merges
    assert first.encode(CORPUS[1]) == first.encode(CORPUS[1]) == second.encode(CORPUS[1])


def test_what_encode_gave_may_be_changed_by_the_caller():
    tokenizer = ByteBPE.train(["ab"], 257)
    tokenizer.encode("ab").append(0)
    assert tokenizer.encode("ab") == [256]


def test_a_full_cache_is_emptied(monkeypatch):
    monkeypatch.setattr("llmbook.tokenizers.byte_bpe.CACHE_SIZE", 2)
    tokenizer = ByteBPE.train(CORPUS, 300)
    assert tokenizer.decode(tokenizer.encode(CORPUS[1])) == CORPUS[1]
    assert len(tokenizer._cache) <= 2


def test_a_long_word_is_not_kept_and_the_rest_is_bounded():
    rng = Random(0)
    tokenizer = ByteBPE.train(CORPUS, 300)
    longest = "a" * LONGEST_KEPT
    for word in (longest + "a", "".join(rng.choices("abc", k=100_000)), "中" * 10_000):
        assert tokenizer.decode(tokenizer.encode(word)) == word
        assert not tokenizer._cache
    tokenizer.encode(longest)
    assert list(tokenizer._cache) == [longest]
    for _ in range(2):
        for number in range(CACHE_SIZE):
            tokenizer._encode_piece(f"{number}")
        assert len(tokenizer._cache) <= CACHE_SIZE
    assert max(map(len, tokenizer._cache)) <= LONGEST_KEPT


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"at least 256 bytes \+ 0 special tokens; got 255"):
        ByteBPE.train(["ab"], 255)
    with pytest.raises(ValueError, match=r"at least 256 bytes \+ 2 special tokens; got 257"):
        ByteBPE.train(["ab"], 257, special_tokens=["<a>", "<b>"])
    with pytest.raises(ValueError, match="must differ"):
        ByteBPE.train(["ab"], 300, special_tokens=["<a>", "<a>"])
    with pytest.raises(ValueError, match="not be empty"):
        ByteBPE.train(["ab"], 300, special_tokens=[""])
    for texts, special_tokens in (("ab", ()), (["ab"], "<s>")):
        with pytest.raises(ValueError, match="is a str; expected a list"):
            ByteBPE.train(texts, 300, special_tokens=special_tokens)
    with pytest.raises(ValueError, match="'ab' is empty or written like token 256"):
        ByteBPE.train(["ab"], 300, special_tokens=["ab"])
    tokenizer = ByteBPE.train(["ab"], 257)
    for bad in (257, -1):
        with pytest.raises(ValueError, match=f"0 … 256; got .{bad}"):
            tokenizer.decode([97, bad])
    with pytest.raises(ValueError, match="a lone surrogate"):
        tokenizer.encode("a\ud800")
