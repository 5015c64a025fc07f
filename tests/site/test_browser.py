"""The fixture's pages in a real browser, straight from the disk: formulas, the switch, the console, requests."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--virtual-time-budget=8000"),
    *("--enable-logging=stderr", "--dump-dom", "--host-resolver-rules=MAP * ~NOTFOUND"),
]
BY_PAGE = re.compile(r'"traffic_annotation":101845102,"url":"(https?:[^"]*)"')  # Chromium's mark of requests by pages


def visit(url: str, profile: Path) -> tuple[str, list[str]]:
    """The page after its scripts ran, and what is wrong: complaints in its console, requests that leave the disk."""
    if CHROMIUM is None:
        reason = "no Chromium: install the distribution's package `chromium`"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--log-net-log={profile}.json", url]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=True)
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    complaints = [line for line in console if re.search(r"Uncaught|Failed|Error|ERR_|Refused", line)]
    return done.stdout, complaints + BY_PAGE.findall(Path(f"{profile}.json").read_text(encoding="utf-8"))


def test_a_request_that_leaves_the_disk_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<img src="https://elsewhere.example/x.png">', encoding="utf-8")
    _, complaints = visit((tmp_path / "page.html").as_uri(), tmp_path / "profile")
    assert complaints == ["https://elsewhere.example/x.png"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_formulas_are_set_from_the_disk(built: Path, lang: str, tmp_path: Path) -> None:
    dom, complaints = visit((built / lang / "01-transformer/section-1-2.html").as_uri(), tmp_path / "profile")
    assert dom.count("<mjx-container") == 7
    assert dom.count("<mjx-assistive-mml") == 7
    assert "<mjx-merror" not in dom
    assert complaints == []


def test_the_switch_keeps_the_fragment(built: Path, tmp_path: Path) -> None:
    page = (built / "zh/01-transformer/section-1-2.html").read_text(encoding="utf-8")
    script = """<script>addEventListener("load", () => {
        const link = document.querySelector(".llmbook-languages a");
        link.addEventListener("click", (event) => event.preventDefault());
        link.click();
    })</script></body>"""
    probe = built / "zh/01-transformer/probe.html"
    probe.write_text(page.replace("</body>", script), encoding="utf-8")
    try:
        dom, complaints = visit(f"{probe.as_uri()}#point-1-2-2", tmp_path / "profile")
    finally:
        probe.unlink()
    assert '<a href="../../en/01-transformer/section-1-2.html#point-1-2-2" lang="en"' in dom
    assert complaints == []


def test_the_entry_page_sends_to_a_language(built: Path, tmp_path: Path) -> None:
    dom, complaints = visit((built / "index.html").as_uri(), tmp_path / "profile")
    assert '<html lang="en"' in dom
    assert complaints == []
