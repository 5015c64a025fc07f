"""The live figures where they stand in the book: which pages have them, beside formulas and one another."""

import re
from pathlib import Path

import pytest
from live_figures import JS, NAMES, WAIT, live_pictures
from playwright.sync_api import Page

from llmbook import paths
from llmbook.book.diagrams import diagram
from llmbook.site.extensions.live import scripts

pytestmark = pytest.mark.built
HTML = paths.build_dir() / "html"
PAGES = [path for path in sorted(HTML.rglob("*.html")) if 'class="live' in path.read_text(encoding="utf-8")]


def names_on(page: Path) -> list[str]:
    return re.findall(r'id="fig-live-([a-z-]+)"', page.read_text(encoding="utf-8"))


def test_every_figure_stands_in_both_editions() -> None:
    for lang in ("zh", "en"):
        pages = [page for page in PAGES if page.is_relative_to(HTML / lang)]
        assert sorted(name for page in pages for name in names_on(page)) == NAMES


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(HTML).as_posix())
def test_its_figures_load_what_they_need_start_and_are_found_by_their_address(page: Page, path: Path) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri() + "#%E0%A4%A?x=1")  # a broken escape stops nothing
    page.wait_for_load_state("load")
    names = names_on(path)
    loaded = [Path(url.partition("?")[0]).stem for url in asked if "/_static/js/" in url]
    assert set(scripts(JS, names)) <= set(loaded)
    assert {f"live-{name}" for name in NAMES} & set(loaded) == {f"live-{name}" for name in names}
    assert not [url for url in asked if "/weights/" in url]
    for name in names:
        at = f"#fig-live-{name}"
        if button := page.query_selector(f"{at} .live-start"):
            button.click()
        page.wait_for_selector(f"{at}[data-live=on]", timeout=WAIT)
        drawn = page.query_selector(at).evaluate(live_pictures.DRAWN) + "\n"
        assert drawn == diagram(f"live-{name}.svg", path.relative_to(HTML).parts[0]), "run `make pictures`"
    page.goto("about:blank")
    page.goto(f"{path.as_uri()}#fig-live-{names[-1]}?x=1")
    page.wait_for_function(
        "at => { const { top } = document.querySelector(at).getBoundingClientRect(); return top > 0 && top < 300 }",
        arg=f"#fig-live-{names[-1]}",
        timeout=WAIT,
    )
