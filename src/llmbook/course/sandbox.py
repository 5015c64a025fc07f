"""A sandbox for a kernel that runs somebody else's code: bubblewrap, a user of its own, limits, and a watch over memory and time.

Inside there is Python with its packages, read-only, an empty home, and one folder with the kernel's sockets; no network, no
other process, no file of the book or of the course. Outside, nothing is changed but the folder that was made here.

Book: §0
"""

import json
import os
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

GUEST = Path(__file__).with_name("guest.py")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/fonts", "/etc/localtime")
NEEDED = ("bwrap", "setpriv", "prlimit")
FIRST_UID, LAST_UID = 200_000, 60_000_000
STUB = '''"""In the sandbox: what a released notebook imports. The checks themselves are elsewhere."""


def check(exercise_id, lang=None):
    print("checked when graded:", exercise_id)


def solution(exercise_id):
    print("not here")
'''


class SandboxError(RuntimeError):
    """The sandbox could not be made, or its kernel did not start."""


@dataclass(frozen=True)
class Limits:
    """What a submission may use. Memory in MB, times in seconds, output and files in bytes."""

    memory: int = 2_500
    address_space: int = 8_000
    processes: int = 64
    cpu: int = 120
    wall: float = 180.0
    cell: float = 20.0
    call: float = 10.0
    output: int = 1_000_000
    answer: int = 8_000_000
    file: int = 16_000_000
    files: int = 256
    scratch: int = 64_000_000
    restarts: int = 4


def why_no_sandbox() -> str | None:
    """Why code cannot be isolated on this machine, or None: something is missing, or the kernel refuses namespaces."""
    if sys.platform != "linux":
        return "bubblewrap isolates on Linux only"
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not found; install the packages bubblewrap and util-linux"
    tried = subprocess.run(
        ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return None if tried.returncode == 0 else f"bwrap cannot make namespaces here: {tried.stderr.strip()[:200]}"


@contextmanager
def private_folder() -> Iterator[Path]:
    """A new folder that only this user can enter, removed afterwards.

    Raises:
        SandboxError: what mkdtemp made is not this user's own folder with mode 0700.
    """
    folder = Path(tempfile.mkdtemp(prefix="llmbook-judge-"))
    try:
        require_private(folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def require_private(folder: Path) -> None:
    """Raises SandboxError unless `folder` is a real folder of this user with mode 0700."""
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) != 0o700:
        raise SandboxError(f"{folder} is not a folder of this user with mode 0700")


class Kernel:
    """One kernel in one sandbox. `stopped` says why it is gone: "time", "memory", "dead", or None while it lives."""

    def __init__(self, folder: Path, limits: Limits, *, trusted: bool = False):
        require_private(folder)
        self.limits = limits
        self.stopped: str | None = None
        self.peak = 0
        self.sockets, self.guest = folder / "sockets", folder / "guest"
        self.sockets.mkdir(mode=0o700)
        (self.guest / "llmbook").mkdir(parents=True)
        (self.guest / "llmbook" / "__init__.py").write_text("")
        (self.guest / "llmbook" / "course.py").write_text(STUB)
        shutil.copyfile(GUEST, self.guest / "llmbook_guest.py")
        inside = {"sockets": str(self.sockets), "guest": str(self.guest)}
        if not trusted:
            inside = {"sockets": "/run/judge", "guest": "/guest"}
        self.connection: dict[str, Any] = {
            "transport": "ipc",
            "ip": f"{self.sockets}/k",
            "signature_scheme": "hmac-sha256",
            "key": secrets.token_hex(16),
            "kernel_name": "python3",
            **{f"{name}_port": number for number, name in enumerate(("shell", "iopub", "stdin", "control", "hb"), 1)},
        }
        (self.guest / "connection.json").write_text(json.dumps(self.connection | {"ip": f"{inside['sockets']}/k"}))
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", f"{inside['guest']}/connection.json"]
        home = folder / "home"
        home.mkdir(mode=0o700)
        if trusted:
            self.uid = None
            wrapped, variables = command, {**_variables(inside["guest"], str(home)), "PATH": os.environ.get("PATH", "")}
        else:
            self.uid = _fresh_uid() if os.geteuid() == 0 else None
            if self.uid is not None:
                os.chown(self.sockets, self.uid, self.uid)
            wrapped, variables = [*_bwrap(self.sockets, self.guest, limits, self.uid), *command], {"PATH": os.defpath}
        self._errors = folder / "stderr"
        with self._errors.open("wb") as errors:  # bounded too: the limit of files is one of the process that writes
            self.process = subprocess.Popen(
                wrapped,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=variables,
                cwd=home,
                start_new_session=True,
            )
        self._deadline = time.monotonic() + limits.wall
        self._watch = threading.Thread(target=self._keep_watch, daemon=True)
        self._watch.start()

    def wait_until_listening(self, seconds: float = 60.0) -> None:
        """Waits until the kernel has made its sockets; nobody connects before.

        Raises:
            SandboxError: it did not, or it ended.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            if all((self.sockets / f"k-{number}").is_socket() for number in (1, 2, 4)):
                return
            time.sleep(0.02)
        said = self._errors.read_bytes()[-500:].decode(errors="replace")
        self.kill("dead")
        raise SandboxError(f"the kernel did not start: {said}")

    def kill(self, reason: str) -> None:
        """Ends everything in the sandbox; the first reason is kept."""
        self.stopped = self.stopped or reason
        for child in self._family():
            try:
                child.kill()
            except psutil.Error:
                continue
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _family(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.Error:
            return []

    def _keep_watch(self) -> None:
        while self.process.poll() is None:
            used = 0
            for one in self._family():
                try:
                    used += one.memory_info().rss
                except psutil.Error:
                    continue
            self.peak = max(self.peak, used)
            if used > self.limits.memory * 1e6:
                self.kill("memory")
            elif time.monotonic() > self._deadline:
                self.kill("time")
            time.sleep(0.1)
        self.stopped = self.stopped or "dead"


def _fresh_uid() -> int:
    """A user id that no process has: processes are counted by user."""
    taken = {process.info["uids"].real for process in psutil.process_iter(["uids"]) if process.info["uids"]}
    while (uid := FIRST_UID + secrets.randbelow(LAST_UID - FIRST_UID)) in taken:
        continue
    return uid


def _variables(guest: str, home: str) -> dict[str, str]:
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


def _bwrap(sockets: Path, guest: Path, limits: Limits, uid: int | None) -> list[str]:
    """The command in front of the kernel's: namespaces, mounts, user, limits."""
    spaces = ["ipc", "pid", "net", "uts", "cgroup-try"] + (["user"] if uid is None else [])
    command = ["bwrap", *(f"--unshare-{space}" for space in spaces)]
    command += ["--die-with-parent", "--new-session", "--hostname", "sandbox", "--clearenv"]
    for name, value in {**_variables("/guest", "/tmp/home"), "PATH": "/usr/bin:/bin"}.items():
        command += ["--setenv", name, value]
    command += [
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--size",
        str(limits.scratch),
        "--perms",
        "1777",
        "--tmpfs",
        "/dev/shm",
    ]
    command += ["--size", str(limits.scratch), "--perms", "1777", "--tmpfs", "/tmp"]
    for path in map(Path, SYSTEM):
        if path.is_symlink():
            command += ["--symlink", os.readlink(path), str(path)]
        elif path.is_dir():
            command += ["--ro-bind", str(path), str(path)]
    made = {Path("/"), Path("/tmp"), *map(Path, SYSTEM)}
    for path in (Path(name) for name in ETC if Path(name).exists()):
        command += [*_parents(path, made), "--ro-bind", str(path), str(path)]
    for path in _python_folders():
        command += [*_parents(path, made), "--ro-bind", str(path), str(path)]
    command += [
        "--perms",
        "0755",
        "--dir",
        "/run",
        "--bind",
        str(sockets),
        "/run/judge",
        "--ro-bind",
        str(guest),
        "/guest",
    ]
    command += [
        "--perms",
        "0777",
        "--dir",
        "/tmp/home",
        "--remount-ro",
        "/dev",
        "--remount-ro",
        "/",
        "--chdir",
        "/tmp/home",
        "--",
    ]
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
