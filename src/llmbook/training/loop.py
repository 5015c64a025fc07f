"""One training loop for every model of the book.

Book: §1.2.1
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from llmbook.checks import require_positive
from llmbook.tokenizers import Tokenizer
from llmbook.training.checkpoint import (
    folder_in_force,
    load_checkpoint,
    require_savable,
    restore_generators,
    save_checkpoint,
)
from llmbook.training.losses import MeanLoss

Loss = Callable[[nn.Module, Any], Tensor | MeanLoss]


class DivergedError(ValueError):
    """A loss or a norm that is not finite."""


@dataclass(frozen=True)
class History:
    """One entry an update: the loss, the learning rate, the gradient's norm before clipping, the seconds it took."""

    losses: tuple[float, ...]
    learning_rates: tuple[float, ...]
    grad_norms: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Checkpoints:
    """Where `fit` saves and from where it goes on: every `every` updates and at the end."""

    folder: Path | str
    every: int = 100
    config: Any = None
    tokenizer: Tokenizer | None = None


def fit(
    model: nn.Module,
    batches: Callable[[int], Any],
    *,
    loss: Loss,
    optimizer: torch.optim.Optimizer,
    schedule: Callable[[int], float] | None = None,
    max_steps: int,
    clip: float | None = None,
    accumulate: int = 1,
    autocast: torch.dtype | None = None,
    on_step: Callable[[int, float], None] | None = None,
    checkpoint: Checkpoints | Path | str | None = None,
    seed: int,
) -> History:
    """Trains until `max_steps` updates have been made, those before an interruption counted.

    Each update: g = ∇θ of the mean loss over `accumulate` batches together; g ← g · min(1, clip / ‖g‖); the optimizer's step with the
    rate schedule(step). A loss or a norm that is not finite ends the training before it reaches the model. With a checkpoint in the
    folder it goes on from there, and the outcome equals, bit for bit, that of a run that was never interrupted.

    Args:
        batches: from the number of a batch to the batch; it must not depend on what was asked before.
        loss: from model and batch to a `MeanLoss`, or to a scalar, which counts once however large its batch is. Batches of different
            size (in real tokens, not in rows) need the first, or accumulating them is not the same as one big batch.
        schedule: from the update's number, 0 for the first, to the learning rate of all parameters; by default the optimizer's own.
        clip: largest norm of the gradient of all parameters together.
        accumulate: batches an update; update s takes those from s · accumulate on.
        autocast: the type that matrix products are computed in, such as torch.bfloat16.
        on_step: called after each update with its number and its loss.
        checkpoint: a folder, or more exactly a `Checkpoints`.
        seed: for torch's global generator, from which dropout draws.

    Leaves out: several processes, loss scaling for float16, evaluation on the way (`on_step` may do it).

    Raises:
        ValueError: before any work: `max_steps`, `accumulate` or `every` below 1, `clip` not positive, no function where one is asked
            for, nothing to train, a checkpoint of another model or optimizer or of more than `max_steps` updates, or one that can't be
            saved. On the way: a loss that is no scalar, follows from no parameter or is the mean of nothing; a learning rate that is none;
            with the step's number and the last checkpoint, a loss, a gradient or, when they are saved, parameters that are not finite.
    """
    require_positive(max_steps=max_steps, accumulate=accumulate)
    require_clip(clip)
    require_functions(batches=batches, loss=loss, schedule=schedule, on_step=on_step)
    require_trainable(model, optimizer)
    if checkpoint is not None:
        checkpoint = checkpoint if isinstance(checkpoint, Checkpoints) else Checkpoints(checkpoint)
        require_plan(checkpoint, model)
    torch.manual_seed(seed)
    updates: list[Sequence[float]] = []
    if checkpoint is not None and folder_in_force(Path(checkpoint.folder)) is not None:
        updates = resume(checkpoint, model, optimizer)
    if len(updates) > max_steps:
        raise ValueError(f"the checkpoint has {len(updates)} updates already; max_steps is {max_steps}")

    for step in range(len(updates), max_steps):
        start = time.perf_counter()
        model.train()
        if schedule is not None:
            for group in optimizer.param_groups:
                group["lr"] = scheduled(schedule, step)

        optimizer.zero_grad()
        first = step * accumulate
        parts = (batches(number) for number in range(first, first + accumulate))
        value = accumulate_gradients(model, parts, loss=loss, autocast=autocast)
        norm = gradient_norm(model)
        found = {"the loss": value, "the gradient's norm": norm.item()}
        require_finite(found, "this update is not made", step, max_steps, checkpoint)
        if clip is not None:
            nn.utils.clip_grads_with_norm_(model.parameters(), clip, norm)
        optimizer.step()

        rate = float(optimizer.param_groups[0]["lr"])
        updates.append((value, rate, norm.item(), time.perf_counter() - start))
        if on_step is not None:
            on_step(step, value)
        made = step + 1
        if checkpoint is not None and (made % checkpoint.every == 0 or made == max_steps):
            require_finite(greatest(model), "this model is not saved", step, max_steps, checkpoint)
            save_checkpoint(
                checkpoint.folder,
                model=model,
                config=checkpoint.config,
                step=made,
                optimizer=optimizer,
                tokenizer=checkpoint.tokenizer,
                extra={"updates": updates},
            )
    losses, rates, norms, seconds = zip(*updates, strict=True)
    return History(losses, rates, norms, seconds)


def accumulate_gradients(
    model: nn.Module, batches: Iterable[Any], *, loss: Loss, autocast: torch.dtype | None = None
) -> float:
    """Adds to the parameters' empty `grad` the gradient of the mean loss L over all batches together, and gives L.

    With means Lᵢ over nᵢ things, L = Σ nᵢ Lᵢ / Σ nᵢ. A graph is freed by its backward pass, so that only one batch's is in memory; but
    Σ nᵢ is known only after the last. So what is differentiated is wᵢ Lᵢ with wᵢ = nᵢ / n₁, and the sum is divided by Σ wᵢ at the end:
    the weights stay near 1, and a single batch's gradient is untouched, to the last bit. (To count first, one would have to hold all
    batches, and to know what a loss will count.)
    """
    device_type = next(model.parameters()).device.type
    first_count, total_weight, total = None, 0.0, 0.0
    for batch in batches:
        with torch.autocast(device_type, dtype=autocast, enabled=autocast is not None):
            part = with_count(loss(model, batch))
        first_count = first_count or part.count
        weight = part.count / first_count
        (weight * part.mean).backward()
        total_weight += weight
        total += weight * part.mean.item()
    for gradient in gradients(model):
        gradient.div_(total_weight)
    return total / total_weight


def gradient_norm(model: nn.Module) -> Tensor:
    """‖g‖ of all parameters together, in float32 where they have half precision: float16 would end at 65,504."""
    return nn.utils.get_total_norm([g.to(torch.promote_types(g.dtype, torch.float32)) for g in gradients(model)])


def gradients(model: nn.Module) -> list[Tensor]:
    """Those of the parameters that have one."""
    return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]


def resume(checkpoint: Checkpoints, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[Sequence[float]]:
    """Puts model, optimizer and generators where the checkpoint left them; gives the records of the updates made.

    Raises:
        ValueError: the checkpoint is damaged, was not saved by `fit`, or is that of another model or optimizer.
    """
    saved = load_checkpoint(checkpoint.folder)
    updates = saved.extra.get("updates")
    if not isinstance(updates, list) or len(updates) != saved.step:
        raise ValueError(f"{saved.folder} was not saved by fit: it holds no record of {saved.step} updates")
    if saved.optimizer is None:
        raise ValueError(f"{saved.folder} holds no optimizer state, so training cannot go on from it")
    for what, owner, state in (("model", model, saved.model), ("optimizer", optimizer, saved.optimizer)):
        try:
            owner.load_state_dict(state)
        except (RuntimeError, ValueError, KeyError) as error:
            raise ValueError(f"{saved.folder} is that of another {what}: {error}") from error
    restore_generators(saved.generators)
    return updates


def greatest(model: nn.Module) -> dict[str, float]:
    """Of each parameter the greatest absolute value, NaN if one of them is."""
    return {name: value.detach().abs().max().item() for name, value in model.named_parameters() if value.numel()}


def scheduled(schedule: Callable[[int], float], step: int) -> float:
    """The learning rate of an update.

    Raises:
        ValueError: it is none.
    """
    rate = schedule(step)
    if not isinstance(rate, Real) or not 0 <= rate < math.inf:
        raise ValueError(f"schedule({step}) is {rate}; expected a finite learning rate >= 0")
    return rate


def with_count(loss: Tensor | MeanLoss) -> MeanLoss:
    """A loss with its count, which is 1 for a scalar.

    Raises:
        ValueError: it is neither, follows from no parameter, or is the mean of nothing.
    """
    mean, count = (loss.mean, loss.count) if isinstance(loss, MeanLoss) else (loss, 1)
    if not isinstance(mean, Tensor) or mean.numel() != 1:
        found = f"of shape {tuple(mean.shape)}" if isinstance(mean, Tensor) else f"that is a {type(mean).__name__}"
        raise ValueError(f"loss(model, batch) gave a loss {found}; expected a scalar tensor or a MeanLoss")
    if not mean.requires_grad or mean.is_complex():
        raise ValueError(
            f"loss(model, batch) gave a loss of {mean.dtype}, requires_grad {mean.requires_grad}; "
            "expected a real number that follows from the model's parameters"
        )
    if not 1 <= count < math.inf:
        raise ValueError(f"loss(model, batch) gave a mean over {count} things; expected at least 1")
    return MeanLoss(mean.reshape(()), count)


def require_finite(
    numbers: Mapping[str, float], so: str, step: int, max_steps: int, checkpoint: Checkpoints | None
) -> None:
    """Raises DivergedError, which says from where training can go on, if one of these is NaN or infinite."""
    for name, number in numbers.items():
        if not math.isfinite(number):
            saved = None if checkpoint is None else folder_in_force(Path(checkpoint.folder))
            where = "there is no checkpoint" if saved is None else f"the last checkpoint is {saved}"
            raise DivergedError(
                f"training stops at step {step} of {max_steps} (the first is 0): {name} is {number}, so {so}; {where}"
            )


def require_clip(clip: float | None) -> None:
    """Raises ValueError unless the bound, where there is one, is positive and finite."""
    if clip is not None and not (isinstance(clip, Real) and 0 < clip < math.inf):
        raise ValueError(f"clip is {clip}; expected a finite number > 0, or None")


def require_plan(checkpoint: Checkpoints, model: nn.Module) -> None:
    """Raises ValueError unless it saves now and then, and something that can be saved."""
    require_positive(every=checkpoint.every)
    require_savable(model, checkpoint.config, 0, checkpoint.tokenizer)


def require_functions(**functions: Callable | None) -> None:
    """Raises ValueError unless each, where it is given, can be called."""
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise ValueError(f"{name} is a {type(function).__name__}; expected a function")


def require_trainable(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Raises ValueError unless the optimizer holds a parameter of the model that requires a gradient."""
    trained = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    if not trained:
        raise ValueError("the model has no parameter that requires a gradient: there is nothing to train")
    if trained.isdisjoint(id(parameter) for group in optimizer.param_groups for parameter in group["params"]):
        raise ValueError("the optimizer holds none of the model's parameters that require a gradient")
