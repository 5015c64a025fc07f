"""Several recorded runs at a time: one process a seed, as many as the machine has cores.

Book: §0
"""

import dataclasses
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from llmbook.runs.run import Run, load_run, sweep
from llmbook.runs.running import Order, missing_seeds, run_missing_seed

OnSeedStep = Callable[[str, int, str, int, int, float], None]  # run, seed, variant, updates made, updates in all, loss


def run_together(
    runs: Sequence[Run], order: Order, *, jobs: int | None = None, on_step: OnSeedStep | None = None
) -> None:
    """Runs all missing seeds of the runs, `jobs` at a time (by default as many as there are cores).

    Sweeps come first, then the runs that make weights, for others examine them. Each seed has a process of its own; killed and started
    again, all go on where they were.

    Raises:
        Exception: what the first seed that failed raised; the others are made all the same.
    """
    sweeps = [sweep(run) for run in runs if run.rates]
    makers = [run for run in runs if run.makes_weights]
    for wave in (sweeps, makers, [run for run in runs if run not in makers]):
        _run_wave([(run, seed) for run in wave for seed in missing_seeds(run)], order, jobs, on_step)


def _run_wave(tasks: list[tuple[Run, int]], order: Order, jobs: int | None, on_step: OnSeedStep | None) -> None:
    if not tasks:
        return
    spawn = multiprocessing.get_context("spawn")
    told, workers = spawn.SimpleQueue(), min(jobs or os.cpu_count() or 1, len(tasks))
    plain = dataclasses.replace(order, on_step=None)
    with ProcessPoolExecutor(workers, spawn, initializer=_begin, initargs=(told,)) as pool:
        waiting = [pool.submit(_one, run.path, _places(run), seed, plain) for run, seed in tasks]
        while not all(map(Future.done, waiting)) or not told.empty():
            if told.empty():
                time.sleep(0.05)
                continue
            step = told.get()
            if on_step:
                on_step(*step)
        for one in waiting:
            one.result()


def _places(run: Run) -> dict[str, Any]:
    return {name: getattr(run, name) for name in ("name", "seeds", "receipts", "weights", "work", "lock", "is_sweep")}


_TOLD: list[Any] = []  # in a process of its own: the queue to the one that started it


def _begin(told: Any) -> None:
    """A process ends with the one that started it, however that one ended; checkpoints and receipts are whole at any time."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_it() -> None:
        parent.join()
        os._exit(1)

    _TOLD.append(told)
    threading.Thread(target=end_with_it, daemon=True).start()


def _one(path: Path, places: dict[str, Any], seed: int, order: Order) -> None:
    """In a process of its own: one seed of the run of this source."""
    run = dataclasses.replace(load_run(path), **places)

    def tell(variant: str, made: int, total: int, loss: float) -> None:
        _TOLD[0].put((run.name, seed, variant, made, total, loss))

    run_missing_seed(run, seed, dataclasses.replace(order, on_step=tell))
