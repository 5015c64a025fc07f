"""Claims: bounds, text, what is emitted."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from IPython.utils.capture import capture_output

from llmbook.notebook import Claim, Recorded, claim
from llmbook.receipts import Receipt
from llmbook.results import CLAIM_TYPE

RECEIPT = Receipt(
    run="heads", seed=0, configs={"1 head": {}}, metrics={"1 head": {"loss": 0.5, "by length": [1.0, 2.0]}},
    curves={"1 head": [3.0, 2.0]}, fingerprint="0", command="", commit="", versions={}, cpu="", threads=1, load=0.1,
    data={}, weights={}, seconds=90.0, peak_mb=1, finished="2026-01-01",
)  # fmt: skip


def emitted(*args: object, **kwargs: object) -> dict:
    """The data of the one claim that this call displays."""
    with capture_output() as captured:
        claim(*args, **kwargs)
    (output,) = captured.outputs
    return output.data[CLAIM_TYPE]


def test_a_claim_emits_value_bound_and_verdict():
    data = emitted("1.2.2/ratio", 3.14159, at_least=3.0, unit="×")
    assert data["holds"]
    assert data["text"] == "3.14×"
    assert data["bound"] == "≥ 3"
    assert data["values"] == [3.14159]


@pytest.mark.parametrize(
    ("bounds", "holds"),
    [
        ({"at_least": 2.0}, True),
        ({"at_least": 2.1}, False),
        ({"at_most": 2.0}, True),
        ({"at_most": 1.9}, False),
        ({"equals": 2.0}, True),
        ({"equals": 2.1, "tolerance": 0.05}, False),
        ({"equals": 2.1, "tolerance": 0.2}, True),
        ({"at_least": 1.0, "at_most": 1.5}, False),
    ],
)
def test_the_mean_is_held_to_the_bound(bounds: dict, holds: bool):
    assert Claim("1.1.1/x", (1.5, 2.5), **bounds).holds is holds


def test_a_broken_claim_does_not_raise_but_says_so():
    data = emitted("1.1.1/x", 1.0, at_least=2.0)
    assert data["holds"] is False


def test_digits_are_kept_for_whoever_writes_the_value():
    data = emitted("1.1.1/x", 1_438_884, equals=1_438_884, digits=3)
    assert (data["digits"], data["text"], data["values"]) == (3, "1,440,000", [1_438_884])


def test_nan_keeps_no_bound():
    assert not Claim("1.1.1/x", (float("nan"),), at_most=1.0).holds


@pytest.mark.messages
def test_a_claim_that_could_not_fail_or_has_no_point_is_refused():
    with pytest.raises(ValueError, match="has no bound; give at_least, at_most or equals"):
        claim("1.2.1/x", 1.0)
    with pytest.raises(ValueError, match="expected a point and a name"):
        claim("accuracy", 1.0, at_least=0.0)
    with pytest.raises(ValueError, match=r"needs one value, or one a seed; got an array of shape \(0,\)"):
        claim("1.2.1/x", [], at_least=0.0)
    with pytest.raises(ValueError, match="digits is 0; expected at least 1"):
        claim("1.2.1/x", 1.0, at_least=0.0, digits=0)


def test_a_claim_from_a_recorded_run_says_which():
    run = Recorded("heads", Path("heads.py"), (RECEIPT, replace(RECEIPT, seed=1)))
    data = emitted("1.2.3/x", run.metric("1 head", "loss") - 1, at_most=0.0, run=run)
    assert data["recorded"] == {"run": "heads", "seeds": 2, "minutes": 3.0}
    assert data["values"] == [-0.5, -0.5]
    assert emitted("1.2.3/x", 1.0, at_least=0.0)["recorded"] is None


@pytest.mark.messages
def test_a_matrix_is_no_claim():
    with pytest.raises(ValueError, match=r"one value, or one a seed; got an array of shape \(2, 2\)"):
        claim("1.2.3/x", np.zeros((2, 2)), at_least=0)
