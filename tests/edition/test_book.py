"""The book is read once for a command, however many chapters it has."""

import re
from collections import Counter
from pathlib import Path

import pytest

from llmbook import paths
from llmbook.book import lock, outline
from llmbook.book.source import find_chapter, read
from llmbook.edition.book import Book
from llmbook.edition.split import split
from llmbook.site import publish


def eight_chapters(chapter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small book with its chapter eight times, under other numbers."""
    text = chapter.read_text(encoding="utf-8")
    known = outline.load_outline()
    part = known["parts"][0]
    for number in range(2, 9):
        renumbered = re.sub(r"(chapter|section|point)-1\b", rf"\1-{number}", text).replace("1.1.1", f"{number}.1.1")
        renumbered = renumbered.replace("eq-score", f"eq-score-{number}")
        (chapter.parent / f"{number:02d}-small.md").write_text(renumbered, encoding="utf-8")
        section = {"id": f"{number}.1", "zh": "第一节", "en": "First section"}
        section["points"] = [{"id": f"{number}.1.1", "zh": "为什么要除？", "en": "Why divide?"}]
        part["chapters"].append(
            {"number": number, **{lang: part["chapters"][0][lang] for lang in ("zh", "en")}, "sections": [section]}
        )
        claims = (chapter.parent / "expected/01.claims.json").read_text(encoding="utf-8")
        (chapter.parent / f"expected/{number:02d}.claims.json").write_text(
            claims.replace("1.1.1", f"{number}.1.1"), encoding="utf-8"
        )
        lock.approve(read(find_chapter(str(number))), ["all"])


def test_a_command_reads_each_source_once(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    eight_chapters(book, monkeypatch)
    reads: Counter[str] = Counter()
    usual = Path.read_text

    def counted(self: Path, *args, **kwargs) -> str:
        if self.suffix in (".md", ".bib", ".toml") and paths.root() in self.parents:
            reads[self.relative_to(paths.root()).as_posix()] += 1
        return usual(self, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", counted)
    whole = Book.read()
    assert len(split(whole)) == 16
    for source in whole.chapters:
        for lang in ("zh", "en"):
            publish.site_notebook(whole, source, lang, {})
    assert len([name for name in reads if re.match(r"chapters/0\d-small.md", name)]) == 8
    assert {name: count for name, count in reads.items() if count > 1} == {}


def test_a_chapter_is_found_by_number_slug_section_and_point(book: Path) -> None:
    whole = Book.read()
    assert {whole.chapter(name).slug for name in ("1", "01", "01-small", "1.1", "1.1.1")} == {"01-small"}
    with pytest.raises(ValueError, match=r"no chapter '9'; expected one of 01-small"):
        whole.chapter("9")
