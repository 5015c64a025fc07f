"""A measured result over several seeds, with the interval in which its mean lies; and what a recorded run leaves behind.

Book: §1.1.2
"""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmbook.atomic import write_text

CLAIM_TYPE = "application/vnd.llmbook.claim+json"  # under which a notebook's output carries a claim


@dataclass(frozen=True)
class Result:
    """Values of one quantity, one per seed; their mean and Student's interval, or no interval where there is one value."""

    values: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None
    unit: str = ""

    @property
    def n(self) -> int:
        return len(self.values)

    @classmethod
    def of(cls, values: Sequence[float], *, unit: str = "", confidence: float = 0.95) -> "Result":
        """mean ± t · s / √n, with s² = Σ (x − mean)² / (n − 1) and t the quantile of Student's distribution (Student 1908).

        For two methods that share seeds, pass the differences seed by seed: the interval is then that of the paired test.

        Raises:
            ValueError: no value.
        """
        numbers = tuple(float(value) for value in values)
        if not numbers:
            raise ValueError("a result needs at least one value; got none")
        n, mean = len(numbers), statistics.fmean(numbers)
        if n == 1:
            return cls(numbers, mean, None, None, unit)
        variance = sum((value - mean) ** 2 for value in numbers) / (n - 1)
        half = student_t_quantile((1 + confidence) / 2, n - 1) * math.sqrt(variance / n)
        return cls(numbers, mean, mean - half, mean + half, unit)


def student_t_quantile(p: float, degrees: int) -> float:
    """The t with P(T ≤ t) = p, by bisection on the angle θ = arctan(t / √ν).

    Raises:
        ValueError: p outside [0.5, 1) or less than one degree of freedom.
    """
    if not 0.5 <= p < 1 or degrees < 1:
        raise ValueError(f"expected 0.5 <= p < 1 and at least 1 degree of freedom; got p = {p}, degrees = {degrees}")
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        angle = (low + high) / 2
        if central_probability(angle, degrees) < 2 * p - 1:
            low = angle
        else:
            high = angle
    return math.sqrt(degrees) * math.tan(angle)


def central_probability(angle: float, degrees: int) -> float:
    """P(|T| ≤ √ν tan θ) for Student's T with ν degrees of freedom.

    A finite sum in c = cos θ, s = sin θ (Abramowitz and Stegun 1964, equations 26.7.3 and 26.7.4):
    for even ν, s · (1 + 1/2 c² + 1·3/(2·4) c⁴ + … to c^(ν−2));
    for odd ν, 2/π · (θ + s · (c + 2/3 c³ + 2·4/(3·5) c⁵ + … to c^(ν−2))).
    """
    cos, sin = math.cos(angle), math.sin(angle)
    odd = degrees % 2
    term, total = (cos if odd else 1.0), 0.0
    for k in range(1 + odd, degrees, 2):
        total += term
        term *= k / (k + 1) * cos**2
    return 2 / math.pi * (angle + sin * total) if odd else sin * total


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What one seed of a recorded run left behind: a line of `data/runs/<name>.jsonl`.

    `configs` and `metrics` are by the variant's name, `curves` hold the loss averaged over pieces of the training.
    """

    run: str
    seed: int
    configs: dict[str, dict[str, Any]]
    metrics: dict[str, dict[str, Any]]
    curves: dict[str, list[Any]]
    fingerprint: str
    command: str
    commit: str
    versions: dict[str, str]
    cpu: str
    threads: int
    load: float
    data: dict[str, str]
    weights: dict[str, str]
    seconds: float
    peak_mb: float
    finished: str
    device: str = "cpu"


def read_receipts(path: Path) -> list[Receipt]:
    """The receipts of a file, by seed; none where there is no file.

    Raises:
        ValueError: a line that is no receipt, or two of one seed.
    """
    receipts = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines() if path.exists() else (), start=1):
        try:
            receipts.append(Receipt(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}, line {number} is no receipt of a recorded run: {error}") from error
    seeds = [receipt.seed for receipt in receipts]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"{path} has two receipts of one seed: {sorted(seeds)}")
    return sorted(receipts, key=lambda receipt: receipt.seed)


def write_receipts(path: Path, receipts: Sequence[Receipt]) -> None:
    """Replaces the file by these receipts in one step, so that a crash leaves the old ones or the new ones."""
    lines = [
        json.dumps(asdict(receipt), ensure_ascii=False) + "\n" for receipt in sorted(receipts, key=lambda r: r.seed)
    ]
    write_text(path, "".join(lines))
