"""A section's page built again whenever its file is saved, for its author.

Book: §0
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from llmbook import paths
from llmbook.book.source import Source, find_chapter, read, source_files
from llmbook.edition.book import Book
from llmbook.edition.parts import part_of
from llmbook.execution.executing import run_chapter
from llmbook.execution.kept import Execution, read_execution
from llmbook.site.publish import publish_site
from llmbook.turn import turn


def watch(name: str, tell: Callable[[str], None], changes: Iterator[None]) -> None:
    """Builds the site with the section or point `name` as its source says now, at once and after each change.

    Code that is new or changed is executed with what it needs of the code before it; what did not change keeps its outputs, and of other
    chapters the last execution is taken as it is. What is wrong is told, and the next change is waited for.

    Raises:
        ValueError: there is no such section or point, or a chapter that was never executed.
    """
    outputs: dict[str, list[dict]] = {}
    part_of(read(find_chapter(name)), name)
    for _ in changes:
        began = time.monotonic()
        try:
            with turn(paths.build_dir(), f"llmbook watch {name}"):
                book = Book.read()
                book.require_sound(book.chapter(name), locked=False)
                kept = [(source, _last(source)) for source in book.chapters]
                for number, (source, execution) in enumerate(kept):
                    if source == book.chapter(name):
                        outputs |= _executed(source, name, execution.outputs | outputs)
                        kept[number] = source, replace(execution, outputs=execution.outputs | outputs)
                index = publish_site(book, kept) / "index.html"
        except ValueError as error:
            tell(str(error))
            continue
        tell(f"{index.parent} is up to date ({time.monotonic() - began:.0f} s)")


def saved(name: str, *, pause: float = 0.5) -> Iterator[None]:
    """One item at once, then one whenever a file of the chapter of `name` is saved."""
    before: dict[Path, int] | None = None
    while True:
        now = {file: file.stat().st_mtime_ns for file in source_files(find_chapter(name))}
        if now != before:
            before = now
            yield
        time.sleep(pause)


def _last(source: Source) -> Execution:
    """The last execution of a chapter, still true or not."""
    execution = read_execution(source.slug)
    if execution is None:
        raise ValueError(f"{source.slug} was never executed in {paths.build_dir()}; run `make book` first")
    return execution


def _executed(source: Source, name: str, known: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """The outputs of a chapter's cells that have none yet, by running the section."""
    if all(cell.id in known for cell in source.code()):
        return {}
    made = run_chapter(part_of(source, name)).outputs
    outside = [cell.id for cell in source.code() if cell.id not in known | made]
    if outside:
        raise ValueError(f"{len(outside)} new cells of {source.slug} lie outside of {name}; run `make book` first")
    return {cell: outputs for cell, outputs in made.items() if cell not in known}
