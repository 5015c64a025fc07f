"""Accidents of notebooks as they happen in every class: what was done to a right submission, its fair score, what is said.

Each is read as grading reads it, its code is run in order, and the checks are put to its functions; without the sandbox, which
`test_judge.py` tests.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch

from llmbook.edition.assignment import exercise_notebook
from llmbook.edition.book import Book
from llmbook.exercises.exercise import exercises
from llmbook.exercises.scoring import score
from llmbook.exercises.verdicts import local_call, try_cases
from llmbook.grading.demo import ESSAY
from llmbook.grading.demo import submission as made
from llmbook.grading.submission import code_cells, read_submission, rebuilt

Cells = list[dict[str, Any]]
FILE = "01.en.ipynb"
SCORES, LOSS, HEADS = "scaled-scores", "teacher-forcing-loss", "merge-heads"
TITLES = {slug: exercise.facts["title"]["en"] for exercise in exercises(1) for slug in [exercise.slug]}
JOINED = f"the cells with your answer to '{TITLES[SCORES]}' were joined into one"
BY_FUNCTION = f"your answer to '{TITLES[SCORES]}' had lost its mark and was found by its function attention_weights"
BY_PLACE = f"your answer to '{TITLES['which-family']}' had lost its mark and was found by its place"
NONE = "no answer to '{}' was found; only this task has no points"


@pytest.fixture(scope="module")
def released() -> dict[str, Any]:
    book = Book.read()
    return json.loads(json.dumps(exercise_notebook(book.exercises_of(1), "en", book.context(book.chapter("1"), "en"))))


def at(cells: Cells, mark: str) -> int:
    return next(
        number for number, cell in enumerate(cells) if cell["metadata"].get("nbgrader", {}).get("grade_id") == mark
    )


def answer(cells: Cells, slug: str = SCORES) -> dict[str, Any]:
    return cells[at(cells, f"{slug}-answer")]


def cut(cells: Cells, mark: str, *lines: int) -> None:
    """Splits a cell before these lines, as JupyterLab does: every part keeps the metadata."""
    number = at(cells, mark)
    whole = cells[number]["source"].splitlines(keepends=True)
    parts = []
    for start, end in zip((0, *lines), (*lines, len(whole)), strict=True):
        part = copy.deepcopy(cells[number])
        part["source"] = "".join(whole[start:end]).strip("\n")
        parts.append(part)
    cells[number : number + 1] = parts


def split_in_the_function(cells: Cells) -> None:
    cut(cells, f"{SCORES}-answer", len(answer(cells)["source"].splitlines()) - 1)


def split_after_the_imports(cells: Cells) -> None:
    cut(cells, f"{SCORES}-answer", 2)


def split_in_three(cells: Cells) -> None:
    lines = len(answer(cells)["source"].splitlines())
    cut(cells, f"{SCORES}-answer", 2, lines - 1)


def split_between_two_functions(cells: Cells) -> None:
    answer(cells)["source"] += "\n\n\ndef helper(x):\n    return x\n"
    cut(cells, f"{SCORES}-answer", len(answer(cells)["source"].splitlines()) - 2)


def copied(cells: Cells) -> None:
    cells.insert(at(cells, f"{SCORES}-answer"), copy.deepcopy(answer(cells)))


def copied_with_an_earlier_try(cells: Cells) -> None:
    earlier = copy.deepcopy(answer(cells))
    earlier["source"] = "def attention_weights(query, key, visible):\n    return query @ key.mT"
    cells.insert(at(cells, f"{SCORES}-answer"), earlier)


def copied_below_with_an_unfinished_try(cells: Cells) -> None:
    later = copy.deepcopy(answer(cells))
    later["source"] = "def attention_weights(query, key, visible):\n    return ("
    cells.insert(at(cells, f"{SCORES}-answer") + 1, later)


def copied_below_empty(cells: Cells) -> None:
    later = copy.deepcopy(answer(cells))
    later["source"] = ""
    cells.insert(at(cells, f"{SCORES}-answer") + 1, later)


def lost_mark(cells: Cells) -> None:
    answer(cells)["metadata"] = {}


def lost_all_metadata(cells: Cells) -> None:
    for cell in cells:
        cell["metadata"] = {}


def no_metadata_at_all(cells: Cells) -> None:
    for cell in cells:
        del cell["metadata"]


def metadata_of_another_kind(cells: Cells) -> None:
    answer(cells)["metadata"] = {"nbgrader": {"grade_id": 7}}


def written_in_a_new_cell(cells: Cells, released: dict[str, Any], shift: int) -> None:
    number = at(cells, f"{SCORES}-answer")
    own = {"cell_type": "code", "metadata": {}, "source": cells[number]["source"], "outputs": []}
    cells[number]["source"] = released["cells"][number]["source"]
    cells.insert(number + shift, own)


def function_deleted(cells: Cells) -> None:
    del cells[at(cells, f"{SCORES}-answer")]


def check_deleted(cells: Cells) -> None:
    del cells[at(cells, SCORES)]


def statements_deleted(cells: Cells) -> None:
    cells[:] = [cell for cell in cells if "statement" not in cell["metadata"].get("nbgrader", {}).get("grade_id", "")]


def essay_deleted(cells: Cells) -> None:
    del cells[at(cells, "which-family")]


def essay_lost_mark(cells: Cells) -> None:
    cells[at(cells, "which-family")]["metadata"] = {}


def essay_in_new_cells(cells: Cells) -> None:
    number = at(cells, "which-family")
    half = len(ESSAY) // 2
    cells[number]["source"] = "(your answer)"
    for text in (ESSAY[half:], ESSAY[:half]):
        cells.insert(number + 1, {"cell_type": "markdown", "metadata": {}, "source": text})


def essay_split(cells: Cells) -> None:
    whole = cells[at(cells, "which-family")]
    second = copy.deepcopy(whole)
    whole["source"], second["source"] = ESSAY[:40], ESSAY[40:]
    cells.insert(at(cells, "which-family") + 1, second)


def essay_as_code(cells: Cells) -> None:
    cells[at(cells, "which-family")]["cell_type"] = "code"


def answer_as_text(cells: Cells) -> None:
    answer(cells)["cell_type"] = "markdown"


def answer_as_raw(cells: Cells) -> None:
    answer(cells)["cell_type"] = "raw"


def order_reversed(cells: Cells) -> None:
    cells.reverse()


def another_chapters_metadata(cells: Cells) -> None:
    answer(cells)["metadata"]["nbgrader"] |= {"points": 1000, "grade": True, "locked": True}


def sources_as_lists(cells: Cells) -> None:
    for cell in cells:
        cell["source"] = cell["source"].splitlines(keepends=True) if isinstance(cell["source"], str) else cell["source"]


def a_magic_above(cells: Cells) -> None:
    cells.insert(0, {"cell_type": "code", "metadata": {}, "source": "%matplotlib inline"})


def a_broken_cell_of_their_own(cells: Cells) -> None:
    cells.insert(3, {"cell_type": "code", "metadata": {}, "source": "raise ValueError"})


def renamed(cells: Cells) -> None:
    answer(cells)["source"] = answer(cells)["source"].replace("def attention_weights", "def my_weights")


def swapped(cells: Cells) -> None:
    """The answers of two tasks under each other's mark."""
    one, other = answer(cells), answer(cells, LOSS)
    one["source"], other["source"] = other["source"], one["source"]


def one_of_them_empty(cells: Cells) -> None:
    answer(cells)["source"] = ""


NOTHING: list[str] = []
ACCIDENTS: list[tuple[Callable[[Cells], None], set[str], list[str]]] = [  # what was done, what is lost, what is said
    (split_in_the_function, set(), [JOINED]),
    (split_after_the_imports, set(), NOTHING),
    (split_in_three, set(), [JOINED]),
    (split_between_two_functions, set(), [JOINED]),
    (copied, set(), NOTHING),
    (copied_with_an_earlier_try, set(), NOTHING),
    (copied_below_with_an_unfinished_try, set(), NOTHING),
    (copied_below_empty, set(), [JOINED]),
    (lost_mark, set(), [BY_FUNCTION]),
    (metadata_of_another_kind, set(), [BY_FUNCTION]),
    (function_deleted, {SCORES}, [NONE.format(TITLES[SCORES])]),
    (check_deleted, set(), NOTHING),
    (statements_deleted, set(), NOTHING),
    (essay_deleted, {"which-family"}, [NONE.format(TITLES["which-family"])]),
    (essay_lost_mark, set(), [BY_PLACE]),
    (essay_in_new_cells, set(), [BY_PLACE]),
    (essay_split, set(), [f"the cells with your answer to '{TITLES['which-family']}' were joined into one"]),
    (essay_as_code, set(), NOTHING),
    (answer_as_text, set(), NOTHING),
    (answer_as_raw, set(), NOTHING),
    (order_reversed, set(), NOTHING),
    (another_chapters_metadata, set(), NOTHING),
    (sources_as_lists, set(), NOTHING),
    (a_magic_above, set(), NOTHING),
    (a_broken_cell_of_their_own, set(), NOTHING),
    (renamed, {SCORES}, NOTHING),
    (swapped, set(), NOTHING),
    (one_of_them_empty, {SCORES}, NOTHING),
]


def points(notebook: Any) -> dict[str, int]:
    """What each task is worth: its code run in order, a cell that fails skipped; an open question by its text."""
    namespace: dict[str, Any] = {"check": print, "torch": torch}
    for _, source in code_cells(notebook):
        try:
            exec(source, namespace)
        except Exception:
            continue
    found = {}
    for exercise in exercises(1):
        if exercise.kind == "open":
            essay = next(
                cell["source"]
                for cell in notebook["cells"]
                if cell["metadata"].get("nbgrader", {}).get("grade_id") == exercise.slug
            )
            found[exercise.slug] = exercise.points if "".join(essay.split()) == "".join(ESSAY.split()) else 0
        elif exercise.function in namespace:
            call = local_call(namespace[exercise.function])
            found[exercise.slug] = score(exercise, try_cases(exercise, call))
        else:
            found[exercise.slug] = 0
    return found


def judged(notebook: Any, lost: set[str]) -> None:
    wanted = {exercise.slug: 0 if exercise.slug in lost else exercise.points for exercise in exercises(1)}
    assert points(notebook) == wanted


@pytest.mark.parametrize(("accident", "lost", "said"), ACCIDENTS, ids=[accident.__name__ for accident, *_ in ACCIDENTS])
def test_an_accident_costs_no_more_than_what_is_not_there(
    accident: Callable[[Cells], None], lost: set[str], said: list[str], released: dict[str, Any]
) -> None:
    submitted, told = made(released, "an"), list[str]()
    accident(submitted["cells"])
    found = rebuilt(submitted, released, say=told.append)
    nbformat.validate(found)
    assert told == said
    judged(found, lost)
    again = list[str]()
    assert rebuilt(json.loads(json.dumps(found)), released, say=again.append) == found, "nbgrader reads it once more"
    assert not again or lost


@pytest.mark.parametrize("accident", [lost_all_metadata, no_metadata_at_all])
def test_a_notebook_that_lost_all_its_marks_loses_no_point(
    accident: Callable[[Cells], None], released: dict[str, Any]
) -> None:
    submitted, told = made(released, "an"), list[str]()
    accident(submitted["cells"])
    submitted["metadata"] = {}
    judged(rebuilt(submitted, released, say=told.append), set())
    assert BY_FUNCTION in told
    assert BY_PLACE in told
    assert len(told) == len(exercises(1))


@pytest.mark.parametrize("shift", [0, 1, 2], ids=["above", "below", "below the check"])
def test_an_answer_in_a_cell_of_its_own_counts_wherever_it_stands(shift: int, released: dict[str, Any]) -> None:
    submitted, told = made(released, "an"), list[str]()
    written_in_a_new_cell(submitted["cells"], released, shift)
    judged(rebuilt(submitted, released, say=told.append), set())
    assert told == [BY_FUNCTION]


def of_format_3(notebook: dict[str, Any]) -> dict[str, Any]:
    """As IPython 2 saved it."""
    cells = copy.deepcopy(notebook["cells"])
    for cell in cells:
        if cell["cell_type"] == "code":
            cell["input"] = cell.pop("source")
    cells.insert(0, {"cell_type": "heading", "level": 1, "source": ["Mine"], "metadata": {}})
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": notebook["metadata"], "worksheets": [{"cells": cells}]}


def test_a_notebook_of_format_3_is_read(released: dict[str, Any]) -> None:
    found = rebuilt(of_format_3(made(released, "an")), released)
    assert found["cells"][0]["source"] == "# Mine"
    judged(found, set())


def test_a_file_with_a_byte_order_mark_and_much_saved_output_is_read(released: dict[str, Any], tmp_path: Path) -> None:
    submitted = made(released, "an")
    answer(submitted["cells"])["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "x" * 20_000_000}]
    (tmp_path / FILE).write_text(json.dumps(submitted), encoding="utf-8-sig")
    judged(read_submission(tmp_path / FILE, released), set())


def test_what_is_said_is_in_the_notebooks_language(released: dict[str, Any]) -> None:
    book = Book.read()
    chinese = exercise_notebook(book.exercises_of(1), "zh", book.context(book.chapter("1"), "zh"))
    submitted, told = made(chinese, "an"), list[str]()
    function_deleted(submitted["cells"])
    rebuilt(submitted, chinese, say=told.append)
    assert told == [
        f"没有找到“{next(e for e in exercises(1) if e.slug == SCORES).facts['title']['zh']}”的作答，只有这一题没有分"
    ]
