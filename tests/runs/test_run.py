"""Recorded runs: receipts, what makes them stale, and a kill that changes nothing."""

import hashlib
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from llmbook import cli, closure, paths
from llmbook.atomic import write_text
from llmbook.notebook import Recorded
from llmbook.receipts import Receipt, read_receipts, write_receipts
from llmbook.runs import probe, running
from llmbook.runs import run as runs

TOY = '''
"""A toy: does a wider layer learn more?"""

from dataclasses import dataclass

import torch

from llmbook.training import fit


@dataclass(frozen=True, kw_only=True)
class Config:
    width: int
    steps: int = 60
    betas: tuple[float, float] = (0.9, 0.98)


CONFIGS = {"2 wide": Config(width=2), "4 wide": Config(width=4)}
SEEDS = (0, 1)
DATA = ("hsk/sentences.jsonl.gz",)


def loss(model, batch):
    return (model(batch) - batch.sum(dim=1, keepdim=True)).square().mean()


def train(config, seed, *, fit=fit):
    torch.manual_seed(seed)
    layers = torch.nn.Linear(4, config.width), torch.nn.Dropout(0.1), torch.nn.Linear(config.width, 1)
    model = torch.nn.Sequential(*layers)
    batches = lambda step: torch.randn(8, 4, generator=torch.Generator().manual_seed(step)).to(next(model.parameters()))
    optimizer = torch.optim.AdamW(model.parameters(), betas=config.betas)
    fit(model, batches, loss=loss, optimizer=optimizer, clip=1.0, max_steps=config.steps, seed=seed)
    return model.eval()


def evaluate(model, config, *, limit=None):
    x = torch.ones(limit or 100, 4).to(next(model.parameters()))
    return {"loss": loss(model, x).item(), "weights": [p.sum().item() for p in model.parameters()]}
'''


def toy(folder: Path, source: str = TOY, name: str = "toy") -> runs.Run:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.py"
    path.write_text(source, encoding="utf-8")
    return runs.load_run(path, receipts=folder / "toy.jsonl", work=folder / "work")


ORDER = running.Order(command="llmbook run toy", commit="0" * 40)


def run_missing(run: runs.Run, order: running.Order) -> list[Receipt]:
    for seed in running.missing_seeds(run):
        running.run_missing_seed(run, seed, order)
    return running.all_receipts(run)


def made(run: runs.Run, **settings) -> list[Receipt]:
    return run_missing(run, running.Order(command="llmbook run toy", commit="0" * 40, **settings))


def repeated(run: runs.Run) -> list[str]:
    fresh = running.anew(run)
    run_missing(fresh, running.Order(command="llmbook run toy --again", commit="1" * 40))
    return running.put_in_place(run, fresh)


def test_a_receipt_a_seed_with_all_that_it_depends_on(tmp_path: Path):
    run, steps = toy(tmp_path), []
    assert runs.state(run) == "2 of 2 seeds missing"
    receipts = made(run, on_step=lambda *step: steps.append(step))
    assert [receipt.seed for receipt in receipts] == [0, 1]
    assert steps[-1][:3] == ("4 wide", 60, 60)
    assert len(steps) == 2 * 2 * 60
    one = receipts[0]
    assert one.metrics.keys() == one.configs.keys() == one.curves.keys() == {"2 wide", "4 wide"}
    assert one.configs["4 wide"] == {"width": 4, "steps": 60, "betas": [0.9, 0.98]}
    assert len(one.curves["2 wide"]) == 60
    assert one.seconds > 0
    assert one.threads == 1
    assert one.data == {"hsk/sentences.jsonl.gz": one.data["hsk/sentences.jsonl.gz"]}
    assert {"python", "torch", "numpy"} <= one.versions.keys()
    assert runs.state(run) == "fresh"
    assert not run.work.exists(), "what was in between is cleared away"


def test_what_is_said_of_a_runs_state_runs_none_of_its_code(tmp_path: Path):
    made(toy(tmp_path))
    assert runs.state(toy(tmp_path, TOY + "\nraise SystemExit\n")) == "stale"


@pytest.mark.messages
def test_seeds_and_data_are_written_down_and_not_computed(tmp_path: Path):
    with pytest.raises(ValueError, match=r"toy\.py: SEEDS has to be written down as a tuple of literals"):
        toy(tmp_path, TOY.replace("SEEDS = (0, 1)", "SEEDS = tuple(range(2))"))


def test_seeds_that_have_a_receipt_are_not_run_again(tmp_path: Path):
    run = toy(tmp_path)
    first = made(run)
    steps = []
    assert made(run, on_step=lambda *step: steps.append(step)) == first
    assert not steps


def test_a_changed_source_makes_the_receipts_stale_until_they_are_renewed(tmp_path: Path):
    made(toy(tmp_path))
    assert runs.state(toy(tmp_path, TOY + "\n# a remark\n")) == "fresh"
    changed = toy(tmp_path, TOY + "\nMORE = 1\n")
    assert runs.state(changed) == "stale"
    runs.renew_fingerprint(changed)
    assert runs.state(changed) == "fresh"


SWEPT = (
    TOY.replace("    steps: int = 60", "    steps: int = 60\n    peak: float = 1e-3")
    .replace("SEEDS = (0, 1)\n", "SEEDS = (0, 1)\nRATES = (1e-3, 3e-2, 1e30)\nSWEEP_SEEDS = (7, 8)\n")
    .replace("betas=config.betas)", "lr=config.peak, betas=config.betas)")
    + """

def validate(model, config, *, limit=None):
    return loss(model, torch.eye(4)[:limit].to(next(model.parameters()))).item()
"""
)


def test_each_variant_is_trained_at_the_rate_that_its_sweep_finds_best(tmp_path: Path):
    run = toy(tmp_path, SWEPT)
    assert runs.state(run) == "2 of 2 seeds missing in the sweep of rates"
    assert {config.peak for config in run.configs.values()} == {1e-3}
    probed = probe.probe(run)
    tried = run_missing(runs.sweep(run), ORDER)
    assert [receipt.seed for receipt in tried] == [7, 8]
    assert tried[0].metrics.keys() == {
        f"{width} wide at {rate}" for width in (2, 4) for rate in ("0.001", "0.03", "1e+30")
    }
    assert runs.state(run) == "2 of 2 seeds missing"
    assert {config.peak for config in run.configs.values()} == {3e-2}
    assert probe.differences(probed, probe.probe(run)) == [], "the probe does not hang on what the sweep found"
    receipts = made(run)
    assert receipts[0].configs["4 wide"]["peak"] == 3e-2
    assert receipts[0].metrics.keys() == {"2 wide", "4 wide"}
    assert "weights" in receipts[0].metrics["2 wide"]
    assert runs.state(run) == "fresh"
    changed = toy(tmp_path, SWEPT + "\nMORE = 1\n")
    assert runs.state(changed) == "stale"
    runs.renew_fingerprint(changed)
    assert runs.state(changed) == "fresh"
    told = Recorded("toy", run.path, tuple(receipts), tuple(tried))
    assert told.rate("4 wide") == 3e-2
    assert list(told.rates("4 wide")) == [1e-3, 3e-2, 1e30]
    assert min(told.rates("4 wide"), key=told.rates("4 wide").get) == 3e-2
    with pytest.raises(ValueError, match="swept no learning rates of 'nothing'"):
        told.rates("nothing")


FOLLOWED = (
    SWEPT.replace("SEEDS = (0, 1)\n", "SEEDS = (0, 1)\nSWEEP_STEPS = 20\nMILESTONES = (10, 30, 60)\n")
    + """

def follow(model, config, *, limit=None):
    assert not model.training
    return {"error": validate(model, config, limit=limit), "width": float(config.width)}
"""
)


def test_a_sweep_may_be_shorter_and_a_training_be_followed(tmp_path: Path):
    run, steps = toy(tmp_path, FOLLOWED), []
    (tried, _) = run_missing(runs.sweep(run), replace(ORDER, on_step=lambda *step: steps.append(step)))
    assert {step[2] for step in steps} == {20}
    assert set(tried.metrics["2 wide at 0.001"]) == {"loss"}
    plain = made(toy(tmp_path / "plain", SWEPT.replace("RATES = ", "NO_RATES = ").replace("1e-3\n", "3e-2\n")))
    for receipt, unfollowed in zip(made(run), plain, strict=True):
        metrics = receipt.metrics["4 wide"]
        assert metrics["width followed"] == [4.0, 4.0, 4.0]
        assert len(set(metrics["error followed"])) == 3
        assert metrics["weights"] == unfollowed.metrics["4 wide"]["weights"], "to look on changes nothing"
    assert "error" in probe.probe(run)["2 wide"]["followed"]


def test_what_was_followed_survives_an_interruption(tmp_path: Path):
    whole = made(toy(tmp_path / "whole", FOLLOWED))
    run = toy(tmp_path, FOLLOWED)

    def interrupt(variant: str, updates: int, *_) -> None:
        if (variant, updates) == ("4 wide", 35):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made(run, on_step=interrupt)
    assert [receipt.metrics for receipt in made(run)] == [receipt.metrics for receipt in whole]


@pytest.mark.messages
def test_milestones_need_something_to_follow(tmp_path: Path):
    with pytest.raises(ValueError, match=r"toy\.py is no recorded run: it has no follow"):
        toy(tmp_path, TOY + "\nMILESTONES = (1,)\n")


def test_a_sweep_is_repeated_with_its_run(tmp_path: Path):
    run = toy(tmp_path, SWEPT)
    run_missing(runs.sweep(run), ORDER)
    before = made(run)
    fresh = running.anew(run)
    assert runs.state(fresh).endswith("missing in the sweep of rates")
    run_missing(runs.sweep(fresh), ORDER)
    run_missing(fresh, ORDER)
    assert set(running.put_in_place(run, fresh)[0].split(" → ")[0]) > set()
    assert [receipt.metrics for receipt in read_receipts(run.receipts)] == [receipt.metrics for receipt in before]
    assert runs.state(run) == "fresh"
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == ["toy.jsonl", "toy.rates.jsonl"]


def test_a_rate_at_which_training_breaks_is_not_chosen():
    swept = Receipt(
        run="toy.rates", seed=7, configs={}, metrics={"a at 0.1": {"loss": math.nan}, "a at 0.2": {"loss": 3.0}}, curves={},
        fingerprint="", command="", commit="", versions={}, cpu="", threads=1, load=0.0, data={}, weights={}, seconds=1.0, peak_mb=1,
        finished="",
    )  # fmt: skip
    assert runs.best_rates([swept], ["a"], (0.1, 0.2)) == {"a": 0.2}
    assert runs.best_rates([], ["a"], (0.1, 0.2)) == {}


@pytest.mark.messages
def test_a_sweep_needs_its_seeds_and_a_validation(tmp_path: Path):
    with pytest.raises(ValueError, match=r"toy\.py is no recorded run: it has no SWEEP_SEEDS, validate"):
        toy(tmp_path, TOY.replace("SEEDS = (0, 1)", "SEEDS = (0, 1)\nRATES = (1e-3, 1e-2)"))


def test_the_command_says_what_to_do_with_a_stale_run_and_fails(book: Path, monkeypatch, capsys):
    path = paths.chapters_dir() / "runs" / "toy.py"
    write_text(path, TOY.replace("hsk/sentences.jsonl.gz", "nothing.txt"))
    write_text(paths.data_dir() / "MANIFEST.toml", '[[file]]\npath = "nothing.txt"\nsha256 = "0"\n')
    made(runs.load_run(path))
    monkeypatch.setattr(runs, "clean_commit", lambda: "0" * 40)
    probe.store_probe(runs.load_run(path))
    monkeypatch.setattr(sys, "argv", ["llmbook", "run", "toy"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 0
    assert "toy: fresh" in capsys.readouterr().out
    path.write_text(path.read_text("utf-8") + "MORE = 1\n", encoding="utf-8")
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    said = capsys.readouterr()
    assert "toy: stale" in said.out
    assert "`llmbook run toy --renew` approves the receipts; else `llmbook run toy --again`" in said.err


def test_the_machines_places_are_each_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file in the system's temporary folder belongs to the user who made it, and others may not even open it."""
    run_file = toy(tmp_path).path
    assert runs.load_run(run_file).lock.name == f"llmbook-run-{os.getuid()}.lock"


def test_the_fingerprint_covers_the_package_and_the_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = toy(tmp_path)
    before = runs.fingerprint(run)
    own, packages = closure.PACKAGES, tmp_path / "src"
    shutil.copytree(own / "llmbook", packages / "llmbook", ignore=shutil.ignore_patterns("__pycache__"))
    loop = packages / "llmbook/training/loop.py"
    with loop.open("a", encoding="utf-8") as file:
        file.write("# a remark\n")
    monkeypatch.setattr(closure, "PACKAGES", packages)
    assert runs.fingerprint(run) == before
    with loop.open("a", encoding="utf-8") as file:
        file.write("CHANGE = 1\n")
    closure._module_fingerprint.cache_clear()
    assert runs.fingerprint(run) != before
    monkeypatch.setattr(closure, "PACKAGES", own)
    assert runs.fingerprint(run) == before
    monkeypatch.setattr(runs, "manifest", lambda: [{"path": "hsk/sentences.jsonl.gz", "sha256": "0"}])
    assert runs.fingerprint(run) != before


def test_run_again_puts_old_against_new(tmp_path: Path):
    run = toy(tmp_path)
    old = made(run)
    lines = repeated(run)
    new = read_receipts(run.receipts)
    assert {receipt.commit for receipt in new} == {"1" * 40}
    assert [receipt.metrics for receipt in new] == [receipt.metrics for receipt in old]
    mean = sum(receipt.metrics["2 wide"]["loss"] for receipt in new) / 2
    assert lines[0] == f"2 wide · loss: {mean:.6g} → {mean:.6g}"
    assert len(lines) == 4


def test_killed_at_any_step_it_goes_on_to_the_same_result_bit_for_bit(tmp_path: Path):
    (tmp_path / "whole").mkdir()
    whole = made(toy(tmp_path / "whole"))
    run = toy(tmp_path)
    victim = textwrap.dedent(f"""
        import time
        from pathlib import Path
        from llmbook.runs import running
        from llmbook.runs import run as runs
        run = runs.load_run(Path({str(run.path)!r}), receipts=Path({str(run.receipts)!r}), work=Path({str(run.work)!r}))
        def slowly(variant, made, total, loss):
            print(variant, made, flush=True)
            time.sleep(0.01)
        order = running.Order(command="llmbook run toy", commit="{"0" * 40}", on_step=slowly)
        for seed in running.missing_seeds(run):
            running.run_missing_seed(run, seed, order)
    """)
    rng = random.Random(time.time_ns())
    kills = 0
    for steps in [rng.randrange(5, 60) for _ in range(4)]:
        process = subprocess.Popen([sys.executable, "-c", victim], stdout=subprocess.PIPE, text=True)
        seen = [line for _ in range(steps) if (line := process.stdout.readline())]
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        kills += len(seen) == steps
    assert kills == 4, "each was killed while it ran"
    resumed = made(run)
    for a, b in zip(whole, resumed, strict=True):
        assert a.metrics == b.metrics, "bit for bit"
        assert a.curves == b.curves


def test_an_interrupted_run_again_drops_what_other_code_made(tmp_path: Path):
    run = toy(tmp_path)
    made(run)
    left = run.work.with_name("toy-again.jsonl")
    write_receipts(left, [replace(read_receipts(run.receipts)[0], fingerprint="other code", commit="2" * 40)])
    repeated(run)
    assert {receipt.commit for receipt in read_receipts(run.receipts)} == {"1" * 40}
    assert not left.exists()


WITH_WEIGHTS = (
    TOY
    + """

def export(model, config, folder):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.bin").write_text(f"{config.width} {sum(p.sum().item() for p in model.parameters()):.6f}")
"""
)
ENTRY = '[[file]]\npath = "weights/toy/toy.bin"\nlicence = "CC0-1.0"\nsha256 = "0"\nbytes = 0\nwhat = "toy"\n'


def test_new_weights_are_entered_into_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    manifest = tmp_path / "data" / "MANIFEST.toml"
    manifest.parent.mkdir()
    hsk = next(entry for entry in runs.manifest() if entry["path"] == "hsk/sentences.jsonl.gz")
    other = f'[[file]]\npath = "{hsk["path"]}"\nsha256 = "{hsk["sha256"]}"\nbytes = {hsk["bytes"]}\n\n'
    manifest.write_text(other + ENTRY, encoding="utf-8")
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    run = toy(tmp_path, WITH_WEIGHTS)
    receipts = made(run)
    content = (tmp_path / "data" / "weights" / "toy" / "toy.bin").read_bytes()
    assert content.decode() == f"4 {sum(receipts[0].metrics['4 wide']['weights']):.6f}", "the first seed's"
    sha256 = hashlib.sha256(content).hexdigest()
    text = manifest.read_text(encoding="utf-8")
    assert text == other + ENTRY.replace('sha256 = "0"\nbytes = 0', f'sha256 = "{sha256}"\nbytes = {len(content)}')
    assert [receipt.weights for receipt in receipts] == [{"toy.bin": sha256}, {}]


@pytest.mark.messages
def test_what_is_no_run_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="no recorded run 'absent'; there are"):
        runs.load_run(tmp_path / "absent.py")
    with pytest.raises(ValueError, match=r"toy\.py is no recorded run: it has no SEEDS, evaluate"):
        toy(tmp_path, TOY.replace("SEEDS", "SOWN").replace("def evaluate", "def judge"))
    with pytest.raises(ValueError, match=r"reads absent\.txt, which data/MANIFEST\.toml does not have"):
        runs.data_hashes(toy(tmp_path, TOY.replace("hsk/sentences.jsonl.gz", "absent.txt")))
    twice = TOY.replace(
        "    return model.eval()", "    fit(model, batches, loss=loss, optimizer=optimizer, max_steps=60, seed=1)\n" * 2
    )
    with pytest.raises(ValueError, match="train has to call fit once; it called it 3 times"):
        made(toy(tmp_path, twice))


@pytest.mark.messages
def test_a_damaged_file_of_receipts_is_refused(tmp_path: Path):
    run = toy(tmp_path)
    made(run)
    whole = run.receipts.read_text(encoding="utf-8")
    run.receipts.write_text(whole[:-40], encoding="utf-8")
    with pytest.raises(ValueError, match=r"toy.jsonl, line 2 is no receipt"):
        read_receipts(run.receipts)
    run.receipts.write_text(whole + whole, encoding="utf-8")
    with pytest.raises(ValueError, match=r"two receipts of one seed: \[0, 0, 1, 1\]"):
        read_receipts(run.receipts)
    run.receipts.write_text(json.dumps({"run": "toy"}) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 1 is no receipt"):
        read_receipts(run.receipts)


@pytest.mark.messages
def test_a_dirty_tree_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    with pytest.raises(ValueError, match="is no git checkout"):
        runs.clean_commit()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(tmp_path)]
    (tmp_path / "code.py").write_text("1", encoding="utf-8")
    for command in (["init", "-q"], ["add", "code.py"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *command], check=True)
    assert len(runs.clean_commit()) == 40
    (tmp_path / "data" / "runs").mkdir(parents=True)
    (tmp_path / "data" / "runs" / "toy.jsonl").write_text("", encoding="utf-8")
    assert len(runs.clean_commit()) == 40, "receipts of the run itself do not count"
    (tmp_path / "code.py").write_text("2", encoding="utf-8")
    with pytest.raises(ValueError, match=r"needs a clean tree; not committed: code\.py"):
        runs.clean_commit()


def test_an_interrupted_write_of_receipts_leaves_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    run = toy(tmp_path)
    receipts = made(run)

    def cut(*_):
        raise OSError("power cut")

    monkeypatch.setattr("llmbook.atomic.os.replace", cut)
    with pytest.raises(OSError, match="power cut"):
        write_receipts(run.receipts, [replace(receipts[0], seconds=1.0)])
    assert read_receipts(run.receipts) == receipts
