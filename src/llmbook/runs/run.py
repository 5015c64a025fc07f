"""Recorded runs: experiments too long for a notebook, in `chapters/runs`, and the receipts that they leave in `data/runs`.

A run is a module with `CONFIGS` (the variants, by name), `SEEDS`, `DATA` (the vendored files that it reads), and two functions,
`train(config, seed, *, fit)` and `evaluate(model, config, *, limit)`; where nothing is trained, `measure(config, seed, *, limit)` stands in
their place. One that makes weights has `export(model, config, folder)` too, called with
the models of the first seed.

With `RATES`, every variant is first trained at each of these peak learning rates (its config's `peak`) with each of `SWEEP_SEEDS`, and
keeps the one whose `validate(model, config, *, limit)` is least on average: the sweep is a run of its own, with its own receipts. With
`SWEEP_STEPS` its trainings are shorter (its config's `steps`).

With `MILESTONES`, what `follow(model, config, *, limit)` says of the model after these many updates stands in the receipt too: a list for
each of its numbers, under the number's name and " followed".

Book: §1.2.1
"""

import ast
import dataclasses
import hashlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from llmbook import closure, paths
from llmbook.assets import manifest
from llmbook.receipts import Receipt, at_rate, read_receipts, write_receipts

USER = getattr(os, "getuid", int)()  # a file in the temporary folder belongs to the user who made it
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
    rates: tuple[float, ...] = ()
    sweep_seeds: tuple[int, ...] = ()
    is_sweep: bool = False

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
        """The variants; each at its own best rate once the sweep has found it; in the sweep, each at every rate."""
        plain = self.module.CONFIGS
        if self.is_sweep:
            shorter = {"steps": self.module.SWEEP_STEPS} if "SWEEP_STEPS" in self.declares else {}
            return {
                at_rate(name, rate): dataclasses.replace(config, peak=rate, **shorter)
                for name, config in plain.items()
                for rate in self.rates
            }
        best = best_rates(read_receipts(sweep(self).receipts), list(plain), self.rates) if self.rates else {}
        return {
            name: dataclasses.replace(config, peak=best[name]) if name in best else config
            for name, config in plain.items()
        }

    def evaluate(self, model: Any, config: Any) -> dict[str, Any]:
        """What a receipt records of a trained model; of a sweep's, the loss that decides."""
        return {"loss": self.module.validate(model, config)} if self.is_sweep else self.module.evaluate(model, config)

    @property
    def is_followed(self) -> bool:
        return "MILESTONES" in self.declares and not self.is_sweep

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
    wanted += ["SWEEP_SEEDS", "validate"] if "RATES" in declared else []
    wanted += ["follow"] if "MILESTONES" in declared else []
    if missing := [name for name in wanted if name not in declared]:
        raise ValueError(f"{path.name} is no recorded run: it has no {', '.join(missing)}")
    return Run(
        name=path.stem,
        path=path,
        declares=frozenset(declared),
        seeds=_literal(path, "SEEDS", declared),
        data=_literal(path, "DATA", declared),
        rates=_literal(path, "RATES", declared) if "RATES" in declared else (),
        sweep_seeds=_literal(path, "SWEEP_SEEDS", declared) if "RATES" in declared else (),
        receipts=receipts or paths.runs_dir() / f"{path.stem}.jsonl",
        weights=paths.data_dir() / "weights" / path.stem,
        work=work or paths.build_dir() / "runs" / path.stem,
        lock=work.with_suffix(".lock") if work else Path(tempfile.gettempdir(), f"llmbook-run-{USER}.lock"),
    )


def sweep(run: Run) -> Run:
    """The run that finds a run's learning rates."""
    return dataclasses.replace(
        run,
        name=f"{run.name}.rates",
        seeds=run.sweep_seeds,
        receipts=run.receipts.with_suffix(".rates.jsonl"),
        work=run.work.with_name(f"{run.work.name}.rates"),
        is_sweep=True,
    )


def best_rates(receipts: Sequence[Receipt], variants: Sequence[str], rates: Sequence[float]) -> dict[str, float]:
    """The rate of each variant with the least loss, averaged over the seeds of a sweep; none before there is a receipt."""
    if not receipts:
        return {}

    def loss(variant: str, rate: float) -> float:
        losses = [receipt.metrics[at_rate(variant, rate)]["loss"] for receipt in receipts]
        return math.inf if any(map(math.isnan, losses)) else sum(losses) / len(losses)

    return {variant: min(rates, key=partial(loss, variant)) for variant in variants}


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
    receipts = []
    for one in parts(run):
        receipts += (made := read_receipts(one.receipts))
        if missing := len(set(one.seeds) - {receipt.seed for receipt in made}):
            return f"{missing} of {len(one.seeds)} seeds missing" + (" in the sweep of rates" if one.is_sweep else "")
    return "fresh" if {receipt.fingerprint for receipt in receipts} == {fingerprint(run)} else "stale"


def parts(run: Run) -> list[Run]:
    """The sweep of a run's rates, if it has one, and the run."""
    return [sweep(run), run] if run.rates else [run]


def renew_fingerprint(run: Run) -> None:
    """Gives the receipts today's fingerprint. Whether the run still does the same is for its probe to say, before."""
    today = fingerprint(run)
    for one in parts(run):
        write_receipts(one.receipts, [dataclasses.replace(r, fingerprint=today) for r in read_receipts(one.receipts)])


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
