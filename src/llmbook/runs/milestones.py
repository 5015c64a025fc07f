"""What a training gives on its way, noted as it passes.

Book: §1.1.1
"""

import json
from pathlib import Path
from typing import Any

from torch import nn

from llmbook.atomic import write_text
from llmbook.runs.run import Run


class Milestones:
    """What a run's `follow` says of a model on the way, in a file, so that an interruption loses none of it."""

    def __init__(self, run: Run, config: Any, path: Path):
        self.run, self.config, self.path = run, config, path

    def pass_(self, model: nn.Module, updates: int) -> None:
        if self.run.is_followed and updates in self.run.module.MILESTONES:
            device = next(model.parameters()).device
            metrics = self.run.module.follow(model.to("cpu").eval(), self.config)
            model.to(device)
            write_text(self.path, json.dumps(self.known() | {str(updates): metrics}) + "\n")

    def known(self) -> dict[str, dict[str, float]]:
        return json.loads(self.path.read_text(encoding="utf-8")) if self.path.exists() else {}

    def metrics(self) -> dict[str, list[float]]:
        """A list for each number of `follow`, over the milestones."""
        if not self.run.is_followed:
            return {}
        found = [self.known()[str(updates)] for updates in self.run.module.MILESTONES]
        return {f"{name} followed": [metrics[name] for metrics in found] for name in found[0]}
