"""GPT-2's cut into pre-tokens, and the characters that stand for bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbook.tokenizers.byte_level import alphabet, newer_characters, pre_tokens, unwritten, written


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("Hello world", ["Hello", " world"]),
        (
            "I'm, we'll; it's he'd've 'S",
            ["I", "'m", ",", " we", "'ll", ";", " it", "'s", " he", "'d", "'ve", " '", "S"],
        ),
        ("'sé'ér'réa", ["'s", "é", "'", "ér", "'", "réa"]),
        ("a  b   ", ["a", " ", " b", "   "]),
        ("a \n b\n", ["a", " \n", " b", "\n"]),
        ("abc123 45!?", ["abc", "123", " 45", "!?"]),
        ("你好，世界。x=2", ["你好", "，", "世界", "。", "x", "=", "2"]),
        ("x²Ⅷ½٣一", ["x", "²Ⅷ½٣", "一"]),  # \p{N} is wider than \d; the Chinese one is a letter
        ("e\u0301a", ["e", "\u0301", "a"]),  # a combining mark is neither a letter nor white space
        ("👩‍👩‍👧 👍🏽", ["👩‍👩‍👧", " 👍🏽"]),
        ("a\u00a0b\u3000c\x85d", ["a", "\u00a0", "b", "\u3000", "c", "\x85", "d"]),  # not the space before a word
        ("a\x1cb\u200bc\0", ["a", "\x1c", "b", "\u200b", "c", "\0"]),  # Python's \s has U+001C, Unicode has not
        ("a_b", ["a", "_", "b"]),
        ("\U00031350\U0001e4f0", ["\U00031350", "\U0001e4f0"]),  # a letter of Unicode 15, a number of the same
    ],
)
def test_worked_examples(text, pieces):
    assert pre_tokens(text) == pieces


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("in 2024, 3.5", ["in", " ", "2", "0", "2", "4", ",", " ", "3", ".", "5"]),
        ("a  1  b ", ["a", "  ", "1", " ", " b", " "]),
        ("1'st's '2", ["1", "'s", "t", "'s", " '", "2"]),
        ("x²Ⅷ½٣一", ["x", "²", "Ⅷ", "½", "٣", "一"]),
    ],
)
def test_digits_stand_alone_where_asked(text, pieces):
    assert pre_tokens(text, single_digits=True) == pieces


@given(st.text(), st.booleans())
def test_nothing_is_lost(text, single_digits):
    assert "".join(pre_tokens(text, single_digits=single_digits)) == text
    assert "" not in pre_tokens(text, single_digits=single_digits)


def test_the_alphabet_is_gpt2s():
    assert sorted(alphabet()) == list(range(256))
    assert len(set(alphabet().values())) == 256
    assert written(b" \n\0a\xad\xff") == "ĠĊĀaŃÿ"
    assert written("中".encode()) == "ä¸Ń"


@given(st.binary())
def test_what_is_written_is_read(token):
    assert unwritten(written(token)) == token
    assert written(token).isprintable()
    assert not set(written(token)) & set(" \t\n")


def test_newer_letters_and_numbers():
    assert (newer_characters()[0x2EBF0], newer_characters()[0x1E4F9]) == ("A", "0")
    assert (len(newer_characters()), 0x2EE5E in newer_characters()) == (9392, False)


@pytest.mark.messages
def test_a_character_of_no_byte_is_named():
    with pytest.raises(ValueError, match="'a b' holds a character"):
        unwritten("a b")
