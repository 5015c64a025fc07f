"""Grades out of a course's gradebook: a line a student, and the files that Moodle and Canvas import.

Book: §0
"""

import csv
from pathlib import Path
from typing import Any

from nbgrader.api import MissingEntry

from llmbook.atomic import replacing
from llmbook.exercises.foreign_text import printable
from llmbook.grading.course import Course

EXPORTS = ("csv", "moodle", "canvas")


def scores(course: Course, assignment: str) -> list[dict[str, Any]]:
    """A line a student: id, score, the most there is, what a person still has to read."""
    rows = []
    with course.gradebook() as book:
        try:
            found = book.find_assignment(assignment)
        except MissingEntry as error:
            raise ValueError(f"{assignment} is not in the gradebook; `llmbook course release` comes first") from error
        for one in found.submissions:
            best = max(one.notebooks, key=lambda notebook: notebook.score)
            rows.append(
                {
                    "student": one.student.id,
                    "score": best.score,
                    "max_score": best.max_score,
                    "needs_manual_grade": best.needs_manual_grade,
                }
            )
    return sorted(rows, key=lambda row: row["student"])


def export(course: Course, assignment: str, form: str, path: Path) -> int:
    """Writes grades as CSV: "csv" (all that there is), "moodle" or "canvas" (as their imports read it); returns the number of students.

    A student has one grade: that of the better notebook, where two languages were released.

    Raises:
        ValueError: an unknown form, or nothing to export.
    """
    if form not in EXPORTS:
        raise ValueError(f"the form is {form!r}; expected one of {', '.join(EXPORTS)}")
    rows = scores(course, assignment)
    if not rows:
        raise ValueError(f"nobody has a grade for {assignment} yet")
    most = rows[0]["max_score"]
    tables: dict[str, list[list[Any]]] = {
        "csv": [["student", "score", "max_score", "needs_manual_grade"], *([*row.values()] for row in rows)],
        "moodle": [["ID number", "Grade"], *([row["student"], row["score"]] for row in rows)],
        "canvas": [
            ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", assignment],
            ["    Points Possible", "", "", "", "", most],
            *([row["student"], "", row["student"], row["student"], "", row["score"]] for row in rows),
        ],
    }
    table = [[_cell(value) for value in row] for row in tables[form]]
    encoding = "utf-8-sig" if form == "csv" else "utf-8"
    with replacing(path) as new, new.open("w", newline="", encoding=encoding) as file:
        csv.writer(file).writerows(table)
    return len(rows)


def _cell(value: Any) -> Any:
    """A value that no spreadsheet takes for a formula, and no terminal for a command."""
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
