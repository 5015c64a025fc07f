"""Which submitted cell stands for which released one: found by its mark, by its function, by its place.

Book: §0
"""

import ast
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llmbook.exercises.foreign_text import syntax

MOST_CELLS = 500
LONGEST_ANSWER = 20_000  # characters of a cell in which a function is looked for
WORDS = {
    "zh": {
        "joined": "“{title}”的作答单元格有几个，已合成一个",
        "function": "“{title}”的作答单元格没有标记，按函数名 {function} 找到",
        "place": "“{title}”的作答单元格没有标记，按位置找到",
        "none": "没有找到“{title}”的作答，只有这一题没有分",
    },
    "en": {
        "joined": "the cells with your answer to '{title}' were joined into one",
        "function": "your answer to '{title}' had lost its mark and was found by its function {function}",
        "place": "your answer to '{title}' had lost its mark and was found by its place",
        "none": "no answer to '{title}' was found; only this task has no points",
    },
}


@dataclass(frozen=True)
class Plain:
    kind: str
    text: str
    mark: str
    pictures: dict[str, dict[str, str]]

    def text_of(self, kind: str) -> str:
        """The text in a cell of this kind: raw text stands in a block of a Markdown cell."""
        return fenced(self.text) if self.kind == "raw" and kind != "code" else self.text


class Places:
    """Which submitted cell stands for which released one.

    `mark_at`: the mark of a cell by its number; `joined`: what stands in its place; `gone`: cells that were joined into another.
    """

    def __init__(self, cells: Sequence[Plain], marked: Mapping[str, Any]):
        self.cells, self.marked = cells, marked
        self.mark_at: dict[int, str] = {}
        self.joined: dict[int, Plain] = {}
        self.gone: set[int] = set()
        self._told: list[tuple[str, str]] = []
        bearing: dict[str, list[int]] = {}
        for number, cell in enumerate(cells):
            if cell.mark in marked:
                bearing.setdefault(cell.mark, []).append(number)
        for mark, numbers in bearing.items():
            if len(numbers) > 1 and self._is_answer(mark):
                self._several(mark, numbers)
            else:
                self.mark_at[numbers[-1]] = mark
        for mark in filter(self._is_answer, marked):
            self._look_for(mark)

    def told(self, words: Mapping[str, str]) -> list[str]:
        """What was found otherwise than by its mark, and what was not found."""
        return [
            words[kind].format(title=title(self.marked, mark), function=", ".join(sorted(self._functions(mark))))
            for kind, mark in self._told
        ]

    def _several(self, mark: str, numbers: list[int]) -> None:
        """Several cells with the mark of one answer: one was split or copied."""
        functions, last = self._functions(mark), numbers[-1]
        whole = [number for number in numbers if functions and _defines(self.cells[number].text, functions)]
        if last in whole:  # a copy; those before it run before it
            self.mark_at[last] = mark
            return
        texts = dict.fromkeys(self.cells[number].text.strip("\n") for number in numbers)
        text = ("\n" if functions else "\n\n").join(one for one in texts if one.strip() != self._released(mark))
        if functions and whole and not _defines(text, functions):
            self.mark_at[whole[-1]] = mark
            return
        pictures = {name: one for number in numbers for name, one in self.cells[number].pictures.items()}
        self.mark_at[last], self.joined[last] = mark, Plain(self.cells[last].kind, text, mark, pictures)
        self.gone |= set(numbers[:-1])
        self._told.append(("joined", mark))

    def _look_for(self, mark: str) -> None:
        """An answer of which no cell bears the mark, or of which that cell is as it was released."""
        at = next((number for number, its in self.mark_at.items() if its == mark), None)
        if at is not None and self.cells[at].text.strip() != self._released(mark):
            return
        functions = self._functions(mark)
        free = [number for number, cell in enumerate(self.cells) if cell.mark not in self.marked]
        if functions:
            found = [
                number
                for number in free
                if number not in self.mark_at
                and self.cells[number].kind == "code"
                and _defines(self.cells[number].text, functions)
            ][-1:]
        else:
            found = self._after_its_task(mark, free)
        if not found:
            if at is None:
                self._told.append(("none", mark))
            return
        if at is not None:
            del self.mark_at[at]
            self.gone.add(at)
        self.mark_at[found[-1]] = mark
        if len(found) > 1:
            text = "\n\n".join(self.cells[number].text for number in found)
            pictures = {name: one for number in found for name, one in self.cells[number].pictures.items()}
            self.joined[found[-1]] = Plain("markdown", text, mark, pictures)
            self.gone |= set(found[:-1])
        self._told.append(("function" if functions else "place", mark))

    def _after_its_task(self, mark: str, free: Sequence[int]) -> list[int]:
        """The free texts between a task and whatever else was released after it."""
        known = {" ".join(self._released(one).split()): one for one in self.marked}
        task, after, found = f"{mark}-statement", False, list[int]()
        for number, cell in enumerate(self.cells):
            its = cell.mark if cell.mark in self.marked else known.get(" ".join(cell.text.split()), "")
            if its == task:
                after, found = True, []
            elif its and its != mark:
                after = False
            elif after and number in free and cell.kind == "markdown" and cell.text.strip():
                found.append(number)
        return [number for number in found if self.cells[number].text.strip() != self._released(mark)]

    def _is_answer(self, mark: str) -> bool:
        return bool(self.marked[mark]["metadata"]["nbgrader"]["solution"])

    def _released(self, mark: str) -> str:
        return text_of(self.marked[mark]).strip()

    def _functions(self, mark: str) -> frozenset[str]:
        """The functions that an answer is asked for; none of an open question."""
        return _functions(self._released(mark)) if self.marked[mark]["cell_type"] == "code" else frozenset()


@lru_cache(maxsize=MOST_CELLS)
def _functions(text: str) -> frozenset[str]:
    """The functions that a cell defines; none if it is no Python, or longer than anybody's answer."""
    if len(text) > LONGEST_ANSWER or "def " not in text:
        return frozenset()
    tree = syntax(text)
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef)) if tree else frozenset()


def _defines(text: str, functions: frozenset[str]) -> bool:
    return functions <= _functions(text)


def fenced(text: str) -> str:
    """A block of Markdown that shows the text as it is."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=2))
    return f"{fence}\n{text}\n{fence}"


def marked(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of a notebook that bear nbgrader's marks, by their mark."""
    return {
        cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in notebook["cells"] if "nbgrader" in cell["metadata"]
    }


def text_of(cell: Mapping[str, Any]) -> str:
    """A cell's text, which notebooks keep whole or in lines."""
    return "".join(cell["source"])


def title(cells: Mapping[str, Any], mark: str) -> str:
    """The title of the task that an answer belongs to, from the cells of the release by their mark."""
    task = cells.get(f"{mark.removesuffix('-answer')}-statement")
    return text_of(task).partition("\n")[0].lstrip("# ") if task else mark
