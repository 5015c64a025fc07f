"""Hostile answers in the pages that show them: feedback, and nbgrader's own grading page in a running Jupyter server, in Chromium.

Every page is opened and clicked all over beside a server that listens: no script runs, nobody is asked, nothing leads away.
"""

import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("nbgrader", reason="the extra `course` is not installed")

from playwright.sync_api import Browser, Page

from llmbook.book.source import LANGUAGES
from llmbook.grading import course as courses
from llmbook.grading import grade as grading
from llmbook.grading.course import Course
from llmbook.grading.demo import submission as made
from llmbook.grading.feedback import feedback

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
NAME = "chapter-01"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
RUN = "document.title='run';window.RUN=1;fetch('HOST/run')"
ANSWERS = [
    "<script>RUN</script>",
    "$$\\text{<script>RUN</script>}$$",
    '$\\text{</mtext></math><img src=x onerror="RUN">}$',
    '<img src=x onerror="RUN"> <svg onload="RUN"></svg> <details open ontoggle="RUN">d</details>',
    '[markdown](javascript:RUN) <a href="javascript:RUN">html</a>',
    '<svg width=200 height=40><a xlink:href="javascript:RUN"><text y=20>svg</text></a></svg>',
    '<math href="javascript:RUN"><mi href="javascript:RUN">math</mi></math> $$\\href{javascript:RUN}{x}$$',
    '<form action=HOST/form><button formaction="javascript:RUN">button</button><input type=submit></form>',
    '<meta http-equiv=refresh content="0;url=HOST/refresh"> <base href=HOST/>',
    "<style>@import url(HOST/import.css); body { background: url(HOST/body) }</style>",
    "<link rel=stylesheet href=HOST/link.css><link rel=prefetch href=HOST/prefetch>",
    '<img srcset="HOST/srcset 2x"> <img src=HOST/img> ![p](HOST/markdown)',
    "<video poster=HOST/poster src=HOST/video></video><audio src=HOST/audio autoplay></audio>",
    '<table background=HOST/background><tr><td style="background:url(HOST/style)">cell</td></tr></table>',
    "<svg><image href=HOST/image /><use href=HOST/use /><feImage href=HOST/fe /></svg>",
    '<iframe src=HOST/frame></iframe><iframe srcdoc="<script>parent.RUN</script>"></iframe>',
    "<object data=HOST/object></object><embed src=HOST/embed>",
    '<math><mtext><table><mglyph><style><img src=x onerror="RUN"></style></mglyph></table></mtext></math>',
    "[leave](HOST/link) <HOST/auto> <a href=HOST/a target=_blank>blank</a> <a href=//127.0.0.1/x>x</a>",
    "![pasted](attachment:p.png) ![lost](attachment:none.png)",
    '<button class="btn full-credit" id="scaled-scores">button</button><input class="score tabbable" id="which-family" value=99>',
]


class Listener(http.server.ThreadingHTTPServer):
    """A server that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Access-Control-Allow-Origin", "*")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.host = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    server = Listener()
    yield server
    server.shutdown()
    server.server_close()


def canned(notebook: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    """A judgement whose outputs are hostile: what a judge must not let through, for the page's own wall."""
    evil = f'{PNG}"><script>window.RUN=1</script>'
    outputs = [
        {
            "output_type": "display_data",
            "data": {"image/png": evil, "text/html": "<script>window.RUN=1</script>"},
            "metadata": {},
        },
        {"output_type": "display_data", "data": {"text/plain": "<script>window.RUN=1</script>"}, "metadata": {}},
        {"output_type": "stream", "name": "stdout", "text": "\x1b[31m<script>window.RUN=1</script>"},
    ]
    return {"outputs": {"1:setup": outputs}, "exercises": {}, "busy": False}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory, listener: Listener) -> Iterator[Course]:
    """A course with one submission, graded, whose student attacks whoever reads it."""
    patch = pytest.MonkeyPatch()
    patch.setattr("llmbook.grading.grade.judged_result", canned)
    patch.setattr("llmbook.grading.nbgrader_steps.judged_result", canned)
    patch.setattr("llmbook.grading.grade.why_no_sandbox", lambda: None)
    course = courses.init(tmp_path_factory.mktemp("hostile") / "course", "test")
    released = json.loads((courses.release(course, 1, LANGUAGES) / "01.zh.ipynb").read_text(encoding="utf-8"))
    notebook = made(released, "an")
    texts = [text.replace("RUN", RUN).replace("HOST", listener.host) for text in ANSWERS]
    attached = {"p.png": {"image/png": PNG}}
    own = [{"cell_type": "markdown", "metadata": {}, "source": text, "attachments": attached} for text in texts]
    own.append({"cell_type": "raw", "metadata": {"raw_mimetype": "text/html"}, "source": texts[0]})
    essay = next(
        cell for cell in notebook["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") == "which-family"
    )
    essay["source"] = "\n\n".join(texts)
    essay["metadata"]["nbgrader"]["points"] = "<script>"
    notebook["cells"] += own
    notebook["metadata"] |= {
        "title": f"</title><script>{RUN}</script>",
        "widgets": {"application/vnd.jupyter.widget-state+json": {}},
    }
    folder = course.root / "submitted" / "mallory" / NAME
    folder.mkdir(parents=True)
    (folder / "01.zh.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    (folder / "page.html").write_text(f"<script>{RUN}</script>")
    (folder / "timestamp.txt").write_text("2027-01-02 03:04:05 UTC")
    assert grading.grade(course, NAME) == {"mallory": "graded"}
    yield course
    patch.undo()


CLICK = (
    "frame => frame.querySelectorAll('*').forEach(one => one.dispatchEvent(new MouseEvent('click', {bubbles: true})))"
)
AT = "(frame, at) => { const hit = document.elementFromPoint(...at); return hit !== null && frame.contains(hit); }"


def touched(page: Page, inside: str) -> None:
    """Clicks every element within these, and with the mouse a row of points over each."""
    for frame in page.locator(inside).all():
        frame.evaluate(CLICK)
        frame.evaluate("frame => frame.scrollIntoView({block: 'center'})")
        box = frame.bounding_box()
        for across in range(1, 6) if box and box["height"] else ():
            at = [box["x"] + box["width"] * across / 6, box["y"] + box["height"] / 2]
            if frame.evaluate(f"frame => ({AT})(frame, {at})"):
                page.mouse.click(*at)


def watched(browser: Browser, **headers: str) -> tuple[Page, dict[str, list[str]]]:
    page = browser.new_page(extra_http_headers=headers)
    seen: dict[str, list[str]] = {"requests": [], "navigations": [], "dialogs": [], "popups": []}
    page.on("request", lambda request: seen["requests"].append(request.url))
    page.on("framenavigated", lambda frame: seen["navigations"].append(frame.url))
    page.on("dialog", lambda dialog: (seen["dialogs"].append(dialog.message), dialog.dismiss()))
    page.on("popup", lambda popup: seen["popups"].append(popup.url))
    return page, seen


def test_no_other_file_is_where_pages_are_served_from(course: Course) -> None:
    kept = {path.name for path in (course.root / "autograded" / "mallory" / NAME).rglob("*")}
    assert kept == {"01.zh.ipynb", "timestamp.txt"}
    with course.gradebook() as book:
        comments = book.find_submission_notebook("01.zh", NAME, "mallory").comments
        (comment,) = {one.auto_comment for one in comments} - {None, "No response."}
    assert comment == "left where it was, since only the released notebooks are taken: page.html"


def test_feedback_runs_nothing_asks_nobody_and_leads_nowhere(
    course: Course, browser: Browser, listener: Listener
) -> None:
    (path,) = feedback(course, NAME, on_problem=lambda name, became: pytest.fail(f"{name}: {became}"))
    text = path.read_text(encoding="utf-8")
    assert "<script" not in re.sub(r"<pre>.*?</pre>|<code>.*?</code>", "", text, flags=re.DOTALL)
    page, seen = watched(browser)
    page.goto(path.as_uri())
    touched(page, ".text_cell_render, .output_wrapper, .input_area")
    page.wait_for_timeout(300)
    assert page.title() == "01.zh"
    assert page.evaluate("window.RUN") is None
    assert seen == {"requests": [path.as_uri()], "navigations": [path.as_uri()], "dialogs": [], "popups": []}
    assert listener.asked == []
    assert page.locator("img[alt=pasted]").first.evaluate("image => image.naturalWidth") == 1
    assert page.locator("button, input, form, iframe, svg, a[href^=http], a[href^=java]").count() == 0
    assert f"{listener.host}/link" in page.inner_text("body")
    if os.environ.get("LLMBOOK_SHOTS"):
        page.screenshot(path=f"{os.environ['LLMBOOK_SHOTS']}/feedback.png", full_page=True)
    page.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.fixture(params=["in the course", "above it"])
def server(request: pytest.FixtureRequest, course: Course, tmp_path: Path) -> Iterator[str]:
    """A Jupyter server with nbgrader's pages, started in the course or in the folder above, the course then opened by its path."""
    port = free_port()
    where = course.root if request.param == "in the course" else course.root.parent
    command = [
        *(
            sys.executable,
            "-m",
            "jupyter",
            "server",
            "--no-browser",
            "--allow-root",
            f"--port={port}",
            "--ip=127.0.0.1",
        ),
        *("--IdentityProvider.token=secret", f"--ServerApp.root_dir={where}"),
    ]
    log = (tmp_path / "log").open("w")
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "JUPYTER_DATA_DIR": str(tmp_path / "data"),
    }
    running = subprocess.Popen(command, cwd=where, stdout=log, stderr=log, env=environment, start_new_session=True)
    base = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"{base}/api?token=secret", timeout=5).close()
                break
            except OSError:
                assert running.poll() is None, (tmp_path / "log").read_text()[-2000:]
                assert time.monotonic() < end, (tmp_path / "log").read_text()[-2000:]
                time.sleep(0.2)
        if where != course.root:
            urllib.request.urlopen(f"{base}/formgrader?token=secret&path={course.root}", timeout=60).close()
        yield base
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
        log.close()


def test_the_grading_page_runs_nothing_of_a_students_and_grades(
    course: Course, browser: Browser, listener: Listener, server: str
) -> None:
    with course.gradebook() as book:
        submission = book.find_submission_notebook("01.zh", NAME, "mallory").id
    page, seen = watched(browser, Authorization="token secret")
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    address = f"{server}/formgrader/submissions/{submission}/"
    page.goto(address, wait_until="networkidle")
    opened = [url for url in seen["navigations"] if not url.startswith(address)]
    assert opened == []
    count = len(seen["navigations"])
    touched(page, ".text_cell_render, .output_wrapper, .input_area")
    page.wait_for_timeout(300)
    assert seen["navigations"][count:] == []
    assert page.title() == "01.zh"
    assert page.evaluate("window.RUN") is None
    assert (seen["dialogs"], seen["popups"]) == ([], [])
    assert [url for url in seen["requests"] if not url.startswith((server, "data:"))] == []
    assert listener.asked == []
    assert errors == []
    assert page.locator("img[alt=pasted]").first.evaluate("image => image.naturalWidth") == 1
    assert page.locator(".text_cell_render").locator("button, input, form, iframe, svg, script").count() == 0
    assert page.locator("math").count() > 10
    # and it is a grading page: a score that is typed in reaches the gradebook
    score = page.locator("input.score#which-family")
    typed = "6" if score.input_value() == "7" else "7"
    with page.expect_response(
        lambda answer: "/formgrader/api/grade" in answer.url and answer.request.method == "PUT", timeout=8000
    ):
        score.click()
        score.fill(typed)
        score.press("Tab")
    with course.gradebook() as book:
        assert book.find_grade("which-family", "01.zh", NAME, "mallory").manual_score == float(typed)
    assert page.locator(".name-hidden:visible").count() > 0
    page.locator(".glyphicon-eye-open").click()  # one of the page's own handlers
    assert page.locator(".glyphicon-eye-close").is_visible()
    if os.environ.get("LLMBOOK_SHOTS"):
        page.screenshot(path=f"{os.environ['LLMBOOK_SHOTS']}/grading.png", full_page=True)
    page.close()
