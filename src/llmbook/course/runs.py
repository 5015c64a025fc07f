"""Recorded runs: experiments too long for a notebook, in `chapters/runs`, and the receipts that they leave in `data/runs`.

A run is a module with `CONFIGS` (the variants, by name), `SEEDS`, `DATA` (the vendored files that it reads), and two functions,
`train(config, seed, *, fit)` and `evaluate(model, config, *, limit)`; where nothing is trained, `measure(config, seed, *, limit)` stands in
their place. One that makes weights has `export(model, config, folder)` too.

Book: §1.2.1
"""

import dataclasses
import datetime
import hashlib
import importlib.util
import json
import math
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import filelock
import numpy as np
import torch

from llmbook import paths
from llmbook.course.atomic import write_text
from llmbook.course.closure import PACKAGES, import_closure
from llmbook.data import manifest
from llmbook.receipts import Receipt, read_receipts, write_receipts
from llmbook.training import Checkpoints, History, fit

THREADS = 1  # the same numbers however many cores there are, and other work does not slow a run tenfold
CURVE_POINTS = 100
OnStep = Callable[[str, int, int, float], None]  # variant, updates made, updates in all, loss


@dataclass(frozen=True)
class Run:
    """A run's module and where its receipts, its probe, its weights and its unfinished work lie."""

    name: str
    module: ModuleType
    path: Path
    receipts: Path
    weights: Path
    work: Path
    lock: Path

    @property
    def probe(self) -> Path:
        return self.receipts.with_suffix(".probe.json")

    @property
    def configs(self) -> dict[str, Any]:
        return self.module.CONFIGS

    @property
    def is_measured(self) -> bool:
        return hasattr(self.module, "measure")


def run_files() -> list[Path]:
    """The sources of all recorded runs."""
    return sorted((paths.chapters_dir() / "runs").glob("*.py"))


def load_run(path: Path, *, receipts: Path | None = None, work: Path | None = None) -> Run:
    """The run of a source file; receipts, and unfinished work with its lock, lie elsewhere if asked for, as in tests.

    Raises:
        ValueError: there is no such file, or it lacks one of the names that a run has.
    """
    if not path.is_file():
        known = ", ".join(file.stem for file in run_files()) or "none"
        raise ValueError(f"there is no recorded run {path.stem!r}; there are {known}")
    spec = importlib.util.spec_from_file_location(f"llmbook_run_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    wanted = ["CONFIGS", "SEEDS", "DATA"] + ([] if hasattr(module, "measure") else ["train", "evaluate"])
    if missing := [name for name in wanted if not hasattr(module, name)]:
        raise ValueError(f"{path.name} is no recorded run: it has no {', '.join(missing)}")
    return Run(
        name=path.stem,
        module=module,
        path=path,
        receipts=receipts or paths.runs_dir() / f"{path.stem}.jsonl",
        weights=paths.data_dir() / "weights" / path.stem,
        work=work or paths.build_dir() / "runs" / path.stem,
        lock=work.with_suffix(".lock") if work else Path(tempfile.gettempdir(), "llmbook-run.lock"),
    )


def fingerprint(run: Run) -> str:
    """A hash of all that the outcome depends on: the run's source and settings, its data, the package's files that it reaches."""
    digest = hashlib.sha256(run.path.read_bytes())
    for path in sorted(import_closure([run.path.read_text(encoding="utf-8")])):
        digest.update(path.as_posix().encode() + (PACKAGES / path).read_bytes())
    digest.update(json.dumps(data_hashes(run), sort_keys=True).encode())
    return digest.hexdigest()


def data_hashes(run: Run) -> dict[str, str]:
    """The recorded hash of each vendored file that the run reads.

    Raises:
        ValueError: the manifest lacks one.
    """
    known = {entry["path"]: entry["sha256"] for entry in manifest()}
    if unknown := [name for name in run.module.DATA if name not in known]:
        raise ValueError(f"the run {run.name} reads {', '.join(unknown)}, which data/MANIFEST.toml does not have")
    return {name: known[name] for name in run.module.DATA}


def state(run: Run) -> str:
    """ "missing" seeds, "stale" (something that it depends on has changed since), or "fresh"."""
    receipts = read_receipts(run.receipts)
    missing = len(set(run.module.SEEDS) - {receipt.seed for receipt in receipts})
    if missing:
        return f"{missing} of {len(run.module.SEEDS)} seeds missing"
    return "fresh" if {receipt.fingerprint for receipt in receipts} == {fingerprint(run)} else "stale"


def run_missing(run: Run, *, command: str, commit: str, on_step: OnStep | None = None) -> list[Receipt]:
    """Runs the seeds that have no receipt, one after the other, each receipt written as soon as it is there.

    One run at a time on a machine: the others wait. Killed at any point and started again, it goes on from the last checkpoint and
    comes to the same result, bit for bit.
    """
    with filelock.FileLock(run.lock):
        for seed in run.module.SEEDS:
            receipts = read_receipts(run.receipts)
            if seed not in {receipt.seed for receipt in receipts}:
                receipt = run_seed(run, seed, command=command, commit=commit, on_step=on_step)
                write_receipts(run.receipts, [*receipts, receipt])
    shutil.rmtree(run.work, ignore_errors=True)
    return read_receipts(run.receipts)


def run_again(run: Run, *, command: str, commit: str, on_step: OnStep | None = None) -> list[str]:
    """Runs every seed once more and puts the new receipts in the old ones' place at the end; returns old against new."""
    old = read_receipts(run.receipts)
    fresh = dataclasses.replace(run, receipts=run.work.with_name(f"{run.name}-again.jsonl"))
    new = run_missing(fresh, command=command, commit=commit, on_step=on_step)
    write_receipts(run.receipts, new)
    fresh.receipts.unlink()
    return old_against_new(old, new)


def renew(run: Run) -> None:
    """Gives the receipts today's fingerprint. Whether the run still does the same is for its probe to say, before."""
    today = fingerprint(run)
    write_receipts(run.receipts, [dataclasses.replace(r, fingerprint=today) for r in read_receipts(run.receipts)])


def old_against_new(old: list[Receipt], new: list[Receipt]) -> list[str]:
    """A line for each metric: its mean over the seeds in both."""
    before, now = means(old), means(new)
    return [f"{' · '.join(key)}: {before.get(key, math.nan):.6g} → {value:.6g}" for key, value in now.items()]


def means(receipts: list[Receipt]) -> dict[tuple[str, str], float]:
    """By variant and metric, the mean over seeds (and over a list's values)."""
    return {
        (variant, name): float(np.mean([np.mean(receipt.metrics[variant][name]) for receipt in receipts]))
        for variant in (receipts[0].metrics if receipts else {})
        for name in receipts[0].metrics[variant]
    }


def run_seed(run: Run, seed: int, *, command: str, commit: str, on_step: OnStep | None = None) -> Receipt:
    """All variants with one seed."""
    torch.set_num_threads(THREADS)
    print_ = fingerprint(run)
    load = os.getloadavg()[0]
    folder = run.work / f"{seed}-{print_[:16]}"  # what was begun with other code is not gone on with
    done = {name: finished_variant(run, seed, name, folder / slug(name), on_step) for name in run.configs}
    return Receipt(
        run=run.name,
        seed=seed,
        configs={name: dataclasses.asdict(config) for name, config in run.configs.items()},
        metrics={name: result["metrics"] for name, result in done.items()},
        curves={name: result["curve"] for name, result in done.items()},
        fingerprint=print_,
        command=command,
        commit=commit,
        versions={"python": platform.python_version(), **{name: metadata.version(name) for name in ("torch", "numpy")}},
        cpu=cpu_name(),
        threads=THREADS,
        load=round(load, 2),
        data=data_hashes(run),
        weights=weights_hashes(run.weights) if hasattr(run.module, "export") else {},
        seconds=round(sum(result["seconds"] for result in done.values()), 1),
        peak_mb=round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform != "darwin" else 2**20)
        ),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def finished_variant(run: Run, seed: int, name: str, folder: Path, on_step: OnStep | None) -> dict[str, Any]:
    """Metrics, curve and seconds of one variant, from its file if it was finished before an interruption."""
    path, config = folder / "result.json", run.configs[name]
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    start = time.perf_counter()
    if run.is_measured:
        if on_step:
            on_step(name, 0, 1, math.nan)
        result = {"metrics": run.module.measure(config, seed), "curve": [], "seconds": 0.0}
    else:
        histories: list[History] = []
        model = run.module.train(config, seed, fit=recording_fit(folder, name, histories, on_step))
        if len(histories) != 1:
            raise ValueError(f"{run.path.name}: train has to call fit once; it called it {len(histories)} times")
        start = time.perf_counter()
        if hasattr(run.module, "export"):
            run.module.export(model, config, run.weights)
        result = {
            "metrics": run.module.evaluate(model, config),
            "curve": curve(histories[0].losses),
            "seconds": sum(histories[0].seconds),
        }
    result["seconds"] += time.perf_counter() - start
    write_text(path, json.dumps(result) + "\n")
    return result


def recording_fit(
    folder: Path, variant: str, histories: list[History], on_step: OnStep | None
) -> Callable[..., History]:
    """`fit` with checkpoints in the folder, that reports each update and keeps its history."""

    def recording(*args: Any, max_steps: int, **kwargs: Any) -> History:
        def report(step: int, loss: float) -> None:
            if on_step:
                on_step(variant, step + 1, max_steps, loss)

        checkpoint = Checkpoints(folder / "checkpoints", every=max(1, max_steps // 10))
        histories.append(fit(*args, max_steps=max_steps, checkpoint=checkpoint, on_step=report, **kwargs))
        return histories[-1]

    return recording


def curve(losses: tuple[float, ...]) -> list[float]:
    """The losses averaged over consecutive pieces, at most `CURVE_POINTS` of them."""
    pieces = np.array_split(np.array(losses), min(CURVE_POINTS, len(losses)))
    return [round(float(piece.mean()), 5) for piece in pieces]


def slug(name: str) -> str:
    """A variant's name as a folder's name."""
    return "".join(character if character.isalnum() else "-" for character in name)


def weights_hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*"))}


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


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
