"""Grading a class: every submission is judged, and whatever one of them is costs that one alone.

Book: §0
"""

import json
import os
import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import nbformat

from llmbook.atomic import write_text
from llmbook.exercises.foreign_text import printable
from llmbook.grading.course import Course
from llmbook.grading.judging import JudgeFailedError, judged_result
from llmbook.grading.placing import fenced
from llmbook.grading.sandbox import why_no_sandbox
from llmbook.grading.submission import RefusedError, as_text, handed, read_submission, require_student

LOG = 100_000  # characters of nbgrader's log that are read, from its end
NAMED_ERROR = re.compile(r"[ \t]*[\w.]+(?:Error|Exception): (.+)")
MOST_NAMED = 10
LEFT = "left where it was, since only the released notebooks are taken: {names}"
NOT_GRADED = "not graded, and to be tried again: {reason}"
BUSY = "graded, but it ran out of time while this machine was busy with something else; grade again when it is not"


def grade(
    course: Course,
    assignment: str,
    students: list[str] | None = None,
    *,
    jobs: int = 2,
    trusted: bool = False,
    force: bool = False,
    on_student: Callable[[str, str], None] | None = None,
) -> dict[str, str]:
    """Judges submissions, `jobs` at a time, and writes scores into the gradebook one after another; returns what became of each.

    Graded submissions are left as they are while neither they nor the checks have changed. Killed and started again it goes on
    where it was, and the gradebook is the same. Scores that a person gave are kept. With `force` what has not changed is judged again too.

    Raises:
        ValueError: submitted code cannot be isolated here, and `trusted` was not said.
    """
    require_judge(trusted=trusted)
    course.api.config.JudgeInPlace.trusted = trusted
    course.api.config.JudgeInPlace.take_busy = True
    told = on_student or (lambda student, what: None)
    private = course.config.JudgeInPlace.private
    results: dict[str, str] = {}
    waiting = submissions_to_grade(course, assignment, students, force=force)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        running = {
            pool.submit(_judge, course, student, assignment, private, trusted, force): student for student in waiting
        }
        for one in as_completed(running):
            student = running[one]
            try:
                results[student] = _record(course, student, assignment, one)
            except Exception as error:  # of nbgrader's, of its database: it costs this submission alone
                results[student] = NOT_GRADED.format(reason=_sentence(error))
            told(printable(student), results[student])
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


def submissions_to_grade(
    course: Course, assignment: str, students: list[str] | None = None, *, force: bool = False
) -> list[str]:
    """The students, of those named or of all, whose submission is new or changed, or graded by other checks; with `force` all of them.

    Raises:
        ValueError: one who is named has handed nothing in.
    """
    there = course.submissions(assignment)
    if unknown := [one for one in students or () if one not in there]:
        handed_in = ", ".join(map(printable, there)) or "nobody"
        raise ValueError(
            f"nothing of {assignment} was handed in by {', '.join(map(printable, unknown))}; there are {handed_in}"
        )
    return [one for one in students or there if force or not _is_done(course, one, assignment)]


def _is_done(course: Course, student: str, assignment: str) -> bool:
    mark = course.done(student, assignment)
    return mark.exists() and json.loads(mark.read_text(encoding="utf-8")) == _state(course, student, assignment)


def _state(course: Course, student: str, assignment: str) -> dict[str, Any]:
    """What a grade rests on, for telling whether it has changed: names, sizes and times of the files; the checks."""
    files = sorted(os.scandir(_submitted(course, student, assignment)), key=lambda entry: entry.name)
    facts = {entry.name: entry.stat(follow_symlinks=False) for entry in files}
    listed = {name: [one.st_size, one.st_mtime_ns] for name, one in facts.items()}
    return {"files": listed, "checks": course.checks_key(assignment)}


def _judge(
    course: Course, student: str, assignment: str, private: str, trusted: bool, again: bool = False
) -> tuple[list[str], bool]:
    """Fills the cache with what the judge finds on the notebooks of a submission; returns what is to be said of how it was read, and
    whether this machine was too busy for the result to be kept.

    Raises:
        RefusedError: it cannot be opened.
    """
    try:
        require_student(student)
    except ValueError as error:
        raise RefusedError(str(error)) from error
    found = handed(_submitted(course, student, assignment), [path.name for path in course.released(assignment)])
    busy = False
    told = [LEFT.format(names=", ".join(found.left[:MOST_NAMED]))] if found.left else []
    note = course.note(student, assignment)
    told += [note.read_text(encoding="utf-8")] if note.exists() else []
    for path in found.notebooks:
        released = json.loads((course.root / "release" / assignment / path.name).read_text(encoding="utf-8"))
        notebook = json.loads(json.dumps(read_submission(path, released, say=told.append)))
        judged = judged_result(notebook, course.judged, private=private, trusted=trusted, again=again)
        busy |= judged["busy"]
        named = {name: one["misconception"] for name, one in judged["exercises"].items()}
        write_text(course.found(student, assignment), json.dumps(named))
    return told, busy


def _record(course: Course, student: str, assignment: str, judged: Future[tuple[list[str], bool]]) -> str:
    """Writes one submission into the gradebook through nbgrader; returns what became of it.

    What is refused gets no points and a reason. What failed for a reason that need not be the submission's gets a reason too, and is tried
    again the next time.
    """
    state = _state(course, student, assignment)
    error = judged.exception()
    if error is None:
        told, busy = judged.result()
        done = course.api.autograde(assignment, student, force=True, create=True)
        if not done["success"]:
            error = RuntimeError(_last_error(done))
    if error is not None:
        reason = _sentence(error)
        lasting = isinstance(error, RefusedError)
        said = reason if lasting else NOT_GRADED.format(reason=reason)
        if _is_student(student):
            _record_nothing(course, student, assignment, said)
        if lasting and _is_student(student):
            write_text(course.done(student, assignment), json.dumps(state))
        return said
    if told:
        _comment(course, student, assignment, "\n".join(told))
    if busy:
        return BUSY
    write_text(course.done(student, assignment), json.dumps(state))
    return "graded"


def _is_student(name: str) -> bool:
    try:
        require_student(name)
    except ValueError:
        return False
    return True


def _sentence(error: BaseException) -> str:
    """An error in one line: its own words where they were written for people, with its kind before them elsewhere."""
    text = printable(" ".join(str(error).split())[:400])
    return (
        text if isinstance(error, RefusedError | JudgeFailedError | RuntimeError) else f"{type(error).__name__}: {text}"
    )


def _last_error(done: dict[str, Any]) -> str:
    """The last line of nbgrader's log that names an exception, without the exception's name; the log is read from its end."""
    for line in reversed(f"{done.get('log', '')}"[-LOG:].splitlines()):
        if found := NAMED_ERROR.match(line[:1000]):
            return found[1].strip()
    return "nbgrader could not grade it"


def _comment(course: Course, student: str, assignment: str, text: str, *, nothing: bool = False) -> None:
    """A comment on a submission's first answer; with `nothing` on all of them, no points, and a mark that a person should look."""
    with course.gradebook() as book:
        book.update_or_create_student(student)
        submission = book.update_or_create_submission(assignment, student)
        for notebook in submission.notebooks:
            for one in notebook.grades if nothing else ():
                one.auto_score, one.needs_manual_grade = 0, True
            for comment in notebook.comments if nothing else notebook.comments[:1]:
                comment.auto_comment = text
        book.db.commit()


def _record_nothing(course: Course, student: str, assignment: str, reason: str) -> None:
    """No points, the reason as a comment and at the head of the released notebook, which stands for the submitted one; at its end, as plain
    text, what was handed in.
    """
    _comment(course, student, assignment, reason, nothing=True)
    target = course.root / "autograded" / student / assignment
    for path in course.released(assignment):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(fenced(reason)))
        if handed_in := as_text(_submitted(course, student, assignment) / path.name):
            notebook.cells.append(nbformat.v4.new_markdown_cell(fenced(handed_in)))
        write_text(target / path.name, nbformat.writes(notebook))
