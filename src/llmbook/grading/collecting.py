"""Submissions as course systems hand them out: whose they are, and which file is which.

Known are a folder a student; Moodle's folders and flat names (`Ann Lee_12345_assignsubmission_file_…`); Canvas's names
(`leeann_12345_67890_…`, `leeann_LATE_12345_67890_…`); zips of these; and what browsers make of a name (`01.en (1).ipynb`).
A student of Moodle or Canvas is known by the number that the system gives.

Book: §0
"""

import re
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath

from llmbook.exercises.foreign_text import printable
from llmbook.grading.submission import LARGEST, require_student

MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?")
CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<id>\d+)_\d+_")
COPY = r"(?: ?\(\d+\)|-\d+| copy| - Copy|（\d+）)*"  # what browsers and systems add to a name that is there already
NOT_ASKED = "is no notebook of this assignment"
MOST_FILES = 20_000


@dataclass(frozen=True)
class Taken:
    """A notebook, whose it is, when it was handed in, and how to read it. `name` is the student's, where the system gives it."""

    student: str
    name: str
    notebook: str
    when: datetime
    source: str
    read: Callable[[], bytes]
    instead_of: str = ""  # the notebook of another language that was handed in before it


@dataclass(frozen=True)
class Left:
    """A file that was not taken, and why."""

    source: str
    why: str


def found_in(place: Path, assignment: str, released: Iterable[str]) -> tuple[list[Taken], list[Left]]:
    """The notebooks of an assignment in a folder or a zip, one a student: the latest. And everything else, with the reason.

    Raises:
        ValueError: the place is neither a folder nor a zip.
    """
    names = sorted(released)
    taken: list[Taken] = []
    left: list[Left] = []
    files = list(_files(place))
    wrapped = _wrapping([path for path, *_ in files if _is_plain(path.name, names)], assignment)
    for path, when, read, odd in files:
        shown = printable(path.as_posix()[:200])
        try:
            if odd:
                raise ValueError(odd)
            notebook, before = _notebook(path.name, names)
            student, name = _student(before, path.parts[wrapped:-1], assignment)
            require_student(student)
        except ValueError as error:
            left.append(Left(shown, str(error)))
            continue
        taken.append(Taken(student, printable(name[:100]), notebook, when, shown, read))
    kept: dict[str, Taken] = {}
    for one in sorted(taken, key=lambda one: one.when):
        older = kept.get(one.student)
        kept[one.student] = one
        if older is not None:
            other = older.notebook if older.notebook != one.notebook else older.instead_of
            kept[one.student] = replace(one, instead_of=other)
            left.append(Left(older.source, f"is older than {one.source}" + (", in another language" if other else "")))
    return sorted(kept.values(), key=lambda one: one.student), left


def _files(place: Path) -> Iterator[tuple[PurePosixPath, datetime, Callable[[], bytes], str]]:
    """Path, time and content of each file, and what is odd about it."""
    if zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            for info in [info for info in archive.infolist() if not info.is_dir()][:MOST_FILES]:
                odd = "" if info.file_size <= LARGEST else f"has more than {LARGEST / 1e6:.0f} MB"
                try:
                    when = datetime(*info.date_time).astimezone(UTC)
                except (ValueError, OverflowError, OSError):
                    when, odd = datetime.fromtimestamp(0, UTC), odd or "has no date in the zip"
                yield PurePosixPath(info.filename), when, partial(_member, place, info.filename), odd
    elif place.is_dir():
        for path in sorted(place.rglob("*"))[:MOST_FILES]:
            facts = path.lstat()
            if stat.S_ISDIR(facts.st_mode):
                continue
            odd = "" if stat.S_ISREG(facts.st_mode) else "is a link or no plain file"
            when = datetime.fromtimestamp(facts.st_mtime, UTC)
            yield PurePosixPath(path.relative_to(place).as_posix()), when, path.read_bytes, odd
    else:
        raise ValueError(f"{place} is neither a folder nor a zip")


def _member(place: Path, name: str) -> bytes:
    try:
        with zipfile.ZipFile(place) as archive:
            return archive.read(name)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:  # damaged, or with a password
        raise OSError(f"cannot be read from the zip: {error}") from error


def _wrapping(paths: list[PurePosixPath], assignment: str) -> int:
    """How many folders all these notebooks share that are nobody's: a folder within a folder, as zips unpack."""
    folders = [path.parts[:-1] for path in paths]
    shared = 0
    while folders and all(len(parts) > shared + 1 for parts in folders):
        first = {parts[shared] for parts in folders}
        rest = {part for parts in folders for part in parts[shared + 1 :]} - {assignment}
        if len(first) > 1 or not rest or any(map(MOODLE.fullmatch, first)):
            break
        shared += 1
    return shared


def _is_plain(name: str, released: list[str]) -> bool:
    """Whether a file is a released notebook by its name alone, so that its folder says whose it is."""
    try:
        return not _notebook(name, released)[1]
    except ValueError:
        return False


def _notebook(name: str, released: list[str]) -> tuple[str, str]:
    """Which of the released notebooks a file is, and what stands before its name; ValueError if none."""
    for one in released:
        stem = re.escape(one.removesuffix(".ipynb"))
        if found := re.fullmatch(rf"(.*?){stem}{COPY}\.ipynb", name, re.IGNORECASE):
            return one, found[1]
    raise ValueError(NOT_ASKED)


def _student(before: str, folders: tuple[str, ...], assignment: str) -> tuple[str, str]:
    """A student's id and name, from what stands before a notebook's name, or from the folders in which it lies."""
    for pattern in (MOODLE, CANVAS):
        if found := pattern.fullmatch(before):
            return found["id"], found["name"]
    if before:
        raise ValueError(f"begins with '{printable(before[:50])}', by which no student can be told")
    theirs = [folder for folder in folders if folder != assignment]
    if not theirs:
        raise ValueError("lies in no student's folder")
    found = next(filter(None, map(MOODLE.fullmatch, theirs)), None)
    return (found["id"], found["name"]) if found else (theirs[0], "")
