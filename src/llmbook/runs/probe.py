"""The probe of a recorded run: three updates whose every number has to come out as stored, so that a receipt cannot outlive its code.

Clipping is set to bind and warm-up is passed over, so that a change of either shows. All is computed in float64, where processors and
thread counts differ by about 1e-13 only: in float32 Adam's step, g / |g| at first, makes noise out of gradients that should be zero, such
as those of the keys' biases.

Book: §1.2.1
"""

import json
import math
import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from llmbook.atomic import write_text
from llmbook.committed import read_json
from llmbook.runs.run import THREADS, Run
from llmbook.training import History, fit

STEPS, LIMIT, TOLERANCE = 3, 8, 1e-5
CLIP_FACTOR = 1e-3


def probe(run: Run) -> dict[str, Any]:
    """Losses, gradient and update norms by kind of parameter, schedule, and the run's own evaluation, of each variant."""
    torch.set_num_threads(THREADS)
    seed = run.seeds[0]
    found: dict[str, Any] = {}
    for name, config in run.module.CONFIGS.items():
        if run.is_measured:
            with float64_by_default():
                found[name] = {"metrics": run.module.measure(config, seed, limit=LIMIT)}
        else:
            seen: dict[str, Any] = {}
            model = run.module.train(config, seed, fit=observing_fit(seen))
            found[name] = seen | {"metrics": run.module.evaluate(model, config, limit=LIMIT)}
            if run.rates:
                found[name]["validation"] = run.module.validate(model, config, limit=LIMIT)
            if run.is_followed:
                found[name]["followed"] = run.module.follow(model, config, limit=LIMIT)
    return found


@contextmanager
def float64_by_default() -> Iterator[None]:
    """While the context lasts, models are made, and so weights loaded, in float64."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def observing_fit(seen: dict[str, Any]) -> Callable[..., History]:
    """A `fit` that makes three updates from the middle of the schedule, in float64, and notes what it sees."""

    def observing(
        model: nn.Module,
        batches: Callable[[int], Any],
        *,
        optimizer: torch.optim.Optimizer,
        max_steps: int,
        schedule: Callable[[int], float] | None = None,
        clip: float | None = None,
        autocast: torch.dtype | None = None,
        **settings: Any,
    ) -> History:
        model.double()
        before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        seen.update(autocast=str(autocast), max_steps=max_steps, gradients=[], updates=[])
        if schedule is not None:
            seen["schedule"] = [schedule(step * (max_steps - 1) // (STEPS - 1)) for step in range(STEPS)]

        def note(step: int, loss: float) -> None:
            parameters = dict(model.named_parameters())
            seen["gradients"].append(norms({name: p.grad for name, p in parameters.items() if p.grad is not None}))
            seen["updates"].append(norms({name: p.detach() - before[name] for name, p in parameters.items()}))
            before.update({name: parameter.detach().clone() for name, parameter in parameters.items()})

        history = fit(
            model,
            batches,
            optimizer=optimizer,
            max_steps=STEPS,
            schedule=None if schedule is None else lambda step: schedule(max_steps // 2 + step),
            clip=None if clip is None else clip * CLIP_FACTOR,
            on_step=note,
            **settings,
        )
        seen["losses"] = list(history.losses)
        return history

    return observing


def norms(tensors: dict[str, torch.Tensor]) -> dict[str, float]:
    """Euclidean norms by kind of parameter: the name without the layer's number."""
    squares: defaultdict[str, float] = defaultdict(float)
    for name, tensor in tensors.items():
        squares[re.sub(r"\.\d+(?=\.)", "", name)] += tensor.square().sum().item()
    return {kind: math.sqrt(square) for kind, square in squares.items()}


def differences(stored: Any, found: Any, place: str = "") -> list[str]:
    """Where two probes differ by more than the tolerance, relative to the value."""
    if isinstance(stored, dict) and isinstance(found, dict):
        if stored.keys() != found.keys():
            return [f"{place or 'probe'}: has {', '.join(sorted(found))}; stored are {', '.join(sorted(stored))}"]
        return [line for key in stored for line in differences(stored[key], found[key], f"{place}/{key}".strip("/"))]
    if isinstance(stored, list) and isinstance(found, list):
        lines = [f"{place}: has {len(found)} entries; stored are {len(stored)}"] if len(stored) != len(found) else []
        pairs = enumerate(zip(stored, found, strict=False))
        return lines or [line for index, (a, b) in pairs for line in differences(a, b, f"{place}[{index}]")]
    if isinstance(stored, (int, float)) and isinstance(found, (int, float)):
        if math.isclose(stored, found, rel_tol=TOLERANCE, abs_tol=1e-9) or (math.isnan(stored) and math.isnan(found)):
            return []
    elif stored == found:
        return []
    return [f"{place}: {found}; stored is {stored}"]


def probe_findings(run: Run) -> list[str]:
    """What a probe of the run as it is now gives otherwise than the stored one.

    Raises:
        ValueError: no probe is stored.
    """
    if not run.probe_file.exists():
        raise ValueError(f"the run {run.name} has no stored probe {run.probe_file}; `llmbook run {run.name}` makes it")
    return differences(read_json(run.probe_file), json.loads(json.dumps(probe(run))))


def store_probe(run: Run) -> None:
    write_text(run.probe_file, json.dumps(probe(run), indent=1) + "\n")
