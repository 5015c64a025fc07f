"""Before a notebook is handed in: what grading would find in it, and what it would not.

Book: §0
"""

import ast
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmbook.edition.assignment import exercise_notebook
from llmbook.edition.book import Book
from llmbook.exercises.foreign_text import printable, syntax
from llmbook.grading.bubblewrap import Limits
from llmbook.grading.placing import marked, title
from llmbook.grading.submission import RefusedError, chapter_of, code_cells, read_submission

THERE = {"torch", "numpy"} | sys.stdlib_module_names
SLOW = Limits().cell / 2
RUN = """
import json, sys, time
from IPython.core.interactiveshell import InteractiveShell
sys.modules["llmbook"] = None
shell = InteractiveShell.instance()
for name, code in json.load(open(sys.argv[1], encoding="utf-8")):
    began = time.perf_counter()
    done = shell.run_cell(code, silent=True)
    error = done.error_before_exec or done.error_in_exec
    said = f"{type(error).__name__}: {error}" if error else ""
    print("\\x00" + json.dumps([name, time.perf_counter() - began, said]), file=sys.__stderr__, flush=True)
"""
WORDS = {
    "zh": {
        "name": "文件名是 {name}；请叫它 {wanted}",
        "stub": "还没有作答：{titles}",
        "import": "第 {cell} 格导入了 {module}；评分时只有 torch 和 numpy",
        "slow": "第 {cell} 格跑了 {seconds:.0f} 秒；评分时超过 {most:.0f} 秒就停下",
        "endless": "第 {cell} 格之后没有跑完：{seconds:.0f} 秒里没有结束",
        "error": "第 {cell} 格出错：{error}",
        "ready": "{name}：可以交了。答案都找得到，{cells} 个代码单元格都能单独运行。",
        "look": "{name}：交之前请看看：",
    },
    "en": {
        "name": "the file is called {name}; call it {wanted}",
        "stub": "not answered yet: {titles}",
        "import": "cell {cell} imports {module}; when graded, only torch and numpy are there",
        "slow": "cell {cell} took {seconds:.0f} s; grading stops a cell after {most:.0f} s",
        "endless": "the cells after cell {cell} were not reached: they did not end in {seconds:.0f} s",
        "error": "cell {cell} fails: {error}",
        "ready": "{name}: ready to be handed in. All answers are found, and all {cells} code cells run by themselves.",
        "look": "{name}: to look at before you hand it in:",
    },
}


def hand_in_check(path: str | Path, *, seconds: float = 120.0) -> None:
    """Says what grading would not find in a saved notebook of exercises: answers, imports, cells that fail or take long.

    The notebook's code is run once more from its beginning, in a process of its own that has no llmbook, as when it is graded.

    Args:
        seconds: what all cells together may take.

    Raises:
        ValueError: there is no such file, or it is no notebook of exercises; the message says which.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no file {path}; save the notebook first, and give its name")
    released = released_like(path)
    lang, chapter = released["metadata"]["llmbook"]["lang"], released["metadata"]["llmbook"]["exercises"]
    words, wanted = WORDS[lang], f"{chapter:02d}.{lang}.ipynb"
    found: list[str] = [] if path.name == wanted else [words["name"].format(name=printable(path.name), wanted=wanted)]
    notebook = json.loads(json.dumps(read_submission(path, released, say=found.append)))
    if titles := unanswered(notebook, released):
        found.append(words["stub"].format(titles=", ".join(titles)))
    given = {"".join(cell["source"]).strip() for cell in released["cells"]}
    cells = [(name, code) for name, code in code_cells(notebook)]
    own = {name for name, code in cells if code.strip() not in given}
    for name, code in cells:
        for module in imported(code) - THERE if name in own else ():
            found.append(words["import"].format(cell=_number(name), module=printable(module)))
    found += [sentence for name, sentence in _run(cells, seconds, words) if name in own or "endless" in name]
    if found:
        print("\n".join([words["look"].format(name=path.name), *(f"- {one}" for one in found)]))
    else:
        print(words["ready"].format(name=path.name, cells=len(cells)))


def released_like(path: Path) -> dict[str, Any]:
    """The notebook as the book gives it out, of the chapter and language that a file names in its metadata or, if not, in its name.

    Raises:
        ValueError: neither names a chapter with exercises.
    """
    try:
        metadata = json.loads(path.read_bytes().decode("utf-8-sig")).get("metadata", {})
    except (ValueError, RecursionError, AttributeError) as error:
        raise RefusedError(
            f"{printable(path.name)} cannot be read as a notebook: {printable(str(error)[:100])}"
        ) from error
    number, _, lang = path.name.partition(".")
    by_name = {"exercises": int(number) if number.isdecimal() else None, "lang": lang[:2]}
    own = metadata.get("llmbook") if isinstance(metadata, dict) else None
    named = own if isinstance(own, dict) and own.get("lang") in WORDS else by_name
    chapter = chapter_of({"metadata": {"llmbook": named}})
    if named["lang"] not in WORDS:
        raise ValueError(
            f"{printable(path.name)} names no language; it should be called {chapter:02d}.zh.ipynb or {chapter:02d}.en.ipynb"
        )
    book = Book.read()
    listed, source = book.exercises_of(chapter), book.chapter(str(chapter))
    return json.loads(json.dumps(exercise_notebook(listed, named["lang"], book.context(source, named["lang"]))))


def unanswered(notebook: dict[str, Any], released: dict[str, Any]) -> list[str]:
    """The titles of the tasks whose answer is as it was given out, or empty."""
    texts, titles = marked(notebook), []
    for cell in released["cells"]:
        marks = cell["metadata"].get("nbgrader", {})
        if not marks.get("solution"):
            continue
        mine = texts.get(marks["grade_id"])
        if mine is not None and "".join(mine["source"]).strip() in ("", "".join(cell["source"]).strip()):
            titles.append(title(marked(released), marks["grade_id"]))
    return titles


def imported(code: str) -> set[str]:
    """The modules that some code imports, by their first name; none of what is no Python."""
    nodes = list(ast.walk(syntax(code) or ast.Module([], [])))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in names}


def _run(cells: list[tuple[str, str]], seconds: float, words: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What is to be said of the cells that fail or take long, by name."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "cells.json")
        asked.write_text(json.dumps(cells), encoding="utf-8")
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", RUN, str(asked)],
                capture_output=True,
                timeout=seconds,
                cwd=folder,
                check=False,
            )
            written, ended = done.stderr, True
        except subprocess.TimeoutExpired as late:
            written, ended = late.stderr or b"", False
    last = "0"
    for line in written.decode("utf-8", "replace").splitlines():
        if not line.startswith("\0"):
            continue
        name, took, error = json.loads(line[1:])
        last = _number(name)
        if error:
            yield name, words["error"].format(cell=last, error=printable(error[:300]))
        elif took > SLOW:
            yield name, words["slow"].format(cell=last, seconds=took, most=Limits().cell)
    if not ended:
        yield "endless", words["endless"].format(cell=last, seconds=seconds)


def _number(name: str) -> str:
    """A cell's place in the notebook, from 1."""
    return str(int(name.partition(":")[0]) + 1)
