"""Reads a chapter's bilingual MyST source into cells that know their language and their line.

A chapter is a Jupytext `md:myst` notebook. Prose cells carry `{"lang": "zh"}` or `{"lang": "en"}`, code cells are shared.
A cell that only one edition needs says why: `{"lang": "en", "only": "reason"}`.

Book: §0
"""

import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmbook import paths

LANGUAGES = ("zh", "en")
CODE_WIDTH = 96
STATEMENT = "statement.md"  # of an exercise
FIGURE_WORDS = ("alt", "caption")
TAGS = {"derive": 15, "show": 3, "check": 8, "run": 25, "setup": 25}


@dataclass(frozen=True)
class Finding:
    """One thing wrong in a source: where, and what differs."""

    path: Path
    line: int
    message: str

    def __str__(self) -> str:
        root = paths.root()
        shown = self.path.relative_to(root) if self.path.is_relative_to(root) else self.path
        return f"{shown}:{self.line}: {self.message}"


class SourceError(ValueError):
    """A source that cannot be built; `findings` lists every reason."""

    def __init__(self, findings: list[Finding]):
        self.findings = findings
        super().__init__("\n".join(map(str, findings)))


@dataclass(frozen=True)
class Cell:
    """A cell of the source. `path` is its file, `line` the number of the file's line where its text begins."""

    path: Path
    id: str
    kind: str
    source: str
    line: int
    lang: str | None = None
    only: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def figure_words(self) -> list[tuple[str, str, str]]:
        """The words of a code cell's figure: ("alt" or "caption", zh, en)."""
        figure = self.metadata.get("figure", {})
        return [(kind, figure[kind]["zh"], figure[kind]["en"]) for kind in FIGURE_WORDS if kind in figure]

    def labels(self, lang: str) -> dict[str, str]:
        """The texts of a code cell's figure in one language, by what the code writes."""
        return self.metadata.get("labels", {}).get(lang, {})

    @property
    def tag(self) -> str | None:
        """The one cell tag that the book gives a meaning to (derive, show, check, run, setup)."""
        return next((tag for tag in self.metadata.get("tags", []) if tag in TAGS), None)

    @property
    def folded(self) -> bool:
        """Whether the site shows this code only when asked: set-up, and what is tagged `hide-input` because it only records claims."""
        return self.tag == "setup" or "hide-input" in self.metadata.get("tags", [])


@dataclass(frozen=True)
class Source:
    """A chapter (a folder, or a single file), or a page of one file; chapters have a number, other pages (index, notation, an
    exercise's statement) have none."""

    path: Path
    cells: list[Cell]

    @property
    def slug(self) -> str:
        """The file's or folder's name; of an exercise's statement, the exercise's."""
        return self.path.parent.name if self.path.name == STATEMENT else self.path.stem

    @property
    def number(self) -> int | None:
        match = re.match(r"(\d\d)-", self.slug)
        return int(match[1]) if match else None

    def pairs(self) -> list[tuple[Cell, Cell]]:
        """The (zh, en) pairs in order; `read` has made sure that every cell has its partner."""
        both = [cell for cell in self.cells if cell.kind == "markdown" and cell.only is None]
        return list(zip(both[::2], both[1::2], strict=True))

    def code(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.kind == "code"]

    def edition(self, lang: str) -> list[Cell]:
        """The cells of one language in order, shared code included."""
        require_language(lang)
        return [cell for cell in self.cells if cell.lang in (None, lang)]


def require_language(lang: str) -> str:
    """Returns `lang`; raises ValueError when it is not one of the book's languages."""
    if lang not in LANGUAGES:
        raise ValueError(f"language is {lang!r}; expected one of {', '.join(LANGUAGES)}")
    return lang


def chapter_files() -> list[Path]:
    """The chapters' folders or files in order."""
    return sorted(paths.chapters_dir().glob("[0-9][0-9]-*"))


def find_chapter(name: str) -> Path:
    """The source of chapter `name`: a number ("1", "01"), a slug, or a point's or section's id ("1.2.3")."""
    files = chapter_files()
    head = name.split(".", maxsplit=1)[0]
    for path in files:
        if name == path.stem or (head.isdigit() and int(head) == int(path.stem[:2])):
            return path
    raise ValueError(f"no chapter {name!r}; expected one of {', '.join(path.stem for path in files)}")


def source_files(path: Path) -> list[Path]:
    """The files of a source in their order: of a chapter's folder `index.md`, then its sections `1-….md`, `2-….md`.

    What editors put beside them (hidden files, backups) is passed over.

    Raises:
        ValueError: the folder holds other files, or lacks its index.
    """
    if path.is_file():
        return [path]
    sections = sorted(path.glob("[0-9]-*.md"))
    names = {
        file.name for file in path.iterdir() if not file.name.startswith((".", "#")) and not file.name.endswith("~")
    }
    if names != {"index.md", *(file.name for file in sections)}:
        held = ", ".join(sorted(names))
        raise ValueError(f"{path} holds {held or 'nothing'}; expected index.md and sections such as 1-origins.md")
    return [path / "index.md", *sections]


def read(path: Path) -> Source:
    """Reads a source.

    Raises:
        SourceError: a file is no MyST notebook, a prose cell has no language or an unknown one, a cell of one language has
            no partner right after it, a code cell has no tag of the book.
        ValueError: a folder is no chapter.
    """
    cells: list[Cell] = []
    findings: list[Finding] = []
    seen: Counter[str] = Counter()
    slug = Source(path, []).slug
    prefix = slug[:2] if slug[:2].isdigit() else slug
    for file in source_files(path):
        of_file = _cells(file, prefix, len(cells), seen)
        findings += [*_language_findings(of_file), *_code_findings(of_file)]
        cells += of_file
    if findings:
        raise SourceError(findings)
    return Source(path, cells)


def _cells(path: Path, prefix: str, before: int, seen: Counter[str]) -> list[Cell]:
    """The cells of a file; prose is numbered on from those `before`, code named by its content."""
    from jupytext.myst import (  # takes a second, which the judge need not wait
        MystMetadataParsingError,
        myst_to_notebook,
    )

    text = path.read_text(encoding="utf-8")
    try:
        notebook = myst_to_notebook(text, add_source_map=True)
    except MystMetadataParsingError as error:
        raise SourceError([Finding(path, 1, f"cell metadata cannot be read: {error}")]) from error
    lines = text.splitlines()
    cells = []
    for index, (raw, start) in enumerate(zip(notebook.cells, notebook.metadata["source_map"], strict=True), before):
        first = _first_line(lines, start, raw.source)
        metadata = dict(raw.metadata)
        lang, only = (
            (metadata.pop("lang", None), metadata.pop("only", None)) if raw.cell_type == "markdown" else (None, None)
        )
        number = f"{index:04d}" if raw.cell_type != "code" else _content_id(raw.source, seen)
        cells.append(Cell(path, f"{prefix}-{number}", raw.cell_type, raw.source, first, lang, only, metadata))
    return cells


def _content_id(code: str, seen: Counter[str]) -> str:
    """A code cell's id hangs on its code alone, so that prose put in before it changes nothing; equal cells are counted."""
    digest = hashlib.sha256(code.encode()).hexdigest()[:8]
    seen[digest] += 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _first_line(lines: list[str], start: int, source: str) -> int:
    head = source.split("\n", 1)[0]
    return next((number for number, line in enumerate(lines[start:], start + 1) if line == head), start + 1)


def _language_findings(cells: list[Cell]) -> list[Finding]:
    findings = []
    waiting: Cell | None = None
    for cell in cells:
        if cell.kind == "markdown" and cell.lang not in LANGUAGES:
            findings.append(
                Finding(cell.path, cell.line, f'prose cell {cell.id} says "lang": {cell.lang!r}; expected "zh" or "en"')
            )
        elif cell.kind == "markdown" and cell.only is None and cell.lang == "zh" and waiting is None:
            waiting = cell
        elif cell.kind == "markdown" and cell.only is None and cell.lang == "en" and waiting is not None:
            waiting = None
        elif cell.kind == "code" and waiting is None:
            continue
        elif cell.only is None:
            lonely = waiting or cell
            other = "en" if lonely.lang == "zh" else "zh"
            findings.append(
                Finding(lonely.path, lonely.line, f"the {lonely.lang} cell {lonely.id} has no {other} cell beside it")
            )
            waiting = cell if cell.lang == "zh" else None
    if waiting is not None:
        findings.append(Finding(waiting.path, waiting.line, f"the zh cell {waiting.id} has no en cell beside it"))
    return findings


def _code_findings(cells: list[Cell]) -> list[Finding]:
    findings = []
    for cell in cells:
        if cell.kind != "code":
            continue
        if cell.tag is None:
            findings.append(
                Finding(cell.path, cell.line, f"code cell {cell.id} has no tag; expected one of {', '.join(TAGS)}")
            )
            continue
        figure = cell.metadata.get("figure")
        lacking = [key for key in FIGURE_WORDS if set(figure.get(key, {})) != set(LANGUAGES)] if figure else []
        if figure and (lacking or "name" not in figure):
            message = f"the figure of cell {cell.id} needs a name, and alt and caption in zh and en"
            findings.append(Finding(cell.path, cell.line, message))
        if not set(cell.metadata.get("labels", {})) <= set(LANGUAGES):
            message = f"the labels of cell {cell.id} are of {', '.join(cell.metadata['labels'])}; expected zh or en"
            findings.append(Finding(cell.path, cell.line, message))
        for number, line in enumerate(cell.source.splitlines(), cell.line):
            if len(line) > CODE_WIDTH:
                message = f"a code line has {len(line)} characters; at most {CODE_WIDTH} can be read without scrolling"
                findings.append(Finding(cell.path, number, message))
        length = len(cell.source.splitlines())
        if length > TAGS[cell.tag]:
            message = f"the {cell.tag} cell {cell.id} has {length} lines; at most {TAGS[cell.tag]} are allowed"
            findings.append(Finding(cell.path, cell.line, message))
    return findings
