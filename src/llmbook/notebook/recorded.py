"""The receipts of a recorded run, as a chapter uses them.

Book: §1.2.1
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from llmbook import paths
from llmbook.receipts import Receipt, at_rate, read_receipts


@dataclass(frozen=True)
class Recorded:
    """A run that took too long for a notebook: its source, and one receipt a seed."""

    name: str
    source: Path
    receipts: tuple[Receipt, ...]
    sweep: tuple[Receipt, ...] = ()

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(receipt.seed for receipt in self.receipts)

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(self.receipts[0].metrics)

    @property
    def minutes(self) -> float:
        """Of all seeds together."""
        return sum(receipt.seconds for receipt in self.receipts) / 60

    def metric(self, variant: str, name: str) -> Float[np.ndarray, "seeds ..."]:
        """The metric's value, or list of values, for each seed.

        Raises:
            ValueError: no such variant, or no such metric of it.
        """
        for part, key, known in (("variant", variant, self.variants), ("metric", name, self._metrics(variant))):
            if key not in known:
                raise ValueError(f"the run {self.name} has no {part} {key!r}; it has {', '.join(map(repr, known))}")
        return np.array([receipt.metrics[variant][name] for receipt in self.receipts])

    def curve(self, variant: str) -> Float[np.ndarray, "seeds points"]:
        """The training loss of each seed, averaged over equally many updates a point."""
        return np.array([receipt.curves[variant] for receipt in self.receipts])

    def rates(self, variant: str) -> dict[float, float]:
        """The peak learning rates that the variant was tried with, and the validation loss of each, averaged over the sweep's seeds.

        Raises:
            ValueError: no such variant, or a run without a sweep.
        """
        tried: dict[float, list[float]] = {}
        for receipt in self.sweep:
            for name, config in receipt.configs.items():
                if name == at_rate(variant, config["peak"]):
                    tried.setdefault(config["peak"], []).append(receipt.metrics[name]["loss"])
        if not tried:
            raise ValueError(f"the run {self.name} swept no learning rates of {variant!r}")
        return {rate: sum(losses) / len(losses) for rate, losses in sorted(tried.items())}

    def rate(self, variant: str) -> float:
        """The peak learning rate that a variant was trained with."""
        return self.receipts[0].configs[variant]["peak"]

    def _metrics(self, variant: str) -> tuple[str, ...]:
        return tuple(self.receipts[0].metrics.get(variant, ()))


def recorded(name: str) -> Recorded:
    """The recorded run of this name: `chapters/runs/<name>.py` and `data/runs/<name>.jsonl`.

    Raises:
        ValueError: there is no such run, or it has no receipt yet.
    """
    source, path = paths.chapters_dir() / "runs" / f"{name}.py", paths.runs_dir() / f"{name}.jsonl"
    if not source.is_file():
        known = sorted(file.stem for file in source.parent.glob("*.py"))
        raise ValueError(f"there is no recorded run {name!r}; there are {', '.join(known) or 'none'}")
    receipts = read_receipts(path)
    if not receipts:
        raise ValueError(f"the run {name} has no receipts in {path}; make them with `llmbook run {name}`")
    return Recorded(name, source, tuple(receipts), tuple(read_receipts(path.with_suffix(".rates.jsonl"))))
