"""Mutation testing: solutions changed by cosmic-ray's operators, one place at a time, have to fail the checks of their exercise."""

import ast
import signal
from collections.abc import Iterator
from types import FrameType

import pytest

from llmbook.exercises.exercise import Exercise, exercises
from llmbook.exercises.verdicts import local_call, try_cases

pytestmark = pytest.mark.long
CODED = [exercise for exercise in exercises() if exercise.kind != "open"]
KILLED = 0.9
SECONDS = 5


def mutants(exercise: Exercise) -> Iterator[tuple[str, str]]:
    """(operator and place, code) of all changes that give another program."""
    mutating = pytest.importorskip("cosmic_ray.mutating", reason="the extra `long` is not installed")
    plugins = pytest.importorskip("cosmic_ray.plugins")
    code = exercise.text("solution")
    original = ast.dump(ast.parse(code))
    seen = set()
    for name in plugins.operator_names():
        operator = plugins.get_operator(name)
        if operator.arguments():  # replacing a named variable takes its name
            continue
        for occurrence in range(10_000):
            changed = mutating.mutate_code(code.encode(), operator(), occurrence)
            if changed is None:
                break
            text = changed.decode() if isinstance(changed, bytes) else changed
            try:
                tree = ast.dump(ast.parse(text))
            except SyntaxError:
                continue
            if tree != original and tree not in seen:
                seen.add(tree)
                yield f"{name} at {occurrence}", text


def too_long(_: int, __: FrameType | None) -> None:
    raise TimeoutError


def survives(exercise: Exercise, code: str) -> bool:
    space: dict[str, object] = {}
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    try:
        exec(compile(code, "mutant", "exec"), space)
        function = space[exercise.function]
        assert callable(function)
        return all(one.passed for one in try_cases(exercise, local_call(function)))
    except Exception:
        return False
    finally:
        signal.alarm(0)


@pytest.mark.parametrize("exercise", CODED, ids=lambda exercise: exercise.id)
def test_changed_solutions_fail(exercise: Exercise) -> None:
    made = list(mutants(exercise))
    alive = [(name, code) for name, code in made if survives(exercise, code)]
    lines = exercise.text("solution").splitlines()
    for name, code in alive:
        changed = [
            f"{old.strip()}  →  {new.strip()}" for old, new in zip(lines, code.splitlines(), strict=False) if old != new
        ]
        print(f"{exercise.id}: {name} survives: {changed}")
    print(f"{exercise.id}: {len(made) - len(alive)} of {len(made)} killed")
    assert len(made) >= 10
    assert len(alive) <= (1 - KILLED) * len(made)
