"""Running recorded runs: seed after seed, checkpoints on the way, a receipt at each end.

Book: §1.2.1
"""

import dataclasses
import datetime
import json
import math
import os
import platform
import re
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from torch import nn

from llmbook import paths
from llmbook.atomic import write_text
from llmbook.receipts import Receipt, read_receipts, write_receipts
from llmbook.runs.milestones import Milestones
from llmbook.runs.run import THREADS, Run, data_hashes, fingerprint, parts, weights_hashes
from llmbook.training import Checkpoints, DivergedError, History, fit

CURVE_POINTS = 100
OnStep = Callable[[str, int, int, float], None]  # variant, updates made, updates in all, loss


@dataclasses.dataclass(frozen=True, kw_only=True)
class Order:
    """By what command a run is made, from which commit, on which device, and who is told of each update."""

    command: str
    commit: str
    device: str = "cpu"
    on_step: OnStep | None = None


def require_device(device: str) -> None:
    """Raises ValueError unless torch can compute on this device here."""
    try:
        torch.ones(1, device=device).sum().item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"no runs on device {device!r} here: {str(error).splitlines()[0]}") from error


def missing_seeds(run: Run) -> list[int]:
    """The seeds that have no receipt."""
    made = {receipt.seed for receipt in read_receipts(run.receipts)}
    return [seed for seed in run.seeds if seed not in made]


def run_missing_seed(run: Run, seed: int, order: Order) -> None:
    """Runs a seed unless it has a receipt by now, and writes the receipt.

    As many seeds at a time on a machine as it has cores, for each has one thread: the others wait. Killed at any point and started again,
    it goes on from the last checkpoint and comes to the same result, bit for bit.
    """
    run.work.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(run.work / f"{seed}.lock"):
        if seed not in missing_seeds(run):
            return
        with place(run.lock):
            receipt = run_seed(run, seed, order)
        with filelock.FileLock(run.work / "receipts.lock"):
            write_receipts(run.receipts, [*read_receipts(run.receipts), receipt])


def all_receipts(run: Run) -> list[Receipt]:
    """The receipts; once no seed is missing, in its sweep neither, what was kept for going on is removed."""
    for one in parts(run):
        if not missing_seeds(one):
            shutil.rmtree(one.work, ignore_errors=True)
    return read_receipts(run.receipts)


@contextmanager
def place(lock: Path, places: int | None = None) -> Iterator[None]:
    """Waits for one of the machine's places for runs, by default as many as cores, and holds it."""
    locks = [filelock.FileLock(f"{lock}-{number}") for number in range(places or os.cpu_count() or 1)]
    while True:
        for one in locks:
            try:
                one.acquire(blocking=False)
            except filelock.Timeout:
                continue
            try:
                yield
            finally:
                one.release()
            return
        time.sleep(0.2)


def anew(run: Run) -> Run:
    """The run with another file of receipts, in which those of an interrupted repetition by today's code stay."""
    fresh = dataclasses.replace(run, receipts=run.work.with_name(f"{run.name}-again.jsonl"))
    today = fingerprint(run)
    for one in parts(fresh):
        write_receipts(one.receipts, [r for r in read_receipts(one.receipts) if r.fingerprint == today])
    return fresh


def put_in_place(run: Run, fresh: Run) -> list[str]:
    """Puts the receipts of a repetition into the old ones' place; returns old against new."""
    old, new = read_receipts(run.receipts), all_receipts(fresh)
    for its, made in zip(parts(run), parts(fresh), strict=True):
        write_receipts(its.receipts, read_receipts(made.receipts))
        made.receipts.unlink()
    return old_against_new(old, new)


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


def run_seed(run: Run, seed: int, order: Order) -> Receipt:
    """All variants with one seed."""
    torch.set_num_threads(THREADS)
    of_today = fingerprint(run)
    load = os.getloadavg()[0]
    folder = run.work / f"{seed}-{order.device}-{of_today[:16]}"  # what was begun with other code is not gone on with
    done = {name: finished_variant(run, seed, name, folder / slug(name), order) for name in run.configs}
    return Receipt(
        run=run.name,
        seed=seed,
        configs={name: dataclasses.asdict(config) for name, config in run.configs.items()},
        metrics={name: result["metrics"] for name, result in done.items()},
        curves={name: result["curve"] for name, result in done.items()},
        fingerprint=of_today,
        command=order.command.replace("NAME", run.name),
        commit=order.commit,
        versions={"python": platform.python_version(), **{name: metadata.version(name) for name in ("torch", "numpy")}},
        cpu=cpu_name(),
        threads=THREADS,
        device=order.device,
        load=round(load, 2),
        data=data_hashes(run),
        weights=weights_hashes(run.weights) if exports(run, seed) else {},
        seconds=round(sum(result["seconds"] for result in done.values()), 1),
        peak_mb=round(
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**10 if sys.platform != "darwin" else 2**20)
        ),
        finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def finished_variant(run: Run, seed: int, name: str, folder: Path, order: Order) -> dict[str, Any]:
    """Metrics, curve and seconds of one variant, from its file if it was finished before an interruption."""
    path, config = folder / "result.json", run.configs[name]
    if path.exists():
        return json.loads(path.read_text(encoding="utf-8"))
    start = time.perf_counter()
    if run.is_measured:
        if order.on_step:
            order.on_step(name, 0, 1, math.nan)
        result = {"metrics": run.module.measure(config, seed), "curve": []}
        result["seconds"] = time.perf_counter() - start
    else:
        try:
            result = trained_variant(run, seed, name, folder, order)
        except DivergedError:
            if not run.is_sweep:
                raise
            result = {"metrics": {"loss": math.nan}, "curve": [], "seconds": time.perf_counter() - start}
    write_text(path, json.dumps(result) + "\n")
    return result


def trained_variant(run: Run, seed: int, name: str, folder: Path, order: Order) -> dict[str, Any]:
    """One variant trained, its weights exported where the run makes some and the seed is the first, and evaluated."""
    config, histories = run.configs[name], list[History]()
    milestones = Milestones(run, config, folder / "followed.json")
    model = run.module.train(config, seed, fit=recording_fit(folder, name, histories, order, milestones))
    if len(histories) != 1:
        raise ValueError(f"{run.path.name}: train has to call fit once; it called it {len(histories)} times")
    start = time.perf_counter()
    model.to("cpu")
    if exports(run, seed):
        run.module.export(model, config, run.weights)
        with filelock.FileLock(f"{run.lock}-manifest"):
            enter_weights(run)
    metrics = run.evaluate(model, config) | milestones.metrics()
    seconds = sum(histories[0].seconds) + time.perf_counter() - start
    return {"metrics": metrics, "curve": curve(histories[0].losses), "seconds": seconds}


def exports(run: Run, seed: int) -> bool:
    """Whether this seed's models become the weights that ship: those of the first."""
    return run.makes_weights and not run.is_sweep and seed == run.seeds[0]


def recording_fit(
    folder: Path, variant: str, histories: list[History], order: Order, milestones: Milestones
) -> Callable[..., History]:
    """`fit` on the device, with checkpoints in the folder, that reports each update and keeps its history."""

    def recording(model: nn.Module, batches: Callable[[int], Any], *, max_steps: int, **kwargs: Any) -> History:
        def report(step: int, loss: float) -> None:
            if order.on_step:
                order.on_step(variant, step + 1, max_steps, loss)
            milestones.pass_(model, step + 1)

        checkpoint = Checkpoints(folder / "checkpoints", every=max(1, max_steps // 10))
        there = {"max_steps": max_steps, "checkpoint": checkpoint, "on_step": report, **kwargs}
        histories.append(fit(model.to(order.device), lambda step: to_device(batches(step), order.device), **there))
        return histories[-1]

    return recording


def to_device(batch: Any, device: str) -> Any:
    """A batch with its tensors on a device: a tensor, or a tuple, list, dict or dataclass of them."""
    if isinstance(batch, torch.Tensor):
        return batch.to(device)
    if isinstance(batch, dict):
        return {name: to_device(part, device) for name, part in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*(to_device(part, device) for part in batch))
    if isinstance(batch, list | tuple):
        return type(batch)(to_device(part, device) for part in batch)
    if dataclasses.is_dataclass(batch) and not isinstance(batch, type):
        return dataclasses.replace(
            batch, **{f.name: to_device(getattr(batch, f.name), device) for f in dataclasses.fields(batch)}
        )
    return batch


def curve(losses: tuple[float, ...]) -> list[float]:
    """The losses averaged over consecutive pieces, at most `CURVE_POINTS` of them."""
    pieces = np.array_split(np.array(losses), min(CURVE_POINTS, len(losses)))
    return [round(float(piece.mean()), 5) for piece in pieces]


def slug(name: str) -> str:
    """A variant's name as a folder's name."""
    return "".join(character if character.isalnum() else "-" for character in name)


def enter_weights(run: Run) -> None:
    """Puts the hash and the size of new weights into the manifest, without which no one would load them.

    Raises:
        ValueError: the manifest has no entry for a file; it gets its licence and its words by hand.
    """
    path = paths.root() / paths.MARKER
    text = path.read_text(encoding="utf-8")
    for name, sha256 in weights_hashes(run.weights).items():
        file = run.weights / name
        entry = rf'(path = "{re.escape(file.relative_to(paths.data_dir()).as_posix())}"\n(?:.+\n)*?)sha256 = ".*"\nbytes = \d+'
        text, found = re.subn(entry, rf'\g<1>sha256 = "{sha256}"\nbytes = {file.stat().st_size}', text)
        if not found:
            raise ValueError(f"data/MANIFEST.toml has no entry for {file}; see RUNS in data/vendoring/manifest.py")
    write_text(path, text)


def cpu_name() -> str:
    """The processor's name as the system gives it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8", errors="replace").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
