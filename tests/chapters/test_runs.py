"""Every recorded run still does what its receipts say: its probe passes, and one cheap seed comes out again."""

import dataclasses
import datetime
import json
import re

import numpy as np
import pytest
import torch

from llmbook import paths
from llmbook.receipts import read_receipts
from llmbook.runs import probe
from llmbook.runs import run as runs
from llmbook.training import fit

RUNS = [path.stem for path in runs.run_files()]
CHAPTERS = "".join(path.read_text(encoding="utf-8") for path in paths.chapters_dir().rglob("*.md"))
IN_USE = set(re.findall(r'recorded\("(\w+)"\)', CHAPTERS))
CHEAP = "heads"


@pytest.fixture(autouse=True)
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def run_named(name: str) -> runs.Run:
    return runs.load_run(paths.chapters_dir() / "runs" / f"{name}.py")


@pytest.mark.probes
@pytest.mark.parametrize("name", RUNS)
def test_the_probe_gives_the_stored_numbers(name: str):
    assert probe.probe_findings(run_named(name)) == []


@pytest.mark.parametrize("name", RUNS)
def test_receipts_are_of_these_settings_and_a_run_in_use_has_all_of_them(name: str):
    """One that goes on over several sittings may be committed with what it has, as long as no chapter uses it."""
    for run in runs.parts(run_named(name)):
        receipts = read_receipts(run.receipts)
        configs = {variant: dataclasses.asdict(config) for variant, config in run.configs.items()}
        made = [receipt.seed for receipt in receipts]
        assert made == sorted(run.seeds) if name in IN_USE else set(made) <= set(run.seeds)
        for receipt in receipts:
            assert receipt.run == run.name
            assert receipt.configs == json.loads(json.dumps(configs))
            assert receipt.metrics.keys() == run.configs.keys()
            assert receipt.data == runs.data_hashes(run)
            if receipt.weights:
                assert receipt.weights == runs.weights_hashes(run.weights)
            assert len(receipt.commit) == 40


@pytest.mark.probes
def test_one_seed_of_the_cheap_run_a_different_one_each_day_comes_out_again():
    run = run_named(CHEAP)
    receipts = read_receipts(run.receipts)
    choices = [(variant, receipt) for receipt in receipts for variant in run.configs]
    variant, receipt = choices[datetime.date.today().toordinal() % len(choices)]
    torch.set_num_threads(runs.THREADS)
    model = run.module.train(run.configs[variant], receipt.seed, fit=fit)
    found = run.module.evaluate(model, run.configs[variant])
    for name, value in found.items():
        values = np.array([other.metrics[variant][name] for other in receipts])
        allowed = 4 * values.std(ddof=1) + 1e-9
        assert abs(value - receipt.metrics[variant][name]) <= allowed, (variant, receipt.seed, name)
