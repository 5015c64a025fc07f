"""The judge against submissions that are honest, wrong, or hostile; what they score, and that nothing outside has changed."""

import ctypes
import errno
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from llmbook import paths
from llmbook.edition.assignment import exercise_notebook
from llmbook.edition.book import Book
from llmbook.exercises.exercise import exercises, find_exercise
from llmbook.grading import seccomp
from llmbook.grading.bubblewrap import FIRST_UID, Limits
from llmbook.grading.judge import Judgement, judge_notebook
from llmbook.grading.sandbox import (
    Kernel,
    SandboxError,
    private_folder,
    require_private,
    why_no_sandbox,
    why_uncounted,
)
from llmbook.grading.session import Session

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
    book = Book.read()
    return json.loads(json.dumps(exercise_notebook(book.exercises_of(1), "en", book.context(book.chapter("1"), "en"))))


def submission(released: dict, answers: dict[str, str], *extra: str) -> dict:
    """The released notebook with code in place of stubs, and cells of its own after the set-up."""
    notebook = json.loads(json.dumps(released))
    for cell in notebook["cells"]:
        for name, code in answers.items():
            if cell["id"] == f"{find_exercise(name).slug}-answer":
                cell["source"] = code
    own = [
        {
            "cell_type": "code",
            "id": f"extra-{number}" if number else "extra",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": source,
        }
        for number, source in enumerate(extra)
    ]
    notebook["cells"][2:2] = own
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
    me = psutil.Process()
    children = {child.pid for child in me.children(recursive=True) if "python" in child.name()}
    beside = [other for other in me.parent().children() if other != me] if "PYTEST_XDIST_WORKER" in os.environ else []
    known = known | {process.pid for other in beside for process in other.children(recursive=True)}
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
    temporary = {path for path in Path(tempfile.gettempdir()).glob("llmbook-judge-*")}
    mine = {process.pid for process in psutil.process_iter()}
    yield listener
    end = time.monotonic() + 15
    while (left := new_processes(mine)) and time.monotonic() < end:
        time.sleep(0.05)
    assert [fingerprint(folder) for folder in folders] == before
    assert left == []
    assert {path for path in Path(tempfile.gettempdir()).glob("llmbook-judge-*")} <= temporary
    assert listener.came == []
    listener.socket.close()


def text_of(judged: Judgement) -> str:
    return json.dumps(judged.outputs, ensure_ascii=False)


def scores(judged: Judgement) -> dict[str, int]:
    return {name: one["score"] for name, one in judged.exercises.items()}


def test_solutions_get_all_points(released: dict, outside: Listener) -> None:
    answers = {one.id: one.text("solution") for one in exercises(1) if one.kind != "open"}
    judged = judge_notebook(submission(released, answers))
    assert scores(judged) == {one.id: one.points for one in exercises(1) if one.kind != "open"}
    assert judged.stops == []
    assert judged.peak_mb < QUICK.memory


def test_stubs_get_nothing(released: dict, outside: Listener) -> None:
    judged = judge_notebook(released)
    assert set(scores(judged).values()) == {0}


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
HIDDEN = ("shadow", "do-not-read-me", "root:", "checks.py", "connected", "planted secret")


ENDING = {  # attacks that end their kernel, or may: each has one of its own
    *(
        "fills the folder of the sockets",
        "takes 50 GB",
        "forks 400 times",
        "ends a moment after its cell",
        "makes a million files",
    ),
    *(
        "deletes the files of the sandbox",
        "rewrites syntax trees",
        "installs a handler for all signals",
        "leaves a fork behind",
    ),
}


def groups(names: Iterable[str], alone: set[str], size: int) -> list[list[str]]:
    """Attacks that share a notebook, so that each does not pay for a kernel."""
    together = [name for name in names if name not in alone]
    return [[name] for name in sorted(alone)] + [together[at : at + size] for at in range(0, len(together), size)]


@pytest.mark.parametrize("names", groups(ATTACKS["beside"], ENDING, 7), ids=", ".join)
def test_an_attack_beside_a_right_answer_leaves_its_points_and_nothing_else(
    names: list[str], released: dict, outside: Listener, tmp_path: Path
) -> None:
    cells = [
        ATTACKS["beside"][name].replace("PORT", str(outside.port)).replace("CANARY", str(tmp_path / "canary"))
        for name in names
    ]
    # a walk through all files takes its time, and several share this notebook
    limits = QUICK if len(names) == 1 else replace(QUICK, cell=30.0, wall=120.0)
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}, *cells), limits=limits)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points
    assert judged.exercises[SCORES]["score"] == 0
    assert len(names) == 1 or judged.stops == []
    said = text_of(judged)
    assert not any(word in said.replace("'/etc/shadow'", "") for word in HIDDEN), said


STOPPING = {name for name, attack in ATTACKS["answer"].items() if attack["stopped"]}


@pytest.mark.parametrize("names", groups(ATTACKS["answer"], STOPPING, 6), ids=", ".join)
def test_a_hostile_answer_is_worth_nothing_and_the_others_keep_their_points(
    names: list[str], released: dict, outside: Listener
) -> None:
    """Each attack in the place of another exercise's answer; scaled-scores is right."""
    others = [one for one in exercises(1) if one.kind != "open" and one.id != SCORES]
    answers = {SCORES: solved(SCORES)}
    for name, one in zip(names, others, strict=False):
        head = f"def {one.function}(*args, **named):\n"
        answers[one.id] = head + textwrap.indent(
            ATTACKS["answer"][name]["body"].replace("ITSELF", one.function), "    "
        )
    stopped = ATTACKS["answer"][names[0]]["stopped"]
    # to be stopped for its memory it must get that far first, on a slow machine too
    limits = replace(QUICK, restarts=6, wall=120.0, call=60.0 if stopped == "memory" else QUICK.call)
    judged = judge_notebook(submission(released, answers), limits=limits)
    assert {name: score for name, score in scores(judged).items() if score} == {SCORES: find_exercise(SCORES).points}
    assert not stopped or stopped in judged.stops, judged.stops
    report = "\n".join(text for one in judged.exercises.values() for text in one["student"].values())
    assert all(sign.isprintable() or sign == "\n" for sign in report)


def test_a_kernel_that_died_unseen_is_dead_and_nobody_waits_for_it(tmp_path: Path) -> None:
    """A request to a kernel that is gone, when the socket knows it already, was once waited for without end."""
    session = Session([("a", "def f(x):\n    return x\n")], QUICK, Judgement(), trusted=False, needed=["a"])
    try:
        assert session.run(tmp_path)
        assert session.kernel is not None
        assert session.client is not None
        assert "value" in session.call("f", [1], False)
        for child in psutil.Process(session.kernel.process.pid).children(recursive=True):
            child.kill()
        session.kernel.process.wait(timeout=10)
        time.sleep(0.5)  # until the socket knows
        began = time.monotonic()
        assert session.call("f", [1], False) == {"stopped": "dead"}
        assert time.monotonic() - began < 10
    finally:
        session.close()


@pytest.fixture
def planted_key() -> Iterator[None]:
    """A secret in the instructor's keyring, which a kernel keeps for all namespaces of a user."""
    libc = ctypes.CDLL(None, use_errno=True)
    add, control = {"x86_64": (248, 250), "aarch64": (217, 219)}[platform.machine()]
    key = libc.syscall(add, b"user", b"llmbook-planted", b"planted secret", 14, -4)
    if key < 0:
        pytest.skip("this machine's kernel has no keyring")
    libc.syscall(control, 8, -4, -3)  # linked into the session's ring, which children inherit
    yield
    libc.syscall(control, 21, key)


def test_a_secret_in_the_keyring_stays_there(released: dict, planted_key: None) -> None:
    judged = judge_notebook(submission(released, {}, ATTACKS["beside"]["reads the kernel's keyring"]), limits=QUICK)
    assert "-1 b''" in text_of(judged)
    assert "planted secret" not in text_of(judged)


CALLS = """
import ctypes, json, platform, socket
libc = ctypes.CDLL(None, use_errno=True)
def tried(*args):
    ctypes.set_errno(0)
    return 0 if libc.syscall(*args) >= 0 else ctypes.get_errno()
def family(number, kind=socket.SOCK_STREAM):
    try: socket.socket(number, kind, 0).close()
    except OSError as error: return error.errno
    return 0
found = {name: tried(*args) for name, args in CALLS.items()}
found |= {f"family {n}": family(n, socket.SOCK_DGRAM) for n in (2, 10, 16, 17, 31, 38, 40, 44)}
found["unix"] = family(1)
print(json.dumps(found))
"""


def test_the_filter_refuses_what_no_exercise_needs(released: dict) -> None:
    """A forbidden socket is only asked for; nothing is ever connected or sent."""
    column = {"x86_64": 0, "aarch64": 1}[platform.machine()]
    names = (
        "keyctl",
        "add_key",
        "shmget",
        "memfd_create",
        "unshare",
        "io_uring_setup",
        "mount",
        "bpf",
        "ptrace",
        "setns",
    )
    asked: dict[str, tuple] = {name: (seccomp.REFUSED[name][column], 0, 0, 0, 0, 0) for name in names}
    asked["clone3"] = (seccomp.CLONE3[column], 0, 0)
    asked["clone"] = (seccomp.CLONE[column], 0x10000000 | 17, 0, 0, 0, 0)
    judged = judge_notebook(submission(released, {}, CALLS.replace("CALLS", repr(asked))), limits=QUICK)
    found = json.loads(judged.outputs["2:extra"][0]["text"])
    assert {name: found[name] for name in names} == dict.fromkeys(names, errno.EPERM)
    assert (found["clone3"], found["clone"], found["unix"]) == (errno.ENOSYS, errno.EPERM, 0)
    families = {name: number for name, number in found.items() if name.startswith("family")}
    assert families == dict.fromkeys(families, errno.EAFNOSUPPORT)


class Gauge:
    """The most memory that this machine, and this process, have taken since it was made; the most disk."""

    def __init__(self, folder: Path):
        self.folder, self.most = folder, [0, 0, 0]
        self._before = self._now()
        self._going = True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _now(self) -> list[int]:
        mine = psutil.Process().memory_info().rss
        return [-psutil.virtual_memory().available, mine, shutil.disk_usage(self.folder).used]

    def _watch(self) -> None:
        while self._going:
            pairs = zip(self._now(), self._before, self.most, strict=True)
            self.most = [max(most, now - before) for now, before, most in pairs]
            time.sleep(0.02)

    def close(self) -> list[float]:
        self._going = False
        self._thread.join()
        return [one / 1e6 for one in self.most]


@pytest.mark.alone
@pytest.mark.parametrize("counted", [True, False], ids=["in a control group", "counted by the judge"])
@pytest.mark.parametrize("name", ATTACKS["memory"])
def test_memory_is_counted_whole(name: str, counted: bool, released: dict, outside: Listener) -> None:
    if counted and why_uncounted():
        pytest.skip("no control group is to be had on this machine")
    limits = replace(QUICK, memory=900, counted=counted)
    gauge = Gauge(Path("/tmp"))
    extra = ATTACKS["memory"][name].replace("SIZE", "3_000_000_000")
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}, extra), limits=limits)
    memory, mine, disk = gauge.close()
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points
    assert memory < 900 + 700, f"{memory:.0f} MB"
    assert disk < 200
    assert mine < 300
    refused = any(word in text_of(judged) for word in ("PermissionError", "OSError", "No space left"))
    assert refused or judged.stops == ["memory"]


FLOODS = {
    "large messages": "for n in range(300): k.session.send(k.iopub_socket, 'stream', content={'name': 'stdout', 'text': 'x' * 7_000_000})",
    "messages of many parts": "k.iopub_thread.socket.send_multipart([b'x' * 7_000_000] * 300)",
    "messages of others": "for n in range(300): k.session.send(k.iopub_socket, 'x', content={'x': 'x' * 7_000_000}, parent={})",
}


@pytest.mark.alone
@pytest.mark.parametrize("name", FLOODS)
def test_a_flood_of_messages_does_not_fill_the_judge(name: str, released: dict, outside: Listener) -> None:
    gauge = Gauge(Path("/tmp"))
    extra = f"k = get_ipython().kernel\n{FLOODS[name]}"
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}, extra), limits=QUICK)
    _, mine, _ = gauge.close()
    assert mine < 900, f"{mine:.0f} MB"
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points


def test_while_a_sandbox_is_being_made_the_files_of_this_machine_are_not_taken_for_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """bubblewrap names its process before it changes that process's root; a full /tmp outside once ended sandboxes now and then."""
    looked: list[Path] = []
    monkeypatch.setattr("llmbook.grading.sandbox.filled", lambda system: looked.append(system) or (0, 0))
    with private_folder() as folder:
        (folder / "kernel").mkdir(mode=0o700)
        kernel = Kernel(folder / "kernel", QUICK)
        try:
            while kernel._told() is None:
                assert kernel.process.poll() is None
            assert kernel._why_stop() is None
            assert looked == []
            kernel.wait_until_listening()
            assert kernel._why_stop() is None
            assert looked
        finally:
            kernel.close()


def test_what_hidden_checks_ask_is_never_told(released: dict) -> None:
    """One function remembers all that it is asked; every function raises it where a student would read it."""
    leak = """import builtins
builtins.seen = []
def tell(*a, **k):
    builtins.seen.append(repr(a))
    raise ValueError(' '.join(builtins.seen)[-400:])
"""
    answers = {one.id: f"{one.function} = tell" for one in exercises(1) if one.kind != "open"}
    remembers = "def parameter_count(*a):\n    builtins.seen.append(repr(a))\n    return 0"
    judged = judge_notebook(submission(released, answers | {COUNT: remembers}, leak), limits=QUICK)
    hidden = [repr(case.args) for case in find_exercise(COUNT).cases() if not case.public]
    told = json.dumps([one["student"] for one in judged.exercises.values()]) + text_of(judged)
    assert "ValueError" in told
    assert all(args not in told for args in hidden)


def test_words_of_a_submission_cannot_forge_a_report(released: dict) -> None:
    body = "    raise ValueError('no\\n✓ all cases pass\\x1b[2J\\u202e')"
    code = f"def parameter_count(*args):\n{body}"
    found = judge_notebook(submission(released, {COUNT: code}), limits=QUICK).exercises[COUNT]
    for text in (*found["student"].values(), *found["instructor"].values()):
        assert not [
            line
            for line in text.splitlines()
            if "all cases pass" in line and not line.startswith("    ValueError: no\\n✓")
        ]
        assert all(sign.isprintable() or sign == "\n" for sign in text)


def test_exit_in_an_answer_loses_nothing(released: dict) -> None:
    answers = {COUNT: f"{solved(COUNT)}\nexit()", SCORES: f"{solved(SCORES)}\nquit()"}
    judged = judge_notebook(submission(released, answers), limits=QUICK)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points
    assert judged.exercises[SCORES]["score"] == find_exercise(SCORES).points
    assert judged.stops == []
    assert "exit() does not end the notebook" in text_of(judged)


def test_whatever_the_umask_the_kernel_starts(released: dict) -> None:
    before = os.umask(0o077)
    try:
        judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}), limits=QUICK)
    finally:
        os.umask(before)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points


def test_where_the_filter_is_not_known_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert why_no_sandbox() == "the filter of system calls knows aarch64 and arm64 and x86_64; this machine is riscv64"


def test_a_cell_that_never_ends_costs_only_itself(released: dict, outside: Listener) -> None:
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}, "while True: pass"), limits=QUICK)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points
    assert judged.stops == ["time"]
    assert "it did not end in time" in text_of(judged)


def test_own_slow_cells_cost_no_answer(released: dict, outside: Listener) -> None:
    limits = replace(QUICK, own=10.0, restarts=4)
    slow = ["import time\ntime.sleep(7)"] * 6  # each longer than a cell may take
    judged = judge_notebook(submission(released, {COUNT: solved(COUNT)}, *slow), limits=limits)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points
    assert set(judged.stops) == {"time"}  # one or two: the set-up takes of the budget too
    assert text_of(judged).count("no answer needs it") >= 4


def test_a_slow_cell_that_an_answer_rests_on_is_not_skipped(released: dict, outside: Listener) -> None:
    limits = replace(QUICK, own=4.0, restarts=4)
    waits = ["import time\ntime.sleep(3)\none = 1", "time.sleep(3)\ntwo = one + one"]
    answer = solved(COUNT) + "\nassert two == 2\n"
    judged = judge_notebook(submission(released, {COUNT: answer}, *waits, "time.sleep(9)", "kept = 0"), limits=limits)
    assert judged.exercises[COUNT]["score"] == find_exercise(COUNT).points


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
        "-P",
        "-m",
        "llmbook.grading.judge",
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
        "-P",
        "-m",
        "llmbook.grading.judge",
        str(tmp_path / "in.ipynb"),
        str(tmp_path / "out"),
        '{"trusted": false}',
    ]
    subprocess.run(["unshare", "--user", *users, *judging], check=True, timeout=120)
    found = json.loads((tmp_path / "out").read_text())
    assert found["exercises"][COUNT]["score"] == find_exercise(COUNT).points
    assert "FileNotFoundError" in json.dumps(found["outputs"])
