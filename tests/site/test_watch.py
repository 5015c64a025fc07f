"""An author's page, built again when the source is saved."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from llmbook.book.source import read
from llmbook.edition.book import Book
from llmbook.execution import kept
from llmbook.execution.executing import run_chapter
from llmbook.site import watch
from llmbook.site.publish import Kept

TYPO = ("print(math.sqrt(64))", "print(math.sqrt(81))")


def test_prose_runs_nothing_changed_code_runs_once_and_what_is_wrong_is_told(
    book: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.store(run_chapter(read(book)))
    text = book.read_text(encoding="utf-8")
    built: list[dict[str, list[dict]]] = []
    runs: list[int] = []
    told: list[str] = []

    def built_site(whole: Book, executions: Kept) -> Path:
        ((source, execution),) = executions
        built.append({cell.source: execution.outputs[cell.id] for cell in source.code()})
        return book.parent

    def counted_run(part) -> kept.Execution:
        runs.append(len(part.code()))
        return run_chapter(part)

    monkeypatch.setattr(watch, "publish_site", built_site)
    monkeypatch.setattr(watch, "run_chapter", counted_run)

    def edits() -> Iterator[None]:
        yield
        book.write_text(text.replace("# 第一章：小书", "# 第一章：小书\n"), encoding="utf-8")
        yield
        assert runs == []
        book.write_text(text.replace(*TYPO), encoding="utf-8")
        yield
        yield
        assert runs == [3], "the set-up and the section, once"
        book.write_text(text.replace("# Chapter 1: A small book", "# Chapter 2: A small book"), encoding="utf-8")
        yield

    watch.watch("1.1", told.append, edits())
    assert [found[TYPO[0]][0]["text"] for found in built[:2]] == ["8.0\n"] * 2
    assert [found[TYPO[1]][0]["text"] for found in built[2:]] == ["9.0\n"] * 2
    assert len(told) == 5
    assert "up to date" in told[3]
    assert "the outline has 'Chapter 1: A small book'" in told[4]


def test_it_wakes_at_once_and_when_a_file_is_saved(book: Path) -> None:
    changes = watch.saved("1", pause=0.01)
    next(changes)
    book.write_text(book.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    next(changes)


@pytest.mark.messages
def test_what_was_never_executed_and_what_is_no_section_are_told(book: Path) -> None:
    told: list[str] = []
    watch.watch("1.1", told.append, iter([None]))
    assert "01-small was never executed" in told[0]
    with pytest.raises(ValueError, match=r"no section or point '1\.7'"):
        watch.watch("1.7", told.append, iter([None]))
