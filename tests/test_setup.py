"""`make setup` with a Python that installs nothing but leaves files: what is there is not lost before its successor works."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmbook import paths

PYTHON = """#!/bin/sh
# $1 $2 as make calls it; VERSION, FAIL and SLOW are set by the tests
case "$*" in
  *version_info*) test "$*" = "${*#*print}" && exit 0; echo "${VERSION:-3 12}" ;;
  "-m venv .venv") mkdir -p .venv/bin .venv/lib/python3/site-packages; cp "$0" .venv/bin/python
    sed -i "s/VERSION:-[0-9 ]*/VERSION:-${VERSION:-3 12}/" .venv/bin/python ;;
  "-m pip --version") ;;
  *"-e ."*) touch ".venv/lib/python3/site-packages/new-$(cat constraints.txt)"
    test -z "$SLOW" || { touch installing; sleep 60; }
    test -z "$FAIL" || { echo "no network" >&2; exit 1; } ;;
esac
"""


# jobs in the background ignore SIGINT, and what they start does too
HEEDFUL = "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp(sys.argv[1], sys.argv[1:])"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "一 本"
    root.mkdir()
    shutil.copy(paths.root() / "Makefile", root)
    (root / "pyproject.toml").write_text("", encoding="utf-8")
    (root / "constraints.txt").write_text("1", encoding="utf-8")
    (tmp_path / "bin").mkdir()
    for name in ("python3", "python3.13"):
        program = tmp_path / "bin" / name
        program.write_text(PYTHON if name == "python3" else PYTHON.replace("VERSION:-3 12", "VERSION:-3 13"), "utf-8")
        program.chmod(0o755)
    return root


def make(checkout: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "PYTHON", "VERSION"))}
    environment |= {"PATH": f"{checkout.parent / 'bin'}:{os.environ['PATH']}", **variables}
    return subprocess.run(
        ["make", "setup", *words], cwd=checkout, env=environment, capture_output=True, text=True, check=False
    )


def installed(checkout: Path) -> set[str]:
    return {path.name for path in (checkout / ".venv/lib/python3/site-packages").iterdir()}


def test_a_whole_environment_is_left_alone_and_new_pins_make_a_new_one(checkout: Path):
    assert "Setting up" in make(checkout).stdout
    assert make(checkout).stdout == ""
    (checkout / "constraints.txt").write_text("2", encoding="utf-8")
    assert "Setting up" in make(checkout).stdout
    assert installed(checkout) == {"new-2"}
    assert not (checkout / ".venv-before").exists()


def test_where_the_new_one_fails_the_one_before_is_back_and_works(checkout: Path):
    make(checkout)
    (checkout / "constraints.txt").write_text("2", encoding="utf-8")
    failed = make(checkout, FAIL="1")
    assert failed.returncode != 0
    assert "the one before is back" in failed.stderr
    assert installed(checkout) == {"new-1"}
    (checkout / "constraints.txt").write_text("1", encoding="utf-8")
    assert make(checkout, FAIL="1").returncode == 0, "with the old pins nothing is to be done"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_the_next_call_starts_from_the_one_before(checkout: Path, how: signal.Signals):
    make(checkout)
    (checkout / "constraints.txt").write_text("2", encoding="utf-8")
    environment = os.environ | {"PATH": f"{checkout.parent / 'bin'}:{os.environ['PATH']}", "SLOW": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", HEEDFUL, "make", "setup"], cwd=checkout, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as making:  # fmt: skip
        until = time.monotonic() + 30
        while not (checkout / "installing").exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        os.killpg(making.pid, how)
    (checkout / "constraints.txt").write_text("1", encoding="utf-8")
    assert make(checkout, FAIL="1").returncode == 0
    assert installed(checkout) == {"new-1"}


def test_what_was_half_deleted_is_noticed(checkout: Path):
    make(checkout)
    (checkout / ".venv/lib/python3/site-packages/new-1").unlink()
    assert "Parts of .venv are gone" in make(checkout).stdout
    assert installed(checkout) == {"new-1"}


def test_a_link_is_refused_and_what_it_leads_to_is_untouched(checkout: Path):
    make(checkout)
    other = checkout.parent / "other"
    shutil.copytree(checkout, other, ignore=shutil.ignore_patterns(".venv"))
    (other / ".venv").symlink_to(checkout / ".venv")
    refused = make(other)
    assert refused.returncode != 0
    assert "whose environment is another checkout's" in refused.stderr
    assert installed(checkout) == {"new-1"}


def test_another_python_is_taken_when_it_is_asked_for(checkout: Path):
    make(checkout)
    assert make(checkout).stdout == ""
    assert "Setting up" in make(checkout, "PYTHON=python3.13").stdout
    assert make(checkout, "PYTHON=python3.13").stdout == ""
    assert make(checkout).stdout == "", "which Python made it is of no concern where none is named"
