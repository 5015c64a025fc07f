"""A submission as it was handed in, read as somebody else's: what grading needs of it is taken, onto the released notebook.

Everything else stays where it is: other files, outputs, metadata, kinds of cells that nobody asked for. So what later reads the notebook
(nbgrader, its grading page, feedback, the judge) meets nothing but texts and pictures of bounded size under marks of the release.

Book: §0
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from llmbook.exercises.exercise import exercises
from llmbook.exercises.foreign_text import printable, storable
from llmbook.grading.placing import MOST_CELLS, WORDS, Places, Plain, marked, text_of
from llmbook.grading.received import picture

LARGEST = 50_000_000  # bytes of a submitted notebook, most of them saved output
LONGEST_CELL = 200_000  # characters
MOST_PICTURES = 20  # of one cell
MOST_SHOWN = 50_000  # characters of a notebook that was refused
TIMESTAMP = "timestamp.txt"
KINDS = ("code", "markdown", "raw")
STUDENT = re.compile(r"[^\W_][\w.@+-]{0,99}")
TIME = re.compile(
    r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{1,9})?( ?[A-Za-z]{1,5}| ?[+-]\d\d:?\d\d)?( ?[A-Za-z/_]{1,40})?"
)


class RefusedError(ValueError):
    """A submission that is not even opened, and why."""


@dataclass(frozen=True)
class Handed:
    """A submitted folder: its notebooks that were released, the names of whatever else lies there."""

    notebooks: list[Path]
    left: list[str]


def require_student(name: str) -> None:
    """Raises ValueError unless a folder's name can be a student's id: it goes into paths, tables and pages."""
    if not STUDENT.fullmatch(name) or not name.isprintable():
        shown = printable(name[:100])
        raise ValueError(
            f"the folder '{shown}' is no student's id: letters, digits, . _ @ + and - are allowed, a letter or digit first, at most 100"
        )


def handed(folder: Path, released: Iterable[str]) -> Handed:
    """What lies in a submitted folder.

    Raises:
        RefusedError: a link or a special file, a released name that is no file or too large, a broken time stamp, no released notebook.
    """
    if folder.is_symlink() or folder.parent.is_symlink():
        raise RefusedError("the submitted folder is a link; a submission holds plain files only")
    names = set(released)
    found, left = [], []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        path = Path(entry.path)
        shown = printable(entry.name[:100])
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise RefusedError(f"{shown} is a link or no plain file; a submission holds plain files only")
        if entry.name in names:
            if not stat.S_ISREG(mode):
                raise RefusedError(f"{shown} is a folder; the notebook itself was expected under this name")
            if path.lstat().st_size > LARGEST:
                raise RefusedError(
                    f"{shown} has {path.lstat().st_size / 1e6:.1f} MB; at most {LARGEST / 1e6:.0f} are read (outputs can be cleared)"
                )
            found.append(path)
        elif entry.name == TIMESTAMP and stat.S_ISREG(mode):
            _require_time(path)
        else:
            left.append(shown)
    if not found:
        raise RefusedError(f"there is no {' and no '.join(sorted(names))} in it")
    return Handed(found, left)


def _require_time(path: Path) -> None:
    with path.open("rb") as file:
        text = file.read(200).decode("utf-8", "replace").strip()
    if text and not TIME.fullmatch(text):
        raise RefusedError(f"{TIMESTAMP} holds no date and time: '{printable(text[:60])}'")


def read_submission(
    path: Path, released: Mapping[str, Any], *, say: Callable[[str], None] | None = None
) -> NotebookNode:
    """The released notebook with the cells of a submitted file.

    A cell that bears the mark of a released one keeps it and gets its kind; a locked one gets its released text back; graded cells that are
    missing come last. The other cells stay where they are, without marks. The file may have a byte order mark, or be of nbformat 3.
    An answer is found by its mark, by the function that it defines, or by its place after its task; a cell that was split is joined.

    Args:
        say: told, in a sentence each in the notebook's language, what was found otherwise than by its mark, and what was not found.

    Raises:
        RefusedError: it is no notebook, or one of more or longer cells than are read.
    """
    try:
        raw = path.read_bytes()
        submitted = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError, OSError) as error:
        raise RefusedError(
            f"{printable(path.name)} cannot be read as a notebook: {printable(str(error)[:100])}"
        ) from error
    return rebuilt(submitted, released, printable(path.name), say=say)


def as_text(path: Path) -> str:
    """What was handed in as a person can look at it, where it could not be read: the texts of its cells, or the file; its beginning, and
    nothing of what is no plain file.
    """
    try:
        if not stat.S_ISREG(path.lstat().st_mode) or path.parent.is_symlink():
            return ""
        with path.open("rb") as file:
            text = file.read(LARGEST).decode("utf-8-sig", "replace")
    except OSError:
        return ""
    try:
        cells = _cells(json.loads(text), "")
    except (ValueError, RecursionError):
        return storable(text[:MOST_SHOWN])
    found = []
    for cell in cells:
        source = cell.get("source") if isinstance(cell, dict) else None
        lines = source if isinstance(source, list) else [source]
        found.append("".join(line for line in lines if isinstance(line, str)))
    return storable("\n\n".join(found)[:MOST_SHOWN])


def rebuilt(
    submitted: Any,
    released: Mapping[str, Any],
    name: str = "the notebook",
    *,
    say: Callable[[str], None] | None = None,
) -> NotebookNode:
    """`read_submission` on what JSON holds."""
    cells = [_plain(cell, number, name) for number, cell in enumerate(_cells(submitted, name))]
    given = marked(released)
    places = Places(cells, given)
    words = WORDS[released["metadata"]["llmbook"]["lang"]]
    for sentence in places.told(words):
        if say is not None:
            say(sentence)
    built = []
    for number, cell in enumerate(cells):
        mark = places.mark_at.get(number)
        if mark is not None:
            built.append(_like(given[mark], places.joined.get(number, cell)))
        elif number not in places.gone:
            kind = "code" if cell.kind == "code" else "markdown"
            built.append(_cell(f"own-{len(built)}", kind, cell.text_of(kind), cell.pictures, {}))
    found = set(places.mark_at.values())
    for mark, like in given.items():
        if mark not in found and like["metadata"]["nbgrader"]["grade"]:
            built.append(_like(like, None))
    metadata = json.loads(json.dumps(released["metadata"]))
    return new_notebook(cells=built, metadata=nbformat.from_dict(metadata))


def _cells(submitted: Any, name: str) -> list[Any]:
    found = submitted.get("cells") if isinstance(submitted, dict) else None
    if isinstance(submitted, dict) and found is None:
        found = _cells_of_format_3(submitted.get("worksheets"))
    if not isinstance(found, list):
        raise RefusedError(f"{name} is no notebook: it has no list of cells")
    if len(found) > MOST_CELLS:
        raise RefusedError(f"{name} has {len(found)} cells; at most {MOST_CELLS} are read")
    return found


def _cells_of_format_3(worksheets: Any) -> list[Any] | None:
    """The cells of a notebook as it was saved before 2015, or None: its code stands in `input`, and headings are cells of their own."""
    sheets = [sheet for sheet in worksheets if isinstance(sheet, dict)] if isinstance(worksheets, list) else []
    lists = [cells for sheet in sheets if isinstance(cells := sheet.get("cells"), list)]
    return [_of_format_4(cell) for cells in lists for cell in cells] if lists else None


def _of_format_4(cell: Any) -> Any:
    kind = cell.get("cell_type") if isinstance(cell, dict) else None
    if kind == "code":
        return cell | {"source": cell.get("input", "")}
    if kind == "heading":
        text = cell.get("source", "")
        return cell | {"cell_type": "markdown", "source": ["# ", *(text if isinstance(text, list) else [text])]}
    return cell


def _plain(cell: Any, number: int, name: str) -> Plain:
    if not isinstance(cell, dict) or cell.get("cell_type") not in KINDS:
        raise RefusedError(f"cell {number} of {name} is none of code, markdown and raw")
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise RefusedError(f"the source of cell {number} of {name} is no text")
    if len(source) > LONGEST_CELL:
        raise RefusedError(f"cell {number} of {name} has {len(source)} characters; at most {LONGEST_CELL} are read")
    return Plain(cell["cell_type"], storable(source), _mark(cell), _pictures(cell))


def _mark(cell: dict[str, Any]) -> str:
    metadata = cell.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    mark = marks.get("grade_id") if isinstance(marks, dict) else None
    return mark if isinstance(mark, str) else ""


def _pictures(cell: dict[str, Any]) -> dict[str, dict[str, str]]:
    attached = cell.get("attachments")
    found: dict[str, dict[str, str]] = {}
    for name, kinds in attached.items() if isinstance(attached, dict) else ():
        for data in kinds.values() if isinstance(kinds, dict) else ():
            if len(found) < MOST_PICTURES and len(name) <= 200 and (one := picture(data)):
                found[storable(name)] = {one[0]: one[1]}
    return found


def _like(released: Mapping[str, Any], submitted: Plain | None) -> NotebookNode:
    """A cell with a released one's kind and marks, and the submitted text where it may be changed."""
    marks = released["metadata"]["nbgrader"]
    text = text_of(released)
    pictures: dict[str, dict[str, str]] = {}
    if submitted is not None and not marks["locked"]:
        text, pictures = submitted.text_of(released["cell_type"]), submitted.pictures
    name = released.get("id") or marks["grade_id"]
    return _cell(name, released["cell_type"], text, pictures, {"nbgrader": json.loads(json.dumps(marks))})


def _cell(
    name: str, kind: str, text: str, pictures: dict[str, dict[str, str]], metadata: dict[str, Any]
) -> NotebookNode:
    node = nbformat.from_dict(metadata)
    if kind == "code":
        return new_code_cell(text, id=name, metadata=node)
    cell = new_markdown_cell(text, id=name, metadata=node)
    if pictures:
        cell["attachments"] = nbformat.from_dict(pictures)
    return cell


def chapter_of(notebook: dict[str, Any]) -> int:
    """The chapter whose exercises a notebook holds; ValueError if it names none that has any."""
    try:
        chapter = notebook["metadata"]["llmbook"]["exercises"]
    except (KeyError, TypeError):
        chapter = None
    if type(chapter) is not int or not exercises(chapter):
        raise ValueError("this is no notebook of exercises: its metadata names no chapter that has any")
    return chapter


def code_cells(notebook: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, source) of the cells to run: code that is no check. ValueError for what is no list of usual cells."""
    cells = notebook.get("cells")
    if not isinstance(cells, list) or len(cells) > MOST_CELLS:
        raise ValueError(f"a notebook needs a list of at most {MOST_CELLS} cells")
    found = []
    for number, cell in enumerate(cells):
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", "")
        source = "".join(source) if isinstance(source, list) else source
        metadata = cell.get("metadata", {})
        marks = metadata.get("nbgrader", {}) if isinstance(metadata, dict) else {}
        if isinstance(marks, dict) and marks.get("grade") and not marks.get("solution"):
            continue
        if not isinstance(source, str) or len(source) > LONGEST_CELL:
            raise ValueError(f"the code of cell {number} is no text of at most {LONGEST_CELL} characters")
        found.append((cell_name(cell, number), source))
    return found


def cell_name(cell: dict[str, Any], number: int) -> str:
    """The name under which the judge keeps a cell's outputs."""
    return f"{number}:{cell.get('id', '')}"
