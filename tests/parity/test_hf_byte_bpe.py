"""Byte-level BPE against Hugging Face's `tokenizers`: the cut into pre-tokens, our file there, their file here."""

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers, trainers

from llmbook.tokenizers import ByteBPE
from llmbook.tokenizers.byte_level import alphabet, pre_tokens

CORPUS = [
    "你好，世界！你好吗？ 我们 在 学习 语言 模型。",
    "Hello, hello world: it's the world's 2nd; they're we'll I'm.",
    "naïve café, 123 123 1234\n\n  naïve\t\tx²Ⅷ",
    "👩‍👩‍👧 👍🏽 👩‍👩‍👧",
] * 3
ODD = " \n\t\u00a0\u3000\u2009\u2028\x85\x1c\x1f\u200b\u200d\ufe0f'stremvdlLS²Ⅷ½٣४一〇中文ßéÅ\u0301\u0308\u0e33👩🏽_-。，…\0a1!<|>"
characters = st.sampled_from(ODD) | st.characters(exclude_categories=["Cs"])
any_text = st.text(characters, max_size=40)
UNICODE_17 = [*range(0x11DE0, 0x11DEA), *range(0x16FF4, 0x16FF7)]  # numbers for their `Digits`, not for their pattern
HARD_TEXTS = [
    "",
    " ",
    "\0",
    "a" * 10_240,
    "中" * 3_000,
    "e\u0301",
    "I'M it's 'S 's",
    "a  b\n \n c   ",
    "ab\x1c\x85\u3000 \u3000d",
]


def pieces_there(text, single_digits=False):
    splitter = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if single_digits:
        splitter = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), splitter])
    return [text[start:end] for _, (start, end) in splitter.pre_tokenize_str(text)]


@pytest.mark.parametrize("single_digits", [False, True])
def test_pre_tokens(single_digits):
    @given(any_text)
    @settings(derandomize=True, deadline=None, max_examples=1000)
    def same(text):
        assert pre_tokens(text, single_digits=single_digits) == pieces_there(text, single_digits)

    same()


def test_every_code_point_is_of_the_same_kind():
    # All blocks that hold assigned characters, but for private use.
    every = [chr(code) for code in (*range(0xD800), *range(0xE000, 0x34000), *range(0xE0000, 0xE0200))]
    for start in range(0, len(every), 10_000):
        text = "".join(
            f"A{character}0{character}!{character}\n {character}'{character}"
            for character in every[start : start + 10_000]
        )
        assert pre_tokens(text) == pieces_there(text)
        text = text.translate(dict.fromkeys(UNICODE_17))
        assert pre_tokens(text, single_digits=True) == pieces_there(text, single_digits=True)


def test_the_alphabet():
    assert set(alphabet().values()) == set(pre_tokenizers.ByteLevel.alphabet())


@pytest.fixture(scope="module")
def ours_and_theirs(tmp_path_factory):
    path = tmp_path_factory.mktemp("ours") / "tokenizer.json"
    ours = ByteBPE.train(CORPUS, 360, special_tokens=["<|endoftext|>", "<|end", "<中>"])
    ours.save(path)
    return ours, tokenizers.Tokenizer.from_file(str(path))


def test_our_file_there(ours_and_theirs):
    ours, theirs = ours_and_theirs
    assert theirs.get_vocab_size() == ours.vocab_size == 360

    @given(any_text)
    @settings(derandomize=True, deadline=None, max_examples=500)
    def same(text):
        ids = ours.encode(text)
        assert theirs.encode(text).ids == ids
        assert theirs.decode(ids) == ours.decode(ids) == text

    same()
    for text in (*HARD_TEXTS, *CORPUS):
        assert theirs.encode(text).ids == ours.encode(text)


def test_special_tokens_there(ours_and_theirs):
    ours, theirs = ours_and_theirs
    fragments = st.sampled_from(["<|endoftext|>", "<|end", "<中>", "of", " ", "a", "<", "中", "text|>"])

    @given(st.lists(fragments).map("".join))
    @settings(derandomize=True, deadline=None)
    def same(text):
        theirs.encode_special_tokens = False
        assert theirs.encode(text).ids == ours.encode(text, allow_special=True)
        theirs.encode_special_tokens = True
        assert theirs.encode(text).ids == ours.encode(text)
        assert theirs.decode(ours.encode(text, allow_special=True), skip_special_tokens=False) == text

    same()


@given(st.lists(st.integers(0, 359)))
@settings(derandomize=True, deadline=None)
def test_bytes_that_are_no_text(ids):
    # Their decoder and ours replace the same bytes.
    ours = ByteBPE.train(CORPUS, 360)
    theirs = tokenizers.Tokenizer(models.BPE({**{alphabet()[n]: n for n in range(256)}}, []))
    theirs.decoder = decoders.ByteLevel()
    values = [value for token in ours.tokens(ids) for value in token]
    assert theirs.decode(values) == ours.decode(ids)


def trained_there(path, *, whole_alphabet=True, special_tokens=("<|endoftext|>", "<pad>"), unknown=None):
    theirs = tokenizers.Tokenizer(models.BPE(unk_token=unknown))
    theirs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=350,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet() if whole_alphabet else [],
        show_progress=False,
    )
    theirs.train_from_iterator(CORPUS, trainer)
    theirs.save(str(path))
    return theirs


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"whole_alphabet": False},
        {"whole_alphabet": False, "special_tokens": ("<unk>",), "unknown": "<unk>"},
        {"special_tokens": ()},
    ],
)
def test_their_file_here(tmp_path, options):
    theirs = trained_there(tmp_path / "tokenizer.json", **options)
    ours = ByteBPE.load(tmp_path / "tokenizer.json")
    assert ours.vocab_size == theirs.get_vocab_size()

    ours.save(tmp_path / "again.json")
    again = tokenizers.Tokenizer.from_file(str(tmp_path / "again.json"))

    @given(any_text)
    @settings(derandomize=True, deadline=None, max_examples=300)
    def same(text):
        ids = ours.encode(text, allow_special=True)
        assert theirs.encode(text).ids == ids == again.encode(text).ids
        assert theirs.decode(ids, skip_special_tokens=False) == ours.decode(ids)

    same()
    for text in (*HARD_TEXTS, *CORPUS, "a<|endoftext|><pad>b<unk>"):
        assert theirs.encode(text).ids == ours.encode(text, allow_special=True)


def test_added_tokens_that_are_also_learned(tmp_path):
    theirs = trained_there(tmp_path / "tokenizer.json")
    theirs.add_tokens(["world", "a"])
    theirs.add_special_tokens(["<new>"])
    theirs.save(str(tmp_path / "tokenizer.json"))
    ours = ByteBPE.load(tmp_path / "tokenizer.json")
    for text in "the world's<new> a banana world":
        ids = ours.encode(text, allow_special=True)
        assert theirs.encode(text).ids == ids
        assert ours.decode(ids) == text
