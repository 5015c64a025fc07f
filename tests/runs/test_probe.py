"""The probe of a recorded run notices what the metrics of a long run would hide.

Each planted change is one that a careless edit could make: in the package (by replacing a function) or in the run's source.
"""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

import llmbook.evaluation
from llmbook import paths
from llmbook.nn import causal_mask
from llmbook.runs import probe
from llmbook.runs import run as runs

HEADS = paths.chapters_dir() / "runs" / "heads.py"
VARIANT = "4 heads"


def probed(path: Path) -> dict:
    """The probe of one variant, which is enough and saves time."""
    run = runs.load_run(path)
    for name in set(run.configs) - {VARIANT}:
        del run.configs[name]
    return probe.probe(run)


@pytest.fixture(scope="module")
def stored() -> dict:
    return probed(HEADS)


def test_the_same_code_gives_the_same_numbers(stored: dict):
    assert probe.differences(stored, probed(HEADS)) == []
    assert len(stored[VARIANT]["losses"]) == len(stored[VARIANT]["schedule"]) == probe.STEPS
    assert any("query" in kind for kind in stored[VARIANT]["gradients"][0])


def test_another_number_of_threads_gives_the_same_numbers(stored: dict, monkeypatch: pytest.MonkeyPatch):
    before = torch.get_num_threads()
    monkeypatch.setattr(probe, "THREADS", 2)
    try:
        assert probe.differences(stored, probed(HEADS)) == []
    finally:
        torch.set_num_threads(before)


def unscaled(query: Tensor, key: Tensor, value: Tensor, *, mask: Tensor | None = None, **_: object) -> Tensor:
    scores = query @ key.mT
    return (scores if mask is None else scores.masked_fill(~mask, -math.inf)).softmax(dim=-1) @ value


def no_positions(max_seq_len: int, d_model: int, **_: float) -> Tensor:
    return torch.zeros(max_seq_len, d_model)


def sees_the_future(query_len: int, key_len: int | None = None) -> Tensor:
    return torch.ones_like(causal_mask(query_len, key_len))


def never_clips(*_: object) -> None:
    return None


@pytest.mark.parametrize(
    ("place", "planted"),
    [
        ("llmbook.nn.multi_head.scaled_dot_product_attention", unscaled),
        ("llmbook.nn.sinusoidal.sinusoidal_encoding", no_positions),
        ("llmbook.models.transformer.causal_mask", sees_the_future),
        ("llmbook.training.loop.nn.utils.clip_grads_with_norm_", never_clips),
    ],
)
def test_a_change_planted_in_the_package_is_noticed(
    stored: dict, monkeypatch: pytest.MonkeyPatch, place: str, planted: Callable
):
    monkeypatch.setattr(place, planted)
    assert probe.differences(stored, probed(HEADS))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(0.9, 0.98)", "(0.9, 0.999)"),
        ("clip=config.clip", "clip=None"),
        ("warmup_steps: int = 100", "warmup_steps: int = 50"),
        ("dropout: float = 0.1", "dropout: float = 0.0"),
        (".test", ".validation"),
        ("return model.eval()", "return model"),
    ],
    ids=["a beta", "no clipping", "warm-up", "no dropout", "evaluated on another part", "evaluated with dropout"],
)
def test_a_change_planted_in_the_run_is_noticed(stored: dict, tmp_path: Path, old: str, new: str):
    source = HEADS.read_text(encoding="utf-8")
    assert old in source
    changed = tmp_path / "heads.py"
    changed.write_text(source.replace(old, new), encoding="utf-8")
    assert probe.differences(stored, probed(changed))


def test_a_changed_evaluation_in_the_package_is_noticed(stored: dict, monkeypatch: pytest.MonkeyPatch):
    honest = llmbook.evaluation.pinyin_accuracy

    def generous(predictions: list, pairs: list, **settings: object) -> object:
        return honest([pair.syllables for pair in pairs], pairs, **settings)

    monkeypatch.setattr(llmbook.evaluation, "pinyin_accuracy", generous)
    assert probe.differences(stored, probed(HEADS))


def test_differences_are_relative_and_name_their_place():
    assert probe.differences({"a": [1.0, 2e-4]}, {"a": [1.0 + 5e-6, 2e-4 * (1 + 5e-6)]}) == []
    assert probe.differences({"a": [1.0, 2e-4]}, {"a": [1.0, 2e-4 * (1 + 2e-5)]}) == [
        f"a[1]: {2e-4 * (1 + 2e-5)}; stored is 0.0002"
    ]
    assert probe.differences({"a": 1.0}, {"b": 1.0}) == ["probe: has b; stored are a"]
    assert probe.differences([1.0], [1.0, 2.0], "losses") == ["losses: has 2 entries; stored are 1"]
    assert probe.differences(float("nan"), float("nan")) == []
    assert probe.differences(1.0, float("nan")) != []
    assert probe.differences("torch.bfloat16", "None") != []
