"""Everything that keeps a source from being built: all that is checked of it, in one list.

Book: §0
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from llmbook.book import glossary, literals, lock, outline, parity
from llmbook.book.expected import expected_claims
from llmbook.book.markup import FENCES, Item, Role, directive, items, parsed, roles
from llmbook.book.numbering import targets
from llmbook.book.quiz import quiz_findings
from llmbook.book.source import Cell, Finding, Source
from llmbook.results import Result, written

ABOUT = re.compile(r"(?:约|大约|将近|about|roughly|around|nearly)\s*$")
CITATIONS = ("cite", "cite:p", "cite:t")
REFERENCES = ("role eq", "role numref", "role ref")
ROLES = frozenset({"claim", "claim:mean", "eq", "given", "numref", "ref", "term", *CITATIONS})
ROUND = 3  # significant digits, at most, of what is "about" so much


def findings(
    source: Source, referred: set[str], labels: Collection[str], sources: Collection[str], *, locked: bool = True
) -> list[Finding]:
    """What is wrong with a source, with file and line; `locked=False` leaves lock and claims aside (drafts).

    Args:
        referred: the labels that some text of the book refers to.
        labels: all labels of the book.
        sources: the keys of its bibliography.
    """
    return [
        *parity.compare(source),
        *outline.heading_findings(source),
        *glossary.term_findings(source),
        *literals.literal_numbers(source),
        *quiz_findings(source),
        *_dangling(source, labels, sources),
        *_unused_labels(source, referred),
        *_pictures_without_words(source),
        *([*_claim_findings(source), *lock.lock_findings(source)] if locked else []),
    ]


def references(sources: Iterable[Source]) -> set[str]:
    """The labels that some text of these sources refers to, captions included."""
    return {item.value for source in sources for _, item in _items(source) if item.kind in REFERENCES}


def _texts(source: Source) -> Iterator[tuple[Cell, str]]:
    """A source's prose, cell by cell, and its captions."""
    for cell in source.cells:
        texts = [cell.source] if cell.kind == "markdown" else [text for _, *both in cell.figure_words for text in both]
        yield from ((cell, text) for text in texts)


def _items(source: Source) -> Iterator[tuple[Cell, Item]]:
    return ((cell, item) for cell, text in _texts(source) for item in items(text, cell.line))


def _dangling(source: Source, labels: Collection[str], sources: Collection[str]) -> Iterator[Finding]:
    """References to labels that nothing has, citations of sources that the bibliography lacks, roles that the book does not know."""
    for cell, item in _items(source):
        kind, _, role = item.kind.partition(" ")
        if kind != "role":
            continue
        if role not in ROLES:
            yield Finding(cell.path, item.line, f"unknown role {{{role}}}`{item.value}`")
        elif item.kind in REFERENCES and item.value not in labels:
            yield Finding(cell.path, item.line, f"nothing has the label {item.value!r}")
        elif role in CITATIONS:
            unknown = [key.strip() for key in item.value.split(",") if key.strip() not in sources]
            yield from (
                Finding(cell.path, item.line, f"no source {key!r} in chapters/references.bib") for key in unknown
            )


def _unused_labels(source: Source, referred: set[str]) -> list[Finding]:
    """Equations and figures that no text of the book refers to: a reader does not learn what they are for."""
    return [
        _at_label(
            source,
            target.label,
            f"no text refers to the {target.kind} {target.label!r}: name it, or take its label away",
        )
        for target in targets(source, "zh").values()
        if target.kind in ("equation", "figure") and target.label not in referred
    ]


def _at_label(source: Source, label: str, message: str) -> Finding:
    """A finding where a label stands."""
    for cell in source.cells:
        if cell.kind == "code" and cell.metadata.get("figure", {}).get("name") == label:
            return Finding(cell.path, cell.line, message)
        if cell.kind == "markdown":
            for item in items(cell.source, cell.line):
                if item.kind == "label" and item.value == label:
                    return Finding(cell.path, item.line, message)
    return Finding(source.path, 1, message)


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
        _at_label(source, f"point-{point.replace('.', '-')}", f"the finished point {point} makes no claim")
        for point in outline.finished_points()
        if int(point.split(".")[0]) == source.number and not any(key.startswith(f"{point}/") for key in known)
    ]
    return quoted + silent


def _claims_quoted(source: Source) -> Iterator[tuple[Cell, Role]]:
    """The claims that a source's prose and captions quote."""
    for cell, text in _texts(source):
        yield from ((cell, role) for role in roles(text, cell.line) if role.name.startswith("claim"))


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
