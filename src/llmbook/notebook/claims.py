"""A claim: a number that the prose may quote because a run has just produced it.

A claim never raises on a broken bound: it says whether it holds. `make test` fails on one that doesn't, a reader's `make book` marks it as
*differs here*.

Book: §1.2.1
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from IPython.display import display

from llmbook.notebook.recorded import Recorded
from llmbook.results import CLAIM_TYPE, Result, written


@dataclass(frozen=True)
class Claim:
    """A measured value with its interval and the bounds that it must keep."""

    id: str
    values: tuple[float, ...]
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    equals: float | None = None
    tolerance: float | None = None
    recorded: dict[str, Any] | None = None
    timing: bool = False
    digits: int | None = None

    @property
    def result(self) -> Result:
        return Result.of(self.values, unit=self.unit)

    @property
    def holds(self) -> bool:
        """Whether the mean keeps every bound."""
        mean = self.result.mean
        return (
            math.isfinite(mean)
            and (self.at_least is None or mean >= self.at_least)
            and (self.at_most is None or mean <= self.at_most)
            and (self.equals is None or abs(mean - self.equals) <= (self.tolerance or 0.0))
        )

    @property
    def text(self) -> str:
        """The value as the chapter's table shows it, e.g. "94.3% (93.1–95.5)"."""
        return written(self.result, digits=self.digits)

    @property
    def bound(self) -> str:
        """The bounds in words of mathematics, e.g. "≥ 90"."""
        parts = [
            f"{sign} {value:g}"
            for sign, value in (("≥", self.at_least), ("≤", self.at_most), ("=", self.equals))
            if value is not None
        ]
        margin = f" ± {self.tolerance:g}" if self.tolerance else ""
        return " ∧ ".join(parts) + margin

    def bundle(self) -> dict:
        """The output that a notebook keeps: the claim as data, and a line of text."""
        data = {
            **asdict(self),
            "values": list(self.values),
            "text": self.text,
            "bound": self.bound,
            "holds": self.holds,
        }
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        return {CLAIM_TYPE: data, "text/plain": f"claim {self.id}: {self.text} [{self.bound}] {verdict}"}


def claim(
    claim_id: str,
    values: float | Sequence[float] | np.ndarray,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    equals: float | None = None,
    tolerance: float | None = None,
    unit: str = "",
    run: Recorded | None = None,
    timing: bool = False,
    digits: int | None = None,
) -> None:
    """States that a measured value keeps its bound; the cell's output carries value, interval, unit.

    Args:
        claim_id: the point and a name, "1.2.2/score-variance".
        values: one value, or one per seed (for two methods that share seeds: the differences).
        at_least, at_most, equals: the bound; at least one is needed, else the claim could not fail.
        tolerance: how far the mean may lie from `equals`; without `equals`, how far from the stored value in a later run.
        unit: "%", "×", or a unit that both languages write alike.
        run: the recorded run that the values come from; without one they come from this notebook.
        timing: the values come from times taken just now, which a busy machine distorts; tests widen the bound by as much as the machine is
            slower than the one of reference.
        digits: how many significant digits the value is written with; without, those that its interval deserves.

    Raises:
        ValueError: no value, more than one dimension, no bound, less than one digit, or an id without a point.
    """
    point, _, name = claim_id.partition("/")
    if point.count(".") != 2 or not name:
        raise ValueError(f"claim id {claim_id!r}: expected a point and a name, such as '1.2.2/score-variance'")
    if at_least is None and at_most is None and equals is None:
        raise ValueError(f"claim {claim_id!r} has no bound; give at_least, at_most or equals")
    if digits is not None and digits < 1:
        raise ValueError(f"claim {claim_id!r}: digits is {digits}; expected at least 1")
    array = np.atleast_1d(np.asarray(values, dtype=float))
    if array.ndim != 1 or not array.size:
        raise ValueError(f"claim {claim_id!r} needs one value, or one a seed; got an array of shape {array.shape}")
    source = None if run is None else {"run": run.name, "seeds": len(run.seeds), "minutes": round(run.minutes, 1)}
    made = Claim(claim_id, tuple(array.tolist()), unit, at_least, at_most, equals, tolerance, source, timing, digits)
    display(made.bundle(), raw=True)
