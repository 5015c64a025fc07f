"""A chapter's exercises as a reader gets them: a notebook of their own in each language, and a page of the site.

The notebooks carry nbgrader's marks, so the same file is what a lone reader opens and what a course releases. Stubs stand in them,
solutions never.

Book: §0
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import nbformat
from nbformat import NotebookNode

from llmbook.book.numbering import Target, jupyter_anchor
from llmbook.book.outline import chapter_outline
from llmbook.book.source import require_language
from llmbook.edition.faces import Context, reader_face, site_face
from llmbook.exercises.exercise import Exercise

KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
SCHEMA = 3  # of nbgrader's metadata
WORDS: dict[str, dict[str, Any]] = {
    "zh": {
        "page": "练习",
        "kinds": {"code": "编程", "bug": "找错", "open": "论述"},
        "facts": "{kind}，属于 {points}，{score} 分，约 {minutes} 分钟",
        "answer": "（在这里作答）",
        "solution": "参考解答",
        "rubric": "由人按上面的标准评分。",
        "intro": "每题先读题，在下面的单元格里写，再运行 `check`：它用几组公开的输入检查你的函数，告诉你输入是什么、应得什么、"
        "得到了什么，像是哪一种误解。提示一层套一层，一次打开一条。实在想看解答，另开一格运行 `solution(题号)`，"
        '例如 `solution("{example}")`。评分时只有 `torch` 和 `numpy`，没有 `llmbook`：答案里不要用它。'
        "交之前存盘，运行 `hand_in_check('{chapter:02d}.zh.ipynb')`：它说评分时会找不到什么。",
        "site": "代码题在练习笔记本里做：`make lab` 之后打开 `work/exercises/{chapter:02d}.zh.ipynb`，"
        '或者<a href="../notebooks/{chapter:02d}.zh.ipynb" download>下载它</a>。`check` 会检查你的函数，并说明错在哪里。',
        "refer": "题号",
    },
    "en": {
        "page": "Exercises",
        "kinds": {"code": "code", "bug": "find the bug", "open": "open question"},
        "facts": "{kind}, belongs to {points}, {score} points, about {minutes} minutes",
        "answer": "(your answer)",
        "solution": "A solution",
        "rubric": "A person grades the answer by this rubric.",
        "intro": "Read a task, write in the cell below it, then run `check`: it tries your function on a few public inputs and tells you "
        "the input, what was expected, what came, and which misconception that looks like. Hints are nested, to be opened "
        "one at a time. If you do want to see a solution, run `solution(id)` in a cell of your own, "
        'for example `solution("{example}")`. When graded, `torch` and `numpy` are there and `llmbook` is not: do not use it in answers. '
        "Before you hand the notebook in, save it and run `hand_in_check('{chapter:02d}.en.ipynb')`: it says what grading would not find.",
        "site": "Exercises with code are done in a notebook: after `make lab` open `work/exercises/{chapter:02d}.en.ipynb`, "
        'or <a href="../notebooks/{chapter:02d}.en.ipynb" download>download it</a>. `check` tries your function and explains '
        "what is wrong.",
        "refer": "Id",
    },
}


def exercise_targets(exercises: Iterable[Exercise], lang: str) -> dict[str, Target]:
    """The labels of exercises ("exercise-scaled-scores"), for texts that refer to them."""
    require_language(lang)
    found = {}
    for exercise in exercises:
        title = exercise.facts["title"][lang]
        label = f"exercise-{exercise.slug}"
        found[label] = Target(
            label, "exercise", "", title, notebook_slug(exercise.chapter, lang), jupyter_anchor(title)
        )
    return found


def notebook_slug(chapter: int, lang: str) -> str:
    """Where the exercises lie, seen from a chapter's notebook."""
    return f"../exercises/{chapter:02d}.{lang}"


def exercise_notebook(exercises: Sequence[Exercise], lang: str, where: Context) -> NotebookNode:
    """The exercises of a chapter as a notebook, with nbgrader's marks.

    Args:
        where: what roles and references of the statements lead to.

    Raises:
        MarkupError: a statement holds a role, directive or label that cannot be resolved.
    """
    words, chapter = WORDS[require_language(lang)], exercises[0].chapter
    own = replace(where, slug=notebook_slug(chapter, lang))
    title = (
        f"{chapter_outline(chapter)[lang]}: {words['page']}"
        if lang == "en"
        else f"{chapter_outline(chapter)[lang]} · {words['page']}"
    )
    cells = [
        _markdown("intro", f"# {title}\n\n{words['intro'].format(example=exercises[0].id, chapter=chapter)}"),
        nbformat.v4.new_code_cell(
            "import torch\n\nfrom llmbook.course import case, check, hand_in_check, solution", id="setup"
        ),
    ]
    for exercise in exercises:
        text = "\n\n".join(
            [f"## {exercise.facts['title'][lang]}", facts_line(exercise, lang), _statement(exercise, lang, own)]
        )
        cells.append(_marked(_markdown(f"{exercise.slug}-statement", text), locked=True))
        if exercise.kind == "open":
            answer = _markdown(exercise.slug, words["answer"])
            cells.append(_marked(answer, grade=True, solution=True, points=exercise.points))
            continue
        stub = nbformat.v4.new_code_cell(exercise.text("stub").strip(), id=f"{exercise.slug}-answer")
        tested = nbformat.v4.new_code_cell(f'check("{exercise.id}", "{lang}")', id=exercise.slug)
        cells += [_marked(stub, solution=True), _marked(tested, grade=True, locked=True, points=exercise.points)]
    metadata = {
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
        "llmbook": {"exercises": chapter, "lang": lang},
    }
    return nbformat.v4.new_notebook(cells=cells, metadata=metadata)


def exercise_page(exercises: Sequence[Exercise], lang: str, where: Context) -> str:
    """The exercises of a chapter as a page of the site in MyST, solutions folded; empty where there are none."""
    if not exercises:
        return ""
    words, chapter = WORDS[require_language(lang)], exercises[0].chapter
    parts = [f"(exercises-{chapter})=\n# {words['page']}", words["site"].format(chapter=chapter)]
    for exercise in exercises:
        parts.append(f"(exercise-{exercise.slug})=\n## {exercise.facts['title'][lang]}")
        parts.append(facts_line(exercise, lang, site=True))
        parts.append(site_face(_source_text(exercise, lang), where))
        if exercise.kind != "open":
            parts.append(f"```python\n{exercise.text('stub').strip()}\n```")
            solution = f"```python\n{exercise.text('solution').strip()}\n```"
            parts.append(f"````{{admonition}} {words['solution']}\n:class: dropdown\n\n{solution}\n````")
    return "\n\n".join(parts) + "\n"


def facts_line(exercise: Exercise, lang: str, *, site: bool = False) -> str:
    """Kind, outline points, score and minutes of an exercise in a line."""
    words = WORDS[lang]
    numbers = exercise.facts["outline"]
    points = [f"{{ref}}`{number} <point-{number.replace('.', '-')}>`" if site else number for number in numbers]
    facts = words["facts"].format(
        kind=words["kinds"][exercise.kind],
        points=("、" if lang == "zh" else ", ").join(points),
        score=exercise.points,
        minutes=exercise.facts["minutes"],
    )
    return f"{words['refer']} {exercise.id}{'；' if lang == 'zh' else '; '}{facts}"


def _source_text(exercise: Exercise, lang: str) -> str:
    return "\n\n".join(cell.source for cell in exercise.statement.edition(lang))


def _statement(exercise: Exercise, lang: str, where: Context) -> str:
    text = reader_face(_source_text(exercise, lang), where)
    return f"{text}\n\n{WORDS[lang]['rubric']}" if exercise.kind == "open" else text


def _markdown(name: str, text: str) -> NotebookNode:
    return nbformat.v4.new_markdown_cell(text, id=name)


def _marked(
    cell: NotebookNode, *, grade: bool = False, solution: bool = False, locked: bool = False, points: int | None = None
) -> NotebookNode:
    marks = {
        "grade": grade,
        "solution": solution,
        "locked": locked,
        "task": False,
        "schema_version": SCHEMA,
        "grade_id": cell.id,
    }
    cell.metadata["nbgrader"] = marks if points is None else marks | {"points": points}
    return cell
