"""What autograd keeps between the forward pass and the backward pass, measured.

Book: §1.3.2
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks


@dataclass(frozen=True)
class SavedTensors:
    """The storages that a backward pass needs: the shape under which each was first saved, and its bytes."""

    storages: tuple[tuple[tuple[int, ...], int], ...]

    @property
    def total(self) -> int:
        """All bytes."""
        return sum(size for _, size in self.storages)


def saved_tensors(compute: Callable[[], Tensor], *, apart_from: Iterable[Tensor] = ()) -> SavedTensors:
    """What the forward pass `compute` leaves in memory for its backward pass.

    The derivative of a b is (b, a): an operation that is differentiated keeps some of its inputs or its output, until the backward
    pass has gone through it. PyTorch shows each to a hook. Several operations may keep the same storage, or views of it (a transpose,
    a slice): it is counted once, and whole.

    Args:
        compute: gives what would be differentiated, a loss for instance.
        apart_from: tensors whose storage is in memory anyway and isn't counted: the parameters, the batch.

    Returns:
        Bytes in all, and shape and bytes of each storage, in the order in which they were saved.

    Raises:
        ValueError: what `compute` gives is no tensor that can be differentiated.

    Leaves out: what lives for a moment only (a result that no derivative needs, the gradients of intermediate results), what the
    allocator takes beyond the tensors' own bytes, and what an operation keeps past autograd.
    """
    known = {tensor.untyped_storage().data_ptr() for tensor in apart_from}
    saved: dict[int, Tensor] = {}  # holds the tensors, so that no address is given to another meanwhile

    def keep(tensor: Tensor) -> Tensor:
        address = tensor.untyped_storage().data_ptr()
        if address not in known:
            saved.setdefault(address, tensor.detach())
        return tensor.detach()

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        result = compute()
    if not (isinstance(result, Tensor) and result.requires_grad):
        found = (
            f"a tensor of shape {tuple(result.shape)} without gradient" if isinstance(result, Tensor) else repr(result)
        )
        raise ValueError(f"compute() gave {found}; expected a tensor that requires a gradient")
    return SavedTensors(tuple((tuple(tensor.shape), tensor.untyped_storage().nbytes()) for tensor in saved.values()))
