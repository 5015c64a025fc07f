"""Executing a chapter in a fresh kernel, and giving back the execution that is kept while it is still true.

Book: §0
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

from llmbook import paths
from llmbook.book.expected import label
from llmbook.book.source import Source
from llmbook.execution.kept import Execution, execution_key, read_execution, shown_key, store
from llmbook.execution.pace import slowness

PACE_EVERY = 8  # cells
WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"
PEAK_MEMORY = "__import__('resource').getrusage(__import__('resource').RUSAGE_SELF).ru_maxrss"


class ChapterError(ValueError):
    """A cell of a chapter failed; the message names it and holds its traceback."""


def stored_execution(source: Source) -> Execution | None:
    """The kept execution of a chapter, if it is still true; what `show` printed is renewed where only that has changed.

    Raises:
        ChapterError: a set-up cell or a `show` cell failed in renewing.
    """
    kept = read_execution(source.slug)
    if kept is None or kept.key != execution_key(source):
        return None
    shown = shown_key(source)
    if kept.shown != shown:
        part = replace(source, cells=[cell for cell in source.code() if cell.tag in ("setup", "show")])
        renewed = run_chapter(part).outputs
        outputs = {cell.id: renewed[cell.id] for cell in part.cells if cell.tag == "show"}
        kept = replace(kept, shown=shown, outputs=kept.outputs | outputs)
        store(kept)
    return kept


def run_chapter(source: Source, *, on_cell: Callable[[str], None] | None = None) -> Execution:
    """Executes the code cells of a chapter, which both languages share, in a fresh kernel.

    Raises:
        ChapterError: a cell failed; nothing is stored.
    """
    cells = [nbformat.v4.new_code_cell(cell.source, id=cell.id) for cell in source.code()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(paths.chapters_dir())}}
    )
    outputs: dict[str, list[dict]] = {}
    seconds: dict[str, float] = {}
    names = {cell.id: label(cell) for cell in source.code()}
    slow = [slowness()]
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if on_cell:
                on_cell(names[cell.id])
            start = time.perf_counter()
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                raise ChapterError(f"{source.path.name}: cell {names[cell.id]} failed\n{error}") from error
            seconds[cell.id] = time.perf_counter() - start
            outputs[cell.id] = without_progress(json.loads(json.dumps(cell.outputs)))
            if len(outputs) % PACE_EVERY == 0:
                slow.append(slowness())
        peak_mb = _peak_memory(client)
    return Execution(source.slug, execution_key(source), shown_key(source), outputs, seconds, peak_mb, slow)


def without_progress(outputs: list[dict]) -> list[dict]:
    """A cell's outputs less its progress bars: widgets, and what was written to stderr with carriage returns."""
    return [
        output
        for output in outputs
        if not (output.get("name") == "stderr" and "\r" in output["text"]) and WIDGET_TYPE not in output.get("data", {})
    ]


def _peak_memory(client: NotebookClient) -> float:
    cell = nbformat.v4.new_code_cell(f"print({PEAK_MEMORY})")
    client.nb.cells.append(cell)
    client.execute_cell(cell, len(client.nb.cells) - 1, store_history=False)
    client.nb.cells.pop()
    kilobytes = float(cell.outputs[0]["text"])
    return kilobytes / 1024 if sys.platform != "darwin" else kilobytes / 1024 / 1024
