"""How fast this machine is now, beside the one on which the book's times and budgets were measured.

A chapter's seconds say as much of the machine as of the chapter: on one that is half as fast, or that other programs use too, they double.
A fixed piece of work is therefore timed now and then while a chapter runs. Budgets are held in seconds of the machine of reference, and the
bounds of timing claims are widened by as much as the machine was slower when it was slowest.

Book: §0
"""

import time

REFERENCE_SECONDS = (
    0.165  # what `REPEATS` times the work took on a core of the machine of reference, with nothing else running
)
REPEATS = 3


def work() -> None:
    """What chapters do: matrix products of two sizes, many small operations, plain Python."""
    import torch  # takes seconds, which a command that executes nothing need not wait
    from torch import nn

    generator = torch.Generator().manual_seed(0)
    wide, narrow = (torch.randn(size, size, generator=generator) for size in (384, 32))
    for _ in range(20):
        wide = nn.functional.normalize(wide @ wide, dim=-1)
    for _ in range(1500):
        narrow = nn.functional.normalize(narrow @ narrow, dim=-1)
    sum(number * number for number in range(300_000))


def slowness() -> float:
    """Seconds that the work takes here on one core, beside those of reference: 2 on a machine half as fast."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        start = time.perf_counter()
        for _ in range(REPEATS):
            work()
        return (time.perf_counter() - start) / REFERENCE_SECONDS
    finally:
        torch.set_num_threads(threads)
