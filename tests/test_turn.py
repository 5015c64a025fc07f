"""Two commands in one checkout: the second is told who is at work, and the first's end, however it ends, frees the place."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmbook.turn import turn

HOLD = """
import sys, time
from pathlib import Path
from llmbook.turn import turn
with turn(Path(sys.argv[1]), "llmbook book"):
    print("here", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_holds_nothing(tmp_path: Path):
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "build")], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"here\n"
        with (
            pytest.raises(ValueError, match=rf"`llmbook book` \(process {other.pid}\) is at work in .*: wait for it"),
            turn(tmp_path / "build", "llmbook site"),
        ):
            raise AssertionError("it has been let in")
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
    with turn(tmp_path / "build", "llmbook site"):
        pass


def test_one_after_the_other_and_after_an_error(tmp_path: Path):
    with pytest.raises(KeyError), turn(tmp_path, "a"):
        raise KeyError
    with turn(tmp_path, "b"):
        pass
