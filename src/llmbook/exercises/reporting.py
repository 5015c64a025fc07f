"""What a student, or the instructor, is told of an exercise's verdicts.

Book: §0
"""

import ast
import inspect
from collections.abc import Iterable

from llmbook.exercises.exercise import Case, Exercise
from llmbook.exercises.foreign_text import syntax
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
        "again": '再看一遍：args, expected = case("{id}", {number})',
        "hidden": "另有 {all} 项不公开的检查，通过 {passed} 项。",
        "missed": "没有通过的：{titles}。",
        "further": "评分时还有 {all} 项检查，这里不做：{titles}。",
        "rules": "代码里有题目不许用的：{names}。没有扣分，请看一看。",
        "and": "；",
        "like": "看起来像这个误解：{what}",
    },
    "en": {
        "score": "{id}: {passed} of {all} checks pass",
        "points": ", {score} of {most} points",
        "failed": "✗ {title}",
        "passed": "✓ {title}",
        "input": "input: {args}",
        "again": 'once more: args, expected = case("{id}", {number})',
        "hidden": "Of {all} further checks, which are not shown, {passed} pass.",
        "missed": " Not passed: {titles}.",
        "further": "Grading makes {all} further checks, not made here: {titles}.",
        "rules": "The code uses what the task rules out: {names}. Nothing was deducted; please have a look.",
        "and": "; ",
        "like": "This looks like a misconception: {what}",
    },
}


def report(
    exercise: Exercise, verdicts: list[Verdict], lang: str, *, everything: bool = False, points: bool = False
) -> str:
    """What a student is told: public cases with input and difference; of the others the number and what those that failed look at
    (`everything`: all of them).
    """
    words = WORDS[lang]
    counted = {"passed": sum(one.passed for one in verdicts), "all": len(verdicts)}
    head = words["score"].format(id=exercise.id, **counted)
    if points:
        head += words["points"].format(score=score(exercise, verdicts), most=exercise.points)
    lines = [head]
    number = 0
    for one in verdicts:
        number += one.case.public
        if not (one.case.public or everything):
            continue
        lines.append(words["passed" if one.passed else "failed"].format(title=one.case.title[lang]))
        if not one.passed:
            lines += [f"    {words['input'].format(args=shown_args(exercise, one.case))}", f"    {one.message[lang]}"]
        if not one.passed and one.case.public:
            lines.append(f"    {words['again'].format(id=exercise.id, number=number)}")
    hidden = [one for one in verdicts if not one.case.public]
    if hidden and not everything:
        missed = [one.case.title[lang] for one in hidden if not one.passed]
        line = words["hidden"].format(all=len(hidden), passed=len(hidden) - len(missed))
        lines.append(line + (words["missed"].format(titles=words["and"].join(missed)) if missed else ""))
    if name := misconception(verdicts, exercise):
        lines.append(words["like"].format(what=exercise.misconceptions[name][lang]))
    return "\n".join(lines)


def further(exercise: Exercise, lang: str) -> str:
    """How many checks grading makes that a reader does not see, and what they look at."""
    words = WORDS[lang]
    titles = [case.title[lang] for case in exercise.cases() if not case.public]
    return words["further"].format(all=len(titles), titles=words["and"].join(titles))


def ruled_out(exercise: Exercise, sources: Iterable[str], lang: str) -> str:
    """What an instructor is told of names in the code that the task rules out; "" where there are none."""
    found = sorted(names_beside(exercise.function, sources) & set(exercise.facts.get("ruled_out", ())))
    return WORDS[lang]["rules"].format(names=", ".join(found)) if found else ""


def names_beside(function: str, sources: Iterable[str]) -> set[str]:
    """The names, attributes and imported names in the cells that define a function; a cell that is no Python has none."""
    found: set[str] = set()
    for source in sources:
        nodes = list(ast.walk(syntax(source) or ast.Module([], [])))
        if not any(isinstance(node, ast.FunctionDef) and node.name == function for node in nodes):
            continue
        for node in nodes:
            if isinstance(node, ast.Name):
                found.add(node.id)
            elif isinstance(node, ast.Attribute):
                found.add(node.attr)
            elif isinstance(node, ast.alias):
                found |= set(node.name.split("."))
    return found
