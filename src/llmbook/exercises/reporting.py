"""What a student, or the instructor, is told of an exercise's verdicts.

Book: §0
"""

import inspect

from llmbook.exercises.exercise import Case, Exercise
from llmbook.exercises.scoring import score
from llmbook.exercises.verdicts import Verdict, brief, misconception


def shown_args(exercise: Exercise, case: Case) -> str:
    """The arguments of a case by name, as a reader is told them."""
    names = list(inspect.signature(exercise.solution()).parameters)
    return ", ".join(f"{name} = {brief(value)}" for name, value in zip(names, case.args, strict=False))


WORDS = {
    "zh": {
        "score": "{id}：{passed}/{all} 项检查通过",
        "points": "，{score}/{most} 分",
        "failed": "✗ {title}",
        "passed": "✓ {title}",
        "input": "输入：{args}",
        "hidden": "另有 {all} 项不公开的检查，通过 {passed} 项。",
        "like": "看起来像这个误解：{what}",
    },
    "en": {
        "score": "{id}: {passed} of {all} checks pass",
        "points": ", {score} of {most} points",
        "failed": "✗ {title}",
        "passed": "✓ {title}",
        "input": "input: {args}",
        "hidden": "Of {all} further checks, which are not shown, {passed} pass.",
        "like": "This looks like a misconception: {what}",
    },
}


def report(
    exercise: Exercise, verdicts: list[Verdict], lang: str, *, everything: bool = False, points: bool = False
) -> str:
    """What a student is told: public cases with input and difference, the others only counted (`everything`: all of them)."""
    words = WORDS[lang]
    counted = {"passed": sum(one.passed for one in verdicts), "all": len(verdicts)}
    head = words["score"].format(id=exercise.id, **counted)
    if points:
        head += words["points"].format(score=score(exercise, verdicts), most=exercise.points)
    lines = [head]
    for one in verdicts:
        if not (one.case.public or everything):
            continue
        lines.append(words["passed" if one.passed else "failed"].format(title=one.case.title[lang]))
        if not one.passed:
            lines += [f"    {words['input'].format(args=shown_args(exercise, one.case))}", f"    {one.message[lang]}"]
    hidden = [one for one in verdicts if not one.case.public]
    if hidden and not everything:
        lines.append(words["hidden"].format(all=len(hidden), passed=sum(one.passed for one in hidden)))
    if name := misconception(verdicts, exercise):
        lines.append(words["like"].format(what=exercise.misconceptions[name][lang]))
    return "\n".join(lines)
