"""The command line of a sandbox: bubblewrap's namespaces and mounts, a user of its own, limits.

Book: §0
"""

import os
import secrets
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
FIRST_UID, LAST_UID = 200_000, 60_000_000
SOCKETS = "/run/judge"  # the folder of the kernel's sockets: a small file system in memory, on no disk
SHARED_BYTES = 1_000_000


@dataclass(frozen=True)
class Limits:
    """What a submission may use. Memory in MB, times in seconds, output and files in bytes.

    `scratch` and `entries` bound each temporary file system, `flood` what the judge itself may grow by while it
    listens; `counted` asks for a control group. `own` is for all cells that no answer rests on; `wall` is for the rest.
    """

    memory: int = 2_500
    address_space: int = 8_000
    processes: int = 64
    cpu: int = 120
    wall: float = 180.0
    own: float = 40.0
    cell: float = 20.0
    call: float = 10.0
    output: int = 1_000_000
    answer: int = 8_000_000
    file: int = 16_000_000
    files: int = 256
    scratch: int = 64_000_000
    entries: int = 20_000
    flood: int = 400_000_000
    restarts: int = 4
    counted: bool = True


@cache
def may_change_user() -> bool:
    """Whether this process can run another as any user: root can, the root of a container without other users can't."""
    if os.geteuid() != 0:
        return False
    tried = ["setpriv", "--reuid", str(LAST_UID), "--regid", str(LAST_UID), "--clear-groups", "true"]
    return subprocess.run(tried, capture_output=True, timeout=20, check=False).returncode == 0


def fresh_uid() -> int:
    """A user id that no process has: processes are counted by user."""
    taken = {process.info["uids"].real for process in psutil.process_iter(["uids"]) if process.info["uids"]}
    while (uid := FIRST_UID + secrets.randbelow(LAST_UID - FIRST_UID)) in taken:
        continue
    return uid


def variables(guest: str, home: str) -> dict[str, str]:
    """The environment of a kernel: nothing of this process's own."""
    return {
        "HOME": home,
        "LANG": "C.UTF-8",
        "PYTHONPATH": guest,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "IPYTHONDIR": f"{home}/.ipython",
        "MPLBACKEND": "agg",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }


def bwrap(guest: Path, limits: Limits, uid: int | None, *, rules: int, told: int) -> list[str]:
    """The command in front of the kernel's: namespaces, mounts, user, limits.

    Args:
        guest: the folder that is to be seen as /guest.
        uid: the user inside; None for a namespace of users.
        rules: descriptor from which the filter of system calls is read.
        told: descriptor to which bubblewrap writes the process under whose /proc/…/root this sandbox's files are.
    """
    spaces = ["ipc", "pid", "net", "uts", "cgroup-try"] + (["user"] if uid is None else [])
    command = ["bwrap", *(f"--unshare-{space}" for space in spaces)]
    command += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"]
    command += ["--seccomp", str(rules), "--info-fd", str(told)]
    for name, value in {**variables("/guest", "/tmp/home"), "PATH": "/usr/bin:/bin"}.items():
        command += ["--setenv", name, value]
    command += ["--proc", "/proc", "--dev", "/dev"]
    command += ["--perms", "0755", "--dir", "/run"]
    for place, size in (("/dev/shm", limits.scratch), ("/tmp", limits.scratch), (SOCKETS, SHARED_BYTES)):
        command += ["--size", str(size), "--perms", "1777", "--tmpfs", place]
    for path in map(Path, SYSTEM):
        if path.is_symlink():
            command += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            command += ["--ro-bind", str(path), str(path)]
    made = {Path("/"), Path("/tmp"), Path("/run"), *map(Path, SYSTEM)}
    for path in (Path(name) for name in ETC if Path(name).exists()):
        command += [*_parents(path, made), "--ro-bind", str(path), str(path)]
    for path in _python_folders():
        command += [*_parents(path, made), "--ro-bind", str(path), str(path)]
    command += ["--ro-bind", str(guest), "/guest", "--perms", "0777", "--dir", "/tmp/home"]
    command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/tmp/home", "--"]
    if uid is not None:
        user = ["--reuid", str(uid), "--regid", str(uid), "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
        command += [shutil.which("setpriv") or "setpriv", *user, "--"]
    bounds = {
        "as": limits.address_space * 1_000_000,
        "cpu": limits.cpu,
        "nproc": limits.processes,
        "fsize": limits.file,
        "nofile": limits.files,
        "core": 0,
    }
    return [
        *command,
        shutil.which("prlimit") or "prlimit",
        *(f"--{name}={value}" for name, value in bounds.items()),
        "--",
    ]


def _python_folders() -> list[Path]:
    """Where this Python and its packages lie, outside of what is bound anyway."""
    folders = {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)} | {Path(sys.prefix)}
    bound = tuple(f"{name}/" for name in SYSTEM)
    return sorted(folder for folder in folders if not f"{folder}/".startswith(bound))


def _parents(path: Path, made: set[Path]) -> list[str]:
    """Makes the folders above a mount with mode 0755; bubblewrap alone would make them 0700."""
    command = []
    for folder in reversed(path.parents):
        if folder not in made and not any(str(folder).startswith(f"{name}/") for name in SYSTEM):
            command += ["--perms", "0755", "--dir", str(folder)]
            made.add(folder)
    return command
