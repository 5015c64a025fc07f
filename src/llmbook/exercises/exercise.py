"""Exercises: a folder each, checked by cases whose right answers come from an oracle, and explained by wrong solutions.

`exercises/NN/<slug>/` holds `exercise.toml`, `statement.md` (both languages, hints folded), `stub.py`, `solution.py`, `checks.py`
(`cases()`: a list of `Case`; `oracle`: the right answers) and `mutants/*.py`, each a plausible wrong solution. An answer that is wrong is
compared with what each mutant answers (see `verdicts`): where they agree, the mutant's misconception is named.

Book: §0
"""

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from llmbook import paths
from llmbook.book.source import STATEMENT, Source, read
from llmbook.committed import read_toml

Text = dict[str, str]
KINDS = ("code", "bug", "open")


@dataclass(frozen=True)
class Case:
    """One check: a title, the arguments, its points, whether readers see it, the tolerance, whether gradients are compared too."""

    title: Text
    args: tuple
    points: int = 1
    public: bool = False
    tolerance: float = 1e-5
    gradient: bool = False


@dataclass(frozen=True)
class Exercise:
    """An exercise and its folder; `checks` is the folder of checks and mutants, another one where an instructor keeps them apart."""

    folder: Path
    checks: Path

    @cached_property
    def facts(self) -> dict[str, Any]:
        return read_toml(self.folder / "exercise.toml")

    @property
    def slug(self) -> str:
        return self.folder.name

    @property
    def chapter(self) -> int:
        return int(self.folder.parent.name)

    @property
    def id(self) -> str:
        """The outline's point that it belongs to first, and its name: "1.2.2/scaled-scores"."""
        return f"{self.facts['outline'][0]}/{self.slug}"

    @property
    def kind(self) -> str:
        return self.facts["kind"]

    @property
    def points(self) -> int:
        return self.facts["points"]

    @property
    def function(self) -> str:
        return self.facts["function"]

    @property
    def misconceptions(self) -> dict[str, Text]:
        return self.facts.get("misconceptions", {})

    @cached_property
    def statement(self) -> Source:
        return read(self.folder / STATEMENT)

    def text(self, name: str) -> str:
        """The text of `stub` or `solution`."""
        return (self.folder / f"{name}.py").read_text(encoding="utf-8")

    def solution(self, name: str = "solution") -> Callable[..., Any]:
        """The function of `solution.py` or of `stub.py`."""
        return getattr(load_module(self.folder / f"{name}.py"), self.function)

    @cached_property
    def mutants(self) -> dict[str, Callable[..., Any]]:
        """The wrong solutions by misconception, in the order of `exercise.toml`."""
        files = {name: self.checks / "mutants" / f"{name.replace('-', '_')}.py" for name in self.misconceptions}
        return {name: getattr(load_module(path), self.function) for name, path in files.items() if path.exists()}

    @cached_property
    def _checks(self) -> ModuleType:
        return load_module(self.checks / "checks.py")

    def cases(self) -> list[Case]:
        return self._checks.cases()

    @property
    def oracle(self) -> Callable[..., Any]:
        return self._checks.oracle


def exercises_dir() -> Path:
    """The folder of all exercises."""
    return paths.root() / "exercises"


def exercises(chapter: int | None = None, *, private: Path | None = None) -> list[Exercise]:
    """The exercises of a chapter, or all, in the order of their outline points and then of their names.

    Raises:
        ValueError: `private`, whose folders of chapters (01, 02, …) take the place of the public checks, has no such folder, or lacks the
            checks of an exercise in one.
    """
    if private is not None and not any(private.glob("[0-9][0-9]/")):
        raise ValueError(
            f"{private} holds no private checks: expected a folder for a chapter at least, such as {private / '01'}"
        )
    folders = sorted(
        exercises_dir().glob("[0-9][0-9]/*/exercise.toml" if chapter is None else f"{chapter:02d}/*/exercise.toml")
    )
    found = []
    for folder in (path.parent for path in folders):
        own = None if private is None else private / folder.parent.name
        checks = folder if own is None or not own.is_dir() else own / folder.name
        exercise = Exercise(folder, checks)
        if exercise.kind != "open" and not (checks / "checks.py").is_file():
            raise ValueError(
                f"{checks / 'checks.py'} is missing; a folder of checks needs one for each exercise with code"
            )
        found.append(exercise)
    return sorted(found, key=lambda one: ([int(part) for part in one.facts["outline"][0].split(".")], one.slug))


def find_exercise(exercise_id: str, *, private: Path | None = None) -> Exercise:
    """The exercise with this id ("1.2.2/scaled-scores").

    Raises:
        ValueError: there is none; the message lists those of the same chapter, or all.
    """
    everything = exercises(private=private)
    for exercise in everything:
        if exercise.id == exercise_id:
            return exercise
    near = [one.id for one in everything if one.id.split(".")[0] == exercise_id.split(".", maxsplit=1)[0]] or [
        one.id for one in everything
    ]
    raise ValueError(f"no exercise {exercise_id!r}; there are {', '.join(near)}")


def load_module(path: Path) -> ModuleType:
    """A Python file as a module of its own."""
    name = "llmbook_exercise_" + "_".join([*path.parts[-4:-1], path.stem]).replace("-", "_").replace(".", "_")
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ValueError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
