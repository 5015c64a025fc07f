"""The fixture's pages in a real browser, straight from the disk: formulas, the switch of languages, the entry page."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

SECTION = "01-transformer/section-1-2.html"


def test_a_request_that_leaves_the_disk_would_be_seen(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<img src="https://elsewhere.example/x.png">', encoding="utf-8")
    page, asked, failed = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.goto((tmp_path / "page.html").as_uri())
    page.close()
    assert asked[1:] == failed == ["https://elsewhere.example/x.png"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_formulas_are_set_from_the_disk(built: Path, lang: str, page: Page) -> None:
    page.goto((built / lang / SECTION).as_uri())
    page.wait_for_function("window.MathJax?.startup?.promise")
    page.evaluate("MathJax.startup.promise.then(() => true)")
    found = [page.locator(name).count() for name in ("mjx-container", "mjx-assistive-mml", "mjx-merror")]
    assert found == [7, 7, 0]


@pytest.mark.parametrize("label", ["point-1-2-2", "point-1-2-1-1"])
def test_the_switch_keeps_the_place(built: Path, label: str, page: Page) -> None:
    page.goto((built / "zh" / SECTION).as_uri() + f"#{label}")
    page.click(".llmbook-languages a")
    page.wait_for_url(lambda url: url.endswith(f"/en/{SECTION}#{label}"))
    assert page.locator(f"#{label}").count() == 1


def test_the_switch_takes_what_was_searched_for_along(built: Path, page: Page) -> None:
    page.goto((built / "zh/search.html").as_uri() + "?q=softmax")
    page.click(".llmbook-languages a")
    page.wait_for_url(lambda url: url.endswith("/en/search.html?q=softmax"))


@pytest.mark.parametrize("locale", ["zh-CN", "en-GB", "de"])
def test_the_entry_page_sends_to_a_language(built: Path, browser: Browser, locale: str) -> None:
    context = browser.new_context(locale=locale)
    page = context.new_page()
    page.goto((built / "index.html").as_uri())
    page.wait_for_url("**/index.html")
    page.wait_for_selector(f"html[lang={'zh-CN' if locale == 'zh-CN' else 'en'}] article")
    context.close()
