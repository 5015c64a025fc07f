"""One submission judged by a process of its own, and the results kept by everything that they rest on.

Book: §0
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmbook import closure
from llmbook.atomic import write_text
from llmbook.exercises.exercise import exercises
from llmbook.exercises.foreign_text import printable
from llmbook.grading.bubblewrap import Limits
from llmbook.grading.judge import JUDGE_SECONDS
from llmbook.grading.sandbox import why_no_sandbox
from llmbook.grading.submission import RefusedError, chapter_of, code_cells

JUDGE = "import llmbook.grading.judge, llmbook.grading.submission, llmbook.grading.guest_kernel"  # what a judgement rests on
BUSY = 0.25  # the share of the processors taken by others beside which a judgement that ran out of time is not kept


class JudgeFailedError(RuntimeError):
    """The judge did not come to an end; the message is the last that it said."""


def judged_result(
    notebook: dict[str, Any],
    cache: Path,
    *,
    private: str = "",
    trusted: bool = False,
    limits: Limits | None = None,
    take_busy: bool = False,
    again: bool = False,
) -> dict[str, Any]:
    """What the judge finds on a notebook: from `cache`, if the same code was judged by the same checks before and it's not to be `again`.

    The judge runs as a process of its own, under limits of its own. What ran out of time beside others is judged once more with nobody
    beside it; if this machine was busy with something else even then, the result has "busy" and is not taken again, unless `take_busy`.

    Raises:
        RefusedError: there is no sandbox on this machine, and `trusted` was not said; or it is no notebook of exercises.
        JudgeFailedError: the judge ended without a result, or took longer than 15 minutes.
    """
    reason = None if trusted else why_no_sandbox()
    if reason:
        raise RefusedError(
            f"submitted code is not run: {reason}. `--trust` runs it without a sandbox, with your rights"
        )
    try:
        kept = cache / f"{result_key(notebook, private)}.json"
    except ValueError as error:
        raise RefusedError(str(error)) from error
    if kept.exists() and not again:
        found = json.loads(kept.read_text(encoding="utf-8"))
        if take_busy or not found["busy"]:
            return found
    request = {"private": private, "trusted": trusted, "limits": asdict(limits or Limits())}
    try:
        with turn(cache, alone=False):
            found = _judge(notebook, request)
    except JudgeFailedError:
        found = None
    if found is None or "time" in found["stops"]:
        with turn(cache, alone=True):
            found = _judge(notebook, request)
    found["busy"] = "time" in found["stops"] and found["others"] > BUSY
    write_text(kept, json.dumps(found))
    return found


@contextmanager
def turn(cache: Path, *, alone: bool) -> Iterator[None]:
    """Waits for a turn to judge: beside others, or alone; among all processes that judge in this course.

    Whoever waits stands at the door meanwhile, so that those who come later, to judge beside others, do not keep a lonely one waiting.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "turn.lock").open("w") as place, (cache / "door.lock").open("w") as door:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(place, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield


def _judge(notebook: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """One run of the judge, in a folder of its own and with nothing to import from it."""
    with tempfile.TemporaryDirectory(prefix="llmbook-grade-") as name:
        asked, result = Path(name, "notebook.ipynb"), Path(name, "result.json")
        asked.write_text(json.dumps(notebook), encoding="utf-8")
        command = [sys.executable, "-P", "-m", "llmbook.grading.judge", str(asked), str(result), json.dumps(request)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=JUDGE_SECONDS, env=environment, check=False, cwd=name
            )
        except subprocess.TimeoutExpired as error:
            raise JudgeFailedError(f"the judge took longer than {JUDGE_SECONDS} s") from error
        if done.returncode != 0 or not result.exists():
            last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise JudgeFailedError(f"the judge ended without a result: {printable(last[:300])}")
        return json.loads(result.read_text(encoding="utf-8"))


def result_key(notebook: dict[str, Any], private: str) -> str:
    """A hash of everything that a result depends on: the code cells by name, the chapter's checks, the judge."""
    chapter = chapter_of(notebook)
    asked = json.dumps([chapter, code_cells(notebook), checks_key(chapter, private)])
    return hashlib.sha256(asked.encode()).hexdigest()[:32]


def checks_key(chapter: int, private: str) -> str:
    """A hash of a chapter's exercises, their checks, and what the judge does."""
    digest = hashlib.sha256(json.dumps(closure.fingerprints([JUDGE])).encode())
    for exercise in exercises(chapter, private=Path(private) if private else None):
        for folder in (exercise.folder, exercise.checks):
            for path in sorted(folder.rglob("*.*")):
                if path.suffix in (".py", ".toml"):
                    digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:32]
