"""The tokenizers of the page give the ids that Python's give, for any text."""

import json
import random
import re
import unicodedata
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Error, Page

from llmbook import paths
from llmbook.data import vendored
from llmbook.tokenizers import ByteBPE, Characters
from llmbook.tokenizers.byte_level import newer_characters, pre_tokens

SCRIPT = paths.root() / "site/_static/js/tokenizers.js"
LATER = "\u088f\ua7ce\U00010940\U00011de0\U00011de9\U000323b0\U00033479"  # letters and numbers of Unicode 17

ALPHABETS = [
    "abcdefgh XYZ'",
    "'s 'll 're'D",
    " \t\n\r\v\f\x85\xa0\u2003\u2028\u3000\u200b\ufeff\x1c\x1f\u180e",
    "0123456789²½Ⅷ٣五",
    "插入一个表格，然后“保存”文件。",
    "👩\u200d💻👍🏽🇨🇳é\u0301ñ",
    "\0\x01\x7f\x80\xad\ufffd\ufffe\U0010ffff",
    "<pad><bos>Ġ__proto__",
    "Привет ελληνικά हिन्दी ไทย 한국어 עברית",
    LATER,
]
EDGES = [
    "",
    " ",
    "  ",
    " a",
    "a ",
    "a  b",
    "a \n b\n\n",
    "\ufeffa",
    "\0",
    "I'll don't 'tis",
    "<pad>a<eos>",
    "👨‍👩‍👧‍👦",
    "词" * 500,
    "ab" * 2500,
    "a\u3000b",
    "\x85\x85a",
    "12³ 4½",
]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_content("<!doctype html><title>tokenizers</title>")
    page.add_script_tag(path=SCRIPT)
    yield page
    page.close()


@pytest.fixture(scope="module")
def bpe(page: Page) -> ByteBPE:
    """The translator's, and the same in the page as `bpe`."""
    path = vendored("weights/translator/tokenizer.json")
    page.evaluate(
        "json => { window.bpe = LLMBook.tokenizers.byteBPE(JSON.parse(json)); }", path.read_text(encoding="utf-8")
    )
    return ByteBPE.load(path)


def texts() -> list[str]:
    """Edge cases and 400 random strings, within one alphabet and across all."""
    draw = random.Random(0)
    everything = "".join(ALPHABETS)
    found = list(EDGES)
    for index in range(400):
        alphabet = everything if index % 2 else ALPHABETS[index // 2 % len(ALPHABETS)]
        found.append("".join(draw.choice(alphabet) for _ in range(draw.randint(1, 40))))
    for _ in range(100):
        codes = (draw.randrange(0x110000) for _ in range(20))
        found.append("".join(chr(code) for code in codes if known(code)))
    return found


def known(code: int) -> bool:
    """Whether a code point is a character that Unicode 16 has assigned."""
    category = unicodedata.category(chr(code))
    return category != "Cs" and (category != "Cn" or code in newer_characters()) and chr(code) not in LATER


def test_byte_bpe_gives_the_same_ids(page: Page, bpe: ByteBPE) -> None:
    given = texts()
    found = page.evaluate("texts => texts.map(text => bpe.encode(text))", given)
    differing = [text for text, ids in zip(given, found, strict=True) if ids != bpe.encode(text)]
    assert differing == []


def test_byte_bpe_gives_the_text_back(page: Page, bpe: ByteBPE) -> None:
    given = texts()
    assert page.evaluate("texts => texts.map(text => bpe.decode(bpe.encode(text)))", given) == given


def test_any_ids_decode_as_in_python(page: Page, bpe: ByteBPE) -> None:
    draw = random.Random(1)
    given = [[draw.randrange(256) for _ in range(draw.randint(0, 12))] for _ in range(500)]
    given += [[draw.randrange(bpe.vocab_size) for _ in range(8)] for _ in range(200)]
    given += [list(b) for b in (b"\xf0\x80\x80", b"\xed\xa0\x80", b"\xe4\xbd", b"\xf4\x90\x80\x80", b"\xef\xbb\xbfa")]
    assert page.evaluate("rows => rows.map(ids => bpe.decode(ids))", given) == [bpe.decode(ids) for ids in given]


def test_the_settings_of_the_file(page: Page, bpe: ByteBPE) -> None:
    assert page.evaluate("bpe.specialIds") == bpe.special_ids
    assert page.evaluate("bpe.vocabSize") == bpe.vocab_size


def test_every_character_is_of_the_kind_that_python_says(page: Page) -> None:
    """`acc1` is cut elsewhere for a letter, a number, a space and the rest. Of vast blocks one in 16."""
    vast = (range(0x4E00, 0xA000), range(0xAC00, 0xD7A0), range(0x17000, 0x18700), range(0x20000, 0x110000))
    few = {code for block in vast for code in block if code % 16}
    codes = [code for code in range(0x110000) if code not in few and known(code)]
    expected = [len(piece) for piece in pre_tokens("".join(f"a{chr(code) * 2}1" for code in codes))]
    found = page.evaluate(
        """codes => LLMBook.tokenizers.preTokens(codes.map(code => "a" + String.fromCodePoint(code, code) + "1").join(""))
            .map(piece => Array.from(piece).length).join(" ")""",
        codes,
    )
    assert found == " ".join(map(str, expected))


def test_pieces_show_what_can_be_shown(page: Page, bpe: ByteBPE) -> None:
    ids = [0xE4, 0xBD, 0x41, 0x0A, bpe.special_ids["<eos>"]]
    assert page.evaluate("ids => bpe.pieces(ids)", ids) == ["\\xE4", "\\xBD", "A", "\n", "<eos>"]


def shown(token: bytes) -> str:
    """Python's way to write bytes that are no character, in capitals as the page has them."""
    text = token.decode(errors="backslashreplace")
    return re.sub(r"\\x(..)", lambda match: f"\\x{match[1].upper()}", text)


def test_pieces_of_every_token(page: Page, bpe: ByteBPE) -> None:
    ids = [id_ for id_ in range(bpe.vocab_size) if b"\\" not in bpe.tokens([id_])[0]]
    assert page.evaluate("ids => bpe.pieces(ids)", ids) == [shown(token) for token in bpe.tokens(ids)]


def test_a_small_vocabulary_trained_here(page: Page, tmp_path) -> None:
    trained = ByteBPE.train(["aaa aaaa 插入插入 banana bandana"] * 2, 290, special_tokens=["<x>", "__proto__"])
    trained.save(tmp_path / "tokenizer.json")
    given = [*texts(), "aaaaaaa bananananana 插入插入插"]
    found = page.evaluate(
        """([json, texts]) => {
            const bpe = LLMBook.tokenizers.byteBPE(JSON.parse(json));
            return texts.map(text => bpe.encode(text));
        }""",
        [(tmp_path / "tokenizer.json").read_text(encoding="utf-8"), given],
    )
    assert found == [trained.encode(text) for text in given]


def test_characters_give_the_same_ids(page: Page) -> None:
    symbols = ["你", "好", "nǐ", "👍🏽", "constructor"]
    python = Characters(symbols)
    text = ["好", "?", "nǐ", "👍🏽", "你", "toString", "constructor"]
    ids, tokens, sizes = page.evaluate(
        """([symbols, text]) => {
            const characters = LLMBook.tokenizers.characters(symbols);
            const ids = characters.encode(text);
            const {padId, bosId, eosId, unkId, vocabSize} = characters;
            return [ids, characters.tokens([0, 1, 2, ...ids]), [padId, bosId, eosId, unkId, vocabSize]];
        }""",
        [symbols, text],
    )
    assert ids == python.encode(text)
    assert tokens == python.tokens([0, 1, 2, *ids])
    assert sizes == [python.pad_id, python.bos_id, python.eos_id, python.unk_id, python.vocab_size]


@pytest.mark.parametrize("call", ["bpe.decode([4000])", "bpe.pieces([-1])", "bpe.decode([1.5])"])
def test_an_unknown_id_is_an_error(page: Page, bpe: ByteBPE, call: str) -> None:
    with pytest.raises(Error, match="ids must lie in 0 … 3999"):
        page.evaluate(call)


def test_a_file_of_another_kind_is_an_error(page: Page) -> None:
    content = json.dumps({"model": {"vocab": {"a": 0}, "merges": []}})
    with pytest.raises(Error, match="lacks 255 of 256 bytes"):
        page.evaluate("json => LLMBook.tokenizers.byteBPE(JSON.parse(json))", content)
