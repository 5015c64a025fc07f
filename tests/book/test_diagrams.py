"""Diagrams: the words of each language are set in; a label on one side only is an error."""

from pathlib import Path

import pytest

from llmbook.book.diagrams import diagram, diagram_names


@pytest.fixture
def drawing(book: Path) -> Path:
    folder = book.parent / "diagrams"
    folder.mkdir()
    (folder / "d.svg").write_text("<svg><text>{{word}}</text></svg>", encoding="utf-8")
    (folder / "d.toml").write_text('[zh]\nword = "词"\n[en]\nword = "word"\n', encoding="utf-8")
    return folder


def test_words_are_set_in(drawing: Path):
    assert diagram_names() == ["d.svg"]
    assert diagram("d.svg", "zh") == "<svg><text>词</text></svg>"
    assert diagram("d.svg", "en") == "<svg><text>word</text></svg>"


def test_the_books_own_diagrams_have_all_their_words():
    for name in diagram_names():
        for lang in ("zh", "en"):
            assert "{{" not in diagram(name, lang)


@pytest.mark.messages
def test_a_missing_label_or_drawing_is_named(drawing: Path):
    (drawing / "d.toml").write_text('[zh]\nwort = "词"\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"d.svg \(zh\): labels \['word', 'wort'\] stand on one side only"):
        diagram("d.svg", "zh")
    with pytest.raises(ValueError, match=r"no diagram 'e.svg'; .* has d.svg"):
        diagram("e.svg", "zh")
