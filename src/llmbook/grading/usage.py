"""What the processes of a sandbox hold in memory, counted from outside where no control group counts it.

Book: §0
"""

import os
from collections.abc import Iterable
from pathlib import Path

ENTRY = 1_000  # bytes of the kernel's for a file or folder in memory, whatever is in it
ANONYMOUS = "/dev/zero (deleted)"  # how the kernel names memory that processes share without a file


def held(processes: Iterable[int], systems: Iterable[Path]) -> int:
    """Bytes: memory of the processes' own, memory that they share without a file, and what lies in temporary file systems.

    Memory that is shared is counted whole as soon as it is asked for: a process can fill it and drop it from its own count.

    Leaves out: buffers of the kernel (pipes, sockets), which the limits of processes and files bound.
    """
    own, shared = 0, {}
    for process in processes:
        own += _own(process)
        shared.update(_shared(process))
    return own + sum(shared.values()) + sum(size + ENTRY * entries for size, entries in map(filled, systems))


def filled(system: Path) -> tuple[int, int]:
    """Bytes and entries (files and folders, linked or not) of a temporary file system; zeros if it is gone."""
    try:
        facts = os.statvfs(system)
    except OSError:
        return 0, 0
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize, max(0, facts.f_files - facts.f_ffree - 1)


def _own(process: int) -> int:
    for line in _lines(process, "smaps_rollup"):
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1]) * 1024
    return 0


def _shared(process: int) -> dict[str, int]:
    """Size by inode of the mappings that are shared without a file."""
    found: dict[str, int] = {}
    for line in _lines(process, "maps"):
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and parts[1][3:4] == "s" and parts[5] == ANONYMOUS:
            start, end = (int(part, 16) for part in parts[0].split("-"))
            found[parts[4]] = found.get(parts[4], 0) + end - start
    return found


def _lines(process: int, name: str) -> list[str]:
    try:
        return Path(f"/proc/{process}/{name}").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
