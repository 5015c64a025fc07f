"""The gate of every exercise: the stub fails, the solution passes, each wrong solution fails and its misconception is named."""

import re
from collections.abc import Callable
from functools import cache

import pytest
import torch

from llmbook.book.outline import finished_points, point_ids
from llmbook.book.source import LANGUAGES, chapter_files, read
from llmbook.edition.assignment import exercise_notebook
from llmbook.edition.book import Book
from llmbook.exercises import guest
from llmbook.exercises.exercise import KINDS, Exercise, exercises, find_exercise
from llmbook.exercises.reporting import report, ruled_out, shown_args
from llmbook.exercises.scoring import score
from llmbook.exercises.verdicts import local_call, misconception, try_cases

BOOK = Book.read()
ALL = BOOK.exercises
CODED = [exercise for exercise in ALL if exercise.kind != "open"]
RARE = {"nothing-to-predict", "row-of-nothing", "uniform-row"}  # nothing to predict, nothing to see
WRONG = [(exercise, name) for exercise in CODED for name in exercise.misconceptions]


def named(value: object) -> str | None:
    return value.id if isinstance(value, Exercise) else None


@cache
def verdicts(exercise: Exercise, name: str) -> list:
    function = exercise.mutants[name] if name in exercise.misconceptions else exercise.solution(name)
    return try_cases(exercise, local_call(function))


@pytest.mark.parametrize("exercise", ALL, ids=named)
def test_the_folder_is_whole(exercise: Exercise) -> None:
    assert exercise.kind in KINDS
    assert set(exercise.facts["outline"]) <= set(point_ids(exercise.chapter)) & set(finished_points())
    assert exercise.points > 0
    assert exercise.facts["minutes"] > 0
    assert set(exercise.facts["title"]) == set(LANGUAGES)
    assert BOOK.findings(exercise.statement) == []
    files = {
        path.relative_to(exercise.folder).as_posix() for path in exercise.folder.rglob("*.*") if path.suffix != ".pyc"
    }
    wanted = {"exercise.toml", "statement.md"}
    if exercise.kind != "open":
        wanted |= {"stub.py", "solution.py", "checks.py"}
        wanted |= {f"mutants/{name.replace('-', '_')}.py" for name in exercise.misconceptions}
        assert len(exercise.misconceptions) >= 4
    assert files == wanted


@pytest.mark.parametrize("exercise", CODED, ids=named)
def test_stub_fails_and_solution_passes_with_all_points(exercise: Exercise) -> None:
    cases = exercise.cases()
    assert sum(case.points for case in cases) == exercise.points
    assert 2 <= sum(case.public for case in cases) < len(cases)
    assert len({case.title[lang] for case in cases for lang in LANGUAGES}) == 2 * len(cases)
    assert score(exercise, verdicts(exercise, "solution")) == exercise.points
    assert [one.message for one in verdicts(exercise, "solution") if not one.passed] == []
    stub = verdicts(exercise, "stub")
    assert score(exercise, stub) == 0
    assert not all(one.passed for one in stub if one.case.public)
    if exercise.kind == "code":
        assert {one.message["en"] for one in stub} == {"it is not written yet"}


@pytest.mark.parametrize("exercise", CODED, ids=named)
def test_an_answer_that_does_not_look_at_its_input_earns_nothing(exercise: Exercise) -> None:
    cases = exercise.cases()
    public = [local_call(exercise.oracle)("", list(case.args), False) for case in cases if case.public]
    functions: list[Callable] = [
        *(lambda *args, answer=answer: guest.decode(answer["value"]) for answer in public),
        *(lambda *args, at=at: args[at] for at in range(len(cases[0].args))),
        *(lambda *args, at=at: torch.zeros_like(args[at]) for at in range(len(cases[0].args))),
        *(lambda *args, value=value: value for value in (None, 0, 1, 0.0, [], torch.tensor(0.0), torch.tensor(0))),
    ]
    earned = [score(exercise, try_cases(exercise, local_call(function))) for function in functions]
    assert earned == [0] * len(functions)


@pytest.mark.parametrize(("exercise", "name"), WRONG, ids=named)
def test_a_wrong_solution_fails_and_its_misconception_is_named(exercise: Exercise, name: str) -> None:
    found = verdicts(exercise, name)
    assert score(exercise, found) < exercise.points
    assert misconception(found, exercise) == name
    for lang in LANGUAGES:
        text = report(exercise, found, lang)
        assert text.endswith(exercise.misconceptions[name][lang])
        assert not any(
            exercise.misconceptions[other][lang] in text for other in exercise.misconceptions if other != name
        )


@pytest.mark.parametrize("exercise", CODED, ids=named)
def test_the_checks_are_the_same_each_time_and_can_be_sent(exercise: Exercise) -> None:
    once, again = ([guest.encode(list(case.args)) for case in exercise.cases()] for _ in range(2))
    assert once == again
    assert all(guest.encode(guest.decode(args)) == args for args in once)


@pytest.mark.parametrize("exercise", CODED, ids=named)
def test_a_student_is_shown_no_hidden_check(exercise: Exercise) -> None:
    for name in ["stub", *exercise.misconceptions]:
        for lang in LANGUAGES:
            text = report(exercise, verdicts(exercise, name), lang)
            lines = text.splitlines()
            seen = {shown_args(exercise, case) for case in exercise.cases() if case.public}
            for one in verdicts(exercise, name):
                assert any(line[2:] == one.case.title[lang] for line in lines) == one.case.public
                assert (one.case.title[lang] in text) == (one.case.public or not one.passed)
                if not one.case.public:
                    assert shown_args(exercise, one.case) in seen or shown_args(exercise, one.case) not in text


@pytest.mark.parametrize("exercise", CODED, ids=named)
def test_public_checks_show_what_a_usual_slip_gets_wrong(exercise: Exercise) -> None:
    """Public cases are drawn with all sizes distinct and nothing symmetric, so that only what rare inputs bring to light passes them."""
    unseen = [
        name
        for name in exercise.misconceptions
        if all(one.passed for one in verdicts(exercise, name) if one.case.public)
    ]
    assert set(unseen) <= RARE


@pytest.mark.parametrize("exercise", CODED, ids=named)
def test_what_a_task_rules_out_is_not_in_its_solution_and_is_told_where_it_is(exercise: Exercise) -> None:
    assert ruled_out(exercise, [exercise.text("solution"), exercise.text("stub")], "en") == ""
    for name in exercise.facts.get("ruled_out", ()):
        own = f"def {exercise.function}(*args):\n    return F.{name}(*args)"
        assert name in ruled_out(exercise, ["%timeit x", own], "en")
        assert ruled_out(exercise, [f"F.{name}(1)", own.replace(exercise.function, "other")], "zh") == ""


def test_ids_and_functions_are_different() -> None:
    for name in ("id", "slug"):
        assert len({getattr(exercise, name) for exercise in ALL}) == len(ALL)
    assert len({exercise.function for exercise in CODED}) == len(CODED)


@pytest.mark.parametrize("source", [read(path) for path in chapter_files()], ids=lambda source: source.slug)
def test_a_chapter_has_enough_of_each_kind_and_refers_to_all(source) -> None:
    own = exercises(source.number)
    if set(point_ids(source.number)) <= set(finished_points()):  # else the chapter goes on
        assert sum(exercise.kind != "open" for exercise in own) >= 5
        assert sum(exercise.kind == "bug" for exercise in own) >= 2
        assert sum(exercise.kind == "open" for exercise in own) >= 1
    text = "\n".join(cell.source for cell in source.cells)
    assert [exercise.id for exercise in own if f"<exercise-{exercise.slug}>" not in text] == []


def words(code: str) -> list[str]:
    return re.findall(r"\w+|[^\w\s]", code)


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("source", BOOK.chapters, ids=lambda source: source.slug)
def test_no_text_of_a_solution_is_in_what_is_released(source, lang: str) -> None:
    released = exercise_notebook(BOOK.exercises_of(source.number), lang, BOOK.context(source, lang))
    everything = words("\n".join(cell.source for cell in released.cells))
    runs = {tuple(everything[i : i + 12]) for i in range(len(everything) - 11)}
    for exercise in (one for one in exercises(source.number) if one.kind != "open"):
        known = words(exercise.text("stub"))
        mine = words(exercise.text("solution"))
        given = {tuple(known[i : i + 12]) for i in range(len(known) - 11)}
        new = [tuple(mine[i : i + 12]) for i in range(len(mine) - 11)]
        assert [" ".join(run) for run in new if run not in given and run in runs] == []


def test_an_exercise_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(ValueError, match=r"no exercise '1\.2\.2/scaled-score'; there are .*1\.2\.2/scaled-scores"):
        find_exercise("1.2.2/scaled-score")
