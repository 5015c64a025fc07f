"""A course in nbgrader's folders and gradebook, so that its own pages go on working: made, released, handed in.

Book: §0
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import nbformat
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.apps.baseapp import NbGrader

from llmbook.atomic import replacing, write_text
from llmbook.book.source import require_language
from llmbook.edition.assignment import exercise_notebook
from llmbook.edition.book import Book
from llmbook.grading.judging import checks_key
from llmbook.grading.submission import require_student

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


def collect(course: Course, assignment: str, folder: Path) -> list[str]:
    """Takes submissions from a folder, `STUDENT/NN.zh.ipynb` each, as a download from a course system unpacks; returns the students.

    What was submitted before is replaced where the new file differs. Links and other files are left where they are.

    Raises:
        ValueError: the assignment was not released, or the folder holds no submission.
    """
    released = {path.name for path in course.released(assignment)}
    if not released:
        raise ValueError(f"{assignment} is not released; `llmbook course release` comes first")
    taken = []
    for path in sorted(folder.glob("*/*.ipynb")):
        student = path.parent.name
        if path.name not in released or path.is_symlink() or path.parent.is_symlink():
            continue
        require_student(student)
        target = course.root / "submitted" / student / assignment / path.name
        if target.exists() and target.read_bytes() == path.read_bytes():
            taken.append(student)
            continue
        with replacing(target) as new:
            shutil.copyfile(path, new)
        stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
        write_text(target.parent / "timestamp.txt", stamp)
        taken.append(student)
    if not taken:
        raise ValueError(
            f"{folder} holds no STUDENT/{sorted(released)[0]}; expected a folder a student with the released file"
        )
    return sorted(set(taken))
