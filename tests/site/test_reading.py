"""Reading in a real browser, from the disk: widths, languages of passages, copied code, print, progress, the archive."""

import importlib.util
import re
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from docutils import nodes
from playwright.sync_api import Browser, BrowserContext, Page

from llmbook.site.archive import archive

HIDDEN_IN_PRINT = (
    *(".bd-sidebar-primary", ".bd-header-article", ".prev-next-footer", ".bd-footer-article"),
    *(".copybtn", ".llmbook-read"),
)
SEEN = """(selector) => [...new Set([...document.querySelectorAll(selector)].map(
  (element) => element.checkVisibility({ contentVisibilityAuto: true }) && element.getClientRects().length > 0))]"""
CLEAR = "rgba(0, 0, 0, 0)"
SECTION = "01-transformer/section-1-2.html"
SPEC = importlib.util.spec_from_file_location(
    "llmbook_passages", Path(__file__).resolve().parents[2] / "src/llmbook/site/extensions/passages.py"
)
assert SPEC
assert SPEC.loader
extension = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(extension)


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A reader who is new here."""
    context = browser.new_context()
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def complaints(page: Page) -> list[str]:
    """What the page will have complained of, or asked for outside of the disk."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith(("file:", "data:")) else said.append(request.url))
    return said


def open_page(page: Page, path: Path) -> None:
    page.goto(path.as_uri())
    page.wait_for_function("!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)")


def test_no_page_is_wider_than_its_screen(page: Page, html: Path) -> None:
    said = complaints(page)
    for path in sorted(html.glob("*/**/*.html")):
        open_page(page, path)
        for width in (360, 768, 2560):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert said == []


def test_lines_are_not_too_long_on_a_wide_screen(page: Page, html: Path) -> None:
    page.set_viewport_size({"width": 2560, "height": 1200})
    for lang in ("zh", "en"):
        open_page(page, html / lang / SECTION)
        widths = page.evaluate(
            """[...document.querySelectorAll("article section > p:not([class])")]
              .map((p) => p.offsetWidth / parseFloat(getComputedStyle(p).fontSize))"""
        )
        assert max(widths) <= 42


@pytest.mark.parametrize(
    ("lang", "foreign", "pattern"),
    [("zh", "en", r"[A-Za-z]+.* [A-Za-z]+"), ("en", "zh-CN", r"[\u3400-\u9fff]")],
)
def test_passages_in_the_other_language_say_so(page: Page, html: Path, lang: str, foreign: str, pattern: str) -> None:
    passages = []
    for path in sorted((html / lang / "01-transformer").glob("*.html")):
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        passages += page.locator(f"article span[lang='{foreign}']").all_text_contents()
    assert passages or lang == "en"  # the fixture quotes no Chinese
    assert all(re.search(pattern, passage) for passage in passages)


@pytest.mark.parametrize(
    ("language", "text", "passages"),
    [
        ("en", "“他还没还书。” is read hái", ["他还没还书。"]),
        ("en", "还 (hái), then 长大，长城 and 了", ["还", "长大，长城", "了"]),
        ("en", "no Chinese, “quoted”…", []),
        ("zh_CN", "束搜索（beam search）用 GPT 和 self-attention layer。", ["beam search", "self-attention layer"]),
        ("zh_CN", "读 tā hái méi huán shū，写 Transformer", []),
    ],
)
def test_what_counts_as_a_passage(language: str, text: str, passages: list[str]) -> None:
    _, pattern = extension.FOREIGN[language]
    parts = extension.split(text, pattern, "language-xx")
    assert "".join(part.astext() for part in parts) == text
    assert [part.astext() for part in parts if isinstance(part, nodes.inline)] == passages


def test_no_chinese_on_english_pages_without_its_language(page: Page, html: Path) -> None:
    for path in sorted((html / "en").rglob("*.html")):
        page.goto(path.as_uri(), wait_until="domcontentloaded")
        bare = page.evaluate(
            """() => {
              const found = [];
              const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
              for (let node = walker.nextNode(); node; node = walker.nextNode()) {
                const parent = node.parentElement;
                if (!/[\\u3400-\\u9fff]/.test(node.data) || parent.closest("[lang^=zh], pre, code, script, mjx-container")) continue;
                found.push(node.data);
              }
              return found;
            }"""
        )
        assert bare == [], path


def test_the_theme_speaks_chinese(page: Page, html: Path) -> None:
    for path in (html / "zh/index.html", html / "zh" / SECTION):
        open_page(page, path)
        labels = page.evaluate(
            """[...document.querySelectorAll("[title], [aria-label], [placeholder]")]
              .filter((e) => !e.closest("[lang=en], article, mjx-container"))
              .flatMap((e) => ["title", "aria-label", "placeholder"].map((name) => e.getAttribute(name)))
              .filter((text) => text && !/[\\u3400-\\u9fff]/.test(text))"""
        )
        assert labels == []
        words = page.evaluate("document.body.innerText.replace(document.querySelector('article').innerText, '')")
        assert not re.search(r"Color mode|System Settings|Toggle|previous|Skip to|Search", words)


def test_copied_code_is_the_cell_without_its_output(context: BrowserContext, page: Page, built: Path) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    said = complaints(page)
    open_page(page, built / "zh/01-transformer/section-1-1.html")
    page.wait_for_selector(".copybtn")
    cell = page.locator("div.cell.tag_derive")
    assert cell.locator(".copybtn").count() == 1
    cell.locator(".copybtn").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".copybtn.success")
    assert (
        page.evaluate("navigator.clipboard.readText()")
        == "weights = [0.2, 0.3, 0.5]\nprint('sum', sum(weights))\nprint(weights)"
    )
    assert cell.locator(".copybtn svg title").text_content() == "复制成功!"
    page.wait_for_function("[...document.querySelectorAll('[aria-live]')].some((e) => e.textContent === '复制成功!')")
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_print_is_the_article_alone_unfolded_black_on_white(browser: Browser, html: Path, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    open_page(page, html / "en" / SECTION)
    page.wait_for_selector(".llmbook-read")
    page.emulate_media(media="print")
    for hidden in HIDDEN_IN_PRINT:
        assert page.evaluate(SEEN, hidden) == [False], hidden
    assert page.evaluate(SEEN, "article details:not([open]) > :not(summary)") == [True]
    assert (
        page.evaluate("getComputedStyle(document.querySelector('article section section > p')).color") == "rgb(0, 0, 0)"
    )
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.locator("article h1").is_visible()
    grounds = page.evaluate(
        "[...document.querySelectorAll('article .highlight, article .highlight pre')].map((e) => getComputedStyle(e).backgroundColor)"
    )
    dark = [ground for ground in grounds if sum(map(int, re.findall(r"\d+", ground)[:3])) < 600 and ground != CLEAR]
    assert dark == []
    page.close()


def test_minutes_stand_below_the_title_of_a_section(page: Page, html: Path) -> None:
    for lang, pattern in (("zh", r"读一遍约 (\d+) 分钟"), ("en", r"about (\d+) min to read")):
        open_page(page, html / lang / SECTION)
        said = re.fullmatch(pattern, page.locator("h1 + .llmbook-minutes").inner_text())
        assert said
        assert int(said[1]) <= 20 or int(said[1]) % 5 == 0


def test_progress_is_kept_and_shown(page: Page, html: Path) -> None:
    open_page(page, html / "zh" / SECTION)
    button = page.get_by_role("button", name="读完了 1.2.1")
    assert button.get_attribute("aria-pressed") == "false"
    assert page.locator(".llmbook-tick").count() == 0
    button.press("Enter")
    page.reload()
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator("#pst-page-toc-nav a[href='#point-1-2-1']").text_content().strip().endswith("✓（已读）")
    in_navigation = page.locator("#pst-primary-sidebar .current .llmbook-tick")
    assert in_navigation.count() == 0
    for other in page.locator(".llmbook-read").all()[1:]:
        other.click()
    assert in_navigation.count() == 1
    button.click()
    assert in_navigation.count() == 0


def test_the_index_leads_to_the_last_place(page: Page, html: Path) -> None:
    open_page(page, html / "en/index.html")
    assert page.locator(".llmbook-progress").count() == 0
    open_page(page, html / "en" / SECTION)
    page.get_by_role("button", name="I have read 1.2.1").click()
    page.locator("#point-1-2-2").evaluate("(section) => { section.scrollIntoView(); }")
    page.wait_for_function("localStorage.getItem('llmbook-place') === '\"1.2.2\"'")
    for index in ("index.html", "01-transformer/index.html"):
        open_page(page, html / "en" / index)
        line = page.locator(".llmbook-progress")
        if not line.count():  # what another page of the disk has stored can come to a new process a moment later
            page.wait_for_function("localStorage.getItem('llmbook-place') !== null")
            page.reload()
        assert re.match(
            r"Continue with 1\.2\.2 .*\. 1 of (the book|this chapter)'s \d+ points read\.", line.inner_text()
        )
    line.locator("a").click()
    page.wait_for_url(lambda url: url.endswith("section-1-2.html#point-1-2-2"))


def test_without_storage_nothing_is_shown_or_said(page: Page, built: Path) -> None:
    said = complaints(page)
    page.add_init_script(
        "Object.defineProperty(Storage.prototype, 'setItem', { value() { throw new Error('refused') } })"
    )
    open_page(page, built / "en" / SECTION)
    assert page.locator("article h1").is_visible()
    assert page.locator(".llmbook-read, .llmbook-progress, .llmbook-tick").count() == 0
    assert [text for text in said if "refused" not in text] == []


def test_every_section_says_how_to_run_it(page: Page, html: Path) -> None:
    for lang in ("zh", "en"):
        open_page(page, html / lang / SECTION)
        box = page.locator(".llmbook-run")
        assert "make lab" in box.inner_text()
        assert f"work/{lang}/01-transformer.ipynb" in box.inner_text()
        links = [link.get_attribute("href") for link in box.locator("a").all()]
        assert links == ["../notebooks/01-transformer.ipynb", "../../llmbook.zip"]
        open_page(page, html / lang / "index.html")
        assert page.locator(".llmbook-zip a").get_attribute("href") == "../llmbook.zip"


def test_the_archive_holds_the_site_and_opens_from_the_disk(page: Page, html: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(html / "llmbook.zip") as packed:
        names = packed.namelist()
        packed.extractall(tmp_path)
    files = {path.relative_to(html).as_posix() for path in html.rglob("*") if path.is_file()}
    assert {name.removeprefix("llmbook/") for name in names} == files - {"llmbook.zip"}
    assert "llmbook/zh/notebooks/01-transformer.ipynb" in names
    said = complaints(page)
    for lang in ("zh", "en"):
        open_page(page, tmp_path / "llmbook" / lang / SECTION)
        assert page.locator("article mjx-container").count() > 0
        assert page.locator(".llmbook-zip").count() == 0
    assert said == []


def test_the_same_site_gives_the_same_archive(built: Path, tmp_path: Path) -> None:
    shutil.copytree(built, tmp_path / "copy", copy_function=shutil.copyfile)
    archive(tmp_path / "copy", tmp_path / "copy/llmbook.zip")
    assert (tmp_path / "copy/llmbook.zip").read_bytes() == (built / "llmbook.zip").read_bytes()


def test_the_font_of_last_resort_is_served_and_named_last(built: Path) -> None:
    for lang in ("zh", "en"):
        style = (built / lang / "_static/css/llmbook.css").read_text(encoding="utf-8")
        assert (built / lang / "_static/NotoSansSC-subset.otf").stat().st_size > 1_000_000
        assert style.count('serif, "llmbook CJK";') == 1
        assert style.count('monospace, "llmbook CJK";') == 1


def test_chinese_words_in_formulas_come_from_the_fonts_of_the_page(page: Page, html: Path) -> None:
    """MathJax's own fonts have none."""
    for lang in ("zh", "en"):
        open_page(page, html / lang / SECTION)
        assert page.evaluate("MathJax.config.output.mtextInheritFont") == (lang == "zh")


def test_an_apostrophe_in_english_is_narrow_also_beside_chinese(page: Page, html: Path) -> None:
    """The font of last resort draws quotation marks as wide as a character; in English they come from the text's own font."""
    open_page(page, html / "en" / SECTION)
    width = """async (text) => {
      const one = document.createElement("span");
      one.style.fontSize = "100px";
      one.textContent = text;
      document.querySelector("article p").append(one);
      await document.fonts.ready;
      await new Promise((done) => setTimeout(done, 300));
      const found = one.getBoundingClientRect().width;
      one.remove();
      return found;
    }"""
    assert page.evaluate(width, "字") > 90
    assert page.evaluate(width, "’") < 50
