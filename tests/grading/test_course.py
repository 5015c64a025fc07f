"""A course from its folder to exported grades: nbgrader's gradebook and pages, with the judge in the place of its autograder."""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader", reason="the extra `course` is not installed")

from playwright.sync_api import Browser

from llmbook import paths
from llmbook.book.source import LANGUAGES
from llmbook.exercises.exercise import exercises, find_exercise
from llmbook.exercises.reporting import shown_args
from llmbook.grading import course as courses
from llmbook.grading import grade as grading
from llmbook.grading import grades, judging, nbgrader_steps
from llmbook.grading import overview as overviews
from llmbook.grading.bubblewrap import Limits
from llmbook.grading.course import Course
from llmbook.grading.demo import submission as made
from llmbook.grading.feedback import _within, feedback
from llmbook.grading.judging import judged_result
from llmbook.grading.sandbox import why_no_sandbox
from llmbook.grading.submission import RefusedError, handed

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
NAME = "chapter-01"
FILE = "01.zh.ipynb"
CODED = [exercise for exercise in exercises(1) if exercise.kind != "open"]
ALL_CODE = sum(exercise.points for exercise in CODED)
MOST = ALL_CODE + sum(exercise.points for exercise in exercises(1) if exercise.kind == "open")


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> None:
    reason = why_no_sandbox()
    if reason:
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


def new_course(folder: Path) -> Course:
    course = courses.init(folder, "test")
    courses.release(course, 1, ["zh"])
    return course


NAMELESS = {"=1+1", "a\x1b[31mb"}  # folders of the course `graded` that are no student's
SPIN = """
import os, time
for _ in range(30):
    if os.fork() == 0:
        os.setsid()  # a share of the processor of its own, where the system shares it out by sessions
        end = time.monotonic() + 40
        while time.monotonic() < end: pass
        os._exit(0)
time.sleep(15)
"""


SLOWLY = """
_right = parameter_count
def parameter_count(*args, **named):
    import time
    end = time.process_time() + 1.2
    while time.process_time() < end: pass
    return _right(*args, **named)
"""


def code_cell(source: str) -> dict:
    return {
        "cell_type": "code",
        "id": "extra",
        "metadata": {},
        "outputs": [],
        "execution_count": None,
        "source": source,
    }


def by_id(notebook: dict, name: str) -> dict:
    return next(cell for cell in notebook["cells"] if cell.get("id") == name)


def hand_in(course: Course, student: str, like: str) -> Path:
    released = json.loads((course.root / "release" / NAME / FILE).read_text(encoding="utf-8"))
    path = course.root / "handed-in" / student / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made(released, like)), encoding="utf-8")
    return path


def changed(place: Path, change: Callable[[list], object], metadata: dict | None = None) -> None:
    """A submitted notebook with its cells changed, and its metadata replaced."""
    path = place / NAME / FILE
    notebook = json.loads(path.read_text(encoding="utf-8"))
    change(notebook["cells"])
    notebook["metadata"] = notebook["metadata"] if metadata is None else metadata
    path.write_text(json.dumps(notebook), encoding="utf-8")


def mark(cells: list, name: str) -> dict:
    marks = [cell["metadata"]["nbgrader"] for cell in cells if "nbgrader" in cell["metadata"]]
    return next(one for one in marks if one["grade_id"] == name)


def essay(cells: list) -> dict:
    return next(cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade_id") == "which-family")


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """A course with honest and hostile submissions, graded."""
    course = new_course(tmp_path_factory.mktemp("course") / "graded")
    for student in ("an", "baker", "chen", "eve"):
        hand_in(course, student, student)
    courses.collect(course, NAME, course.root / "handed-in")
    secret = course.root / "secret.txt"
    secret.write_text("the instructor's own")
    for student in ("link", "broken", "huge", "list", "elsewhere"):
        (course.root / "submitted" / student / NAME).mkdir(parents=True)
    place = course.root / "submitted"
    shutil.copyfile(place / "an" / NAME / FILE, place / "link" / NAME / FILE)
    (place / "link" / NAME / "notes.txt").symlink_to(secret)
    (place / "elsewhere" / NAME / FILE).symlink_to(place / "an" / NAME / FILE)
    (place / "broken" / NAME / FILE).write_text('{"cells": [')
    (place / "huge" / NAME / FILE).write_text(json.dumps({"cells": ["x" * 50_000_000]}))
    (place / "list" / NAME / FILE).write_text("[" * 50_000)
    for student in (
        "folder",
        "nonutf",
        "stamp",
        "numbers",
        "digits",
        "newlines",
        "attached",
        "endless",
        "unmarked",
        "=1+1",
        "a\x1b[31mb",
    ):
        (place / student / NAME).mkdir(parents=True)
        if student != "folder":
            shutil.copyfile(place / "an" / NAME / FILE, place / student / NAME / FILE)
    (place / "folder" / NAME / FILE).mkdir()
    os.symlink(secret, os.path.join(os.fsencode(place / "nonutf" / NAME), b"\xff.txt"))
    (place / "stamp" / NAME / "timestamp.txt").write_text("tomorrow")
    (place / "attached" / NAME / "page.html").write_text("<script>document.title = 'run'</script>")
    (place / "attached" / NAME / "zmq.py").write_text("raise RuntimeError('run outside')")
    changed(place / "numbers", lambda cells: cells[1].update(source=[1, 2]))
    changed(place / "digits", lambda cells: None, {"llmbook": {"exercises": int("9" * 300)}})
    changed(place / "newlines", lambda cells: mark(cells, "merge-heads").update(grade_id="\n" * 40_000))
    changed(place / "unmarked", lambda cells: [cell.update(metadata={}) for cell in cells])
    changed(place / "endless", lambda cells: essay(cells).update(source="\\begin{a}" * 20_000))
    course.told = grading.grade(course, NAME)  # type: ignore[attr-defined]
    return course


def test_a_released_notebook_is_what_a_reader_gets_with_marks_and_nothing_else(graded: Course) -> None:
    released = json.loads((graded.root / "release" / NAME / FILE).read_text(encoding="utf-8"))
    marks = [cell["metadata"]["nbgrader"] for cell in released["cells"] if "nbgrader" in cell["metadata"]]
    assert {mark["grade_id"]: mark["points"] for mark in marks if mark["grade"]} == {
        one.slug: one.points for one in exercises(1)
    }
    stubs = {cell["id"]: cell["source"] for cell in released["cells"] if cell["id"].endswith("-answer")}
    assert {name: "".join(source) for name, source in stubs.items()} == {
        f"{one.slug}-answer": one.text("stub").strip() for one in CODED
    }


def test_every_submission_has_its_score(graded: Course) -> None:
    found = {row["student"]: row for row in grades.scores(graded, NAME)}
    assert {row["max_score"] for row in found.values()} == {MOST}
    assert found["an"]["score"] == found["eve"]["score"] == ALL_CODE
    assert 0 < found["baker"]["score"] < ALL_CODE
    assert 0 < found["chen"]["score"] < ALL_CODE / 2
    assert all(row["needs_manual_grade"] for row in found.values())  # the open question, or a refusal


BEGINS = {
    "broken": '{"cells": [',
    "list": "[" * 100,
    "stamp": "def attention_weights",
    "numbers": "def attention_weights",
}


def test_what_is_refused_gets_nothing_and_a_reason_and_costs_nobody_else(graded: Course) -> None:
    told = graded.told  # type: ignore[attr-defined]
    reasons = {
        "link": "notes.txt is a link or no plain file",
        "elsewhere": f"{FILE} is a link or no plain file",
        "broken": f"{FILE} cannot be read as a notebook",
        "list": f"{FILE} cannot be read as a notebook",
        "huge": "has 50.0 MB; at most 50 are read",
        "folder": f"{FILE} is a folder; the notebook itself was expected",
        "nonutf": "\\udcff.txt is a link or no plain file",
        "stamp": "timestamp.txt holds no date and time: 'tomorrow'",
        "numbers": f"the source of cell 1 of {FILE} is no text",
    }
    found = {row["student"]: row for row in grades.scores(graded, NAME)}
    for student, reason in reasons.items():
        assert reason in told[student]
        assert found[student]["score"] == 0
        shown = json.loads((graded.root / "autograded" / student / NAME / FILE).read_text(encoding="utf-8"))
        assert reason in "".join(shown["cells"][0]["source"])
        handed_in = "".join(shown["cells"][-1]["source"])
        assert (BEGINS.get(student, "") in handed_in) or student not in BEGINS, "a person sees what was handed in"
    assert not list((graded.root / "autograded").rglob("notes.txt"))
    assert "the instructor's own" not in "".join(
        path.read_text() for path in (graded.root / "autograded").rglob("*.ipynb")
    )


def test_an_answer_that_had_lost_its_mark_counts_and_its_finder_says_so(graded: Course) -> None:
    told = graded.told  # type: ignore[attr-defined]
    found = {row["student"]: row["score"] for row in grades.scores(graded, NAME)}
    assert (told["unmarked"], found["unmarked"]) == ("graded", ALL_CODE)
    with graded.gradebook() as book:
        comments = book.find_submission(NAME, "unmarked").notebooks[0].comments
        assert "按函数名 attention_weights 找到" in comments[0].auto_comment


def test_an_overview_of_the_class_counts_scores_and_names_misconceptions(graded: Course, tmp_path: Path) -> None:
    rows = {row.exercise.slug: row for row in overviews.overview(graded, NAME)}
    students = len(grades.scores(graded, NAME))
    weights = rows["scaled-scores"]
    assert len(weights.scores) == sum(weights.bands().values()) == students
    assert weights.misconceptions == {next(iter(weights.exercise.misconceptions)): 1}  # chen's
    assert rows["which-family"].bands()["none"] == students  # nobody has read them yet
    text = overviews.as_text(list(rows.values()), "en")
    assert "  1 × the scores are not divided by √d_k" in text
    overviews.draw(list(rows.values()), tmp_path / "overview.svg", "zh")
    assert "<svg" in (tmp_path / "overview.svg").read_text(encoding="utf-8")


def test_what_is_only_odd_costs_nothing(graded: Course) -> None:
    told = graded.told  # type: ignore[attr-defined]
    found = {row["student"]: row["score"] for row in grades.scores(graded, NAME)}
    for student in ("digits", "newlines", "attached", "endless"):
        assert (told[student], found[student]) == ("graded", ALL_CODE)
    files = {path.name for path in (graded.root / "autograded" / "attached").rglob("*") if path.is_file()}
    assert files == {FILE}


def test_a_folder_that_is_no_students_id_is_told_and_kept_out(graded: Course, tmp_path: Path) -> None:
    told = graded.told  # type: ignore[attr-defined]
    assert "the folder '=1+1' is no student's id" in told["=1+1"]
    assert "the folder 'a\\x1b[31mb' is no student's id" in told["a\x1b[31mb"]
    assert all(text.isprintable() for text in told.values())
    assert not {"=1+1", "a\x1b[31mb"} & {row["student"] for row in grades.scores(graded, NAME)}
    with graded.gradebook() as book:  # one of an older gradebook
        book.update_or_create_student("=cmd|'/c calc'!A1")
        book.update_or_create_submission(NAME, "=cmd|'/c calc'!A1")
    for form in grades.EXPORTS:
        grades.export(graded, NAME, form, tmp_path / "grades.csv")
        rows = list(csv.reader((tmp_path / "grades.csv").read_text(encoding="utf-8-sig").splitlines()))
        assert not any(cell.startswith(("=", "+", "@", "-")) for row in rows for cell in row)
    with graded.gradebook() as book:
        book.remove_student("=cmd|'/c calc'!A1")


def test_one_failure_of_the_grading_itself_is_one_students_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = new_course(tmp_path / "course")
    for student in ("an", "other"):
        hand_in(course, student, "an")
    courses.collect(course, NAME, course.root / "handed-in")
    usual = grading.judged_result

    def fails_for_one(notebook: dict, *args: Any, **kwargs: Any) -> dict:
        if not calls:
            calls.append(1)
            raise KeyError("\x1b[2J\nx")
        return usual(notebook, *args, **kwargs)

    calls: list[int] = []
    monkeypatch.setattr(grading, "judged_result", fails_for_one)
    told = grading.grade(course, NAME, jobs=1)
    assert sorted(told.values()) == ["graded", "not graded, and to be tried again: KeyError: '\\x1b[2J\\nx'"]
    assert grading.grade(course, NAME) == {student: "graded" for student, what in told.items() if what != "graded"}
    assert {row["score"] for row in grades.scores(course, NAME)} == {ALL_CODE}


def test_mutated_notebooks_end_as_a_grade_or_a_sentence_on_every_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mutated: Callable[..., Any]
) -> None:
    """From the folder to feedback; what the code in them does is the judge's business and not asked here."""
    nothing = {"outputs": {}, "exercises": {}, "busy": False}
    for module in (grading, nbgrader_steps):
        monkeypatch.setattr(module, "judged_result", lambda *args, **kwargs: nothing)
    course = new_course(tmp_path / "course")
    honest = made(json.loads((course.root / "release" / NAME / FILE).read_text(encoding="utf-8")), "an")
    draw = random.Random(1123)
    for number in range(24):
        path = course.root / "submitted" / f"s{number:02d}" / NAME / FILE
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(mutated(honest, draw)))
    told = grading.grade(course, NAME)
    assert len(told) == 24
    refused = {student: what for student, what in told.items() if what != "graded"}
    assert 2 < len(refused) < 22
    assert all(FILE in what and what.isprintable() and len(what) < 300 for what in refused.values())
    assert len(grades.scores(course, NAME)) == 24
    written = feedback(course, NAME, on_problem=lambda *what: pytest.fail(str(what)))
    assert len(written) == 24
    for path in written:
        assert "<script" not in path.read_text(encoding="utf-8")


def test_feedback_of_one_does_not_hold_up_the_others(graded: Course) -> None:
    problems: list[tuple[str, str]] = []
    began = time.monotonic()
    written = feedback(graded, NAME, on_problem=lambda *what: problems.append(what))
    assert problems == []
    assert time.monotonic() - began < 5 * len(written)
    endless = next(path for path in written if path.parents[1].name == "endless").read_text(encoding="utf-8")
    assert "\\begin{a}\\begin{a}" in endless
    began = time.monotonic()
    assert _within(1.0, lambda: time.sleep(60) or True) is False
    assert _within(5.0, lambda: bool(1 / 0)) is False
    assert _within(5.0, lambda: True) is True
    assert time.monotonic() - began < 10
    assert feedback(graded, NAME, seconds=0.0, on_problem=lambda *what: problems.append(what)) == []
    assert {became for _, became in problems} == {"none"}


@pytest.mark.alone
def test_a_neighbour_takes_no_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty spinning processes of one submission beside another's right answer, where no control group shares out the processor."""
    course = new_course(tmp_path / "course")
    released = json.loads((course.root / "release" / NAME / FILE).read_text(encoding="utf-8"))
    limits = Limits(cell=30.0, call=4.0, wall=90.0, restarts=1, counted=False)
    patient = replace(limits, wall=28.0)
    spins, honest = made(released, "an"), made(released, "an")
    spins["cells"].insert(2, code_cell(SPIN))
    honest["cells"].insert(2, code_cell("import time; time.sleep(10)"))  # until the other has begun
    by_id(honest, "parameter-count-answer")["source"] += SLOWLY
    stops: list[tuple[str, list[str]]] = []
    usual = judging._judge

    def noted(notebook: dict, request: dict) -> dict:
        found = usual(notebook, request)
        stops.append(("spins" if "fork" in json.dumps(notebook) else "honest", found["stops"]))
        return found

    monkeypatch.setattr(judging, "_judge", noted)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(judged_result, spins, tmp_path, limits=patient)
        second = pool.submit(judged_result, honest, tmp_path, limits=limits)
        first.result()
        found = second.result()
    assert ("honest", ["time"]) in [(who, sorted(set(why))) for who, why in stops]
    assert found["exercises"]["1.3.2/parameter-count"]["score"] == 8
    assert found["busy"] is False


@pytest.mark.alone
def test_what_ran_out_of_time_on_a_busy_machine_is_not_kept(tmp_path: Path) -> None:
    course = new_course(tmp_path / "course")
    released = json.loads((course.root / "release" / NAME / FILE).read_text(encoding="utf-8"))
    limits = Limits(cell=30.0, call=2.0, wall=90.0, restarts=0, counted=False)
    slow = made(released, "an")
    by_id(slow, "parameter-count-answer")["source"] += SLOWLY
    spin = [sys.executable, "-c", "while True: pass"]
    load = [subprocess.Popen(spin, start_new_session=True) for _ in range(5)]
    try:
        found = judged_result(slow, tmp_path, limits=limits)
    finally:
        for one in load:
            one.kill()
            one.wait()
    assert found["busy"] is True
    again = judged_result(slow, tmp_path, limits=limits)
    assert again["busy"] is False
    assert sum(one["score"] for one in again["exercises"].values()) == ALL_CODE


def test_the_judge_imports_nothing_from_where_it_is_started(
    tmp_path: Path, graded: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    canary = tmp_path / "canary"
    for name in ("zmq", "psutil", "numpy", "llmbook", "bs4"):
        (tmp_path / f"{name}.py").write_text(f"open({str(canary)!r}, 'w').close()\nraise ImportError")
    monkeypatch.chdir(tmp_path)
    released = json.loads((graded.root / "release" / NAME / FILE).read_text(encoding="utf-8"))
    found = judged_result(made(released, "chen"), tmp_path / "cache")
    assert found["stops"] == []
    assert len(feedback(graded, NAME)) > 0
    assert not canary.exists()


def test_the_grading_page_reads_scores_and_changes_them_and_a_regrade_keeps_that(
    graded: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    with graded.gradebook() as book:
        essay = book.find_grade("which-family", "01.zh", NAME, "an")
        essay.manual_score, essay.needs_manual_grade = 7, False
        book.find_grade("merge-heads", "01.zh", NAME, "chen").extra_credit = 1
        book.db.commit()
    path = hand_in(graded, "an", "an")
    path.write_text(path.read_text(encoding="utf-8") + "\n")
    courses.collect(graded, NAME, graded.root / "handed-in")
    assert set(grading.grade(graded, NAME)) == {"an", *NAMELESS}
    found = {row["student"]: row for row in grades.scores(graded, NAME)}
    assert found["an"]["score"] == ALL_CODE + 7
    assert set(grading.grade(graded, NAME)) == NAMELESS  # told each time
    monkeypatch.setattr(Course, "checks_key", lambda *_: "of changed checks")
    assert len(grading.submissions_to_grade(graded, NAME)) == len(found) + len(NAMELESS)
    monkeypatch.undo()
    assert set(grading.submissions_to_grade(graded, NAME)) == NAMELESS


def test_feedback_needs_no_network_and_shows_no_input_of_a_hidden_check(graded: Course, browser: Browser) -> None:
    written = feedback(graded, NAME)
    assert {path.parents[1].name for path in written} >= {"an", "baker", "chen", "eve", "link"}
    inputs = {case.public: set[str]() for one in CODED for case in one.cases()}
    for one in CODED:
        for case in one.cases():
            inputs[case.public].add(shown_args(one, case))
    hidden = inputs[False] - inputs[True]
    assert len(hidden) > 20
    for path in (graded.root / "autograded").rglob("*.ipynb"):
        said = [cell.get("outputs", []) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]]
        assert not any(
            json.dumps(args, ensure_ascii=False)[1:-1] in json.dumps(said, ensure_ascii=False) for args in hidden
        )
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "<math" in text
    chen = next(path for path in written if path.parents[1].name == "chen").read_text(encoding="utf-8")
    assert find_exercise("1.2.2/scaled-scores").misconceptions["no-scaling"]["zh"] in chen
    assert "没有通过的：一批不同长度的句子" in chen
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(written[0].as_uri())
    assert asked == [written[0].as_uri()]
    assert page.get_attribute("html", "lang") == "zh-CN"
    page.close()


@pytest.mark.parametrize("form", grades.EXPORTS)
def test_grades_are_exported(form: str, graded: Course, tmp_path: Path) -> None:
    exported = grades.export(graded, NAME, form, tmp_path / "new" / "grades.csv")
    with (tmp_path / "new" / "grades.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    count = len(exported.students)
    assert {row["student"] for row in grades.scores(graded, NAME) if row["needs_manual_grade"]} == set(exported.unread)
    header = {"csv": "student", "moodle": "ID number", "canvas": "Student"}[form]
    assert rows[0][0] == header
    assert len(rows) == count + 1 + (form == "canvas")
    baker = next(row for row in rows if row[0] == "baker")
    assert any(cell.replace(".", "").isdigit() and float(cell) > 0 for cell in baker[1:])


@pytest.mark.parametrize("form", grades.EXPORTS)
def test_an_export_has_a_column_for_each_exercise_on_request_and_quotes_what_is_no_number(
    form: str, graded: Course, tmp_path: Path
) -> None:
    with graded.gradebook() as book:
        for name in ("0012", "1e5"):
            book.update_or_create_student(name)
            book.update_or_create_submission(NAME, name)
    grades.export(graded, NAME, form, tmp_path / "grades.csv", by_exercise=True)
    text = (tmp_path / "grades.csv").read_text(encoding="utf-8-sig")
    with graded.gradebook() as book:
        for name in ("0012", "1e5"):
            assert f'"{name}"' in text
            book.remove_student(name)
    header, *rows = csv.reader(text.splitlines())
    slugs = {exercise.slug for exercise in exercises(1)}
    assert slugs <= set(header)
    baker = dict(zip(header, next(row for row in rows if row[0] == "baker"), strict=True))
    total = {"csv": "score", "moodle": "Grade", "canvas": NAME}[form]
    assert sum(float(baker[slug]) for slug in slugs) == float(baker[total]) > 0


def test_nbgraders_own_command_judges_too(tmp_path: Path) -> None:
    course = new_course(tmp_path / "course")
    hand_in(course, "an", "an")
    courses.collect(course, NAME, course.root / "handed-in")
    command = [sys.executable, "-m", "nbgrader", "autograde", NAME]
    done = subprocess.run(command, cwd=course.root, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert grades.scores(course, NAME)[0]["score"] == ALL_CODE
    assert len(list((course.root / "judged").glob("*.json"))) == 1


def test_killed_in_the_middle_and_started_again_the_gradebook_is_the_same(tmp_path: Path, graded: Course) -> None:
    course = new_course(tmp_path / "course")
    students = {f"s{number}": like for number, like in enumerate(("an", "baker", "chen", "eve", "baker"))}
    for student, like in students.items():
        hand_in(course, student, like)
    courses.collect(course, NAME, course.root / "handed-in")
    command = [
        sys.executable,
        "-c",
        "from llmbook.cli import main; main()",
        "course",
        "grade",
        NAME,
        "--course",
        str(course.root),
    ]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    marks = course.root / "judged" / "done" / NAME
    while not list(marks.glob("*.json")):
        assert running.poll() is None
        time.sleep(0.05)
    time.sleep(0.4)  # into the next one
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert len(list(marks.glob("*.json"))) < len(students)
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "s0" in done.stdout
    known = {row["student"]: row["score"] for row in grades.scores(graded, NAME)}
    by_hand = {"an": 7, "chen": 1}  # in the other course
    assert {row["student"]: row["score"] for row in grades.scores(course, NAME)} == {
        student: known[like] - by_hand.get(like, 0) for student, like in students.items()
    }


def test_a_student_who_handed_nothing_in_is_named_and_does_not_land_in_the_gradebook(tmp_path: Path) -> None:
    course = new_course(tmp_path / "course")
    hand_in(course, "an", "an")
    courses.collect(course, NAME, course.root / "handed-in")
    with pytest.raises(ValueError, match=r"nothing of chapter-01 was handed in by ann; there are an$"):
        grading.grade(course, NAME, ["an", "ann"])
    assert "ann" not in {row["student"] for row in grades.scores(course, NAME)}


def test_grading_beside_somebody_who_grades_by_hand_loses_nothing(tmp_path: Path) -> None:
    course = new_course(tmp_path / "course")
    for number in range(4):
        hand_in(course, f"s{number}", "an")
    hand_in(course, "first", "baker")
    courses.collect(course, NAME, course.root / "handed-in")
    grading.grade(course, NAME, ["first"])
    stop = threading.Event()
    written: list[str] = []
    failed: list[BaseException] = []

    def by_hand() -> None:
        try:
            while not stop.is_set():
                with course.gradebook() as book:
                    text = f"comment {len(written)}"
                    book.find_comment("which-family", "01.zh", NAME, "first").manual_comment = text
                    book.find_grade("which-family", "01.zh", NAME, "first").manual_score = len(written) % 10
                    book.db.commit()
                    written.append(text)
        except BaseException as error:
            failed.append(error)

    person = threading.Thread(target=by_hand)
    person.start()
    told = grading.grade(course, NAME)
    stop.set()
    person.join()
    assert failed == []
    assert set(told.values()) == {"graded"}
    assert len(written) > 10
    with course.gradebook() as book:
        assert book.find_comment("which-family", "01.zh", NAME, "first").manual_comment == written[-1]
        assert book.find_grade("which-family", "01.zh", NAME, "first").manual_score == (len(written) - 1) % 10
    assert {row["score"] for row in grades.scores(course, NAME) if row["student"] != "first"} == {ALL_CODE}


def test_both_languages_can_be_released_and_the_later_notebook_counts(tmp_path: Path) -> None:
    course = courses.init(tmp_path / "course", "test")
    courses.release(course, 1, LANGUAGES)
    assert {path.name for path in (course.root / "release" / NAME).glob("*.ipynb")} == {"01.zh.ipynb", "01.en.ipynb"}
    path = hand_in(course, "an", "baker")
    hour = path.stat().st_mtime - 3600
    later = hand_in(course, "an", "an").with_name("01.en.ipynb")
    released = json.loads((course.root / "release" / NAME / later.name).read_text(encoding="utf-8"))
    later.write_text(json.dumps(made(released, "an")), encoding="utf-8")
    os.utime(path, (hour, hour))
    (taken,) = courses.collect(course, NAME, course.root / "handed-in").taken
    assert (taken.notebook, taken.instead_of) == ("01.en.ipynb", FILE)
    assert grading.grade(course, NAME) == {"an": "graded"}
    (row,) = grades.scores(course, NAME)
    assert (row["score"], row["max_score"]) == (ALL_CODE, MOST)
    with course.gradebook() as book:
        comments = {
            one.auto_comment for notebook in book.find_submission(NAME, "an").notebooks for one in notebook.comments
        }
    assert any("01.en.ipynb was graded, the later of the two languages" in (one or "") for one in comments)


def test_a_newer_submission_is_never_replaced_by_an_older_one(tmp_path: Path) -> None:
    course = new_course(tmp_path / "course")
    path = hand_in(course, "an", "an")
    courses.collect(course, NAME, course.root / "handed-in")
    kept = (course.root / "submitted" / "an" / NAME / FILE).read_bytes()
    hand_in(course, "an", "baker")
    os.utime(path, (0, 0))
    collected = courses.collect(course, NAME, course.root / "handed-in")
    assert collected.taken == []
    assert [(one.source, one.why) for one in collected.left] == [
        (f"an/{FILE}", "is older than what an has handed in already")
    ]
    assert (course.root / "submitted" / "an" / NAME / FILE).read_bytes() == kept


def test_what_is_late_is_penalized_by_nbgraders_plugin_unless_it_was_extended(tmp_path: Path) -> None:
    course = new_course(tmp_path / "course")
    config = course.root / "nbgrader_config.py"
    config.write_text(config.read_text() + 'c.LateSubmissionPlugin.penalty_method = "zero"\n')
    course = Course(course.root)
    due = datetime(2027, 3, 4, 15, 59, tzinfo=UTC)
    for student, hours in (("early", -1), ("late", 1), ("extended", 30)):
        path = hand_in(course, student, "an")
        os.utime(path, (due.timestamp() + 3600 * hours,) * 2)
    courses.collect(course, NAME, course.root / "handed-in")
    courses.set_due(course, NAME, due.astimezone(timezone(timedelta(hours=8))))
    courses.extend(course, NAME, "extended", 2)
    assert set(grading.grade(course, NAME).values()) == {"graded"}

    def found() -> dict[str, tuple[float, bool]]:
        return {row["student"]: (row["score"], row["late"]) for row in grades.scores(course, NAME)}

    assert found() == {"early": (ALL_CODE, False), "late": (0, True), "extended": (ALL_CODE, False)}
    grades.export(course, NAME, "csv", tmp_path / "grades.csv")
    assert '"late",0.0' in (tmp_path / "grades.csv").read_text("utf-8-sig")
    assert grading.submissions_to_grade(course, NAME) == []
    courses.extend(course, NAME, "late", 1)
    assert grading.submissions_to_grade(course, NAME) == ["late"]
    grading.grade(course, NAME)
    assert found()["late"] == (ALL_CODE, False)
    assert grading.submissions_to_grade(course, NAME, ["early"], force=True) == ["early"]
    with pytest.raises(ValueError, match="names no time zone"):
        courses.set_due(course, NAME, datetime(2027, 3, 4))
    with pytest.raises(ValueError, match="chapter-09 is not released"):
        courses.extend(course, "chapter-09", "late", 1)


def test_the_names_that_a_system_gives_stand_in_the_gradebook(tmp_path: Path) -> None:
    course = new_course(tmp_path / "course")
    path = hand_in(course, "Ann Lee_4711_assignsubmission_file", "an")
    shutil.copyfile(path, path.parent.parent / f"foxgina_LATE_811_90210_{FILE}")
    assert courses.collect(course, NAME, course.root / "handed-in").students == ["4711", "811"]
    with course.gradebook() as book:
        assert {one.id: one.last_name for one in book.students} == {"4711": "Ann Lee", "811": "foxgina"}
        book.update_or_create_submission(NAME, "4711")
    for form in grades.EXPORTS:
        grades.export(course, NAME, form, tmp_path / "grades.csv")
        assert '"Ann Lee"' in (tmp_path / "grades.csv").read_text(encoding="utf-8-sig")


def test_without_a_sandbox_nothing_is_run_unless_told(
    monkeypatch: pytest.MonkeyPatch, graded: Course, tmp_path: Path
) -> None:
    monkeypatch.setattr("llmbook.grading.judging.why_no_sandbox", lambda: "bwrap not found")
    monkeypatch.setattr("llmbook.grading.grade.why_no_sandbox", lambda: "bwrap not found")
    released = json.loads((graded.root / "release" / NAME / FILE).read_text(encoding="utf-8"))
    with pytest.raises(RefusedError, match="submitted code is not run: bwrap not found"):
        judged_result(released, tmp_path)
    with pytest.raises(ValueError, match=r"is not graded: bwrap not found.*--trust"):
        grading.require_judge(trusted=False)
    grading.require_judge(trusted=True)
    trusted = judged_result(made(released, "an"), tmp_path, trusted=True)
    assert sum(one["score"] for one in trusted["exercises"].values()) == ALL_CODE
    course = new_course(tmp_path / "course")
    hand_in(course, "an", "an")
    courses.collect(course, NAME, course.root / "handed-in")
    with pytest.raises(ValueError, match="is not graded: bwrap not found"):
        grading.grade(course, NAME)
    assert grades.scores(course, NAME) == []
    assert grading.grade(course, NAME, trusted=True) == {"an": "graded"}
    assert grades.scores(course, NAME)[0]["score"] == ALL_CODE


def test_mistakes_of_an_instructor_are_told(tmp_path: Path, graded: Course) -> None:
    with pytest.raises(ValueError, match=r"is no course: it has no nbgrader_config\.py"):
        Course(tmp_path)
    with pytest.raises(ValueError, match="is not empty; a course is made in a new folder"):
        courses.init(graded.root, "again")
    old = courses.init(tmp_path / "old", "x").root / "nbgrader_config.py"
    old.write_text("from llmbook.course.judged import configure\n")
    with pytest.raises(
        ValueError, match=r"let its nbgrader_config.py say `from llmbook\.grading\.nbgrader_steps import configure`"
    ):
        Course(old.parent)
    empty = courses.init(tmp_path / "empty", "x")
    with pytest.raises(ValueError, match="chapter-01 is not released"):
        courses.collect(empty, NAME, tmp_path)
    with pytest.raises(ValueError, match=r"holds no submission such as STUDENT/01\.zh\.ipynb"):
        courses.collect(graded, NAME, tmp_path)
    with pytest.raises(ValueError, match="the form is 'xls'; expected one of csv, moodle, canvas"):
        grades.export(graded, NAME, "xls", tmp_path / "x")
    with pytest.raises(ValueError, match="no chapter '9'"):
        courses.release(empty, 9, ["zh"])
    (tmp_path / "in" / "a b").mkdir(parents=True)
    shutil.copyfile(graded.root / "release" / NAME / FILE, tmp_path / "in" / "a b" / FILE)
    with pytest.raises(ValueError, match=r"holds no submission .*; a b/.* 'a b' is no student's id"):
        courses.collect(graded, NAME, tmp_path / "in")
    assert [path.name for path in handed(graded.root / "submitted" / "an" / NAME, [FILE]).notebooks] == [FILE]


def test_the_demo_ends_as_the_page_for_instructors_shows(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from llmbook.cli import main; main()", "course", "demo", "my-demo"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    for page in ("TEACHING.md", "TEACHING.zh.md"):
        assert f"```\n{done.stdout}```\n" in (paths.root() / page).read_text(encoding="utf-8")
    feedback = (tmp_path / "my-demo" / "feedback" / "an" / NAME / "01.zh.html").read_text(encoding="utf-8")
    assert "判据写得好" in feedback
    assert '"an",78.0,80.0,False' in (tmp_path / "my-demo" / "grades.csv").read_text(encoding="utf-8-sig")


def test_a_course_by_its_commands(tmp_path: Path, graded: Course) -> None:
    def said(*words: str) -> str:
        command = [sys.executable, "-c", "from llmbook.cli import main; main()", "course", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True).stdout

    assert "course is a course" in said("init", "course", "--name", "llm2027")
    assert said("release", "1", "--lang", "zh", "--course", "course").strip().endswith("course/release/chapter-01")
    (tmp_path / "in").mkdir()
    shutil.copytree(graded.root / "handed-in" / "baker", tmp_path / "in" / "baker")
    assert said("collect", NAME, "in", "--course", "course").endswith(
        f" baker/{FILE}\n1 students; 0 files left where they were\n"
    )
    assert "baker" in said("grade", NAME, "--course", "course")
    assert said("feedback", NAME, "--course", "course").strip().endswith("feedback/baker/chapter-01/01.zh.html")
    assert said("export", NAME, "grades.csv", "--form", "moodle", "--course", "course") == "1 students in grades.csv\n"
    assert (tmp_path / "grades.csv").read_text().splitlines()[0] == '"ID number","Grade","Full name"'
