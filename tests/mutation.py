"""Notebooks changed at random, for the tests of what reads a foreign one."""

import copy
import random
import string
from collections.abc import Callable
from typing import Any

import pytest

ODD: list[Any] = [
    *(None, True, -1, 0, 1e308, float("nan"), 10**400, "", "\0", "\ud800", "\n" * 40_000, "x" * 300_000, "\u202e=1+1"),
    *(
        [],
        {},
        [1, 2],
        [[[]]],
        {"a": {"b": []}},
        ["a", 1],
        "code",
        "markdown",
        "../../x",
        "<script>alert(1)</script>",
        "$" * 100,
    ),
]


def mutation(notebook: dict[str, Any], draw: random.Random) -> Any:
    """A notebook changed in one to four places: a value replaced, taken away, doubled, renamed, moved."""
    changed = copy.deepcopy(notebook)
    for _ in range(draw.randint(1, 4)):
        here, path = changed, []
        while isinstance(here, dict | list) and here and (not path or draw.random() < 0.75):
            key = draw.choice(list(here)) if isinstance(here, dict) else draw.randrange(len(here))
            path.append((here, key))
            here = here[key]
        if not path:
            return draw.choice(ODD)
        place, key = path[-1]
        kind = draw.choice(["odd", "odd", "odd", "away", "double", "rename", "letters"])
        if kind == "odd":
            place[key] = copy.deepcopy(draw.choice(ODD))
        elif kind == "away":
            del place[key]
        elif kind == "double" and isinstance(place, list):
            place.insert(key, copy.deepcopy(place[key]))
        elif kind == "rename" and isinstance(place, dict):
            place[draw.choice(["source", "metadata", "cells", "cell_type", "nbgrader", "grade_id", "\0"])] = place.pop(
                key
            )
        elif isinstance(place[key], str):
            place[key] = "".join(draw.choice(string.printable + "\0\ud800é$<") for _ in range(draw.randint(0, 60)))
    return changed


@pytest.fixture(scope="session")
def mutated() -> Callable[[dict[str, Any], random.Random], Any]:
    """Makes a mutated notebook of an honest one."""
    return mutation
