"""Control groups: made, filled, counted and removed for real where this machine has them; both versions' files in a made folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from llmbook.grading import cgroup
from llmbook.grading.bubblewrap import Limits
from llmbook.grading.cgroup import make_group


def second_version(root: Path, own: str, handed: dict[str, str]) -> Path:
    """A made hierarchy of the second version; returns the file that names this process's own group."""
    (root / own).mkdir(parents=True)
    (root / "cgroup.controllers").write_text("cpuset cpu io memory pids")
    for folder, controllers in handed.items():
        (root / folder / "cgroup.subtree_control").write_text(controllers)
    (root / "self").write_text(f"0::/{own}\n")
    return root / "self"


def test_the_second_version_takes_the_nearest_group_that_hands_the_controllers_on(tmp_path: Path) -> None:
    handed = {"": "cpu memory pids", "user.slice": "memory pids", "user.slice/app": ""}
    own = second_version(tmp_path, "user.slice/app", handed)
    group = make_group(Limits(memory=300, processes=20), mount=tmp_path, own=own)
    assert group is not None
    (folder,) = set(group.folders.values())
    assert folder.parent == tmp_path
    files = {file.name: file.read_text() for file in folder.iterdir()}
    assert files.pop("cgroup.procs").strip().isdigit()
    assert files == {
        "memory.max": "300000000",
        "pids.max": "36",
        "cpu.max": "100000 100000",
    }
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 0\n")
    assert not group.ran_out()
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert group.ran_out()
    (folder / "memory.stat").write_text("anon 5\nfile 100\nshmem 20\nkernel 3\n")
    assert group.used() == 28
    (folder / "cpu.stat").write_text("usage_usec 2500000\n")
    assert group.cpu_seconds() == 2.5


@pytest.mark.parametrize("handed", [{}, {"": "cpu memory"}, {"a": "pids"}])
def test_none_is_had_where_no_group_hands_all_three_on(handed: dict[str, str], tmp_path: Path) -> None:
    own = second_version(tmp_path, "a", handed)
    assert make_group(Limits(), mount=tmp_path, own=own) is None
    assert not list(tmp_path.glob("llmbook-judge-*"))


def test_none_is_had_where_nobody_can_be_moved_into_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = second_version(tmp_path, "a", {"": "cpu memory pids"})
    monkeypatch.setattr(cgroup.Group, "entering", lambda self, command: ["/bin/sh", "-c", "exit 120"])
    assert cgroup.make_group(Limits(), mount=tmp_path, own=own) is None


def test_none_is_had_where_nothing_is_mounted(tmp_path: Path) -> None:
    assert make_group(Limits(), mount=tmp_path / "none", own=tmp_path / "none") is None


def test_the_first_version_needs_every_controller(tmp_path: Path) -> None:
    (tmp_path / "self").write_text("4:memory:/x\n3:pids:/\n2:cpu,cpuacct:/docker/outside\n1:freezer:/\n")
    for name in ("memory/x", "pids", "cpu"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "cgroup.procs").write_text("")
    assert make_group(Limits(), mount=tmp_path, own=tmp_path / "self") is None
    (tmp_path / "cpuacct").mkdir()
    (tmp_path / "cpuacct" / "cgroup.procs").write_text("")
    group = make_group(Limits(memory=300), mount=tmp_path, own=tmp_path / "self")
    assert group is not None
    assert (group.folders["memory"] / "memory.limit_in_bytes").read_text() == "300000000"
    assert (group.folders["cpu"] / "cpu.cfs_quota_us").read_text() == "100000"
    assert group.folders["memory"].parent == tmp_path / "memory" / "x"


def test_a_real_group_counts_memory_and_time_and_ends_what_takes_too_much() -> None:
    group = make_group(Limits(memory=300))
    if group is None:
        pytest.skip("no control group is to be had on this machine")
    try:
        modest = group.entering([sys.executable, "-c", "x = bytearray(150 * 10**6); print(sum(range(3 * 10**6)))"])
        assert subprocess.run(modest, capture_output=True, check=False).returncode == 0
        assert not group.ran_out()
        assert group.cpu_seconds() > 0.02
        # shared memory that no process shows as its own: touched, then dropped from its page tables
        shared = (
            "import mmap; m = mmap.mmap(-1, 10**9)\n"
            "for at in range(0, 10**9, 2**20): m[at:at+2**20] = b'1' * 2**20; m.madvise(mmap.MADV_DONTNEED)"
        )
        assert subprocess.run(group.entering([sys.executable, "-c", shared]), check=False).returncode != 0
        assert group.ran_out()
    finally:
        group.close()
    assert not any(folder.exists() for folder in group.folders.values())
