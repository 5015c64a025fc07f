"""The judge against submissions that are honest, wrong, or hostile; what they score, and that nothing outside has changed."""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from llmbook import paths
from llmbook.course.assignment import exercise_notebook
from llmbook.course.bubblewrap import FIRST_UID, Limits
from llmbook.course.exercises import exercises, find_exercise
from llmbook.course.judge import Judged, judge_notebook
from llmbook.course.sandbox import (
    Kernel,
    SandboxError,
    private_folder,
    require_private,
    why_no_sandbox,
)
from llmbook.course.source import find_chapter, read
from llmbook.course.split_languages import context

pytestmark = pytest.mark.slow
COUNT = "1.3.2/parameter-count"
SCORES = "1.2.2/scaled-scores"
QUICK = Limits(wall=60.0, cell=6.0, call=4.0, memory=1500, restarts=2)


@pytest.fixture(scope="module", autouse=True)
def sandbox() -> None:
    reason = why_no_sandbox()
    if reason:
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


@pytest.fixture(scope="module")
def released() -> dict:
    source = read(find_chapter("1"))
    return json.loads(json.dumps(exercise_notebook(1, "en", context(source, "en"))))


def submission(released: dict, answers: dict[str, str], extra: str = "") -> dict:
    """The released notebook with code in place of stubs, and a cell of its own after the set-up."""
    notebook = json.loads(json.dumps(released))
    for cell in notebook["cells"]:
        for name, code in answers.items():
            if cell["id"] == f"{find_exercise(name).slug}-answer":
                cell["source"] = code
    if extra:
        cell = {
            "cell_type": "code",
            "id": "extra",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": extra,
        }
        notebook["cells"].insert(2, cell)
    return notebook


def solved(name: str) -> str:
    return find_exercise(name).text("solution")


def fingerprint(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        if "__pycache__" in path.parts:
            continue
        digest.update(
            f"{path} {facts.st_mode} {facts.st_uid} {facts.st_gid} {facts.st_size} {facts.st_mtime_ns}\n".encode()
        )
    return digest.hexdigest()


class Listener:
    """A server on this machine that notes who comes."""

    def __init__(self) -> None:
        self.came: list[object] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                self.came.append(self.socket.accept()[1])
            except OSError:
                return


def new_processes(known: set[int]) -> list[str]:
    """What came since and is a sandbox's: bubblewrap, Python below this process, whatever runs as a user that no account has."""
    children = {child.pid for child in psutil.Process().children(recursive=True) if "python" in child.name()}
    found = []
    for process in psutil.process_iter(["name", "uids", "status"]):
        if process.info["status"] == psutil.STATUS_ZOMBIE:  # dead, and not yet fetched by the init of this machine
            continue
        uids = process.info["uids"]
        sandboxed = process.info["name"] == "bwrap" or (uids is not None and uids.real >= FIRST_UID)
        if process.pid not in known and (process.pid in children or sandboxed):
            found.append(f"{process.pid} {process.info['name']}")
    return found


@pytest.fixture
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """Watches files, processes and the network; fails the test where a submission has left anything."""
    canary = tmp_path / "canary"
    canary.mkdir(mode=0o755)
    (canary / "file").write_text("alive")
    monkeypatch.setenv("LLMBOOK_CANARY", "do-not-read-me")
    listener = Listener()
    folders = [canary, paths.root() / "exercises", paths.root() / "src"]
    before = [fingerprint(folder) for folder in folders]
    temporary = {path for path in Path("/tmp").glob("llmbook-judge-*")}
    mine = {process.pid for process in psutil.process_iter()}
    yield listener
    end = time.monotonic() + 15
    while (left := new_processes(mine)) and time.monotonic() < end:
        time.sleep(0.05)
    assert [fingerprint(folder) for folder in folders] == before
    assert left == []
    assert {path for path in Path("/tmp").glob("llmbook-judge-*")} <= temporary
    assert listener.came == []
    listener.socket.close()


def text_of(judged: Judged) -> str:
    return json.dumps(judged.outputs, ensure_ascii=False)


def scores(judged: Judged) -> dict[str, int]:
    return {name: one["score"] for name, one in judged.exercises.items()}


def test_solutions_get_all_points(released: dict, outside: Listener) -> None:
    answers = {one.id: one.text("solution") for one in exercises(1) if one.kind != "open"}
    judged = judge_notebook(submission(released, answers))
    assert scores(judged) == {one.id: one.points for one in exercises(1) if one.kind != "open"}
    assert judged.stops == []
    assert judged.peak_mb < QUICK.memory


def test_stubs_get_none_but_the_little_that_published_bugs_get_right(released: dict, outside: Listener) -> None:
    judged = judge_notebook(released)
    for name, score in scores(judged).items():
        assert score == (0 if find_exercise(name).kind == "code" else pytest.approx(score, abs=0))
        assert score < find_exercise(name).points / 2


def test_a_wrong_solution_scores_what_its_cases_are_worth_and_is_named(released: dict, outside: Listener) -> None:
    folder = find_exercise(COUNT).folder
    wrong = (folder / "mutants" / "tied_counted_twice.py").read_text()
    found = judge_notebook(submission(released, {COUNT: wrong})).exercises[COUNT]
    assert found["score"] == 2
    assert found["misconception"] == "tied-counted-twice"
    assert "this is counted once" in found["student"]["en"]
    assert "the output layer has a matrix of its own" not in found["student"]["en"]
    assert "the output layer has a matrix of its own" in found["instructor"]["en"]


ATTACKS = tomllib.loads(Path(__file__).with_name("attacks.toml").read_text(encoding="utf-8"))
HIDDEN = ("shadow", "do-not-read-me", "root:", "checks.py", "connected")


@pytest.mark.parametrize("name", ATTACKS["beside"])
def test_an_attack_beside_a_right_answer_leaves_its_points_and_nothing_else(
    name: str, released: dict, outside: Listener, tmp_path: Path
) -> None:
    extra = ATTACKS["beside"][name].replace("PORT", str(outside.port)).replace("CANARY", str(tmp_path / "canary"))
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}, extra), limits=QUICK)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points
    assert judged.exercises[SCORES]["score"] == 0
    said = text_of(judged)
    assert not any(word in said.replace("'/etc/shadow'", "") for word in HIDDEN), said


@pytest.mark.parametrize("name", ATTACKS["answer"])
def test_a_hostile_answer_is_worth_nothing_and_the_others_keep_their_points(
    name: str, released: dict, outside: Listener
) -> None:
    attack = ATTACKS["answer"][name]
    signature = "def parameter_count(vocab_size, max_len, d_model, num_heads, num_layers, d_ff, tied):\n"
    code = signature + textwrap.indent(attack["body"], "    ")
    notebook = submission(released, {COUNT: code, SCORES: solved(SCORES)})
    judged = judge_notebook(notebook, limits=QUICK)
    assert judged.exercises[COUNT]["score"] == 0
    assert judged.exercises[SCORES]["score"] == find_exercise(SCORES).points
    if attack["stopped"]:
        assert attack["stopped"] in judged.stops


def test_a_cell_that_never_ends_costs_only_itself(released: dict, outside: Listener) -> None:
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}, "while True: pass"), limits=QUICK)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points
    assert judged.stops == ["time"]
    assert "it did not end in time" in text_of(judged)


def test_a_flood_of_output_is_stopped(released: dict, outside: Listener) -> None:
    flood = "for _ in range(60): print('x' * 1_000_000)"
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}, flood), limits=QUICK)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points
    assert judged.stops == ["output"]
    assert len(text_of(judged)) < 200_000


def test_honest_work_near_the_limits_keeps_its_points(released: dict, outside: Listener) -> None:
    near = ATTACKS["near"].replace("MEMORY", str(int(QUICK.memory * 0.5e6)))
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}, near), limits=QUICK)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points
    assert judged.stops == []
    assert "100 tensor(" in text_of(judged)


def test_what_a_page_would_run_is_not_kept(released: dict, outside: Listener) -> None:
    extra = "from IPython.display import HTML, display; display(HTML('<script>alert(1)</script>')); 'plain'"
    judged = judge_notebook(submission(released, {}, extra), limits=QUICK)
    (kept,) = [out for name, out in judged.outputs.items() if name.endswith(":extra")]
    assert all(set(output.get("data", {})) <= {"text/plain", "image/png"} for output in kept)
    assert "script" not in json.dumps(kept)


def test_private_checks_take_the_place_of_the_public_ones(released: dict, tmp_path: Path) -> None:
    for exercise in exercises(1):
        if exercise.kind != "open":
            shutil.copytree(exercise.folder, tmp_path / "01" / exercise.slug)
    checks = tmp_path / "01" / "parameter-count" / "checks.py"
    checks.write_text(
        checks.read_text()
        + "\n\ndef cases():\n    return [Case({'zh': '甲', 'en': 'a'}, (1, 1, 4, 1, 0, 4, True), 5)]\n"
    )
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}), private=tmp_path, limits=QUICK)
    assert judged.exercises[COUNT]["score"] == 5


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    with private_folder() as folder:
        require_private(folder)
        (folder / "link").symlink_to(folder)
        with pytest.raises(SandboxError, match="is not a folder of this user with mode 0700"):
            require_private(folder / "link")
    assert not folder.exists()
    tmp_path.chmod(0o755)
    with pytest.raises(SandboxError, match="is not a folder of this user with mode 0700"):
        Kernel(tmp_path, QUICK)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Expecting property name"),
        ("[" * 100_000, "recursion"),
        ('{"cells": [], "metadata": {}}', "names no chapter"),
        ('{"cells": {}, "metadata": {"llmbook": {"exercises": 1}}}', "needs a list of at most 500 cells"),
        ('{"cells": [{"cell_type": "code", "source": 3}], "metadata": {"llmbook": {"exercises": 1}}}', "is no text"),
    ],
)
def test_what_is_no_notebook_ends_the_judge_with_a_reason(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "bad.ipynb").write_text(text)
    command = [
        sys.executable,
        "-m",
        "llmbook.course.judge",
        str(tmp_path / "bad.ipynb"),
        str(tmp_path / "out"),
        '{"trusted": false}',
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert says in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "users", [["--map-user=65534", "--map-group=65534"], ["--map-root-user"]], ids=["user", "lonely root"]
)
def test_it_works_without_root_and_where_root_is_the_only_user(
    users: list[str], released: dict, tmp_path: Path
) -> None:
    tried = subprocess.run(["unshare", "--user", *users, "true"], capture_output=True, check=False)
    if tried.returncode != 0:
        pytest.skip("this machine lets nobody make a user namespace")
    answers = {COUNT: solved(COUNT)}
    (tmp_path / "in.ipynb").write_text(
        json.dumps(submission(released, answers, ATTACKS["beside"]["reads a system file"]))
    )
    judging = [
        sys.executable,
        "-m",
        "llmbook.course.judge",
        str(tmp_path / "in.ipynb"),
        str(tmp_path / "out"),
        '{"trusted": false}',
    ]
    subprocess.run(["unshare", "--user", *users, *judging], check=True, timeout=120)
    found = json.loads((tmp_path / "out").read_text())
    assert found["exercises"][COUNT]["score"] == find_exercise(COUNT).points
    assert "FileNotFoundError" in json.dumps(found["outputs"])
