"""Feedback for a class: an HTML file a student, each made by a process of its own that has a limit of time.

A page that cannot be made in time, or at all, is made once more with its texts as they were written.

Book: §0
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from llmbook.exercises.foreign_text import printable
from llmbook.grading.course import Course

SECONDS = 30.0


def feedback(
    course: Course, assignment: str, *, seconds: float = SECONDS, on_problem: Callable[[str, str], None] | None = None
) -> list[Path]:
    """Writes `feedback/STUDENT/ASSIGNMENT/NN.zh.html`, files that need no network; returns them.

    Args:
        seconds: what one student's page may take.
        on_problem: told of a student whose page shows texts as they were written ("plain"), or who has none ("none").

    Raises:
        ValueError: nothing is graded.
    """
    graded = sorted(path.parent.name for path in (course.root / "autograded").glob(f"*/{assignment}"))
    if not graded:
        raise ValueError(f"nothing of {assignment} is graded; `llmbook course grade` comes first")
    command = [sys.executable, "-P", "-m", "llmbook.grading.feedback", str(course.root), assignment, str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=course.root) as making:
        assert making.stdin is not None
        assert making.stdout is not None
        making.stdin.write(json.dumps(graded))
        making.stdin.close()
        for line in making.stdout:
            student, became = json.loads(line)
            if became != "made" and on_problem is not None:
                on_problem(printable(student), became)
    if making.returncode != 0:
        raise ValueError(f"no feedback was made; the process ended with {making.returncode}")
    return sorted((course.root / "feedback").glob(f"*/{assignment}/*.html"))


def main() -> None:
    """`python -P -m llmbook.grading.feedback COURSE ASSIGNMENT SECONDS`, students as JSON on standard input; a line for each."""
    root, assignment, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    students = json.load(sys.stdin)
    course = Course(root)
    for student in students:
        target = course.root / "feedback" / student / assignment
        shutil.rmtree(target, ignore_errors=True)
        became = "none"
        for plain in (False, True):
            if _within(seconds, lambda: _make(course, assignment, student, plain)):  # noqa: B023
                became = "plain" if plain else "made"
                break
        print(json.dumps([student, became]), flush=True)


def _make(course: Course, assignment: str, student: str, plain: bool) -> bool:
    course.api.config.FeedbackPage.plain = plain
    return bool(course.api.generate_feedback(assignment, student, force=True)["success"])


def _within(seconds: float, work: Callable[[], bool]) -> bool:
    """Does the work in a copy of this process; whether it was done in time."""
    child = os.fork()
    if child == 0:
        done = False
        os.dup2(2, 1)  # the lines on standard output are this process's own
        try:
            done = work()
        except Exception:
            traceback.print_exc()
        os._exit(0 if done else 1)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False


if __name__ == "__main__":
    main()
