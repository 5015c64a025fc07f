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
    with pytest.raises(ValueError, match="unknown corpus 'wikitext'; known: hsk"):
        load_corpus("wikitext")
