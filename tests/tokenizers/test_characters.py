"""Ids by frequency; what is encoded comes back; the special ids come from no text."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbook.tokenizers import Characters

PINYIN = [["nǐ", "hǎo"], ["hǎo"], ["nǐ", "men", "hǎo"]]


def test_a_worked_example():
    tokenizer = Characters.train(["你好", "好", "你们好"])
    assert tokenizer.symbols == ("好", "你", "们")
    assert tokenizer.vocab_size == 7
    assert (tokenizer.pad_id, tokenizer.bos_id, tokenizer.eos_id, tokenizer.unk_id) == (0, 1, 2, 3)
    assert tokenizer.encode("你们好坏") == [5, 6, 4, 3]
    assert tokenizer.decode([1, 5, 6, 4, 3, 2, 0, 0]) == "你们好�"


def test_syllables_are_indivisible_and_joined_by_spaces():
    tokenizer = Characters.train(PINYIN)
    assert tokenizer.symbols == ("hǎo", "nǐ", "men")
    ids = tokenizer.encode(["nǐ", "hǎo", "ma"])
    assert ids == [5, 4, 3]
    assert tokenizer.decode(ids) == "nǐ hǎo �"
    assert tokenizer.tokens([1, *ids, 2, 0]) == ["<bos>", "nǐ", "hǎo", "<unk>", "<eos>", "<pad>"]


def test_ties_go_by_code_point_and_not_by_order_of_appearance():
    assert Characters.train(["ba"]).symbols == Characters.train(["ab"]).symbols == ("a", "b")
    assert Characters.train(["𠀀丁"]).symbols == ("丁", "𠀀")


def test_vocab_size_counts_the_special_ids_and_keeps_the_commonest():
    tokenizer = Characters.train(["aaabbc"], vocab_size=6)
    assert (tokenizer.symbols, tokenizer.vocab_size) == (("a", "b"), 6)
    assert tokenizer.encode("abc") == [4, 5, 3]
    assert Characters.train(["ab"], vocab_size=100).vocab_size == 6


def test_the_name_of_a_special_token_in_a_text_is_a_symbol_like_others():
    tokenizer = Characters.train([["<pad>", "<eos>", "<eos>"]])
    assert tokenizer.encode(["<pad>", "<eos>", "<bos>"]) == [5, 4, 3]


@given(st.lists(st.text(min_size=1), min_size=1))
def test_known_text_comes_back(texts):
    tokenizer = Characters.train(texts)
    for text in texts:
        ids = tokenizer.encode(text)
        assert min(ids) >= 4
        assert tokenizer.decode(ids) == text
    assert tokenizer.encode("") == []
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("items", [PINYIN, ["\0a\n é é 👩‍👩‍👧"]])
def test_a_saved_tokenizer_is_the_same(tmp_path, items):
    tokenizer = Characters.train(items)
    path = tmp_path / "词 表.json"
    tokenizer.save(path)
    again = Characters.load(path)
    assert again.symbols == tokenizer.symbols
    assert again.encode(items[0]) == tokenizer.encode(items[0])


@pytest.mark.messages
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"type": "Chara', "Unterminated"),
        ("[]", "list indices"),
        ('{"type": "ByteBPE", "symbols": []}', "ByteBPE"),
        ('{"type": "Characters"}', "symbols"),
        (json.dumps({"type": "Characters", "symbols": ["a", "b", "a"]}), "repeated: .'a'"),
    ],
)
def test_a_foreign_or_damaged_file_is_named(tmp_path, content, reason):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"tokenizer.json is not a vocabulary of Characters.*{reason}"):
        Characters.load(path)


@pytest.mark.messages
def test_mistakes_are_named():
    tokenizer = Characters.train(["ab"])
    for bad in (6, -1):
        with pytest.raises(ValueError, match=f"0 … 5; got .{bad}"):
            tokenizer.decode([4, bad])
        with pytest.raises(ValueError, match=f"0 … 5; got .{bad}"):
            tokenizer.tokens([4, bad])
    with pytest.raises(ValueError, match="4 special ids; got 4"):
        Characters.train(["ab"], vocab_size=4)
    with pytest.raises(ValueError, match="empty"):
        Characters.train(["", ""])
