"""What makes a figure live: its class and its picture's name; what its page loads, and what other pages don't."""

from dataclasses import replace
from pathlib import Path

import pytest

from llmbook.site import live_weights
from llmbook.site.build import Site, SiteError, build_site

PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>\n'
PAGE = (
    "# A page\n\n```{figure} /diagrams/NAME.svg\n:name: fig-live\n:figclass: live\n:alt: a picture\n\nA caption.\n```\n"
)


def with_page(site: Site, folder: Path, picture: str) -> Site:
    """The fixture's site with one more page, which has this picture as a live figure."""
    weights = folder / "pinyin.js"
    weights.write_text("// weights\n" + " " * 1_234_567, encoding="utf-8")
    for images in site.images.values():
        (images / f"{picture}.svg").write_text(PICTURE, encoding="utf-8")
    pages = {lang: {**pages, "live": PAGE.replace("NAME", picture)} for lang, pages in site.pages.items()}
    return replace(site, pages=pages, build=folder / "build", weights=[weights])


def test_a_page_loads_what_its_live_figure_needs_and_other_pages_nothing(site: Site, tmp_path: Path) -> None:
    built = build_site(with_page(site, tmp_path, "live-attention"))
    page = (built / "en/live.html").read_text(encoding="utf-8")
    assert '<figure class="live' in page
    order = [page.index(f"js/{name}.js") for name in ("transformer", "tokenizers", "live", "live-attention")]
    assert order == sorted(order)
    assert 'LLMBook.sizes = {"pinyin": 1.2}' in page
    assert "js/live-sinusoids.js" not in page
    other = (built / "en/notation.html").read_text(encoding="utf-8")
    assert "live.js" not in other
    assert "live.css" not in other
    assert (built / "weights/pinyin.js").exists()


def test_a_live_figure_that_no_script_knows_fails_the_build(site: Site, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match=r"live-nothing.svg is none of live-attention.svg, live-translate.svg"):
        build_site(with_page(site, tmp_path, "live-nothing"))


def test_weights_are_packed_once_and_again_when_the_model_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def packed(name: str) -> str:
        calls.append(name)
        return name

    monkeypatch.setattr(live_weights, "packed", packed)
    first = live_weights.live_weights(tmp_path)
    assert [path.name for path in first] == ["pinyin.js", "translator.js"]
    live_weights.live_weights(tmp_path)
    assert calls == ["pinyin", "translator"]
    monkeypatch.setattr(live_weights, "PACKING", Path(__file__))  # other code packs them
    live_weights.live_weights(tmp_path)
    assert calls == ["pinyin", "translator"] * 2


def test_the_page_gets_the_model_with_its_vocabularies() -> None:
    script = live_weights.packed("pinyin")
    assert script.startswith("window.LLMBook = ")
    assert '\\"num_heads\\":4' in script
    assert '\\"characters\\":[' in script
