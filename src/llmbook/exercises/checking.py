"""`check("1.2.2/scaled-scores")` in a notebook: the public checks on the reader's own function, explained; a check's input, and a solution,
on request.

Book: §0
"""

import inspect
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from IPython.display import Markdown, display

from llmbook.book.source import LANGUAGES, require_language
from llmbook.exercises import guest
from llmbook.exercises.exercise import Exercise, find_exercise
from llmbook.exercises.reporting import further, report
from llmbook.exercises.verdicts import Answer, Call, local_call, right_answer, try_cases

CALL_SECONDS = 30.0  # a call that takes longer is stopped, where the system can


class NotYetError(AssertionError):
    """A check that does not pass. A notebook shows its message alone, without the way through this package."""

    def _render_traceback_(self) -> list[str]:
        return str(self).splitlines()


def check(exercise_id: str, lang: str | None = None) -> None:
    """Runs the public checks of an exercise on the function that the calling notebook defines, and says what is wrong.

    Args:
        exercise_id: outline point and name, "1.2.2/scaled-scores".
        lang: "zh" or "en"; both when it is left out.

    Raises:
        NotYetError: a check does not pass; the message gives the input, what was expected, what came, and the likely misconception.
        ValueError: there is no such exercise, or a person grades it.

    A call that takes more than 30 s is stopped, and one that ends the program does not end the notebook.

    Leaves out: the checks that are not public, limits of memory, and any protection: it runs your own code as you do.
    """
    exercise = _with_code(exercise_id)
    languages = LANGUAGES if lang is None else (require_language(lang),)
    function = _callers_function(exercise.function)
    if function is None:
        raise NotYetError(
            "\n".join(
                {
                    "zh": f"这里没有名叫 {exercise.function} 的函数；先运行定义它的单元格",
                    "en": f"there is no function named {exercise.function} here; run the cell that defines it first",
                }[one]
                for one in languages
            )
        )
    verdicts = try_cases(exercise, limited(local_call(function)), public=True)
    text = "\n\n".join(report(exercise, verdicts, one) for one in languages)
    if not all(one.passed for one in verdicts):
        raise NotYetError(text)
    print("\n\n".join([text, *(further(exercise, one) for one in languages)]))


def case(exercise_id: str, number: int) -> tuple[tuple[Any, ...], Any]:
    """The arguments of a public check, and what was expected: `args, expected = case("1.2.2/scaled-scores", 2)`.

    Args:
        number: of the check as `check` lists them, from 1.

    Raises:
        ValueError: there is no such exercise or check.
    """
    exercise = _with_code(exercise_id)
    public = [one for one in exercise.cases() if one.public]
    if type(number) is not int or not 1 <= number <= len(public):
        raise ValueError(f"{exercise_id} has the public checks 1 to {len(public)}; got {number!r}")
    one = public[number - 1]
    return one.args, guest.decode(right_answer(exercise, one)["value"])


def solution(exercise_id: str) -> None:
    """Shows the solution of an exercise. Asking for it is yours to decide.

    Raises:
        ValueError: there is no such exercise, or it is an open question.
    """
    display(Markdown(f"```python\n{_with_code(exercise_id).text('solution')}```"))


class _StoppedError(BaseException):
    """No `except Exception` of the function's own holds it."""


def limited(call: Call, seconds: float = CALL_SECONDS) -> Call:
    """A call that is stopped after some time, and in which the end of the program is an error like others."""

    def limited_call(function: str, args: list[Any], gradient: bool) -> Answer:
        try:
            with _alarm(seconds):
                return call(function, args, gradient)
        except _StoppedError:
            return {"stopped": "time"}
        except SystemExit as error:
            return {"error": "SystemExit", "message": str(error), "line": ""}

    return limited_call


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raises _StoppedError after some time; without effect where there is no such signal, and outside of the main thread."""

    def stop(_: int, __: FrameType | None) -> None:
        raise _StoppedError

    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _with_code(exercise_id: str) -> Exercise:
    exercise = find_exercise(exercise_id)
    if exercise.kind == "open":
        raise ValueError(
            f"{exercise_id} is an open question; a person reads the answer, by the rubric in its statement"
        )
    return exercise


def _callers_function(name: str) -> Callable[..., Any] | None:
    """The nearest function of this name that a caller outside of this package can see."""
    frame = inspect.currentframe()
    while frame is not None:
        found = frame.f_locals.get(name, frame.f_globals.get(name))
        if callable(found) and not frame.f_globals.get("__name__", "").startswith("llmbook."):
            return found
        frame = frame.f_back
    return None
