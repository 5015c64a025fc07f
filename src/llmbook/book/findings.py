"""Everything that keeps a source from being built: all that is checked of it, in one list.

Book: §0
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from llmbook.book import glossary, literals, lock, outline, parity
from llmbook.book.expected import expected_claims
from llmbook.book.markup import FENCES, Role, directive, items, parsed, roles
from llmbook.book.numbering import targets
from llmbook.book.quiz import quiz_findings
from llmbook.book.source import Cell, Finding, Source
from llmbook.results import Result, written

ABOUT = re.compile(r"(?:约|大约|将近|about|roughly|around|nearly)\s*$")
ROUND = 3  # significant digits, at most, of what is "about" so much


def findings(source: Source, referred: set[str], *, locked: bool = True) -> list[Finding]:
    """What is wrong with a source, with file and line; `locked=False` leaves lock and claims aside (drafts).

    Args:
        referred: the labels that some text of the book refers to.
    """
    return [
        *parity.compare(source),
        *outline.heading_findings(source),
        *glossary.term_findings(source),
        *literals.literal_numbers(source),
        *quiz_findings(source),
        *_unused_labels(source, referred),
        *_pictures_without_words(source),
        *([*_claim_findings(source), *lock.lock_findings(source)] if locked else []),
    ]


def references(sources: Iterable[Source]) -> set[str]:
    """The labels that some text of these sources refers to, captions included."""
    texts = [
        text
        for source in sources
        for cell in source.cells
        for text in ([cell.source] if cell.kind == "markdown" else [zh for _, zh, _ in cell.figure_words])
    ]
    return {item.value for text in texts for item in items(text) if item.kind in ("role eq", "role numref", "role ref")}


def _unused_labels(source: Source, referred: set[str]) -> list[Finding]:
    """Equations and figures that no text of the book refers to: a reader does not learn what they are for."""
    return [
        Finding(
            source.path, 1, f"no text refers to the {target.kind} {target.label!r}: name it, or take its label away"
        )
        for target in targets(source, "zh").values()
        if target.kind in ("equation", "figure") and target.label not in referred
    ]


def _pictures_without_words(source: Source) -> list[Finding]:
    """Diagrams without alternative text."""
    return [
        Finding(cell.path, cell.line + (token.map or [0])[0], f"the figure {found.argument} has no alternative text")
        for cell in source.cells
        if cell.kind == "markdown"
        for token in parsed(cell.source)
        if token.type in FENCES and (found := directive(token)) is not None
        if found.name in ("figure", "image") and not found.options.get("alt", "").strip()
    ]


def _claim_findings(source: Source) -> list[Finding]:
    if source.number is None:
        return []
    known = expected_claims(source)
    quoted = [
        Finding(cell.path, role.line, message)
        for cell, role in _claims_quoted(source)
        if (message := _misquoted(role, known.get(role.target)))
    ]
    silent = [
        Finding(source.path, 1, f"the finished point {point} makes no claim")
        for point in outline.finished_points()
        if int(point.split(".")[0]) == source.number and not any(key.startswith(f"{point}/") for key in known)
    ]
    return quoted + silent


def _claims_quoted(source: Source) -> Iterator[tuple[Cell, Role]]:
    """The claims that a source's prose and captions quote."""
    for cell in source.cells:
        texts = [cell.source] if cell.kind == "markdown" else [text for _, *both in cell.figure_words for text in both]
        yield from ((cell, role) for text in texts for role in roles(text, cell.line) if role.name.startswith("claim"))


def _misquoted(role: Role, claim: dict[str, Any] | None) -> str | None:
    """What is wrong with how a sentence quotes a claim, by its stored value: unknown, zero in digits, too many digits after "about"."""
    if claim is None:
        return f"the claim {role.target!r} is in no run; run `make expected`, or mend its id"
    result = Result.of(claim["values"], unit=claim["unit"])
    if result.mean == 0 and not result.unit and role.name != "claims" and role.content == role.target:
        return f"the claim {role.target!r} is 0: say it in a word, {{{role.name}}}`none <{role.target}>`"
    mean = written(result, digits=claim.get("digits"), form="mean")
    figures = re.sub(r"\D", "", mean.partition("×")[0]).strip("0")
    if (about := ABOUT.search(role.before)) and len(figures) > ROUND:
        return f"{about[0].strip()!r} before {mean}: give the claim {role.target!r} digits=3 or fewer"
    return None
