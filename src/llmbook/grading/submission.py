"""A submission as it was handed in, read as somebody else's: what grading needs of it is taken, onto the released notebook.

Everything else stays where it is: other files, outputs, metadata, kinds of cells that nobody asked for. So what later reads the notebook
(nbgrader, its grading page, feedback, the judge) meets nothing but texts and pictures of bounded size under marks of the release.

Book: §0
"""

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from llmbook.exercises.foreign_text import printable, storable
from llmbook.grading.safe_html import picture

LARGEST = 5_000_000  # bytes of a submitted notebook
MOST_CELLS = 500
LONGEST_CELL = 200_000  # characters
MOST_PICTURES = 20  # of one cell
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


def read_submission(path: Path, released: Mapping[str, Any]) -> NotebookNode:
    """The released notebook with the cells of a submitted file.

    A cell that bears the mark of a released one keeps it (of several with the same mark the last) and gets its kind; a locked one gets its
    released text back; graded cells that are missing come last. The other cells stay where they are, without marks. The file may begin
    with a byte order mark.

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
    return rebuilt(submitted, released, printable(path.name))


def rebuilt(submitted: Any, released: Mapping[str, Any], name: str = "the notebook") -> NotebookNode:
    """`read_submission` on what JSON holds."""
    cells = [_plain(cell, number, name) for number, cell in enumerate(_cells(submitted, name))]
    marked = {
        cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in released["cells"] if "nbgrader" in cell["metadata"]
    }
    last = {cell.mark: number for number, cell in enumerate(cells) if cell.mark in marked}
    built = []
    for number, cell in enumerate(cells):
        like = marked[cell.mark] if last.get(cell.mark, -1) == number else None
        built.append(
            _cell(f"own-{number}", cell.kind, cell.text, cell.pictures, {}) if like is None else _like(like, cell)
        )
    for mark, like in marked.items():
        if mark not in last and like["metadata"]["nbgrader"]["grade"]:
            built.append(_like(like, None))
    metadata = json.loads(json.dumps(released["metadata"]))
    return new_notebook(cells=built, metadata=nbformat.from_dict(metadata))


@dataclass(frozen=True)
class _Plain:
    kind: str
    text: str
    mark: str
    pictures: dict[str, dict[str, str]]


def _cells(submitted: Any, name: str) -> list[Any]:
    if not isinstance(submitted, dict) or not isinstance(submitted.get("cells"), list):
        older = isinstance(submitted, dict) and isinstance(submitted.get("worksheets"), list)
        raise RefusedError(
            f"{name} is a notebook of an older format; open it in JupyterLab and save it again"
            if older
            else f"{name} is no notebook: it has no list of cells"
        )
    if len(submitted["cells"]) > MOST_CELLS:
        raise RefusedError(f"{name} has {len(submitted['cells'])} cells; at most {MOST_CELLS} are read")
    return submitted["cells"]


def _plain(cell: Any, number: int, name: str) -> _Plain:
    if not isinstance(cell, dict) or cell.get("cell_type") not in KINDS:
        raise RefusedError(f"cell {number} of {name} is none of code, markdown and raw")
    source = cell.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise RefusedError(f"the source of cell {number} of {name} is no text")
    if len(source) > LONGEST_CELL:
        raise RefusedError(f"cell {number} of {name} has {len(source)} characters; at most {LONGEST_CELL} are read")
    text = storable(source)
    if cell["cell_type"] == "raw":
        fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=2))
        text = f"{fence}\n{text}\n{fence}"
    return _Plain("code" if cell["cell_type"] == "code" else "markdown", text, _mark(cell), _pictures(cell))


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


def _like(released: Mapping[str, Any], submitted: _Plain | None) -> NotebookNode:
    """A cell with a released one's kind and marks, and the submitted text where it may be changed."""
    marks = released["metadata"]["nbgrader"]
    source = released["source"]
    text = "".join(source) if isinstance(source, list) else source
    pictures: dict[str, dict[str, str]] = {}
    if submitted is not None and not marks["locked"]:
        text, pictures = submitted.text, submitted.pictures
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
