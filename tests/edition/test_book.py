"""The book is read once for a command, however many chapters it has."""

import re
from collections import Counter
from pathlib import Path

import pytest
from small_book import more_chapters

from llmbook import paths
from llmbook.edition.book import Book
from llmbook.edition.split import split
from llmbook.site import publish


def test_a_command_reads_each_source_once(book: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more_chapters(book, 8)
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
