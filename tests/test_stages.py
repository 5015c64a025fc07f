"""The table at the end of `make test`."""

import json
import subprocess
import sys
from pathlib import Path

import stages

from llmbook import paths


def test_stages_in_order_and_the_slowest_of_all(tmp_path: Path) -> None:
    (tmp_path / "stages.txt").write_text("lint\t7\nunits and slow\t125\n", encoding="utf-8")
    for name, seconds in (("units", 2.5), ("site", 61.25)):
        case = f'<testcase classname="tests.{name}" name="test_{name}" time="{seconds}"/>'
        (tmp_path / f"{name}.xml").write_text(
            f"<testsuites><testsuite>{case}</testsuite></testsuites>", encoding="utf-8"
        )
    assert stages.stages(tmp_path) == [("lint", 7), ("units and slow", 125)]
    assert stages.slowest(tmp_path) == [(61.25, "tests.site.test_site"), (2.5, "tests.units.test_units")]
    assert len(stages.slowest(tmp_path, 1)) == 1


def test_what_a_chapter_costs_and_that_it_is_held(tmp_path: Path) -> None:
    folder, executed = tmp_path / "tests", tmp_path / "executed"
    folder.mkdir()
    executed.mkdir()
    (folder / "stages.txt").write_text("notebooks\t100\nsite\t50\n", encoding="utf-8")
    cases = {
        "messages": [("tests.chapters.test_runs", 60), ("tests.nn.test_norms", 1000)],
        "alone": [("tests.chapters.test_runs.test_one_seed_of_the_cheap_run", 500), ("tests.site.test_search", 500)],
        "units": [("tests.exercises.test_gate", 20)],
        "site": [("tests.site.test_proof", 20)],
    }
    for name, tests in cases.items():
        lines = "".join(f'<testcase classname="{module}" name="a" time="{time}"/>' for module, time in tests)
        (folder / f"{name}.xml").write_text(
            f"<testsuites><testsuite>{lines}</testsuite></testsuites>", encoding="utf-8"
        )
    assert stages.seconds_a_chapter(folder, 1) == 100 + (60 + 20 + 20) / 2
    assert stages.seconds_a_chapter(folder, 2) == 75
    told = [sys.executable, stages.__file__, str(folder)]
    for slow, seconds, code in (([0.5, 0.5], 540, 0), ([1.0], 560, 1), ([1.0, 2.0], 560, 0)):
        (executed / "01-a.json").write_text(json.dumps({"slowness": slow}), encoding="utf-8")
        (folder / "stages.txt").write_text(f"notebooks\t{seconds}\nsite\t50\n", encoding="utf-8")
        done = subprocess.run(told, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        assert f"A chapter costs {seconds + 50} s of these; its budget on this machine is" in done.stdout
        assert ("costs more than twice its budget" in done.stderr) == bool(code)


def test_what_hangs_on_a_chapter_can_be_chosen() -> None:
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "tests/exercises/test_gate.py",
        "tests/test_atomic.py",
    ]
    chosen = {
        chapter: subprocess.run(
            [*command, f"--chapter={chapter}"], cwd=paths.root(), capture_output=True, text=True, check=False
        ).stdout
        for chapter in (1, 2)
    }
    assert "test_the_folder_is_whole[1.2.2/scaled-scores]" in chosen[1]
    assert "scaled-scores" not in chosen[2]
    assert "test_gate.py" in chosen[2], "what is held of all exercises together"
    assert "test_atomic" not in chosen[1] + chosen[2]
