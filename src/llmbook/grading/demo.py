"""A course to look at: five made submissions to the exercises of chapter 1, taken to the grades.

One is right, one half done, two hold a usual misconception each, and one attacks the machine that grades it. The open question is
graded as a person would grade it, by nbgrader's gradebook.

Book: §0
"""

import json
from pathlib import Path

from llmbook.atomic import write_text
from llmbook.exercises.exercise import Exercise, exercises
from llmbook.grading.course import Course, collect, init, release
from llmbook.grading.feedback import feedback
from llmbook.grading.grade import grade
from llmbook.grading.grades import export

ASSIGNMENT = "chapter-01"
ATTACK = """import os, socket, shutil
print(os.listdir("/root"))
shutil.rmtree("/guest", ignore_errors=True)
socket.create_connection(("127.0.0.1", 22), 2)
"""
ESSAY = (
    "每秒 500 步，几天就是上亿步，注意力要留的键值随步数增长，64 MB 放不下……我选因果卷积加一个小的 LSTM，"
    "再拿只有卷积的、只有 LSTM 的各训练三个种子，事先说好：分不出高下就用简单的。"
)


def answers(student: str, exercise: Exercise) -> str:
    """The code that a made student hands in for an exercise."""
    mutants = list(exercise.misconceptions)
    wrong = {"chen": mutants[0], "davis": mutants[1]} if mutants else {}
    if student in wrong:
        name = wrong[student].replace("-", "_")
        return (exercise.folder / "mutants" / f"{name}.py").read_text(encoding="utf-8")
    half = student == "baker" and exercise.facts["outline"][0] > "1.2.2"
    return exercise.text("stub" if half else "solution")


def submission(released: dict, student: str) -> dict:
    """A released notebook with a made student's answers in it."""
    notebook = json.loads(json.dumps(released))
    by_cell = {f"{one.slug}-answer": one for one in exercises(1) if one.kind != "open"}
    for cell in notebook["cells"]:
        exercise = by_cell.get(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))
        if exercise is not None:
            cell["source"] = answers(student, exercise)
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "which-family":
            cell["source"] = ESSAY
    if student == "eve":
        setup = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
        setup["source"] = f"{''.join(setup['source'])}\n{ATTACK}"
    return notebook


def demo(folder: Path) -> Course:
    """Makes the course in a new folder and takes it to grades, feedback and a CSV file.

    Raises:
        ValueError: the folder holds something already, or submitted code cannot be isolated on this machine.
    """
    course = init(folder, "demo")
    released = json.loads((release(course, 1, ["zh"]) / "01.zh.ipynb").read_text(encoding="utf-8"))
    for student in ("an", "baker", "chen", "davis", "eve"):
        path = folder / "handed-in" / student / "01.zh.ipynb"
        write_text(path, json.dumps(submission(released, student), ensure_ascii=False))
    collect(course, ASSIGNMENT, folder / "handed-in")
    grade(course, ASSIGNMENT)
    with course.gradebook() as book:
        essay = book.find_grade("which-family", "01.zh", ASSIGNMENT, "an")
        essay.manual_score, essay.needs_manual_grade = 8, False
        book.find_comment("which-family", "01.zh", ASSIGNMENT, "an").manual_comment = "判据写得好；每步的运算量没有算。"
        book.db.commit()
    feedback(course, ASSIGNMENT)
    export(course, ASSIGNMENT, "csv", folder / "grades.csv")
    return course
