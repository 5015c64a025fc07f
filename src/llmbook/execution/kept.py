"""One execution of a chapter, kept by a key, from which notebooks, claims and site are made.

The key covers what the outputs depend on and nothing else: the chapter's code cells by content, what the modules that they reach do, the
recorded runs and the data that they read, the pinned versions. An edit of prose, another chapter's receipt, a docstring executes nothing.

Book: §0
"""

import ast
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean

from llmbook import closure, paths
from llmbook.assets import manifest
from llmbook.atomic import write_text
from llmbook.book.source import Source


@dataclass(frozen=True)
class Execution:
    """What a run of a chapter left: outputs by cell id, seconds by cell id, peak memory of the kernel in MB.

    `shown` is a hash of the sources that `show` printed; `slowness` holds how slow the machine was now and then meanwhile, beside the
    one of reference.
    """

    slug: str
    key: str
    shown: str
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


def execution_path(slug: str) -> Path:
    return paths.build_dir() / "executed" / f"{slug}.json"


def execution_key(source: Source) -> str:
    """A hash of all that the outputs of a chapter depend on, the sources that `show` prints aside."""
    codes = [cell.source for cell in source.code()]
    reached = [(closure.PACKAGES / path).read_text(encoding="utf-8") for path in closure.import_closure(codes)]
    parts = {
        "cells": codes,
        "modules": closure.fingerprints(codes),
        "data": data_read([*codes, *reached]),
        "runs": {name: [closure.fingerprint(text), receipts] for name, text, receipts in _runs(codes)},
        "versions": (paths.root() / "constraints.txt").read_text(encoding="utf-8"),
        "python": sys.version_info[:2],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def shown_key(source: Source) -> str:
    """A hash of the sources that `show` may print, docstrings and comments included."""
    codes = [cell.source for cell in source.code()]
    digest = hashlib.sha256()
    for path in sorted(closure.import_closure(codes)):
        digest.update((closure.PACKAGES / path).read_bytes())
    for _, text, _ in _runs(codes):
        digest.update(text.encode())
    return digest.hexdigest()


def data_read(codes: Iterable[str]) -> dict[str, str]:
    """The vendored files that the codes may read, with their recorded hashes: those that a text in the code names, or the folder of."""
    named = tuple(text for text in _texts(codes) if "/" in text)
    return {entry["path"]: entry["sha256"] for entry in manifest() if entry["path"].startswith(named)}


def _runs(codes: Iterable[str]) -> Iterator[tuple[str, str, list[dict]]]:
    """The recorded runs that a text in the codes names: name, source, receipts (and those of its sweep) less the fingerprint."""
    for name in sorted(set(_texts(codes))):
        source, receipts = paths.chapters_dir() / "runs" / f"{name}.py", paths.runs_dir() / f"{name}.jsonl"
        if name.isidentifier() and source.is_file():
            made = [path for path in (receipts, receipts.with_suffix(".rates.jsonl")) if path.is_file()]
            lines = [line for path in made for line in path.read_text(encoding="utf-8").splitlines()]
            kept = [{key: value for key, value in json.loads(line).items() if key != "fingerprint"} for line in lines]
            yield name, source.read_text(encoding="utf-8"), kept


def _texts(codes: Iterable[str]) -> Iterator[str]:
    for code in codes:
        for node in ast.walk(closure.parsed(code)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def read_execution(slug: str) -> Execution | None:
    """The kept execution of a chapter, be it still true or not; None where there is none, or none that can be read."""
    path = execution_path(slug)
    if not path.exists():
        return None
    try:
        return Execution(**json.loads(path.read_text(encoding="utf-8")))
    except (TypeError, ValueError):  # kept by another version, with other fields, or damaged
        return None


def store(execution: Execution) -> None:
    write_text(execution_path(execution.slug), json.dumps(asdict(execution), ensure_ascii=False) + "\n")
