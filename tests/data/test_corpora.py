"""The corpora are whole, need no network, and leave the progress bars as they were."""

import socket

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
    with pytest.raises(ValueError, match="unknown corpus 'wikitext'; known: hsk, libreoffice_help"):
        load_corpus("wikitext")
