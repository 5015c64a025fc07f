"""One execution of a chapter, kept by a key, from which notebooks, claims and site are made.

The key covers the code cells, the modules of `llmbook` that they reach, the receipts, the data's hashes and the pinned versions, so that a
changed module is never shown with old outputs and an unchanged chapter is not run again.

Book: §0
"""

import hashlib
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from llmbook import paths
from llmbook.course.atomic import write_text
from llmbook.course.closure import PACKAGES, import_closure
from llmbook.course.expected import claims_of, expected_claims, label
from llmbook.course.pace import slowness
from llmbook.course.source import Source
from llmbook.course.split_languages import reader_notebook

SECONDS_ALLOWED = {chapter: 180.0 for chapter in range(1, 6)} | {6: 240.0, 7: 240.0, 8: 240.0}
MEMORY_ALLOWED_MB = 5_000.0
PACE_EVERY = 8  # cells
WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"
PEAK_MEMORY = "__import__('resource').getrusage(__import__('resource').RUSAGE_SELF).ru_maxrss"


@dataclass(frozen=True)
class Execution:
    """What a run of a chapter left: outputs by cell id, seconds by cell id, peak memory of the kernel in MB.

    `slowness` holds how slow the machine was now and then meanwhile, beside the one of reference.
    """

    slug: str
    key: str
    outputs: dict[str, list[dict]]
    seconds: dict[str, float]
    peak_mb: float
    slowness: list[float]

    @property
    def total_seconds(self) -> float:
        return sum(self.seconds.values())

    @property
    def reference_seconds(self) -> float:
        """What it would have taken on the machine of reference, if that is the faster one."""
        return self.total_seconds / max(1.0, mean(self.slowness))

    @property
    def slack(self) -> float:
        """By what bounds of timings are widened: how slow the machine was when it was slowest."""
        return max(1.0, *self.slowness)


class ChapterError(RuntimeError):
    """A cell of a chapter failed; the message names it and holds its traceback."""


def execution_path(slug: str) -> Path:
    return paths.build_dir() / "executed" / f"{slug}.json"


def execution_key(source: Source) -> str:
    """A hash of all that the outputs of a chapter depend on."""
    digest = hashlib.sha256()
    root = paths.root()
    for cell in source.code():
        digest.update(f"{cell.id}\n{cell.source}\n".encode())
    for path in sorted(import_closure(cell.source for cell in source.code())):
        digest.update(path.as_posix().encode() + (PACKAGES / path).read_bytes())
    runs = [*sorted(paths.runs_dir().glob("*.jsonl")), *sorted(paths.chapters_dir().glob("runs/*.py"))]
    for path in [root / "constraints.txt", root / "data" / "MANIFEST.toml", *runs]:
        digest.update(path.read_bytes())
    digest.update(f"{sys.version_info[:2]}".encode())
    return digest.hexdigest()


def stored_execution(source: Source) -> Execution | None:
    """The kept execution of a chapter, if it is still true."""
    path = execution_path(source.slug)
    if not path.exists():
        return None
    kept = Execution(**json.loads(path.read_text(encoding="utf-8")))
    return kept if kept.key == execution_key(source) else None


def store(execution: Execution) -> None:
    write_text(execution_path(execution.slug), json.dumps(asdict(execution), ensure_ascii=False) + "\n")


def run_chapter(source: Source, *, on_cell: Callable[[str], None] | None = None) -> Execution:
    """Executes the zh notebook of a chapter in a fresh kernel.

    Raises:
        ChapterError: a cell failed; nothing is stored.
    """
    notebook = reader_notebook(source, "zh")
    client = NotebookClient(
        notebook, timeout=None, kernel_name="python3", resources={"metadata": {"path": str(paths.chapters_dir())}}
    )
    outputs: dict[str, list[dict]] = {}
    seconds: dict[str, float] = {}
    names = {cell.id: label(cell) for cell in source.code()}
    slow = [slowness()]
    with client.setup_kernel():
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type != "code":
                continue
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
    return Execution(source.slug, execution_key(source), outputs, seconds, peak_mb, slow)


def budget_complaints(source: Source, execution: Execution) -> list[str]:
    """What an execution used beyond the chapter's budget."""
    allowed = SECONDS_ALLOWED[source.number or 1]
    complaints = []
    if execution.reference_seconds > allowed:
        complaints.append(
            f"{source.slug} took {execution.total_seconds:.0f} s on a machine {mean(execution.slowness):.2f} times as slow as that of "
            f"reference; its budget there is {allowed:.0f} s"
        )
    if execution.peak_mb > MEMORY_ALLOWED_MB:
        complaints.append(f"{source.slug} used {execution.peak_mb:.0f} MB; its budget is {MEMORY_ALLOWED_MB:.0f} MB")
    return complaints


def claim_complaints(source: Source, execution: Execution) -> list[str]:
    """What a run's claims break: a bound, the tolerance against the stored value; a claim that is stored but not made, or the reverse."""
    stored = expected_claims(source)
    made = {claim["id"]: claim for cell in source.code() for claim in claims_of(execution.outputs.get(cell.id, []))}
    complaints = [claim_complaint(claim, stored.get(name), slack=execution.slack) for name, claim in made.items()]
    return [complaint for complaint in complaints if complaint] + [
        f"claim {name} is stored but no cell makes it" for name in stored if name not in made
    ]


def claim_complaint(claim: dict[str, Any], stored: dict[str, Any] | None, *, slack: float = 1.0) -> str | None:
    """Why a claim does not stand here, or None; the bounds of a timing are `slack` times as wide."""
    value = mean(claim["values"])
    if not (claim["timing"] and _within(claim, value, slack)) and not claim["holds"]:
        return f"claim {claim['id']} is {claim['text']}, its bound is {claim['bound']}"
    if stored is None:
        return f"claim {claim['id']} is not stored; run `make expected`"
    allowed = None if claim["equals"] is not None else claim["tolerance"]
    if allowed is not None and abs(value - mean(stored["values"])) > allowed * (slack if claim["timing"] else 1):
        return f"claim {claim['id']} is {claim['text']}; stored is {stored['text']}, tolerance {claim['tolerance']:g}"
    return None


def _within(claim: dict[str, Any], value: float, slack: float) -> bool:
    low, high = claim["at_least"], claim["at_most"]
    return (low is None or value >= low / slack) and (high is None or value <= high * slack)


def without_progress(outputs: list[dict]) -> list[dict]:
    """A cell's outputs less its progress bars: widgets, and what was written to stderr with carriage returns."""
    return [
        output
        for output in outputs
        if not (output.get("name") == "stderr" and "\r" in output["text"]) and WIDGET_TYPE not in output.get("data", {})
    ]


def with_outputs(notebook: NotebookNode, execution: Execution) -> NotebookNode:
    """The notebook with an execution's outputs in place of the expected ones."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.from_dict(output) for output in execution.outputs[cell.id]]
    return notebook


def _peak_memory(client: NotebookClient) -> float:
    cell = nbformat.v4.new_code_cell(f"print({PEAK_MEMORY})")
    client.nb.cells.append(cell)
    client.execute_cell(cell, len(client.nb.cells) - 1, store_history=False)
    client.nb.cells.pop()
    kilobytes = float(cell.outputs[0]["text"])
    return kilobytes / 1024 if sys.platform != "darwin" else kilobytes / 1024 / 1024
