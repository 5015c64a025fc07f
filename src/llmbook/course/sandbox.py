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
from pathlib import Path
from typing import Any

import psutil

from llmbook.course.bubblewrap import Limits, bwrap, fresh_uid, may_change_user, variables

GUEST = Path(__file__).with_name("guest.py")
NEEDED = ("bwrap", "setpriv", "prlimit")
MOST_SHARED = 100  # entries of the folder of sockets
STUB = '''"""In the sandbox: what a released notebook imports. The checks themselves are elsewhere."""


def check(exercise_id, lang=None):
    print("checked when graded:", exercise_id)


def solution(exercise_id):
    print("not here")
'''


class SandboxError(RuntimeError):
    """The sandbox could not be made, or its kernel did not start."""


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
    """One kernel in one sandbox. `stopped` says why it is gone: "time", "memory", "output", "dead", or None while it lives."""

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
            wrapped, environment = (
                command,
                {**variables(inside["guest"], str(home)), "PATH": os.environ.get("PATH", "")},
            )
        else:
            self.uid = fresh_uid() if may_change_user() else None
            if self.uid is not None:
                os.chown(self.sockets, self.uid, self.uid)
            wrapped, environment = [*bwrap(self.sockets, self.guest, limits, self.uid), *command], {"PATH": os.defpath}
        self._errors = folder / "stderr"
        with self._errors.open("wb") as errors:  # bounded too: the limit of files is one of the process that writes
            self.process = subprocess.Popen(
                wrapped,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
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

    def _shares_little(self) -> bool:
        """Whether the one folder that the sandbox shares with this machine holds little more than its sockets."""
        entries, size = 0, 0
        for folder, folders, files in os.walk(self.sockets):
            entries += len(folders) + len(files)
            if entries > MOST_SHARED:
                return False
            for name in files:
                try:
                    size += os.lstat(os.path.join(folder, name)).st_size
                except OSError:
                    continue
        return size <= self.limits.file

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
            elif not self._shares_little():
                self.kill("output")
            elif time.monotonic() > self._deadline:
                self.kill("time")
            time.sleep(0.1)
        self.stopped = self.stopped or "dead"
