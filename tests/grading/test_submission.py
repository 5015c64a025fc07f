"""What was handed in, read as somebody else's: a folder, a file, two thousand mutated notebooks."""

import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from llmbook.edition.assignment import exercise_notebook
from llmbook.edition.book import Book
from llmbook.exercises.exercise import exercises
from llmbook.grading.demo import submission as made
from llmbook.grading.submission import (
    LONGEST_CELL,
    MOST_CELLS,
    RefusedError,
    code_cells,
    handed,
    read_submission,
    rebuilt,
    require_student,
)

FILE = "01.zh.ipynb"
PNG = "iVBORw0KGgoAAAAA"


@pytest.fixture(scope="module")
def released() -> dict[str, Any]:
    book = Book.read()
    return json.loads(json.dumps(exercise_notebook(book.exercises_of(1), "zh", book.context(book.chapter("1"), "zh"))))


def by_mark(notebook: Any) -> dict[str, Any]:
    return {
        cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader")
    }


def test_an_honest_notebook_comes_through_whole(released: dict[str, Any]) -> None:
    submitted = made(released, "an")
    found = rebuilt(submitted, released)
    nbformat.validate(found)
    assert [cell["source"] for cell in found["cells"]] == ["".join(cell["source"]) for cell in submitted["cells"]]
    assert by_mark(found).keys() == by_mark(released).keys()
    assert [source for _, source in code_cells(found)] == [source for _, source in code_cells(submitted)]
    assert rebuilt(json.loads(json.dumps(found)), released) == found  # nbgrader reads what it has written once more


def test_of_a_cell_nothing_but_text_and_pictures_is_taken(released: dict[str, Any]) -> None:
    submitted = made(released, "an")
    submitted["metadata"] = {
        "title": "<script>",
        "widgets": {"x": 1},
        "llmbook": {"exercises": int("9" * 300)},
        "kernelspec": 3,
    }
    essay = by_mark(submitted)["which-family"]
    essay["metadata"] |= {
        "tags": ["x' onclick='y"],
        "nbgrader": essay["metadata"]["nbgrader"] | {"points": 1e9, "grade": False},
    }
    essay["attachments"] = {
        "p.png": {"image/png": PNG},
        "x.svg": {"image/svg+xml": "<svg/>"},
        "q": 3,
        "r": {"image/png": 7},
    }
    submitted["cells"].append(
        {"cell_type": "raw", "source": "```\n<script>", "metadata": {"raw_mimetype": "text/html"}, "id": "' onclick='"}
    )
    submitted["cells"].append(
        {"cell_type": "code", "source": ["a\n", "b\ud800\0"], "outputs": [{"data": {"text/html": "<script>"}}]}
    )
    found = rebuilt(submitted, released)
    nbformat.validate(found)
    assert found["metadata"] == released["metadata"]
    mine = by_mark(found)["which-family"]
    assert mine["metadata"] == by_mark(released)["which-family"]["metadata"]
    assert mine["attachments"] == {"p.png": {"image/png": PNG}}
    raw, code = found["cells"][-2:]
    assert (raw["cell_type"], raw["source"], raw["metadata"]) == ("markdown", "````\n```\n<script>\n````", {})
    assert (code["source"], code["outputs"]) == ("a\nb\ufffd\ufffd\ufffd\ufffd", [])
    assert code["id"].startswith("own-")
    json.dumps(found, ensure_ascii=False).encode()


def test_marks_are_those_of_the_release_and_each_stands_once(released: dict[str, Any]) -> None:
    submitted = made(released, "an")
    answer = by_mark(submitted)["scaled-scores-answer"]
    first, second = copy.deepcopy(answer), copy.deepcopy(answer)
    lines = answer["source"].splitlines(keepends=True)
    first["source"], second["source"] = "".join(lines[:2]), "".join(lines[2:])  # as JupyterLab splits a cell
    at = submitted["cells"].index(answer)
    submitted["cells"][at : at + 1] = [first, second]
    by_mark(submitted)["merge-heads"]["source"] = "check = print"
    del submitted["cells"][submitted["cells"].index(by_mark(submitted)["which-family"])]
    del submitted["cells"][submitted["cells"].index(by_mark(submitted)["parameter-count"])]
    by_mark(submitted)["teacher-forcing-loss-answer"]["cell_type"] = "markdown"
    by_mark(submitted)["causal-convolution"]["metadata"]["nbgrader"]["grade_id"] = "\n" * 40_000
    found = rebuilt(submitted, released)
    marks = [cell["metadata"]["nbgrader"]["grade_id"] for cell in found["cells"] if cell["metadata"]]
    graded = {mark for mark, cell in by_mark(released).items() if cell["metadata"]["nbgrader"]["grade"]}
    assert len(marks) == len(set(marks))
    assert graded <= set(marks)
    assert by_mark(found)["scaled-scores-answer"]["source"] == second["source"]
    assert first["source"] in [cell["source"] for cell in found["cells"]]
    assert by_mark(found)["merge-heads"]["source"] == by_mark(released)["merge-heads"]["source"]
    assert by_mark(found)["which-family"]["source"] == by_mark(released)["which-family"]["source"]
    assert by_mark(found)["teacher-forcing-loss-answer"]["cell_type"] == "code"


def test_a_lost_answer_is_not_replaced_by_its_stub(released: dict[str, Any]) -> None:
    submitted = made(released, "an")
    answer = by_mark(submitted)["scaled-scores-answer"]
    answer |= {"metadata": {}, "source": "attention_weights = lambda query, key, visible: 1"}
    found = rebuilt(submitted, released)
    assert "scaled-scores-answer" not in by_mark(found)
    assert [source for _, source in code_cells(found)].count(answer["source"]) == 1


def test_a_byte_order_mark_is_read(released: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps(made(released, "an")), encoding="utf-8-sig")
    assert read_submission(tmp_path / FILE, released) == rebuilt(made(released, "an"), released)


@pytest.mark.parametrize(
    ("submitted", "says"),
    [
        ({"cells": [{"cell_type": "code", "source": [1, 2]}]}, "the source of cell 0 of the notebook is no text"),
        ({"cells": [{"cell_type": "markdown", "source": {"a": 1}}]}, "the source of cell 0"),
        (
            {"cells": [{"cell_type": "heading", "source": ""}]},
            "cell 0 of the notebook is none of code, markdown and raw",
        ),
        ({"cells": [3]}, "cell 0 of the notebook is none of"),
        ({"cells": [{"cell_type": ["code"]}]}, "cell 0 of the notebook is none of"),
        ({"cells": {}}, "it has no list of cells"),
        ([], "it has no list of cells"),
        (None, "it has no list of cells"),
        ({"worksheets": [], "nbformat": 3}, "it has no list of cells"),
        ({"worksheets": [{"cells": [{"cell_type": "heading", "source": 3}]}]}, "the source of cell 0"),
        ({"cells": [{}] * (MOST_CELLS + 1)}, f"has {MOST_CELLS + 1} cells; at most {MOST_CELLS} are read"),
        (
            {"cells": [{"cell_type": "code", "source": "x" * (LONGEST_CELL + 1)}]},
            f"cell 0 of the notebook has {LONGEST_CELL + 1} characters",
        ),
    ],
)
def test_what_is_no_notebook_is_refused_in_words(submitted: Any, says: str, released: dict[str, Any]) -> None:
    with pytest.raises(RefusedError, match=says):
        rebuilt(submitted, released)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"{", "cannot be read as a notebook"),
        (b"[" * 100_000, "cannot be read as a notebook"),
        (b'{"cells": ' + b"9" * 5_000 + b"}", "cannot be read as a notebook"),
        (b"\xff\xfe{}", "cannot be read as a notebook"),
        (b"", "cannot be read as a notebook"),
    ],
)
def test_what_is_no_json_is_refused_in_words(text: bytes, says: str, released: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(text)
    with pytest.raises(RefusedError, match=says) as error:
        read_submission(tmp_path / FILE, released)
    assert str(error.value).isprintable()


def link(folder: Path) -> None:
    os.symlink(b"/etc/passwd", os.path.join(os.fsencode(folder), b"\xff\x1b[31m.txt"))


def special(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def folder_for_file(folder: Path) -> None:
    (folder / FILE).unlink()
    (folder / FILE).mkdir()


def huge(folder: Path) -> None:
    os.truncate(folder / FILE, 50_000_001)


def other_name(folder: Path) -> None:
    (folder / FILE).rename(folder / "01.zh (1).ipynb")


def broken_time(folder: Path) -> None:
    (folder / "timestamp.txt").write_text("tomorrow\x1b[31m")


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (link, r"\\udcff\\x1b\[31m\.txt is a link or no plain file"),
        (special, "pipe is a link or no plain file"),
        (folder_for_file, f"{FILE} is a folder; the notebook itself was expected"),
        (huge, r"has 50\.0 MB; at most 50 are read"),
        (other_name, f"there is no {FILE} in it"),
        (broken_time, r"timestamp\.txt holds no date and time: 'tomorrow\\x1b\[31m'"),
    ],
)
def test_a_folder_that_is_no_submission_is_refused_in_words(
    spoil: Callable[[Path], None], says: str, released: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / FILE).write_text(json.dumps(made(released, "an")))
    spoil(tmp_path)
    with pytest.raises(RefusedError, match=says) as error:
        handed(tmp_path, [FILE])
    assert str(error.value).isprintable()


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "in it").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for folder in (tmp_path / "link", tmp_path / "link" / "in it"):
        with pytest.raises(RefusedError, match="the submitted folder is a link"):
            handed(folder, [FILE])


def test_other_files_are_left_and_named(released: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(json.dumps(made(released, "an")))
    (tmp_path / "zmq.py").write_text("")
    (tmp_path / "page.html").write_text("<script>")
    (tmp_path / "folder" / "in it").mkdir(parents=True)
    (tmp_path / "timestamp.txt").write_text("2027-01-02 03:04:05.678901 UTC")
    found = handed(tmp_path, [FILE])
    assert [path.name for path in found.notebooks] == [FILE]
    assert found.left == ["folder", "page.html", "zmq.py"]


@pytest.mark.parametrize("name", ["an", "2027-001", "李华", "ann.lee@example.org", "a" * 100])
def test_what_can_be_a_students_id(name: str) -> None:
    require_student(name)


@pytest.mark.parametrize(
    "name",
    [
        "=1+1",
        "-an",
        "@an",
        "+an",
        ".an",
        "a b",
        "a/b",
        "a\nb",
        "a\x1b[31m",
        "",
        "a" * 101,
        "a<b>",
        "\udcff",
        "a\u202eb",
    ],
)
def test_what_cannot_be_a_students_id(name: str) -> None:
    with pytest.raises(ValueError, match="is no student's id") as error:
        require_student(name)
    assert str(error.value).isprintable()


def test_two_thousand_mutated_notebooks_end_as_a_notebook_or_a_sentence(
    released: dict[str, Any], mutated: Callable[..., Any]
) -> None:
    draw = random.Random(2027)
    honest = made(released, "an")
    graded = {one.slug for one in exercises(1)}
    refused = 0
    for number in range(2_000):
        submitted = mutated(honest, draw)
        found, sentence = None, ""
        try:
            found = rebuilt(submitted, released)
        except RefusedError as error:
            sentence = str(error)
        if found is None:
            refused += 1
            assert sentence.isprintable()
            assert 10 < len(sentence) < 300
            continue
        if number % 5 == 0:
            nbformat.validate(found)
        assert graded <= by_mark(found).keys()
        assert {name: cell["metadata"] for name, cell in by_mark(found).items()} == {
            name: by_mark(released)[name]["metadata"] for name in by_mark(found)
        }
        assert all(isinstance(source, str) for _, source in code_cells(found))
        nbformat.writes(found).encode()
    assert 200 < refused < 1_800
