"""Several recorded runs at a time: as many as there are places, the same numbers as one after the other."""

import dataclasses
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from llmbook.receipts import Receipt, read_receipts
from llmbook.runs import run as runs
from llmbook.runs import running, together

RUN = """
from dataclasses import dataclass
import torch
from llmbook.training import fit

@dataclass(frozen=True, kw_only=True)
class Config:
    width: int

CONFIGS = {"small": Config(width=2)}
SEEDS = (0, 1)
DATA = ()

def loss(model, x):
    return model(x).pow(2).mean()

def train(config, seed, *, fit=fit):
    torch.manual_seed(seed)
    model = torch.nn.Linear(4, config.width)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    fit(model, lambda step: torch.ones(3, 4) * 0.1 * step, loss=loss, optimizer=optimizer, max_steps=20, seed=seed)
    return model

@torch.no_grad()
def evaluate(model, config, *, limit=None):
    return {"loss": loss(model, torch.ones(5, 4)).item()}
"""
ORDER = running.Order(command="llmbook run NAME", commit="0" * 40)


def run_missing(run: runs.Run, order: running.Order) -> list[Receipt]:
    for seed in running.missing_seeds(run):
        running.run_missing_seed(run, seed, order)
    return running.all_receipts(run)


def made(folder: Path, name: str, source: str = RUN) -> runs.Run:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    return runs.load_run(path, receipts=folder / f"{name}.jsonl", work=folder / f"{name}-work")


def test_the_numbers_are_those_of_one_after_the_other_and_weights_come_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = made(tmp_path / "alone", "one")
    one_by_one = run_missing(alone, ORDER)
    maker = made(
        tmp_path,
        "two",
        RUN.replace("SEEDS = (0, 1)", "SEEDS = (7,)") + "\n\ndef export(model, config, folder):\n    pass\n",
    )
    maker = dataclasses.replace(maker, weights=tmp_path / "weights")
    steps: list[tuple] = []
    wanted = [made(tmp_path, "one"), maker]
    together.run_together(wanted, ORDER, jobs=2, on_step=lambda *step: steps.append(step))
    receipts = read_receipts(wanted[0].receipts)
    assert [(r.seed, r.metrics, r.curves) for r in receipts] == [(r.seed, r.metrics, r.curves) for r in one_by_one]
    assert {receipt.command for receipt in receipts} == {"llmbook run one"}
    assert {receipt.device for receipt in receipts} == {"cpu"}
    names = [name for name, *_ in steps]
    assert names == ["two"] * 20 + ["one"] * 40, "who makes weights is finished before those who may read them begin"
    assert runs.state(wanted[0]) == "fresh"
    assert running.all_receipts(wanted[0]) == receipts
    assert not wanted[0].work.exists()


def test_one_seed_that_fails_stops_no_other(tmp_path: Path) -> None:
    run = made(
        tmp_path,
        "one",
        RUN.replace("    torch.manual_seed(seed)", "    assert seed != 0, 'of seed 0'\n    torch.manual_seed(seed)"),
    )
    with pytest.raises(AssertionError, match="of seed 0"):
        together.run_together([run], ORDER, jobs=1)
    assert [receipt.seed for receipt in read_receipts(run.receipts)] == [1]


def test_a_machine_has_as_many_places_as_it_is_given(tmp_path: Path) -> None:
    here, most = 0, 0
    counting = threading.Lock()

    def stay() -> None:
        nonlocal here, most
        with running.place(tmp_path / "lock", places=2):
            with counting:
                here += 1
                most = max(most, here)
            time.sleep(0.3)
            with counting:
                here -= 1

    threads = [threading.Thread(target=stay) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert (here, most) == (0, 2)


class Pair(NamedTuple):
    ids: torch.Tensor
    words: list[str]


@dataclasses.dataclass(frozen=True)
class Batch:
    ids: torch.Tensor
    size: int


def test_a_batch_goes_to_the_device_whatever_holds_its_tensors() -> None:
    x = torch.ones(2)
    batch = {"a": Pair(x, ["w"]), "b": [Batch(x, 2), (x, None)]}
    found = running.to_device(batch, "meta")
    assert found["a"].words == ["w"]
    assert isinstance(found["a"], Pair)
    assert found["b"][0].size == 2
    assert found["b"][1][1] is None
    assert {t.device.type for t in (found["a"].ids, found["b"][0].ids, found["b"][1][0])} == {"meta"}


@pytest.mark.messages
@pytest.mark.parametrize("device", ["cuda", "nowhere"])
def test_a_device_that_is_not_here_is_refused_before_any_work(device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has one")
    with pytest.raises(ValueError, match=f"no runs on device '{device}' here: "):
        running.require_device(device)


def test_a_seed_ends_with_the_command_that_started_it(tmp_path: Path) -> None:
    """Killed by the system, say for its memory, a command can tell its processes nothing."""
    slow = RUN.replace("max_steps=20", "max_steps=100_000").replace(
        "    torch.manual_seed(seed)\n",
        "    torch.manual_seed(seed)\n"
        "    import os, pathlib\n"
        "    (pathlib.Path(__file__).parent / f'{seed}.pid').write_text(str(os.getpid()))\n",
    )
    run = made(tmp_path, "slow", slow)
    script = tmp_path / "start.py"
    script.write_text(
        "from pathlib import Path\n"
        "from llmbook.runs import run as runs, running, together\n"
        "if __name__ == '__main__':\n"
        f"    one = runs.load_run(Path({str(run.path)!r}), receipts=Path({str(run.receipts)!r}), work=Path({str(run.work)!r}))\n"
        "    together.run_together([one], running.Order(command='x', commit='0' * 40), jobs=1)\n",
        encoding="utf-8",
    )
    pid_file = tmp_path / "0.pid"
    with subprocess.Popen([sys.executable, script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as command:
        within(60, lambda: pid_file.exists() and pid_file.read_text() != "")
        pid = int(pid_file.read_text())
        assert alive(pid)
        command.kill()
    within(30, lambda: not alive(pid))


def within(seconds: float, happens: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.1)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"
