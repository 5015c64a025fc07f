"""What a student is told before handing in."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmbook.edition.assignment import exercise_notebook
from llmbook.edition.book import Book
from llmbook.exercises.exercise import find_exercise
from llmbook.grading.demo import submission as made
from llmbook.grading.handing_in import SLOW, hand_in_check
from llmbook.grading.submission import RefusedError

FILE = "01.en.ipynb"
Said = Callable[..., str]


@pytest.fixture(scope="module")
def right() -> dict[str, Any]:
    book = Book.read()
    released = exercise_notebook(book.exercises_of(1), "en", book.context(book.chapter("1"), "en"))
    return made(json.loads(json.dumps(released)), "an")


@pytest.fixture
def said(right: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """What is said of the right notebook after a change."""

    def said(change: Callable[[list], object] = lambda cells: None, name: str = FILE, **settings: Any) -> str:
        notebook = json.loads(json.dumps(right))
        change(notebook["cells"])
        (tmp_path / name).write_text(json.dumps(notebook), encoding="utf-8")
        hand_in_check(tmp_path / name, **settings)
        return capsys.readouterr().out

    return said


def own(source: str) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": []}


def test_a_right_notebook_is_ready(said: Said) -> None:
    assert said() == f"{FILE}: ready to be handed in. All answers are found, and all 9 code cells run by themselves.\n"


def test_what_grading_would_not_find_is_said(said: Said) -> None:
    def change(cells: list) -> None:
        answer = next(cell for cell in cells if cell.get("id") == "scaled-scores-answer")
        answer["source"] = find_exercise("1.2.2/scaled-scores").text("stub")
        essay = next(cell for cell in cells if cell.get("id") == "which-family")
        essay["source"] = "(your answer)"
        lost = next(cell for cell in cells if cell.get("id") == "merge-heads-answer")
        lost["metadata"] = {}
        cells[2:2] = [
            own("import matplotlib.pyplot\nfrom llmbook.nn import LSTM"),
            own("x = 1 / 0"),
            own("%timeit -n1 -r1 1"),
        ]

    told = said(change, name="01.en (1).ipynb")
    assert told.splitlines() == [
        "01.en (1).ipynb: to look at before you hand it in:",
        "- the file is called 01.en (1).ipynb; call it 01.en.ipynb",
        "- your answer to 'Find the bug: merging the heads' had lost its mark and was found by its function multi_head_attention",
        "- not answered yet: Which kind of network?, From dot products to weights",
        *sorted(told.splitlines()[4:6]),
        "- cell 3 fails: ModuleNotFoundError: No module named 'llmbook.nn'; 'llmbook' is not a package",
        "- cell 4 fails: ZeroDivisionError: division by zero",
    ]
    assert sorted(told.splitlines()[4:6]) == [
        "- cell 3 imports llmbook; when graded, only torch and numpy are there",
        "- cell 3 imports matplotlib; when graded, only torch and numpy are there",
    ]


def test_a_slow_cell_and_one_that_never_ends_are_said(said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmbook.grading.handing_in.SLOW", 1.0)
    slow = said(lambda cells: cells.append(own("import time; time.sleep(2)")))
    assert "took 2 s; grading stops a cell after 20 s" in slow
    endless = said(lambda cells: cells.append(own("while True: pass")), seconds=15)
    assert "did not end in 15 s" in endless
    assert SLOW == 10


def test_what_is_no_notebook_of_exercises_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="save the notebook first"):
        hand_in_check(tmp_path / FILE)
    (tmp_path / FILE).write_text("{")
    with pytest.raises(RefusedError, match="cannot be read as a notebook"):
        hand_in_check(tmp_path / FILE)
    (tmp_path / "mine.ipynb").write_text("{}")
    with pytest.raises(ValueError, match="its metadata names no chapter"):
        hand_in_check(tmp_path / "mine.ipynb")
