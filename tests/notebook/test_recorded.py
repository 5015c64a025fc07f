"""The receipts of a recorded run, as a chapter reads them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from IPython.utils.capture import capture_output

from llmbook import paths
from llmbook.notebook import recorded, show
from llmbook.receipts import Receipt, write_receipts

RECEIPT = Receipt(
    run="toy", seed=3, configs={"a": {"width": 1}}, metrics={"a": {"loss": 0.5, "by length": [1.0, 2.0]}},
    curves={"a": [3.0, 2.0]}, fingerprint="0", command="", commit="", versions={}, cpu="", threads=1, load=0.1,
    data={}, weights={}, seconds=90.0, peak_mb=1, finished="2026-01-01",
)  # fmt: skip


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    (tmp_path / "chapters" / "runs").mkdir(parents=True)
    (tmp_path / "chapters" / "runs" / "toy.py").write_text("STEPS = 1\n", encoding="utf-8")
    return tmp_path


def test_metrics_come_one_a_seed_in_order_of_the_seeds(book: Path):
    other = replace(RECEIPT, seed=1, metrics={"a": {"loss": 0.25, "by length": [3.0, 4.0]}})
    write_receipts(paths.runs_dir() / "toy.jsonl", [RECEIPT, other])
    run = recorded("toy")
    assert run.seeds == (1, 3)
    assert run.variants == ("a",)
    assert run.minutes == 3.0
    np.testing.assert_array_equal(run.metric("a", "loss"), [0.25, 0.5])
    np.testing.assert_array_equal(run.metric("a", "by length"), [[3, 4], [1, 2]])
    np.testing.assert_array_equal(run.curve("a"), [[3, 2], [3, 2]])


def test_show_displays_the_run_s_source(book: Path):
    write_receipts(paths.runs_dir() / "toy.jsonl", [RECEIPT])
    with capture_output() as captured:
        show(recorded("toy"))
    (output,) = captured.outputs
    assert output.data["text/markdown"] == "`chapters/runs/toy.py`\n\n```python\nSTEPS = 1\n```"


@pytest.mark.messages
def test_what_is_not_there_is_named(book: Path):
    with pytest.raises(ValueError, match="no recorded run 'heads'; there are toy"):
        recorded("heads")
    with pytest.raises(ValueError, match=r"the run toy has no receipts in .*; make them with `llmbook run toy`"):
        recorded("toy")
    write_receipts(paths.runs_dir() / "toy.jsonl", [RECEIPT])
    with pytest.raises(ValueError, match="has no variant 'b'; it has 'a'"):
        recorded("toy").metric("b", "loss")
    with pytest.raises(ValueError, match="has no metric 'lost'; it has 'loss', 'by length'"):
        recorded("toy").metric("a", "lost")
