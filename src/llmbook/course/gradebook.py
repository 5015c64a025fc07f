"""A course: release, collect, grade, feedback, export, in nbgrader's folders and gradebook, so that its own pages go on working.

Book: §0
"""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import nbformat
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.apps.baseapp import NbGrader

from llmbook.course.assignment import exercise_notebook
from llmbook.course.atomic import write_text
from llmbook.course.judged import NOTEBOOK, JudgeFailedError, RefusedError, checks_key, judged_result, require_openable
from llmbook.course.sandbox import why_no_sandbox
from llmbook.course.source import find_chapter, read, require_language
from llmbook.course.split_languages import context

CONFIG = '''"""nbgrader's configuration of this course. The judge of the book stands where nbgrader would run submitted code."""

from llmbook.course.judged import configure

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
        app = NbGrader()
        app.load_cwd_config = False
        app.config_dir = str(self.root)
        app.load_config_file()
        self.config = app.config
        self.api = NbGraderAPI(config=app.config)
        self.api.coursedir.root = str(self.root)

    @cached_property
    def checks_key(self) -> str:
        return checks_key(str(self.config.Judged.private))

    @property
    def judged(self) -> Path:
        return self.root / "judged"

    @contextmanager
    def gradebook(self) -> Iterator[Gradebook]:
        with Gradebook(self.api.coursedir.db_url, self.api.coursedir.course_id) as book:
            yield book

    def submissions(self, assignment: str) -> list[str]:
        """The students who handed something in, by name."""
        return sorted(path.parent.name for path in (self.root / "submitted").glob(f"*/{assignment}") if path.is_dir())

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
    source = read(find_chapter(str(chapter)))
    assignment = f"chapter-{chapter:02d}"
    for lang in map(require_language, languages):
        notebook = exercise_notebook(chapter, lang, context(source, lang))
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
    released = {path.name for path in (course.root / "release" / assignment).glob("*.ipynb")}
    if not released:
        raise ValueError(f"{assignment} is not released; `llmbook course release` comes first")
    taken = []
    for path in sorted(folder.glob("*/*.ipynb")):
        student = path.parent.name
        if path.name not in released or path.is_symlink() or path.parent.is_symlink():
            continue
        if not all(sign.isalnum() or sign in "._@-" for sign in student) or student.startswith("."):
            raise ValueError(f"the folder {student!r} is no student's id: letters, digits, . _ @ and - are allowed")
        target = course.root / "submitted" / student / assignment / path.name
        if target.exists() and target.read_bytes() == path.read_bytes():
            taken.append(student)
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        stamp = datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
        write_text(target.parent / "timestamp.txt", stamp)
        taken.append(student)
    if not taken:
        raise ValueError(
            f"{folder} holds no STUDENT/{sorted(released)[0]}; expected a folder a student with the released file"
        )
    return sorted(set(taken))


def grade(
    course: Course,
    assignment: str,
    students: list[str] | None = None,
    *,
    jobs: int = 2,
    trusted: bool = False,
    on_student: Callable[[str, str], None] | None = None,
) -> dict[str, str]:
    """Judges submissions, `jobs` at a time, and writes scores into the gradebook one after another; returns what became of each.

    Graded submissions are left as they are while neither they nor the checks have changed. Killed and started again it goes on
    where it was, and the gradebook is the same. Scores that a person gave are kept.

    Raises:
        ValueError: submitted code cannot be isolated here, and `trusted` was not said.
    """
    require_judge(trusted=trusted)
    course.api.config.Judged.trusted = trusted
    told = on_student or (lambda student, what: None)
    private = course.config.Judged.private
    results: dict[str, str] = {}
    waiting = submissions_to_grade(course, assignment, students)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        running = {pool.submit(_judge, course, student, assignment, private, trusted): student for student in waiting}
        for one in as_completed(running):
            student = running[one]
            results[student] = _record(course, student, assignment, one.exception())
            told(student, results[student])
    return results


def require_judge(*, trusted: bool) -> None:
    """Raises ValueError where submitted code could not be isolated and nobody said that it may run all the same."""
    reason = None if trusted else why_no_sandbox()
    if reason:
        raise ValueError(
            f"submitted code is not graded: {reason}. `--trust` runs it without a sandbox, with your rights; do that only with code "
            "that you would run yourself"
        )


def _submitted(course: Course, student: str, assignment: str) -> Path:
    return course.root / "submitted" / student / assignment


def submissions_to_grade(course: Course, assignment: str, students: list[str] | None = None) -> list[str]:
    """The students, of those named or of all, whose submission is new or changed, or graded by other checks."""
    return [one for one in students or course.submissions(assignment) if not _is_done(course, one, assignment)]


def _is_done(course: Course, student: str, assignment: str) -> bool:
    mark = course.done(student, assignment)
    return mark.exists() and json.loads(mark.read_text(encoding="utf-8")) == _state(course, student, assignment)


def _state(course: Course, student: str, assignment: str) -> dict[str, Any]:
    """What a grade rests on, for telling whether it has changed: names, sizes and times of the files; the checks."""
    files = sorted(path for path in _submitted(course, student, assignment).rglob("*"))
    listed = {path.name: [path.lstat().st_size, path.lstat().st_mtime_ns] for path in files}
    return {"files": listed, "checks": course.checks_key}


def _judge(course: Course, student: str, assignment: str, private: str, trusted: bool) -> None:
    """Fills the cache with what the judge finds on the notebooks of a submission."""
    folder = _submitted(course, student, assignment)
    require_openable(folder)
    for path in sorted(folder.glob("*.ipynb")):
        if NOTEBOOK.fullmatch(path.name):
            judged_result(json.loads(path.read_text(encoding="utf-8")), course.judged, private=private, trusted=trusted)


def _record(course: Course, student: str, assignment: str, error: BaseException | None) -> str:
    """Writes one submission into the gradebook through nbgrader; what cannot be graded gets no points and a reason."""
    if error is not None and not isinstance(error, RefusedError | JudgeFailedError):
        raise error
    state = _state(course, student, assignment)
    reason = str(error) if error is not None else ""
    if error is None:
        done = course.api.autograde(assignment, student, force=True, create=True)
        reason = "" if done["success"] else _last_error(done)
    if reason:
        _record_nothing(course, student, assignment, reason)
    write_text(course.done(student, assignment), json.dumps(state))
    return reason or "graded"


def _last_error(done: dict[str, Any]) -> str:
    """The last line of nbgrader's log that names an exception, without the exception's name."""
    found = re.findall(r"^\s*[\w.]+(?:Error|Exception): (.+)$", done.get("log", ""), re.MULTILINE)
    return found[-1].strip() if found else "nbgrader could not grade it"


def _record_nothing(course: Course, student: str, assignment: str, reason: str) -> None:
    """No points, a comment with the reason, and a mark that a person should look; the released notebook stands for the submitted one."""
    with course.gradebook() as book:
        book.update_or_create_student(student)
        submission = book.update_or_create_submission(assignment, student)
        for notebook in submission.notebooks:
            for one in notebook.grades:
                one.auto_score, one.needs_manual_grade = 0, True
            for comment in notebook.comments:
                comment.auto_comment = reason
        book.db.commit()
    target = course.root / "autograded" / student / assignment
    for path in sorted((course.root / "release" / assignment).glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(f"**{reason}**"))
        write_text(target / path.name, nbformat.writes(notebook))


def feedback(course: Course, assignment: str) -> list[Path]:
    """Writes `feedback/STUDENT/ASSIGNMENT/NN.zh.html`, files that need no network; returns them.

    Raises:
        ValueError: nbgrader refused; the message is its log.
    """
    done = course.api.generate_feedback(assignment, force=True)
    if not done["success"]:
        raise ValueError(f"nbgrader made no feedback:\n{done.get('log', '')}{done.get('error', '')}")
    return sorted((course.root / "feedback").glob(f"*/{assignment}/*.html"))
