import os
import re
import subprocess
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from llmbook.site import build
from llmbook.site.build import Site, SiteError, build_site

LOADING = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "object": "data"}


@dataclass
class Parsed(HTMLParser):
    """A page's tags, identifiers and links."""

    tags: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def ids(self) -> set[str]:
        return {attributes["id"] for _, attributes in self.tags if "id" in attributes}


def parse(path: Path) -> Parsed:
    parsed = Parsed()
    parsed.feed(path.read_text(encoding="utf-8"))
    return parsed


@pytest.fixture(scope="session")
def pages(html: Path) -> dict[Path, Parsed]:
    return {path: parse(path) for path in sorted(html.rglob("*.html"))}


def text(path: Path) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", path.read_text(encoding="utf-8")))


def test_both_languages_have_the_same_pages(built: Path) -> None:
    names = {lang: {path.relative_to(built / lang) for path in (built / lang).rglob("*.html")} for lang in ("zh", "en")}
    assert names["zh"] == names["en"]
    assert Path("01-transformer/section-1-2.html") in names["zh"]


def test_numbers_of_sections_points_equations_figures(built: Path) -> None:
    zh = (built / "zh/01-transformer/section-1-2.html").read_text(encoding="utf-8")
    en = (built / "en/01-transformer/section-1-2.html").read_text(encoding="utf-8")
    assert '<h1><span class="section-number">1.2 </span>Transformer的核心组件' in zh
    assert re.findall(r'<h[23]><span class="section-number">([^<]*)</span>', zh) == ["1.2.1 ", "1.2.2 "]
    for html, figure, equation in ((zh, "图 1.2.1", "式 (1.1.1)"), (en, "Figure 1.2.1", "Eq. (1.1.1)")):
        assert re.findall(r'class="eqno">\(([\d.]+)\)', html) == ["1.2.1", "1.2.2"]
        assert re.findall(r'class="caption-number">([^<]*)<', html) == [f"{figure} "]
        assert f'<span class="std std-numref">{figure}</span>' in html
        assert f'href="section-1-1.html#equation-eq-recurrence">{equation}</a>' in html


def test_a_chapter_has_no_number_before_its_own(built: Path) -> None:
    index = (built / "zh/01-transformer/index.html").read_text(encoding="utf-8")
    assert "<h1>第一章：Transformer架构及其核心组件" in index
    assert not re.search(r">\s*1\.?\s+第一章", text(built / "zh/index.html"))


def test_the_language_of_each_page(pages: dict[Path, Parsed], html: Path) -> None:
    for lang, code in (("zh", "zh-CN"), ("en", "en")):
        for path, page in pages.items():
            if path.is_relative_to(html / lang):
                assert dict(page.tags[0][1])["lang"] == code, path


def test_the_switch_leads_to_the_same_page(pages: dict[Path, Parsed], html: Path) -> None:
    for path, page in pages.items():
        if path.parent == html:
            continue
        links = [attributes for tag, attributes in page.tags if tag == "a" and attributes.get("hreflang")]
        target = path.parent / links[0]["href"]
        assert len(links) == 1, path
        lang, *rest = path.relative_to(html).parts
        assert target.resolve() == (html / {"zh": "en", "en": "zh"}[lang]).joinpath(*rest).resolve()
        assert target.exists()


def test_every_label_is_an_anchor_in_both_languages(built: Path) -> None:
    labels = {"section-1-2", "point-1-2-1", "point-1-2-2", "equation-eq-attention", "equation-eq-wide", "fig-curve"}
    for lang in ("zh", "en"):
        page = parse(built / lang / "01-transformer/section-1-2.html")
        assert labels <= page.ids()
        assert "#point-1-2-1" in [attributes.get("href") for _, attributes in page.tags]


def test_nothing_is_loaded_from_elsewhere(pages: dict[Path, Parsed], html: Path) -> None:
    for path, page in pages.items():
        for tag, attributes in page.tags:
            url = attributes.get(LOADING.get(tag, ""), "")
            assert not urlsplit(url).netloc, (path, url)
            if url and not url.startswith("data:"):
                assert (path.parent / unquote(urlsplit(url).path)).exists(), (path, url)
    for style in html.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import\s+)[\"']?([^\"')\s;]+)", style.read_text(encoding="utf-8"))
        for url in urls:
            if not url.startswith(("data:", "#")):
                assert not urlsplit(url).netloc, (style, url)
                assert (style.parent / unquote(urlsplit(url).path)).exists(), (style, url)


def test_every_image_has_alternative_text(pages: dict[Path, Parsed]) -> None:
    images = [attributes for page in pages.values() for tag, attributes in page.tags if tag == "img"]
    assert len(images) >= 4
    assert all(attributes["alt"].strip() and not attributes["alt"].startswith((".", "/", "_")) for attributes in images)


def test_a_plot_has_its_caption(built: Path) -> None:
    html = (built / "zh/01-transformer/section-1-2.html").read_text(encoding="utf-8")
    assert 'alt="损失随词元数下降的曲线"' in html
    assert "损失先快后慢。" in html


def test_internal_links_and_fragments_resolve(pages: dict[Path, Parsed], html: Path) -> None:
    ids = {path.resolve(): page.ids() for path, page in pages.items()}
    seen = 0
    for path, page in pages.items():
        for tag, attributes in page.tags:
            parts = urlsplit(attributes.get("href", ""))
            if tag != "a" or parts.scheme or parts.netloc or not (parts.path or parts.fragment):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            assert target.exists(), (path, attributes["href"])
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in ids[target], (path, attributes["href"])
            seen += 1
    assert seen > 100


def test_outputs_dropdown_and_claims(built: Path) -> None:
    first = text(built / "en/01-transformer/section-1-1.html")
    assert "sum 1.0 [0.2, 0.3, 0.5]" in first
    second = (built / "en/01-transformer/section-1-2.html").read_text(encoding="utf-8")
    assert re.search(
        r'<details class="admonition dropdown">\s*<summary class="admonition-title">\s*Guess first', second
    )
    assert "vnd.llmbook" not in second
    assert "claims.html#claim-1-2-1-accuracy" in second
    assert "tag_derive" in (built / "en/01-transformer/section-1-1.html").read_text(encoding="utf-8")
    assert (built / "en/notebooks/01-transformer.ipynb").exists()


def test_the_entry_page_works_without_scripts(pages: dict[Path, Parsed], html: Path) -> None:
    links = [attributes["href"] for tag, attributes in pages[html / "index.html"].tags if tag == "a"]
    assert links == ["zh/index.html", "en/index.html"]


def test_an_unchanged_site_is_not_written_again_and_old_pages_vanish(site: Site, built: Path, tmp_path: Path) -> None:
    build_site(site)  # other tests add pictures to the session's site for a while
    cache = {path: path.stat().st_mtime_ns for path in (site.build / "site-src").rglob("*.ipynb")}
    page = site.build / "site-out/zh/html/01-transformer/section-1-2.html"
    before = page.stat().st_mtime_ns
    build_site(site)
    assert {path: path.stat().st_mtime_ns for path in cache} == cache
    assert page.stat().st_mtime_ns == before
    extra = {lang: {**site.pages[lang], "extra": "# Extra"} for lang in site.pages}
    assert (build_site(replace(site, pages=extra)) / "zh/extra.html").exists()
    assert not (build_site(site) / "zh/extra.html").exists()


def test_where_nothing_has_changed_sphinx_is_not_started_and_a_damaged_site_is_made_whole(
    site: Site, built: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_site(site)
    started: list[str] = []
    usual = build._start_sphinx

    def counted(site: Site, lang: str, *, everything: bool) -> subprocess.Popen[str]:
        started.append(lang)
        return usual(site, lang, everything=everything)

    monkeypatch.setattr(build, "_start_sphinx", counted)
    assert build_site(site) == built
    assert started == []
    (built / "zh/notation.html").unlink()
    assert (build_site(site) / "zh/notation.html").exists()
    assert started == ["zh", "en"]
    build_site(replace(site, finished=[*site.finished, "1.9.9"]))
    assert len(started) == 4
    build_site(site)


def test_a_warning_fails_every_time_and_leaves_the_old_site(site: Site, built: Path) -> None:
    kept = (built / "zh/notation.html").read_bytes()
    broken = {lang: {**site.pages[lang], "notation": "# N\n\n{eq}`nowhere`"} for lang in site.pages}
    for _ in range(2):
        with pytest.raises(SiteError, match="nowhere"):
            build_site(replace(site, pages=broken))
    assert (built / "zh/notation.html").read_bytes() == kept


@pytest.mark.messages
def test_a_page_in_one_language_only_is_refused(site: Site) -> None:
    pages = {**site.pages, "zh": {**site.pages["zh"], "extra": "# Extra"}}
    with pytest.raises(ValueError, match=r"one language only: \['extra'\]"):
        build_site(replace(site, pages=pages))


@pytest.mark.messages
def test_a_missing_file_is_named(site: Site) -> None:
    missing = site.build / "none.bib"
    with pytest.raises(ValueError, match=re.escape(os.fspath(missing))):
        build_site(replace(site, bibliography=missing))


def test_a_site_that_lacks_a_page_does_not_take_the_old_ones_place(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = replace(site, build=tmp_path / "build")
    html = build_site(site)
    (site.build / "site-out/key").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(build, "LEFT_OUT", (*build.LEFT_OUT, "notation.html"))
        with pytest.raises(SiteError, match=r"lacks 2 of \d+ pages, zh/notation\.html first; the one before stays"):
            build_site(site)
    assert (html / "en/notation.html").is_file()
    assert (build_site(site) / "en/notation.html").is_file()


def test_a_locale_that_the_system_lacks_does_not_stop_the_build(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.setenv("LANG", "tlh_QO.UTF-8")
    assert (build_site(replace(site, build=tmp_path / "build")) / "index.html").is_file()
