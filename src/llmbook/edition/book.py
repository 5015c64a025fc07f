"""The whole book as read once: sources, exercises, labels, citations; and from it what one text refers to.

Book: §0
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from llmbook import paths
from llmbook.book.bibliography import short_citations
from llmbook.book.expected import expected_claims
from llmbook.book.findings import findings, references
from llmbook.book.numbering import Target, targets
from llmbook.book.source import Finding, Source, SourceError, chapter_files, find_chapter, read, require_language
from llmbook.edition.assignment import exercise_targets
from llmbook.edition.faces import Context
from llmbook.exercises.exercise import Exercise, exercises

PAGES = ("index.md", "notation.md")


def notation_table(pages: list[Source], chapter: int | None, lang: str) -> str:
    """The table of a chapter's notation, below its label `(notation-1)=` on the page of notation; "" where it has none."""
    label = re.compile(rf"^\(notation-{chapter}\)=\n(?:(?!\(|\|).*\n)*((?:\|.*\n?)+)", re.MULTILINE)
    texts = [cell.source for page in pages if page.slug == "notation" for cell in page.edition(lang)]
    return next((match[1].rstrip("\n") for match in map(label.search, texts) if match), "")


@dataclass
class Book:
    """What a command knows of the book; every file is read once, by `Book.read()`."""

    chapters: list[Source]
    pages: list[Source]
    exercises: list[Exercise]
    _targets: dict[str, dict[str, Target]] = field(default_factory=dict)

    @classmethod
    def read(cls) -> "Book":
        """Raises SourceError where a source cannot be read as one."""
        return cls(
            [read(path) for path in chapter_files()],
            [read(paths.chapters_dir() / name) for name in PAGES],
            exercises(),
        )

    def chapter(self, name: str) -> Source:
        """The chapter of this number, slug, section or point; ValueError if there is none."""
        path = find_chapter(name)
        return next(source for source in self.chapters if source.path == path)

    def text(self, name: str) -> Source:
        """A page ("index"), the statement of an exercise ("scaled-scores"), or a chapter; ValueError if there is none."""
        others = [*self.pages, *(exercise.statement for exercise in self.exercises)]
        return next((source for source in others if source.slug == name), None) or self.chapter(name)

    def exercises_of(self, chapter: int | None) -> list[Exercise]:
        return [exercise for exercise in self.exercises if exercise.chapter == chapter]

    def targets(self, lang: str) -> dict[str, Target]:
        """The labels of all texts of the book in one language."""
        if require_language(lang) not in self._targets:
            merged = exercise_targets(self.exercises, lang)
            for source in [*self.chapters, *self.pages]:
                merged |= targets(source, lang)
            self._targets[lang] = merged
        return self._targets[lang]

    @cached_property
    def referred(self) -> set[str]:
        """The labels that some text refers to."""
        return references([*self.chapters, *self.pages])

    def context(self, source: Source, lang: str, made: Mapping[str, Mapping[str, Any]] | None = None) -> Context:
        """All that a face of `source` refers to; claims that an execution has `made` stand before the stored ones."""
        claims = {**(expected_claims(source) if source.number else {}), **(made or {})}
        notation = notation_table(self.pages, source.number, require_language(lang))
        return Context(lang, source.slug, self.targets(lang), claims, short_citations(), notation)

    def findings(self, source: Source, *, locked: bool = True) -> list[Finding]:
        """Everything that keeps a source from being built, a chapter's exercises included; `locked=False` leaves lock and claims aside."""
        own = findings(
            source, self.referred | references([source]), self.targets("zh"), short_citations(), locked=locked
        )
        statements = [exercise.statement for exercise in self.exercises_of(source.number)]
        return own + [finding for statement in statements for finding in self.findings(statement, locked=locked)]

    def require_sound(self, source: Source, *, locked: bool = True) -> None:
        """Raises SourceError with all findings of a source, if there are any."""
        if found := self.findings(source, locked=locked):
            raise SourceError(found)
