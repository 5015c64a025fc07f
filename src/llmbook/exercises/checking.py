"""`check("1.2.2/scaled-scores")` in a notebook: the public checks on the reader's own function, explained; and its solution on request.

Book: §0
"""

import inspect
from collections.abc import Callable
from typing import Any

from IPython.display import Markdown, display

from llmbook.book.source import LANGUAGES, require_language
from llmbook.exercises.exercise import Exercise, find_exercise
from llmbook.exercises.reporting import further, report
from llmbook.exercises.verdicts import local_call, try_cases


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

    Leaves out: the checks that are not public, limits of time and memory, and any protection: it runs your own code as you do.
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
    verdicts = try_cases(exercise, local_call(function), public=True)
    text = "\n\n".join(report(exercise, verdicts, one) for one in languages)
    if not all(one.passed for one in verdicts):
        raise NotYetError(text)
    print("\n\n".join([text, *(further(exercise, one) for one in languages)]))


def solution(exercise_id: str) -> None:
    """Shows the solution of an exercise. Asking for it is yours to decide.

    Raises:
        ValueError: there is no such exercise, or it is an open question.
    """
    display(Markdown(f"```python\n{_with_code(exercise_id).text('solution')}```"))


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
