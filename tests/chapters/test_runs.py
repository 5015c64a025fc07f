"""Every recorded run still does what its receipts say: its probe passes, and one cheap seed comes out again."""

import dataclasses
import datetime
import json

import numpy as np
import pytest
import torch

from llmbook import paths
from llmbook.receipts import read_receipts
from llmbook.runs import probe
from llmbook.runs import run as runs
from llmbook.training import fit

RUNS = [path.stem for path in runs.run_files()]
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
def test_every_seed_has_a_receipt_of_these_settings(name: str):
    for run in runs.parts(run_named(name)):
        receipts = read_receipts(run.receipts)
        configs = {variant: dataclasses.asdict(config) for variant, config in run.configs.items()}
        assert [receipt.seed for receipt in receipts] == sorted(run.seeds)
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
