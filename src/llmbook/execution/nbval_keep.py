"""A pytest plugin beside nbval: holds claims and budgets, and keeps what the cells printed, so that the site shows what the test saw.

Used as `pytest --nbval -p llmbook.execution.nbval_keep build/notebooks/zh`. An execution of which a cell failed is not kept.

Book: §0
"""

import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import psutil
import pytest

from llmbook.book.expected import claims_of, expected_claims
from llmbook.book.source import Source, find_chapter, read
from llmbook.execution import holding
from llmbook.execution.executing import PACE_EVERY, without_progress
from llmbook.execution.kept import Execution, execution_key, shown_key, store
from llmbook.execution.pace import slowness


class Chapter:
    """What has been seen of one notebook so far."""

    def __init__(self, source: Source):
        self.source = source
        self.stored = expected_claims(source)
        self.outputs: dict[str, list[dict]] = {}
        self.seconds: dict[str, float] = {}
        self.peak_mb = 0.0
        self.slowness = [slowness()]
        self.sound = True

    def execution(self) -> Execution:
        kept = {cell: without_progress(outputs) for cell, outputs in self.outputs.items()}
        keys = execution_key(self.source), shown_key(self.source)
        return Execution(self.source.slug, *keys, kept, self.seconds, self.peak_mb, self.slowness)


class Keeper:
    """The hooks; one instance a session."""

    def __init__(self) -> None:
        self.chapters: dict[Path, Chapter] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: Any) -> Generator[None, Any, Any]:
        if not hasattr(item, "cell_num"):
            return (yield)
        path = Path(str(item.fspath))
        chapter = self.chapters.setdefault(path, Chapter(read(find_chapter(path.stem))))
        chapter.sound, before = False, chapter.sound
        start = time.perf_counter()
        result = yield
        chapter.seconds[item.cell.id] = time.perf_counter() - start
        chapter.outputs[item.cell.id] = json.loads(json.dumps(as_shown(item.cell.source, item.test_outputs)))
        if len(chapter.outputs) % PACE_EVERY == 0:
            chapter.slowness.append(slowness())
        chapter.peak_mb = max(chapter.peak_mb, _peak_mb(item))
        for claim in claims_of(chapter.outputs[item.cell.id]):
            if claim["timing"] and not claim["holds"]:
                chapter.slowness.append(slowness())
            complaint = holding.claim_complaint(
                claim, chapter.stored.get(claim["id"]), slack=max(1.0, *chapter.slowness)
            )
            if complaint:
                pytest.fail(complaint, pytrace=False)
        if len(chapter.outputs) == len(chapter.source.code()):
            done = chapter.execution()
            complaints = holding.complaints(chapter.source, done)
            if complaints:
                pytest.fail("\n".join(complaints), pytrace=False)
        chapter.sound = before
        return result

    def pytest_sessionfinish(self) -> None:
        for chapter in self.chapters.values():
            if chapter.sound and len(chapter.outputs) == len(chapter.source.code()):
                store(chapter.execution())


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Keeper())


def as_shown(source: str, outputs: list[dict]) -> list[dict]:
    """The outputs less the value of a last line that ends in ";".

    A notebook does not show it; nbval's kernel does, for IPython looks the line up in a history that nbval does not keep.
    """
    silenced = source.rstrip().endswith(";")
    return [output for output in outputs if not (silenced and output["output_type"] == "execute_result")]


def _peak_mb(item: Any) -> float:
    """The kernel's resident memory: its peak where the system tells it (Linux), else the present value."""
    process = psutil.Process(item.parent.kernel.km.provisioner.pid)
    status = Path(f"/proc/{process.pid}/status")
    if status.exists():
        peak = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(peak.split()[1]) / 1024
    return process.memory_info().rss / 2**20
