"""The judge: runs the cells of a submitted notebook in a sandbox, puts the checks to its functions, writes scores and reasons.

Checks and solutions stay in this process, which is not the student's. Into the sandbox go arguments, out of it come answers as
data (see `guest`, `received`), limited in size; whatever else comes is worth nothing. `python -P -m llmbook.grading.judge` judges one
notebook under limits of its own, so that a submission that harms its judge harms only itself.

Book: §0
"""

import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil

from llmbook.atomic import write_text
from llmbook.book.source import LANGUAGES
from llmbook.exercises.exercise import Exercise, exercises
from llmbook.exercises.reporting import report, ruled_out
from llmbook.exercises.scoring import score
from llmbook.exercises.verdicts import Answer, Call, Verdict, misconception, try_cases
from llmbook.grading.bubblewrap import Limits
from llmbook.grading.influence import influential
from llmbook.grading.sandbox import private_folder
from llmbook.grading.session import Judgement, Session
from llmbook.grading.submission import chapter_of, code_cells

JUDGE_MEMORY = 12_000_000_000
JUDGE_SECONDS = 900


def judge_notebook(
    notebook: dict[str, Any], *, private: Path | None = None, limits: Limits | None = None, trusted: bool = False
) -> Judgement:
    """Runs a submitted exercise notebook (JSON of nbformat 4) and judges every exercise of its chapter.

    All public cases of all exercises come before the first that is hidden, so that no function has seen a hidden input when the words
    are spoken that a student reads.

    Raises:
        ValueError: it is no notebook of exercises.
        SandboxError: no kernel could be started.
    """
    limits = limits or Limits()
    chapter = chapter_of(notebook)
    cells = code_cells(notebook)
    judged = Judgement()
    clock = _Clock()
    asked = [exercise for exercise in exercises(chapter, private=private) if exercise.kind != "open"]
    verdicts: dict[str, list[Verdict]] = {exercise.id: [] for exercise in asked}
    with private_folder() as folder:
        needed = influential(cells, [exercise.function for exercise in asked])
        session = Session(cells, limits, judged, trusted=trusted, needed=needed)
        try:
            session.run(folder)  # also where no exercise has code: its outputs are shown
            for public in (True, False):
                for exercise in asked:
                    call = _caller(session, folder)
                    verdicts[exercise.id] += try_cases(exercise, call, public=public, before=verdicts[exercise.id])
                session.keeps_outputs = False
        finally:
            session.close()
    code = [source for _, source in cells]
    judged.exercises = {exercise.id: _found(exercise, verdicts[exercise.id], code) for exercise in asked}
    judged.seconds, judged.others = clock.seconds(), clock.others(session.cpu_seconds)
    return judged


def _caller(session: Session, folder: Path) -> Call:
    def call(function: str, args: list[Any], gradient: bool) -> Answer:
        if session.kernel is not None and session.kernel.stopped:
            session.close(session.kernel.stopped)
        if not session.run(folder):
            return {"stopped": session.judged.stops[-1] if session.judged.stops else "time"}
        return session.call(function, args, gradient)

    return call


def _found(exercise: Exercise, verdicts: list[Verdict], code: list[str]) -> dict[str, Any]:
    def everything(lang: str) -> str:
        told = [report(exercise, verdicts, lang, everything=True, points=True), ruled_out(exercise, code, lang)]
        return "\n".join(filter(None, told))

    return {
        "score": score(exercise, verdicts),
        "points": exercise.points,
        "student": {lang: report(exercise, verdicts, lang, points=True) for lang in LANGUAGES},
        "instructor": {lang: everything(lang) for lang in LANGUAGES},
        "misconception": misconception(verdicts, exercise),
    }


class _Clock:
    """What time passes, and what of this machine's processors something else takes meanwhile."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), _busy(), time.process_time()

    def seconds(self) -> float:
        return time.monotonic() - self._began

    def others(self, sandboxed: float) -> float:
        """The share, 0 to 1, that neither this process nor the sandbox took."""
        taken = _busy() - self._busy - (time.process_time() - self._own) - sandboxed
        return max(0.0, taken / (self.seconds() * (psutil.cpu_count() or 1)))


def _busy() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def main() -> None:
    """`python -m llmbook.grading.judge NOTEBOOK RESULT REQUEST`: judges one notebook; REQUEST is JSON: {"private", "trusted"}."""
    notebook, result, request = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_AS, (JUDGE_MEMORY, JUDGE_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (JUDGE_SECONDS, JUDGE_SECONDS))
    private = Path(request["private"]) if request.get("private") else None
    limits = Limits(**request.get("limits", {}))
    judged = judge_notebook(
        json.loads(notebook.read_text(encoding="utf-8")), private=private, limits=limits, trusted=request["trusted"]
    )
    write_text(result, json.dumps(asdict(judged)))


if __name__ == "__main__":
    main()
