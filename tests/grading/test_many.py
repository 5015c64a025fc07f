"""Two hundred submissions: none lost, seconds and memory of each, and the same gradebook after a kill in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

pytest.importorskip("nbgrader", reason="the extra `course` is not installed")

from llmbook.grading import course as courses
from llmbook.grading import grades
from llmbook.grading.demo import submission as made

pytestmark = [pytest.mark.long, pytest.mark.filterwarnings("ignore")]
NAME = "chapter-01"
COUNT = int(os.environ.get("LLMBOOK_SUBMISSIONS", "200"))
LIKE = ("an", "baker", "chen", "davis", "eve")


def test_two_hundred_submissions(tmp_path: Path) -> None:
    course = courses.init(tmp_path / "course", "many")
    released = json.loads((courses.release(course, 1, ["zh"]) / "01.zh.ipynb").read_text(encoding="utf-8"))
    for number in range(COUNT):
        notebook = made(released, LIKE[number % len(LIKE)])
        setup = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
        setup["source"] = f"{''.join(setup['source'])}\n# student {number}"  # each is judged by itself
        path = tmp_path / "in" / f"s{number:03d}" / "01.zh.ipynb"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(notebook), encoding="utf-8")
    courses.collect(course, NAME, tmp_path / "in")
    command = [
        sys.executable,
        "-c",
        "from llmbook.cli import main; main()",
        "course",
        "grade",
        NAME,
        "--course",
        str(course.root),
    ]
    marks = course.root / "judged" / "done" / NAME
    began, peak, kills = time.monotonic(), 0, 0
    while True:
        with (tmp_path / "log").open("ab") as log:
            running = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        halfway = COUNT // 2
        while running.poll() is None:
            family = [psutil.Process(running.pid), *psutil.Process(running.pid).children(recursive=True)]
            used = 0
            for one in family:
                try:
                    used += one.memory_info().rss
                except psutil.Error:
                    continue
            peak = max(peak, used)
            if kills == 0 and len(list(marks.glob("*.json"))) >= halfway:
                os.killpg(running.pid, signal.SIGKILL)
                kills += 1
            time.sleep(0.5)
        if running.returncode == 0:
            break
        assert kills == 1, (tmp_path / "log").read_text()[-2000:]
    seconds = time.monotonic() - began
    rows = grades.scores(course, NAME)
    print(
        f"{COUNT} submissions: {seconds:.0f} s, {seconds / COUNT:.1f} s each, {peak / 1e9:.2f} GB at the peak, killed {kills} times"
    )
    assert [row["student"] for row in rows] == [f"s{number:03d}" for number in range(COUNT)]
    by_kind = [{row["score"] for row in rows[kind :: len(LIKE)]} for kind in range(len(LIKE))]
    assert [len(scores) for scores in by_kind] == [1] * len(LIKE)
    assert by_kind[0] == by_kind[4]
    assert peak < 4e9
