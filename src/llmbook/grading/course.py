"""A course in nbgrader's folders and gradebook, so that its own pages go on working: made, released, handed in.

Book: §0
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbgrader.api import Assignment, Gradebook, MissingEntry
from nbgrader.apps import NbGraderAPI
from nbgrader.apps.baseapp import NbGrader

from llmbook.atomic import replacing, write_text
from llmbook.book.source import require_language
from llmbook.edition.assignment import exercise_notebook
from llmbook.edition.book import Book
from llmbook.exercises.foreign_text import printable
from llmbook.grading.collecting import Left, Taken, found_in
from llmbook.grading.judging import checks_key
from llmbook.grading.submission import TIMESTAMP, require_student

STAMP = "%Y-%m-%d %H:%M:%S.%f UTC"
BOTH = "{kept} was graded, the later of the two languages that were handed in; {other} was not"

CONFIG = '''"""nbgrader's configuration of this course. The judge of the book stands where nbgrader would run submitted code."""

from llmbook.grading.nbgrader_steps import configure

c = get_config()
configure(c, __file__, {course!r}, private={private!r})
'''


class Course:
    """A course in its folder.

    Raises:
        ValueError: the folder is no course.
    """

    def __init__(self, root: Path):
        self.root = root.resolve()
        if not (self.root / "nbgrader_config.py").is_file():
            raise ValueError(f"{root} is no course: it has no nbgrader_config.py; `llmbook course init` makes one")
        if "llmbook.course.judged" in (self.root / "nbgrader_config.py").read_text(encoding="utf-8"):
            raise ValueError(
                f"{root} was made by an earlier version: let its nbgrader_config.py say "
                "`from llmbook.grading.nbgrader_steps import configure`"
            )
        app = NbGrader()
        app.load_cwd_config = False
        app.config_dir = str(self.root)
        app.load_config_file()
        self.config = app.config
        self._checks_keys: dict[str, str] = {}
        self.api = NbGraderAPI(config=app.config)
        self.api.coursedir.root = str(self.root)

    def checks_key(self, assignment: str) -> str:
        """What grades of an assignment rest on, submissions aside: the checks of its chapter, and what the judge does."""
        if assignment not in self._checks_keys:
            chapter = int(assignment.rpartition("-")[2])
            self._checks_keys[assignment] = checks_key(chapter, str(self.config.JudgeInPlace.private))
        return self._checks_keys[assignment]

    @property
    def judged(self) -> Path:
        return self.root / "judged"

    @contextmanager
    def gradebook(self) -> Iterator[Gradebook]:
        with Gradebook(self.api.coursedir.db_url, self.api.coursedir.course_id) as book:
            yield book

    def submissions(self, assignment: str) -> list[str]:
        """The folders in which something was handed in, by name: students' ids, if they are any."""
        return sorted(path.parent.name for path in (self.root / "submitted").glob(f"*/{assignment}") if path.is_dir())

    def released(self, assignment: str) -> list[Path]:
        """The notebooks of an assignment as they were released."""
        return sorted((self.root / "release" / assignment).glob("*.ipynb"))

    def done(self, student: str, assignment: str) -> Path:
        """The mark that a submission is graded whole; it holds what the grade rests on."""
        return self.judged / "done" / assignment / f"{student}.json"

    def found(self, student: str, assignment: str) -> Path:
        """Which misconception each answer of a student agreed with, by exercise."""
        return self.judged / "found" / assignment / f"{student}.json"

    def note(self, student: str, assignment: str) -> Path:
        """What a student is to be told of how a submission was taken, if anything."""
        return self.judged / "notes" / assignment / f"{student}.txt"


def init(root: Path, course: str, private: str = "") -> Course:
    """Makes a course in a new or empty folder; `private` is a folder of checks, seen from the course.

    Raises:
        ValueError: the folder holds something already.
    """
    if root.exists() and any(root.iterdir()):
        raise ValueError(f"{root} is not empty; a course is made in a new folder")
    for name in ("source", "release", "submitted", "autograded", "feedback", "judged"):
        (root / name).mkdir(parents=True, exist_ok=True)
    write_text(root / "nbgrader_config.py", CONFIG.format(course=course, private=private))
    return Course(root)


def release(course: Course, chapter: int, languages: Iterable[str]) -> Path:
    """Puts a chapter's exercises into `source/` and makes the students' version of them by nbgrader's generate_assignment.

    Raises:
        ValueError: nbgrader refused; the message is its log.
    """
    book = Book.read()
    source, listed = book.chapter(str(chapter)), book.exercises_of(chapter)
    assignment = f"chapter-{chapter:02d}"
    for lang in map(require_language, languages):
        notebook = exercise_notebook(listed, lang, book.context(source, lang))
        write_text(
            course.root / "source" / assignment / f"{chapter:02d}.{lang}.ipynb", nbformat.writes(notebook) + "\n"
        )
    done = course.api.generate_assignment(assignment, force=True, create=True)
    if not done["success"]:
        raise ValueError(f"nbgrader did not make {assignment}:\n{done.get('log', '')}{done.get('error', '')}")
    return course.root / "release" / assignment


@dataclass(frozen=True)
class Collected:
    """What was taken, and what was left where it was and why."""

    taken: list[Taken]
    left: list[Left]

    @property
    def students(self) -> list[str]:
        return [one.student for one in self.taken]


def collect(course: Course, assignment: str, place: Path) -> Collected:
    """Takes submissions from a folder or a zip, as `found_in` knows them.

    A newer submission takes the place of an older one, never the other way round. Of two languages that a student hands in the later
    counts; the student is told.

    Raises:
        ValueError: the assignment was not released, or the place holds no submission.
    """
    released = {path.name for path in course.released(assignment)}
    if not released:
        raise ValueError(f"{assignment} is not released; `llmbook course release` comes first")
    found, left = found_in(place, assignment, released)
    if not found:
        raise ValueError(
            f"{place} holds no submission such as STUDENT/{sorted(released)[0]}; "
            + "; ".join(f"{one.source} {one.why}" for one in left[:3])
        )
    taken = []
    for one in found:
        target = course.root / "submitted" / one.student / assignment / one.notebook
        there = _handed_in(target.parent)
        if there is not None and there > one.when:
            left.append(Left(one.source, f"is older than what {one.student} has handed in already"))
            continue
        try:
            content = one.read()
        except OSError as error:
            left.append(Left(one.source, printable(str(error)[:200])))
            continue
        if not target.exists() or target.read_bytes() != content:
            with replacing(target) as new:
                new.write_bytes(content)
            write_text(target.parent / TIMESTAMP, one.when.strftime(STAMP))
        others = {other for other in released - {one.notebook} if (target.parent / other).is_file()}
        for other in others:
            (target.parent / other).unlink()
        others |= {one.instead_of} - {""}
        if others:
            said = BOTH.format(kept=one.notebook, other=", ".join(sorted(others)))
            write_text(course.note(one.student, assignment), said)
        with course.gradebook() as book:
            named = {"last_name": one.name} if one.name else {}
            book.update_or_create_student(one.student, **named)
        taken.append(one)
    return Collected(taken, left)


def set_due(course: Course, assignment: str, when: datetime) -> None:
    """When an assignment is due; what was graded is graded again the next time, with nbgrader's penalty for lateness.

    Raises:
        ValueError: there is no such assignment, or the time names no zone.
    """
    if when.tzinfo is None:
        raise ValueError(f"{when.isoformat()} names no time zone; for example 2027-03-04T23:59+08:00")
    with course.gradebook() as book:
        released_assignment(book, assignment)
        book.update_or_create_assignment(assignment, duedate=when.astimezone(UTC).strftime(STAMP))
    for mark in course.done("any", assignment).parent.glob("*.json"):
        mark.unlink()


def extend(course: Course, assignment: str, student: str, days: float) -> None:
    """Gives a student some days more, in place of what was given before; 0 takes it back.

    Raises:
        ValueError: there is no such assignment, or a negative number of days.
    """
    require_student(student)
    if days < 0:
        raise ValueError(f"an extension is 0 days or more; got {days}")
    with course.gradebook() as book:
        released_assignment(book, assignment)
        book.update_or_create_student(student)
        book.update_or_create_submission(assignment, student)
        book.grant_extension(assignment, student, days=days)
    course.done(student, assignment).unlink(missing_ok=True)


def released_assignment(book: Gradebook, assignment: str) -> Assignment:
    """An assignment of the gradebook; ValueError if it is not there."""
    try:
        return book.find_assignment(assignment)
    except MissingEntry as error:
        raise ValueError(f"{assignment} is not released; `llmbook course release` comes first") from error


def _handed_in(folder: Path) -> datetime | None:
    """When what lies in a submitted folder was handed in."""
    try:
        text = (folder / TIMESTAMP).read_text(encoding="utf-8")
        return datetime.strptime(text, STAMP).replace(tzinfo=UTC)
    except (OSError, ValueError):
        return None
