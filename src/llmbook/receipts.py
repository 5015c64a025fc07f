"""What a recorded run leaves behind: a receipt a seed.

Book: §1.1.2
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmbook.atomic import write_text


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


def at_rate(variant: str, rate: float) -> str:
    """What a variant is called in the sweep of a run's learning rates."""
    return f"{variant} at {rate:g}"


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
