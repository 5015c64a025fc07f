"""Whose turn it is in a checkout: commands that write below `build/` do so one at a time, and say who is at work.

Book: §0
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from llmbook.atomic import write_text


@contextmanager
def turn(folder: Path, what: str) -> Iterator[None]:
    """Keeps `folder` to this process while the block lasts. The lock ends with the process, however that ends.

    Raises:
        ValueError: another process has it; the message says which command, and its number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / ".turn"
    lock = filelock.FileLock(f"{holder}.lock", timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        who = holder.read_text(encoding="utf-8").strip() if holder.is_file() else "another command"
        raise ValueError(
            f"{who} is at work in {folder.parent}; two at once would spoil each other's files: wait for it"
        ) from None
    try:
        write_text(holder, f"`{what}` (process {os.getpid()})\n")
        yield
    finally:
        lock.release()
