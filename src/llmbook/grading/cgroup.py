"""A control group for a sandbox: the kernel itself counts its memory, its processes and its share of the processor.

Memory is counted whole: what processes hold, what lies in their temporary file systems, shared memory, buffers of the kernel. The first
version of the interface (a hierarchy a controller) and the second (one for all) are both known. A group can be had where this process may
make one below its own, or below the nearest group above that hands the controllers on: as root, or where the system delegates.

Kernel documentation: admin-guide/cgroup-v1, admin-guide/cgroup-v2.rst.

Book: §0
"""

import os
import secrets
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from llmbook.grading.bubblewrap import Limits

MOUNT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
PERIOD = 100_000  # microseconds over which the share of the processor is reckoned
OTHERS = 16  # processes of the sandbox itself
PREFIX = "llmbook-judge-"


@dataclass(frozen=True)
class Group:
    """A group that was made: its folder by controller, the same one for all in the second version."""

    folders: dict[str, Path]
    second: bool

    def entering(self, command: list[str]) -> list[str]:
        """The command, run by a shell that first puts itself into the group."""
        files = " ".join(f"'{folder}/cgroup.procs'" for folder in sorted(set(self.folders.values())))
        return [
            "/bin/sh",
            "-c",
            f'for one in {files}; do echo $$ > "$one" || exit 120; done; exec "$@"',
            "sh",
            *command,
        ]

    def ran_out(self) -> bool:
        """Whether the kernel has ended a process of the group for its memory."""
        file = self.folders["memory"] / ("memory.events" if self.second else "memory.oom_control")
        return _numbers(file).get("oom_kill", 0) > 0

    def used(self) -> int:
        """Bytes that cannot be given back: of processes, of temporary files, of shared memory."""
        facts = _numbers(self.folders["memory"] / "memory.stat")
        if self.second:
            return facts.get("anon", 0) + facts.get("shmem", 0) + facts.get("kernel", 0)
        kernel = _number(self.folders["memory"] / "memory.kmem.usage_in_bytes")
        return facts.get("total_rss", 0) + facts.get("total_shmem", 0) + kernel

    def cpu_seconds(self) -> float:
        """Processor time of all its processes, those that have ended too."""
        if self.second:
            return _numbers(self.folders["cpu"] / "cpu.stat").get("usage_usec", 0) / 1e6
        return _number(self.folders["cpuacct"] / "cpuacct.usage") / 1e9

    def close(self) -> None:
        """Removes the group; its processes have ended."""
        end = time.monotonic() + 2
        for folder in set(self.folders.values()):
            while folder.is_dir():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > end:
                        break
                    time.sleep(0.01)


def make_group(limits: Limits, *, mount: Path = MOUNT, own: Path = OWN) -> Group | None:
    """A new group with these limits, or None where none is to be had."""
    name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    memory, share = str(limits.memory * 1_000_000), str(PERIOD)
    second = (mount / "cgroup.controllers").exists()
    if second:
        parent = _second(mount, own)
        parents = dict.fromkeys(("memory", "pids", "cpu"), parent) if parent else {}
        settings = {
            "memory": {"memory.max": memory, "memory.swap.max": "0"},
            "pids": {"pids.max": str(limits.processes + OTHERS)},
            "cpu": {"cpu.max": f"{share} {share}"},
        }
    else:
        parents = _first(mount, own)
        settings = {
            "memory": {"memory.limit_in_bytes": memory, "memory.memsw.limit_in_bytes": memory},
            "pids": {"pids.max": str(limits.processes + OTHERS)},
            "cpuacct": {},
            "cpu": {"cpu.cfs_period_us": share, "cpu.cfs_quota_us": share},
        }
    if not parents:
        return None
    _sweep(set(parents.values()))
    group = Group({controller: parent / name for controller, parent in parents.items()}, second)
    try:
        for controller, folder in group.folders.items():
            folder.mkdir(exist_ok=True)
            for file, value in settings[controller].items():
                if "sw" not in file or (folder / file).exists():  # swap is not counted everywhere
                    (folder / file).write_text(value)
        entered = subprocess.run(group.entering(["true"]), capture_output=True, check=False).returncode == 0
    except OSError:
        entered = False
    if not entered:  # no such file, no right to set it, or none to move a process there
        group.close()
        return None
    return group


def _second(mount: Path, own: Path) -> Path | None:
    """The nearest group, from this process's own upward, that hands on the three controllers and lets this user make groups."""
    line = next((line for line in _lines(own) if line.startswith("0::")), "0::/")
    here = mount / line.removeprefix("0::").lstrip("/")
    for folder in (here, *here.parents):
        handed = (
            (folder / "cgroup.subtree_control").read_text().split()
            if (folder / "cgroup.subtree_control").exists()
            else []
        )
        if {"memory", "pids", "cpu"} <= set(handed) and os.access(folder, os.W_OK):
            return folder
        if folder == mount:
            break
    return None


def _first(mount: Path, own: Path) -> dict[str, Path]:
    """This process's own folder by controller; empty unless there are all of them and this user may make groups in each."""
    found = {}
    for line in _lines(own):
        names, path = line.split(":", 2)[1:]
        for name in names.split(","):
            # in a container the path may be that of the machine outside
            places = [mount / name / path.lstrip("/"), mount / name]
            found[name] = next((place for place in places if place.is_dir()), mount / "none")
    wanted = {name: found.get(name, mount / "none") for name in ("memory", "pids", "cpuacct", "cpu")}
    usable = all(os.access(place, os.W_OK) and (place / "cgroup.procs").exists() for place in wanted.values())
    return wanted if usable else {}


def _sweep(parents: set[Path]) -> None:
    """Removes what judges left that were killed: empty groups whose process is gone."""
    for folder in [path for parent in parents for path in parent.glob(f"{PREFIX}*")]:
        pid = folder.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            try:
                folder.rmdir()
            except OSError:
                continue


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _numbers(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _lines(path))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _number(path: Path) -> int:
    return int(path.read_text()) if path.exists() else 0
