"""One training loop for every model of the book.

Book: §1.2.1
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from llmbook.tokenizers import Tokenizer
from llmbook.training.checkpoint import folder_in_force, load_checkpoint, restore_generators, save_checkpoint
from llmbook.training.losses import MeanLoss

Loss = Callable[[nn.Module, Any], Tensor | MeanLoss]


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
    rate schedule(step). With a checkpoint in the folder it goes on from there, and the outcome equals, bit for bit, that of a run that was
    never interrupted.

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
        ValueError: `max_steps` or `accumulate` below 1, `clip` not positive, a checkpoint of more than `max_steps` updates, a loss
            that is no scalar or the mean of nothing.
    """
    require_settings(max_steps, accumulate, clip)
    if checkpoint is not None and not isinstance(checkpoint, Checkpoints):
        checkpoint = Checkpoints(checkpoint)
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
                group["lr"] = schedule(step)

        optimizer.zero_grad()
        first = step * accumulate
        parts = (batches(number) for number in range(first, first + accumulate))
        value = accumulate_gradients(model, parts, loss=loss, autocast=autocast)
        norm = gradient_norm(model)
        if clip is not None:
            nn.utils.clip_grads_with_norm_(model.parameters(), clip, norm)
        optimizer.step()

        rate = float(optimizer.param_groups[0]["lr"])
        updates.append((value, rate, norm.item(), time.perf_counter() - start))
        if on_step is not None:
            on_step(step, value)
        made = step + 1
        if checkpoint is not None and (made % checkpoint.every == 0 or made == max_steps):
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
    """Puts model, optimizer and generators where the checkpoint left them; gives the records of the updates made."""
    saved = load_checkpoint(checkpoint.folder)
    model.load_state_dict(saved.model)
    if saved.optimizer is None:
        raise ValueError(f"{saved.folder} holds no optimizer state, so training cannot go on from it")
    optimizer.load_state_dict(saved.optimizer)
    restore_generators(saved.generators)
    return saved.extra["updates"]


def with_count(loss: Tensor | MeanLoss) -> MeanLoss:
    """A loss with its count, which is 1 for a scalar.

    Raises:
        ValueError: it is neither, or the mean of nothing.
    """
    if isinstance(loss, Tensor) and loss.numel() == 1:
        loss = MeanLoss(loss.reshape(()), 1)
    if not isinstance(loss, MeanLoss):
        found = f"of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"that is a {type(loss).__name__}"
        raise ValueError(f"loss(model, batch) gave a loss {found}; expected a scalar tensor or a MeanLoss")
    if loss.count < 1:
        raise ValueError(f"loss(model, batch) gave a mean over {loss.count} things; expected at least 1")
    return loss


def require_settings(max_steps: int, accumulate: int, clip: float | None) -> None:
    """Raises ValueError unless at least one update of at least one batch is asked for, and a positive bound."""
    if max_steps < 1 or accumulate < 1 or (clip is not None and clip <= 0):
        raise ValueError(
            f"expected max_steps >= 1, accumulate >= 1, clip > 0; "
            f"got max_steps {max_steps}, accumulate {accumulate}, clip {clip}"
        )
