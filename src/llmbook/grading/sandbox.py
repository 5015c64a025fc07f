"""A sandbox for a kernel that runs somebody else's code: bubblewrap, a user of its own, limits, and a watch over memory and time.

Inside there is Python with its packages, read-only, an empty home, and temporary file systems in memory, one of them for the kernel's
sockets; no network, no other process, no file of the book or of the course, and of the system's calls those that exercises need.
Outside, nothing is changed but the folder that was made here, into which nobody inside can write.

Book: §0
"""

import json
import os
import platform
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from llmbook.grading.bubblewrap import SOCKETS, Limits, bwrap, fresh_uid, may_change_user, variables
from llmbook.grading.cgroup import make_group
from llmbook.grading.seccomp import program, why_no_filter
from llmbook.grading.usage import filled, held

INSIDE = {  # sent along, under these names
    "llmbook_guest.py": "exercises/guest.py",
    "llmbook_kernel.py": "grading/guest_kernel.py",
}
NEEDED = ("bwrap", "setpriv", "prlimit")
REFUSED_SOCKET = (
    "import socket\ntry: socket.socket(socket.AF_INET)\nexcept OSError: raise SystemExit(0)\nraise SystemExit(9)"
)
STUB = '''"""In the sandbox: what a released notebook imports. The checks themselves are elsewhere."""


def check(exercise_id, lang=None):
    print("checked when graded:", exercise_id)


def solution(exercise_id):
    print("not here")
'''
NO_DEBUGGER = 'raise ImportError("the kernel\'s debugger would listen on the network; there is none here")\n'


class SandboxError(RuntimeError):
    """The sandbox could not be made, or its kernel did not start."""


def why_no_sandbox() -> str | None:
    """Why code cannot be isolated on this machine, or None: something is missing, or the kernel refuses namespaces or the filter."""
    if sys.platform != "linux":
        return "bubblewrap isolates on Linux only"
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if lacking:
        return f"{', '.join(lacking)} not found; install the packages bubblewrap and util-linux"
    if reason := why_no_filter(platform.machine()):
        return reason
    with tempfile.TemporaryFile() as rules:
        rules.write(program())
        rules.seek(0)
        tried = subprocess.run(
            [
                *("bwrap", "--unshare-all", "--seccomp", str(rules.fileno()), "--ro-bind", "/", "/", "--proc", "/proc"),
                *(sys.executable, "-I", "-S", "-c", REFUSED_SOCKET),
            ],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            pass_fds=[rules.fileno()],
        )
    if tried.returncode == 9:
        return "the kernel takes the filter of system calls and does not keep to it"
    return None if tried.returncode == 0 else f"bwrap cannot make namespaces here: {tried.stderr.strip()[:200]}"


@cache
def why_uncounted() -> str | None:
    """What of a submission's memory cannot be counted on this machine, or None where a control group counts all of it."""
    group = make_group(Limits())
    if group is not None:
        group.close()
        return None
    return (
        "no control group can be made here, so memory is looked at ten times a second, what the kernel keeps in pipes and sockets is not "
        "counted, and one submission may slow down another"
    )


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
    """One kernel in one sandbox. `stopped` says why it is gone: "time", "memory", "output", "dead", or None while it lives."""

    def __init__(self, folder: Path, limits: Limits, *, trusted: bool = False):
        require_private(folder)
        self.limits, self.folder, self.trusted = limits, folder, trusted
        self.stopped: str | None = None
        self.peak = 0
        self.root: Path | None = None  # the sandbox's files, seen from here
        self._cpu: dict[int, float] = {}
        self._before = psutil.Process().memory_info().rss
        self.group = make_group(limits) if limits.counted and not trusted else None
        home, sockets = _folder(folder / "home"), _folder(folder / "sockets")
        guest = self._guest(str(sockets) if trusted else SOCKETS)
        command = [sys.executable, "-P", "-m", "llmbook_kernel"]
        if trusted:
            environment = {**variables(str(guest), str(home)), "PATH": os.environ.get("PATH", "")}
            self._start([*command, str(guest / "connection.json")], environment, home)
            return
        uid = fresh_uid() if may_change_user() else None
        (folder / "rules").write_bytes(program())
        with (folder / "rules").open("rb") as rules, (folder / "told").open("wb") as told:
            inside = bwrap(guest, limits, uid, rules=rules.fileno(), told=told.fileno())
            wrapped = [*inside, *command, "/guest/connection.json"]
            if self.group is not None:
                wrapped = self.group.entering(wrapped)
            self._start(wrapped, {"PATH": os.defpath}, home, keep=[rules.fileno(), told.fileno()])

    def _guest(self, sockets: str) -> Path:
        """The folder that the sandbox sees as /guest: readable by whoever it runs as, whatever this process's umask."""
        guest = _folder(self.folder / "guest", 0o755)
        self.connection: dict[str, Any] = {
            "transport": "ipc",
            "ip": f"{sockets}/k",
            "signature_scheme": "hmac-sha256",
            "key": secrets.token_hex(16),
            "kernel_name": "python3",
            **{f"{name}_port": number for number, name in enumerate(("shell", "iopub", "stdin", "control", "hb"), 1)},
        }
        _folder(guest / "llmbook", 0o755)
        texts = {
            "llmbook/__init__.py": "",
            "llmbook/course.py": STUB,
            "debugpy.py": NO_DEBUGGER,
            **{name: (Path(__file__).parents[1] / own).read_text(encoding="utf-8") for name, own in INSIDE.items()},
            "connection.json": json.dumps(self.connection),
        }
        for name, text in texts.items():
            (guest / name).write_text(text, encoding="utf-8")
            (guest / name).chmod(0o644)
        return guest

    def _start(self, command: list[str], environment: dict[str, str], home: Path, keep: Sequence[int] = ()) -> None:
        self._errors = self.folder / "stderr"
        with self._errors.open("wb") as errors:  # bounded too: the limit of files is one of the process that writes
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
                cwd=home,
                start_new_session=True,
                pass_fds=keep,
            )
        self._deadline = time.monotonic() + self.limits.wall
        self._watch = threading.Thread(target=self._keep_watch, daemon=True)
        self._watch.start()

    def wait_until_listening(self, seconds: float = 60.0) -> None:
        """Waits until the kernel has made its sockets; nobody connects before.

        Raises:
            SandboxError: it did not, or it ended.
        """
        end, root = time.monotonic() + seconds, None
        while time.monotonic() < end and self.process.poll() is None:
            if root is None and not self.trusted and (process := self._told()):
                root = Path(f"/proc/{process}/root")
                self.connection["ip"] = f"{root}{SOCKETS}/k"
            known = self.trusted or root is not None
            if known and all(Path(f"{self.connection['ip']}-{number}").is_socket() for number in (1, 2, 4)):
                self.root = root  # only now: before bubblewrap has changed it, its root is this machine's
                return
            time.sleep(0.02)
        said = self._errors.read_bytes()[-500:].decode(errors="replace")
        self.kill("dead")
        raise SandboxError(f"the kernel did not start: {said}")

    def _told(self) -> int | None:
        """The process that bubblewrap names as the first of the sandbox, once it has."""
        try:
            return int(json.loads((self.folder / "told").read_text())["child-pid"])
        except (OSError, ValueError):
            return None

    def why(self) -> str:
        """Why it is gone."""
        self._watch.join(timeout=2)
        return self.stopped or "dead"

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

    def close(self) -> None:
        """Ends everything, if it has not ended, and gives back what was made for it."""
        self.kill("dead")
        self._watch.join(timeout=5)
        if self.group is not None:
            self.group.close()

    def cpu_seconds(self) -> float:
        """Processor time that the sandbox has taken; without a control group, as far as it was seen."""
        return self.group.cpu_seconds() if self.group is not None else sum(self._cpu.values())

    def _family(self) -> list[psutil.Process]:
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.Error:
            return []

    def _why_stop(self) -> str | None:
        """What of the limits is passed, if any is."""
        family = self._family()
        systems = [self.root / name for name in ("tmp", "dev/shm", SOCKETS.lstrip("/"))] if self.root else []
        if self.group is not None:
            used = self.group.used()
        else:
            used = held([one.pid for one in family], systems)
            for one in family:
                try:
                    times = one.cpu_times()
                except psutil.Error:
                    continue
                self._cpu[one.pid] = max(self._cpu.get(one.pid, 0.0), times.user + times.system)
        self.peak = max(self.peak, used)
        if used > self.limits.memory * 1e6 or (self.group is not None and self.group.ran_out()):
            return "memory"
        if any(filled(system)[1] > self.limits.entries for system in systems):
            return "output"
        if psutil.Process().memory_info().rss - self._before > self.limits.flood:
            return "output"
        return "time" if time.monotonic() > self._deadline else None

    def _keep_watch(self) -> None:
        while self.process.poll() is None:
            if reason := self._why_stop():
                self.kill(reason)
            time.sleep(0.1)
        out = self.group is not None and self.group.ran_out()
        self.stopped = self.stopped or ("memory" if out else "dead")


def _folder(path: Path, mode: int = 0o700) -> Path:
    path.mkdir()
    path.chmod(mode)
    return path
