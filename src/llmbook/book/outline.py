"""The outline that the book mirrors (`chapters/outline.json`), and the check that the headings follow it.

Chapters and sections carry the outline's words verbatim; a point has a title of ours, and right below it the outline's sentence as
a quotation. A section may end with a part of ours, labelled `closing-1-2`. `chapters/status.toml` lists the points that are finished.

Book: §0
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it.token import Token

from llmbook import paths
from llmbook.book.markup import parsed
from llmbook.book.source import Cell, Finding, Source
from llmbook.committed import read_json, read_toml


@dataclass(frozen=True)
class Heading:
    """A heading that must stand: its level, label, text by language, and the sentence quoted below it (points only)."""

    level: int
    label: str
    text: dict[str, str] | None
    quote: dict[str, str] | None


@cache
def load_outline() -> dict:
    """The outline as data: title, parts, chapters, sections, points."""
    return read_json(paths.chapters_dir() / "outline.json")


def chapter_outline(number: int) -> dict:
    """The outline of one chapter."""
    chapters = [chapter for part in load_outline()["parts"] for chapter in part["chapters"]]
    return next(chapter for chapter in chapters if chapter["number"] == number)


def point_ids(number: int | None = None) -> list[str]:
    """The ids of all points ("1.2.3"), or of one chapter's."""
    parts = load_outline()["parts"]
    chapters = [chapter for part in parts for chapter in part["chapters"] if number in (None, chapter["number"])]
    return [point["id"] for chapter in chapters for section in chapter["sections"] for point in section["points"]]


@cache
def finished_points() -> list[str]:
    """The points that `chapters/status.toml` calls finished."""
    return read_toml(paths.chapters_dir() / "status.toml", "finished")


def expected_headings(number: int, closings: Collection[str] = ()) -> list[Heading]:
    """The headings of levels 1 to 3 that chapter `number` must have, in order, where the sections of `closings` end with a part of ours."""
    chapter = chapter_outline(number)
    headings = [Heading(1, f"chapter-{number}", _both(chapter), None)]
    for section in chapter["sections"]:
        headings.append(Heading(2, f"section-{section['id'].replace('.', '-')}", _both(section), None))
        headings += [Heading(3, f"point-{p['id'].replace('.', '-')}", None, _both(p)) for p in section["points"]]
        closing = f"closing-{section['id'].replace('.', '-')}"
        headings += [Heading(3, closing, None, None)] if closing in closings else []
    return headings


def heading_findings(source: Source) -> list[Finding]:
    """Where a chapter's headings, labels or quotations depart from the outline, in both languages."""
    if source.number is None:
        return []
    return [finding for lang in ("zh", "en") for finding in _edition_findings(source, lang)]


def _both(entry: dict) -> dict[str, str]:
    return {"zh": entry["zh"], "en": entry["en"]}


def _edition_findings(source: Source, lang: str) -> list[Finding]:
    found = [entry for cell in source.edition(lang) if cell.kind == "markdown" for entry in _headings(cell)]
    wanted = expected_headings(source.number or 0, {label for _, label, *_ in found if label})
    findings = []
    for heading, entry in zip(wanted, found, strict=False):
        level, label, text, quote, place = entry
        name = heading.text[lang] if heading.text else f"a point's title labelled {heading.label}"
        if level != heading.level or (heading.text and text != heading.text[lang]):
            findings.append(
                Finding(
                    *place,
                    f"{lang} heading {text!r} (level {level}); the outline has {name!r} (level {heading.level})",
                )
            )
        if label != heading.label:
            findings.append(
                Finding(*place, f"{lang} heading {text!r} has the label {label!r}; expected ({heading.label})=")
            )
        if heading.quote and quote != heading.quote[lang]:
            findings.append(
                Finding(
                    *place,
                    f"below {text!r} stands {quote!r}; the outline's sentence is {heading.quote[lang]!r}",
                )
            )
    for heading in wanted[len(found) :]:
        findings.append(
            Finding(
                source.cells[-1].path,
                source.cells[-1].line,
                f"{lang}: the outline's heading {heading.label} is missing",
            )
        )
    for level, _, text, _, place in found[len(wanted) :]:
        findings.append(Finding(*place, f"{lang} heading {text!r} (level {level}) is not in the outline"))
    return findings


def _headings(cell: Cell) -> list[tuple[int, str | None, str, str | None, tuple[Path, int]]]:
    tokens = parsed(cell.source)
    found = []
    for index, token in enumerate(tokens):
        if token.type != "heading_open" or token.tag not in ("h1", "h2", "h3"):
            continue
        before = tokens[index - 1] if index else None
        label = before.content if before is not None and before.type == "myst_target" else None
        place = cell.path, cell.line + (token.map[0] if token.map else 0)
        found.append((int(token.tag[1]), label, tokens[index + 1].content, _quote(tokens[index + 3 :]), place))
    return found


def _quote(tokens: Sequence[Token]) -> str | None:
    if not tokens or tokens[0].type != "blockquote_open":
        return None
    return tokens[2].content
