"""Memory counted from outside: of processes, of what they share without a file, of temporary file systems."""

import subprocess
import sys
from pathlib import Path

import pytest

from llmbook.grading.usage import filled, held

HOLD = """
import mmap, os, sys
own = bytearray(OWN)
shared = mmap.mmap(-1, SHARED) if SHARED else None
fork = os.fork() if FORK else 1
os.write(1, b'ready\\n')
sys.stdin.read()
"""


def holding(own: int, shared: int, fork: bool) -> subprocess.Popen:
    code = HOLD.replace("OWN", str(own)).replace("SHARED", str(shared)).replace("FORK", str(fork))
    running = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    if fork:
        assert running.stdout.readline() == "ready\n"
    return running


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("own", "shared", "fork"), [(0, 0, False), (100, 0, False), (0, 200, False), (100, 200, True)])
def test_memory_is_counted_once(own: int, shared: int, fork: bool) -> None:
    running = holding(own * 10**6, shared * 10**6, fork)
    try:
        children = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        found = held([running.pid, *map(int, children)], []) / 1e6
        assert len(children) == fork
        assert own + shared <= found < own + shared + 30
    finally:
        running.communicate("")


def test_what_is_gone_counts_nothing(tmp_path: Path) -> None:
    assert held([2**22 + 1], [tmp_path / "none"]) == 0
    assert filled(tmp_path / "none") == (0, 0)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no file system in memory")
def test_a_file_system_in_memory_is_counted_with_files_that_no_folder_names() -> None:
    before = filled(Path("/dev/shm"))
    path = Path("/dev/shm/llmbook-test-of-usage")
    with path.open("wb") as file:
        path.unlink()
        file.write(b"1" * 5_000_000)
        file.flush()
        after = filled(Path("/dev/shm"))
    assert after[0] - before[0] >= 5_000_000
    assert after[1] - before[1] >= 1
