"""The score of an exercise: points by case, and none for an answer that solves nothing.

Book: §0
"""

from collections.abc import Sequence
from typing import Any

import torch

from llmbook.exercises import guest
from llmbook.exercises.exercise import Case, Exercise
from llmbook.exercises.verdicts import Verdict, difference, local_call, right_answer


def score(exercise: Exercise, verdicts: Sequence[Verdict]) -> int:
    """The points of the cases that passed; 0 if none of them tells the function from one that does not solve anything.

    A case is telling if it is hidden (where any is) and is passed neither by the stub nor by an answer that can be read off the public
    cases or that is the same whatever comes in.
    """
    hidden = any(not one.case.public for one in verdicts)
    passed = [one.case for one in verdicts if one.passed]
    telling = (case for case in passed if not (hidden and case.public) and _is_telling(exercise, case))
    return sum(case.points for case in passed) if any(telling) else 0


def _is_telling(exercise: Exercise, case: Case) -> bool:
    right = right_answer(exercise, case)
    value = guest.decode(right["value"])
    stub = local_call(exercise.solution("stub"))(exercise.function, list(case.args), case.gradient)
    told = [right_answer(exercise, other) for other in exercise.cases() if other.public and other.title != case.title]
    given = [local_call(lambda *args, at=at: args[at])("", list(case.args), False) for at in range(len(case.args))]
    if any(difference(case, right, answer) is None for answer in (stub, *told, *given)):
        return False
    return case.gradient or not _is_plain(value)


def _is_plain(value: Any) -> bool:
    """Whether a value is one that is easily hit without looking: nothing, 0, 1, an empty tensor, one of equal numbers."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        return value.numel() == 0 or bool((value == value.flatten()[0]).all())
    return value in (None, "", 0, 1)
