"""The corpora are whole, need no network, and leave the progress bars as they were."""

import re
import socket
from collections import Counter

import datasets
import pytest

from llmbook import paths
from llmbook.data import load_corpus


def test_the_hsk_sentences_are_whole():
    hsk = load_corpus("hsk")
    assert hsk.num_rows == 4354
    assert hsk.column_names == [
        "id", "hsk_level", "topic", "chinese", "traditional", "pinyin", "pinyin_numbered", "english",
    ]  # fmt: skip
    assert hsk[0] == {
        "id": "hsk1-0001",
        "hsk_level": 1,
        "topic": "greetings",
        "chinese": "老师，您好！",
        "traditional": "老師，您好！",
        "pinyin": "lǎo shī nín hǎo",
        "pinyin_numbered": "lao3 shi1 nin2 hao3",
        "english": "Hello, teacher!",
    }
    assert len(set(hsk["id"])) == 4354
    assert set(hsk["hsk_level"]) == {1, 2, 3, 4, 5, 6}


def test_the_help_is_whole_aligned_and_in_order():
    rows = list(load_corpus("libreoffice_help"))
    assert len(rows) == 39552
    assert {"page", "order", "paragraph", "kind", "zh", "en"} == set(rows[0])
    assert len({row["page"] for row in rows}) == 2386
    places = [(row["page"], row["order"]) for row in rows]
    assert places == sorted(set(places))
    page = [row for row in rows if row["page"] == "swriter/guide/word_completion"]
    assert [(row["kind"], row["en"]) for row in page[:2]] == [
        ("h1", "Word Completion for Text Documents"),
        (
            "paragraph",
            "LibreOffice collects words that you frequently use in the current session. When you later type the first three "
            "letters of a collected word, LibreOffice automatically completes the word.",
        ),
    ]
    assert page[2]["zh"].endswith("如果要以相反方向循环，请按 Ctrl+Shift+Tab 组合键。")  # no 命令, which is for macOS
    for row in rows:
        assert row["zh"] == row["zh"].strip()
        assert row["en"] == row["en"].strip()
        assert row["zh"] != row["en"]
        assert any("\u4e00" <= character <= "\u9fff" for character in row["zh"])
        assert "</" not in row["zh"] or "</" in row["en"]  # no markup but what the text shows


@pytest.mark.parametrize(
    ("name", "rows", "catalogues"), [("interface_libreoffice", 17961, 33), ("interface_python", 4656, 31)]
)
def test_the_strings_of_interfaces_are_clean_and_in_order(name, rows, catalogues):
    table = load_corpus(name)
    assert (table.num_rows, table.column_names) == (rows, ["catalogue", "order", "context", "zh", "en"])
    assert len(set(table["catalogue"])) == catalogues
    places = [(row["catalogue"], row["order"]) for row in table]
    assert len(set(places)) == rows
    by_catalogue = [
        [order for other, order in places if other == one]
        for one in dict.fromkeys(catalogue for catalogue, _ in places)
    ]
    assert all(orders == sorted(orders) for orders in by_catalogue)
    assert len({(row["zh"], row["en"]) for row in table}) == rows
    for row in table:
        assert any("\u4e00" <= character <= "\u9fff" for character in row["zh"])
        assert any(character.isascii() and character.isalpha() for character in row["en"])
        assert (row["zh"] + row["en"]).isprintable()
        assert "%PRODUCTNAME" not in row["zh"] + row["en"]
        assert not re.search(r"[(（][_~]\w[)）]|\x04|</", row["zh"])


def test_known_strings():
    strings = {row["en"]: row["zh"] for row in load_corpus("interface_libreoffice")}
    assert strings["From left"] == "从左"  # _From left, 从左(_F)
    assert strings["Create a letter from this template"] == "使用此模板创建信函"  # ~letter, (~L)
    strings = {row["en"]: row["zh"] for row in load_corpus("interface_python")}
    assert strings["Table %s"] == "表 %s"
    assert strings["Hide Contextual Help"] == "隐藏上下文帮助"


def test_the_poems_are_whole():
    poems = load_corpus("poetry")
    assert poems.column_names == ["collection", "document", "title", "text"]
    rows = list(poems)
    counts = Counter(row["collection"] for row in rows)
    assert counts == {"宋词": 9177, "诗经": 305, "论语": 512}
    documents = {name: {row["document"] for row in rows if row["collection"] == name} for name in counts}
    assert {name: len(found) for name, found in documents.items()} == {"宋词": 60, "诗经": 30, "论语": 20}
    assert len({row["text"] for row in rows}) == len(rows)
    assert "无名氏" not in documents["宋词"]
    of_author = Counter(row["document"] for row in rows if row["collection"] == "宋词")
    assert list(of_author.values()) == sorted(of_author.values(), reverse=True)
    assert {"苏轼", "辛弃疾", "李清照"} & set(of_author) == {"苏轼", "辛弃疾"}  # too few of 李清照's are left
    allowed = set("。，、；：？！“”‘’《》\n")
    for row in rows:
        assert all("\u4e00" <= character <= "\u9fff" or character in allowed for character in row["text"])
    first = next(row for row in rows if row["title"] == "关雎")
    assert (first["document"], first["text"][:10]) == ("周南", "关关雎鸠，在河之洲。")


def test_moby_dick_is_whole_and_in_order():
    book = load_corpus("moby_dick")
    assert book.column_names == ["chapter", "title", "text"]
    assert book["chapter"][:] == ["Etymology", "Extracts", *map(str, range(1, 136)), "Epilogue"]
    assert (book[2]["title"], book[2]["text"][:16]) == ("Loomings.", "Call me Ishmael.")
    assert 1_200_000 < sum(map(len, book["text"])) < 1_220_000
    assert not {"\ufffd", "\r"} & set("".join(book["text"]))


def test_no_network_and_a_cache_in_the_book(monkeypatch, tmp_path, capfd):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path / "缓 存")
    assert load_corpus("hsk").num_rows == 4354
    assert any((tmp_path / "缓 存" / "datasets").rglob("*.arrow"))
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


@pytest.mark.parametrize("switch", [datasets.enable_progress_bars, datasets.disable_progress_bars])
def test_the_progress_bars_are_left_as_they_were(switch):
    before = datasets.are_progress_bars_disabled()
    switch()
    wanted = datasets.are_progress_bars_disabled()
    load_corpus("hsk")
    assert datasets.are_progress_bars_disabled() == wanted
    (datasets.disable_progress_bars if before else datasets.enable_progress_bars)()


@pytest.mark.messages
def test_an_unknown_corpus_lists_those_known():
    with pytest.raises(
        ValueError,
        match="unknown corpus 'wikitext'; known: hsk, interface_libreoffice, interface_python, libreoffice_help, moby_dick, poetry",
    ):
        load_corpus("wikitext")
