"""Grades out of a course's gradebook: a line a student, and the files that Moodle and Canvas import.

Book: §0
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmbook.atomic import replacing
from llmbook.exercises.foreign_text import printable
from llmbook.grading.course import Course, released_assignment

EXPORTS = ("csv", "moodle", "canvas")


def scores(course: Course, assignment: str) -> list[dict[str, Any]]:
    """A line a student: id, name, score less nbgrader's penalty for lateness, whether it was late, the most there is, whether a person
    still has to read, and score and maximum of each exercise.
    """
    rows = []
    with course.gradebook() as book:
        for one in released_assignment(book, assignment).submissions:
            best = max(one.notebooks, key=lambda notebook: notebook.score)
            rows.append(
                {
                    "student": one.student.id,
                    "score": max(0.0, best.score - (best.late_submission_penalty or 0.0)),
                    "late": one.total_seconds_late > 0,
                    "name": one.student.last_name or "",
                    "max_score": best.max_score,
                    "needs_manual_grade": best.needs_manual_grade,
                    "exercises": {grade.name: (grade.score, grade.max_score) for grade in best.grades},
                }
            )
    return sorted(rows, key=lambda row: row["student"])


@dataclass(frozen=True)
class Exported:
    """The students of an export, and those among them whose answers a person has still to read."""

    students: list[str]
    unread: list[str]


def export(course: Course, assignment: str, form: str, path: Path, *, by_exercise: bool = False) -> Exported:
    """Writes grades as CSV: "csv" (all that there is), "moodle" or "canvas" (as their imports read it).

    A student has one grade: that of the better notebook, where two languages were released. Every text is quoted, so that an id such as
    0012 or 1e5 is not a number to whoever asks; one that a spreadsheet would run begins with an apostrophe.

    Args:
        by_exercise: a column for each exercise too.

    Raises:
        ValueError: an unknown form, or nothing to export.
    """
    if form not in EXPORTS:
        raise ValueError(f"the form is {form!r}; expected one of {', '.join(EXPORTS)}")
    rows = scores(course, assignment)
    if not rows:
        raise ValueError(f"nobody has a grade for {assignment} yet")
    names = sorted({name for row in rows for name in row["exercises"]}) if by_exercise else []
    most = {name: found[1] for row in rows for name, found in row["exercises"].items()}
    mine = {row["student"]: [row["exercises"].get(name, (0.0, 0.0))[0] for name in names] for row in rows}
    facts = ["student", "score", "max_score", "needs_manual_grade", "late", "name"]
    tables: dict[str, list[list[Any]]] = {
        "csv": [[*facts, *names], *([*(row[fact] for fact in facts), *mine[row["student"]]] for row in rows)],
        "moodle": [
            ["ID number", "Grade", *names, "Full name"],
            *([row["student"], row["score"], *mine[row["student"]], row["name"]] for row in rows),
        ],
        "canvas": [
            ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment, *names],
            ["    Points Possible", "", "", "", "", rows[0]["max_score"], *(most[name] for name in names)],
            *(
                [row["name"] or row["student"], "", *2 * [row["student"]], "", row["score"], *mine[row["student"]]]
                for row in rows
            ),
        ],
    }
    table = [[_cell(value) for value in row] for row in tables[form]]
    encoding = "utf-8-sig" if form == "csv" else "utf-8"
    with replacing(path) as new, new.open("w", newline="", encoding=encoding) as file:
        csv.writer(file, quoting=csv.QUOTE_NONNUMERIC).writerows(table)
    return Exported([row["student"] for row in rows], [row["student"] for row in rows if row["needs_manual_grade"]])


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula, and no terminal for a command."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
