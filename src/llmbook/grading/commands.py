"""`llmbook course …`: what an instructor does, from a new course to exported grades.

Book: §0
"""

from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from tqdm import tqdm

from llmbook.book.source import LANGUAGES, require_language
from llmbook.exercises.foreign_text import printable

course_app = typer.Typer(
    no_args_is_help=True, help="Teach with the book: release, collect, grade, give feedback, export."
)
CourseDir = Annotated[Path, typer.Option("--course", help="the course's folder")]
HERE = Path(".")


@course_app.command("init")
def course_init(
    folder: Annotated[Path, typer.Argument(help="a new folder")],
    name: Annotated[str, typer.Option(help="the course's name in the gradebook")] = "llmbook",
    private: Annotated[
        str, typer.Option(help="a folder of checks in place of the public ones, seen from the course")
    ] = "",
) -> None:
    """Make a course: nbgrader's folders, its configuration, the judge in the place of its autograder."""
    _modules()[0].init(folder, name, private)
    typer.echo(f"{folder} is a course; next: llmbook course release 1 --course {folder}")


@course_app.command("release")
def course_release(
    chapter: int,
    lang: Annotated[list[str] | None, typer.Option(help="zh, en; both when none is named")] = None,
    course: CourseDir = HERE,
) -> None:
    """Make the students' notebook of a chapter's exercises."""
    gradebook, *_ = _modules()
    typer.echo(gradebook.release(gradebook.Course(course), chapter, lang or LANGUAGES))


@course_app.command("collect")
def course_collect(assignment: str, folder: Path, course: CourseDir = HERE) -> None:
    """Take submissions into the course from a folder or a zip: a folder a student, or as Moodle and Canvas name them."""
    gradebook, *_ = _modules()
    collected = gradebook.collect(gradebook.Course(course), assignment, folder)
    for one in collected.taken:
        whose = f"{one.student} ({one.name})" if one.name else one.student
        typer.echo(f"{whose:30} {one.when:%Y-%m-%d %H:%M} {one.source}")
    for left in collected.left:
        typer.echo(f"left: {left.source} {left.why}", err=True)
    typer.echo(f"{len(collected.taken)} students; {len(collected.left)} files left where they were")


@course_app.command("due")
def course_due(
    assignment: str,
    when: Annotated[str, typer.Argument(help="with its time zone, such as 2027-03-04T23:59+08:00")],
    course: CourseDir = HERE,
) -> None:
    """Set when an assignment is due. What lateness costs is nbgrader's to say: LateSubmissionPlugin in nbgrader_config.py."""
    gradebook, *_ = _modules()
    try:
        due = datetime.fromisoformat(when)
    except ValueError as error:
        raise ValueError(f"'{when}' is no date and time; for example 2027-03-04T23:59+08:00") from error
    gradebook.set_due(gradebook.Course(course), assignment, due)


@course_app.command("extend")
def course_extend(assignment: str, student: str, days: float, course: CourseDir = HERE) -> None:
    """Give a student some days more; 0 takes them back."""
    gradebook, *_ = _modules()
    gradebook.extend(gradebook.Course(course), assignment, student, days)


@course_app.command("grade")
def course_grade(
    assignment: str,
    student: Annotated[list[str] | None, typer.Option(help="only these")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="how many at a time")] = 2,
    trust: Annotated[
        bool, typer.Option("--trust", help="run submitted code without a sandbox, with your rights")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="judge what has not changed too")] = False,
    course: CourseDir = HERE,
) -> None:
    """Judge what has been submitted and has changed since, each submission in a sandbox of its own."""
    gradebook, grades, grading = _modules()
    opened = gradebook.Course(course)
    from llmbook.grading.sandbox import why_uncounted

    if not trust and (uncounted := why_uncounted()):
        typer.echo(f"note: {uncounted}", err=True)
    waiting = grading.submissions_to_grade(opened, assignment, student, force=force)
    failed: list[str] = []
    with tqdm(total=len(waiting), unit="submission") as bar:

        def on_student(name: str, what: str) -> None:
            bar.update()
            if what != "graded":
                bar.write(f"{name}: {what}")
                failed.append(name)

        grading.grade(opened, assignment, student, jobs=jobs, trusted=trust, force=force, on_student=on_student)
    for row in grades.scores(opened, assignment):
        note = ("  (late)" if row["late"] else "") + ("  (to be read by a person)" if row["needs_manual_grade"] else "")
        typer.echo(f"{printable(row['student']):20} {row['score']:6.1f} of {row['max_score']:.0f}{note}")
    if failed:
        typer.echo(
            f"{len(failed)} of {len(waiting)} were refused or are to be looked at: {', '.join(failed)}", err=True
        )
        raise typer.Exit(3)


@course_app.command("feedback")
def course_feedback(assignment: str, course: CourseDir = HERE) -> None:
    """Write feedback for all students: HTML files that need no network and show no hidden check."""
    gradebook, *_ = _modules()
    from llmbook.grading.feedback import feedback

    said = {
        "plain": "could not be set in time; the texts are shown as they were written",
        "none": "no feedback could be made",
    }
    for path in feedback(
        gradebook.Course(course),
        assignment,
        on_problem=lambda name, became: typer.echo(f"{name}: {said[became]}", err=True),
    ):
        typer.echo(path)


@course_app.command("overview")
def course_overview(
    assignment: str,
    to: Annotated[Path | None, typer.Option(help="draw it into this file too: .svg, .png or .pdf")] = None,
    lang: Annotated[str, typer.Option(help="zh or en")] = "en",
    course: CourseDir = HERE,
) -> None:
    """Show scores and misconceptions by exercise, of the whole class."""
    gradebook, *_ = _modules()
    from llmbook.grading.overview import as_text, draw, overview

    rows = overview(gradebook.Course(course), assignment)
    typer.echo(as_text(rows, require_language(lang)))
    if to is not None:
        draw(rows, to, lang)


@course_app.command("export")
def course_export(
    assignment: str,
    to: Annotated[Path, typer.Argument(help="a CSV file")],
    form: Annotated[str, typer.Option(help="csv, moodle or canvas")] = "csv",
    by_exercise: Annotated[bool, typer.Option("--by-exercise", help="a column for each exercise too")] = False,
    course: CourseDir = HERE,
) -> None:
    """Write grades as CSV, for a spreadsheet, Moodle or Canvas."""
    gradebook, grades, _ = _modules()
    exported = grades.export(gradebook.Course(course), assignment, form, to, by_exercise=by_exercise)
    typer.echo(f"{len(exported.students)} students in {to}")
    if exported.unread:
        unread = ", ".join(map(printable, exported.unread))
        typer.echo(
            f"note: not final, for a person has still to read answers of {len(exported.unread)}: {unread}", err=True
        )


@course_app.command("demo")
def course_demo(folder: Annotated[Path, typer.Argument(help="a new folder")]) -> None:
    """Make a course with five submissions, grade them, and say where everything is."""
    _, grades, _ = _modules()
    from llmbook.grading.demo import demo

    course = demo(folder)
    for row in grades.scores(course, "chapter-01"):
        typer.echo(f"{row['student']:12} {row['score']:5.1f} of {row['max_score']:.0f}")
    typer.echo(
        f"\nfeedback:  {folder / 'feedback'}\ngrades:    {folder / 'grades.csv'}\n"
        f"by hand:   cd {folder} && jupyter lab, then Nbgrader › Formgrader in its menu"
    )


def _modules() -> tuple[ModuleType, ModuleType, ModuleType]:
    """The modules of courses, of grades and of grading, or a word on how to get what they need."""
    try:
        from llmbook.grading import course as gradebook
        from llmbook.grading import grade as grading
        from llmbook.grading import grades
    except ModuleNotFoundError as error:
        raise ValueError(
            f"{error.name} is not installed; a course needs the extra: pip install 'llmbook[course]'"
        ) from error
    return gradebook, grades, grading
