"""What a class did with an assignment: scores and misconceptions by exercise, as a table and a plot.

Book: §0
"""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from llmbook.assets import vendored
from llmbook.atomic import replacing
from llmbook.drawing import FAMILY, FONT
from llmbook.exercises.exercise import Exercise, exercises
from llmbook.grading.course import Course
from llmbook.grading.grades import scores

BANDS = (("full", "0.25", ""), ("part", "0.7", "//"), ("none", "1", ""))  # of points; grey and hatch
WORDS = {
    "zh": {"students": "人数", "full": "满分", "part": "部分", "none": "零分", "mean": "平均 {mean:.1f} / {most}"},
    "en": {"students": "students", "full": "full", "part": "part", "none": "none", "mean": "mean {mean:.1f} of {most}"},
}


@dataclass(frozen=True)
class Row:
    """An exercise: each student's score, and how many answers agreed with each misconception."""

    exercise: Exercise
    scores: list[float]
    misconceptions: Counter[str]

    @property
    def mean(self) -> float:
        return float(np.mean(self.scores))

    def bands(self) -> dict[str, int]:
        """How many have all points, some, none."""
        full = sum(score >= self.exercise.points for score in self.scores)
        none = sum(score <= 0 for score in self.scores)
        return {"full": full, "part": len(self.scores) - full - none, "none": none}


def overview(course: Course, assignment: str) -> list[Row]:
    """A row an exercise, in the chapter's order, of the students who have a grade.

    Raises:
        ValueError: nobody has a grade.
    """
    students = scores(course, assignment)
    if not students:
        raise ValueError(f"nobody has a grade for {assignment} yet")
    found = [
        json.loads(path.read_text(encoding="utf-8")) for path in course.found("any", assignment).parent.glob("*.json")
    ]
    rows = []
    for exercise in exercises(int(assignment.rpartition("-")[2])):
        theirs = [row["exercises"].get(exercise.slug, (0.0, 0.0))[0] for row in students]
        named = Counter(one[exercise.id] for one in found if one.get(exercise.id))
        rows.append(Row(exercise, theirs, named))
    return rows


def as_text(rows: list[Row], lang: str) -> str:
    """The table: a line an exercise, and below it the misconceptions by number of students."""
    words = WORDS[lang]
    lines = []
    for row in rows:
        bands = ", ".join(f"{words[name]} {count}" for name, count in row.bands().items())
        mean = words["mean"].format(mean=row.mean, most=row.exercise.points)
        lines.append(f"{row.exercise.facts['title'][lang]}: {mean}; {bands}")
        for name, count in row.misconceptions.most_common():
            lines.append(f"  {count} × {row.exercise.misconceptions[name][lang]}")
    return "\n".join(lines)


def draw(rows: list[Row], path: Path, lang: str) -> None:
    """A bar an exercise: how many students have all points, some, none. Black and white is enough to read it."""
    words, places, left = WORDS[lang], np.arange(len(rows)), np.zeros(len(rows))
    font_manager.fontManager.addfont(vendored(FONT))
    with mpl.rc_context({"font.family": [FAMILY, "DejaVu Sans"]}):
        fig = Figure(figsize=(7, 0.6 + 0.45 * len(rows)), layout="constrained")
        ax = fig.subplots()
        for name, grey, hatch in BANDS:
            counts = np.array([row.bands()[name] for row in rows])
            ax.barh(places, counts, left=left, color=grey, hatch=hatch, edgecolor="black", label=words[name])
            left += counts
        ax.set_yticks(places, [row.exercise.facts["title"][lang] for row in rows])
        ax.set(xlabel=words["students"])
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.invert_yaxis()
        fig.legend(loc="outside upper center", ncol=len(BANDS), frameon=False)
        with replacing(path) as new:
            fig.savefig(new, format=path.suffix.removeprefix(".") or "png")
