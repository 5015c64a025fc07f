"""Recorded runs: experiments too long for a notebook, in `chapters/runs`, and the receipts that they leave in `data/runs`.

A run is a module with `CONFIGS` (the variants, by name), `SEEDS`, `DATA` (the vendored files that it reads), and two functions,
`train(config, seed, *, fit)` and `evaluate(model, config, *, limit)`; where nothing is trained, `measure(config, seed, *, limit)` stands in
their place. One that makes weights has `export(model, config, folder)` too.

Book: §1.2.1
"""

import ast
import dataclasses
import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from llmbook import closure, paths
from llmbook.assets import manifest
from llmbook.receipts import read_receipts, write_receipts

THREADS = 1  # the same numbers however many cores there are, and other work does not slow a run tenfold


@dataclass(frozen=True)
class Run:
    """What a run's file declares, and where its receipts, its probe, its weights and its unfinished work lie.

    Only `module` executes the file, when it's first asked for; what is said of a run's state needs none of its code.
    """

    name: str
    path: Path
    declares: frozenset[str]
    seeds: tuple[int, ...]
    data: tuple[str, ...]
    receipts: Path
    weights: Path
    work: Path
    lock: Path

    @property
    def probe_file(self) -> Path:
        return self.receipts.with_suffix(".probe.json")

    @cached_property
    def module(self) -> ModuleType:
        spec = importlib.util.spec_from_file_location(f"llmbook_run_{self.name}", self.path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        spec.loader.exec_module(module)
        return module

    @property
    def configs(self) -> dict[str, Any]:
        return self.module.CONFIGS

    @property
    def is_measured(self) -> bool:
        return "measure" in self.declares

    @property
    def makes_weights(self) -> bool:
        return "export" in self.declares


def run_files() -> list[Path]:
    """The sources of all recorded runs."""
    return sorted((paths.chapters_dir() / "runs").glob("*.py"))


def load_run(path: Path, *, receipts: Path | None = None, work: Path | None = None) -> Run:
    """The run of a source file; receipts, and unfinished work with its lock, lie elsewhere if asked for, as in tests.

    Raises:
        ValueError: there is no such file, it lacks one of the names that a run has, or computes SEEDS or DATA instead of writing them down.
    """
    if not path.is_file():
        known = ", ".join(file.stem for file in run_files()) or "none"
        raise ValueError(f"there is no recorded run {path.stem!r}; there are {known}")
    declared = _declarations(path)
    wanted = ["CONFIGS", "SEEDS", "DATA"] + ([] if "measure" in declared else ["train", "evaluate"])
    if missing := [name for name in wanted if name not in declared]:
        raise ValueError(f"{path.name} is no recorded run: it has no {', '.join(missing)}")
    return Run(
        name=path.stem,
        path=path,
        declares=frozenset(declared),
        seeds=_literal(path, "SEEDS", declared),
        data=_literal(path, "DATA", declared),
        receipts=receipts or paths.runs_dir() / f"{path.stem}.jsonl",
        weights=paths.data_dir() / "weights" / path.stem,
        work=work or paths.build_dir() / "runs" / path.stem,
        lock=work.with_suffix(".lock") if work else Path(tempfile.gettempdir(), "llmbook-run.lock"),
    )


def _declarations(path: Path) -> dict[str, ast.expr | None]:
    """The names at a file's top level, with the expression that is assigned to each; functions and classes have none."""
    found: dict[str, ast.expr | None] = {}
    for node in closure.parsed(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = None
    return found


def _literal(path: Path, name: str, declared: dict[str, ast.expr | None]) -> tuple[Any, ...]:
    try:
        value = ast.literal_eval(declared[name] or "")
    except (ValueError, SyntaxError):
        value = None
    if not isinstance(value, tuple):
        raise ValueError(
            f"{path.name}: {name} has to be written down as a tuple of literals, so that it can be read without running it"
        )
    return value


def fingerprint(run: Run) -> str:
    """A hash of all that the outcome depends on: what the run's source and the modules that it reaches do; its data."""
    code = run.path.read_text(encoding="utf-8")
    parts = [closure.fingerprint(code), closure.fingerprints([code]), data_hashes(run)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def data_hashes(run: Run) -> dict[str, str]:
    """The recorded hash of each vendored file that the run reads.

    Raises:
        ValueError: the manifest lacks one.
    """
    known = {entry["path"]: entry["sha256"] for entry in manifest()}
    if unknown := [name for name in run.data if name not in known]:
        raise ValueError(f"the run {run.name} reads {', '.join(unknown)}, which data/MANIFEST.toml does not have")
    return {name: known[name] for name in run.data}


def state(run: Run) -> str:
    """ "missing" seeds, "stale" (something that it depends on has changed since), or "fresh"."""
    receipts = read_receipts(run.receipts)
    missing = len(set(run.seeds) - {receipt.seed for receipt in receipts})
    if missing:
        return f"{missing} of {len(run.seeds)} seeds missing"
    return "fresh" if {receipt.fingerprint for receipt in receipts} == {fingerprint(run)} else "stale"


def renew_fingerprint(run: Run) -> None:
    """Gives the receipts today's fingerprint. Whether the run still does the same is for its probe to say, before."""
    today = fingerprint(run)
    write_receipts(run.receipts, [dataclasses.replace(r, fingerprint=today) for r in read_receipts(run.receipts)])


def weights_hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*"))}


def clean_commit() -> str:
    """The commit that the tree is at.

    Raises:
        ValueError: the tree holds changes that are not committed (receipts and weights aside), or is no git checkout.
    """
    git = partial(subprocess.run, cwd=paths.root(), capture_output=True, text=True, check=False)
    status = git(["git", "status", "--porcelain", "--untracked-files=all"])
    if status.returncode:
        raise ValueError(f"a recorded run names the commit it was made from, and {paths.root()} is no git checkout")
    made_by_runs = ("data/runs/", "data/weights/", "data/MANIFEST.toml")
    changed = [line[3:] for line in status.stdout.splitlines() if not line[3:].startswith(made_by_runs)]
    if changed:
        raise ValueError(f"a recorded run needs a clean tree; not committed: {', '.join(changed[:5])}")
    return git(["git", "rev-parse", "HEAD"]).stdout.strip()
