"""A real browser for the tests that look at pages: the system's Chromium, driven by playwright."""

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

pytest_plugins = ["small_book", "mutation"]

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync", "--disable-background-networking"),
    *("--disable-component-update", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
]


BY_CHAPTER = ("chapters", "exercises", "site")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--chapter", type=int, help="only what hangs on one chapter: its source, exercises, pages")


def pytest_configure(config: pytest.Config) -> None:
    """Workers that run side by side have temporary folders apart, so that each can see what its own tests leave behind."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker:
        folder = Path(tempfile.gettempdir(), f"llmbook-tests-{os.getppid()}-{worker}")
        folder.mkdir()
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test in a browser is a slow one, and files with slow tests come first, so that no worker ends with the longest alone; with
    `--chapter`, what is of another chapter or of none in particular is left out.
    """
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("slow")
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])
    chapter = config.getoption("--chapter")
    if chapter is not None:
        others = [item for item in items if not _is_of(item, chapter)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if item not in set(others)]


def _is_of(item: pytest.Item, chapter: int) -> bool:
    """Whether a test is one of those by chapter, and its parameter ("01-transformer", "1.2.3/name") of this one or of none."""
    named = re.search(r"\[(?:.*-)?0*(\d+)(?:\.\d|-[a-z])", item.name)
    return item.path.parent.name in BY_CHAPTER and (named is None or int(named[1]) == chapter)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium without a window, for the whole session; nothing that it asks for is found outside of this machine."""
    if CHROMIUM is None:
        reason = "no Chromium: install the distribution's package `chromium`"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, chromium_sandbox=False)
        yield chromium
        chromium.close()
