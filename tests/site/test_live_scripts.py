"""How a live figure comes to its scripts and its picture: from one line of its own script, and by one command."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from docutils import nodes
from live_figures import JS, SETTINGS, Figure, live_pictures, site_of_figures
from playwright.sync_api import Page

from llmbook import paths
from llmbook.book.diagrams import diagram
from llmbook.site.build import SiteError, build_site
from llmbook.site.extensions.live import figure_names, live_figures, needs, scripts
from llmbook.site.live_weights import live_weights

TINY = """// needs: plot
// A straight line: the least that a live figure is made of.
(function () {
  "use strict";
  window.LLMBook.live.register("tiny", {
    words: {zh: {slope: "斜率", line: "直线", read: "斜率是 {0}"}, en: {slope: "Slope", line: "line & axis", read: "The slope is {0}"}},
    defaults: {slope: 2},
    build({words, bar}) {
      bar.slide("slope", words.slope, {min: 1, max: 3});
      return function draw({slope}) {
        const chart = window.LLMBook.plot.chart({x: {from: 0, to: 1, label: words.line}, y: {from: 0, to: 3}});
        chart.line("line", [[0, 0], [1, slope]], {color: "#084081"});
        return {reading: window.LLMBook.live.fill(words.read, slope), picture: chart.drawing, label: words.line};
      };
    },
  });
})();
"""


def test_scripts_come_after_those_that_they_need() -> None:
    assert scripts(JS, ["attention"]) == ["live", "tensors", "transformer", "tokenizers", "heatmap", "live-attention"]
    both = scripts(JS, ["cost", "sinusoids"])
    assert both == ["live", "numbers", "plot", "live-cost", "heatmap", "live-sinusoids"]
    assert needs(JS / "live.js") == []
    assert "attention" in figure_names(JS)


def test_missing_parts_and_circles_are_named(tmp_path: Path) -> None:
    for name, text in (("live", ""), ("live-a", "// needs: plots\n"), ("b", "// needs: c\n"), ("c", "// needs: b\n")):
        (tmp_path / f"{name}.js").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"js/live-a.js needs 'plots', but there is no js/plots.js"):
        scripts(tmp_path, ["a"])
    (tmp_path / "live-a.js").write_text("// needs: b\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"js/b.js and js/c.js need each other"):
        scripts(tmp_path, ["a"])


@pytest.mark.parametrize("picture", ["live-nothing.svg", "two-boxes.svg"])
def test_a_live_figure_without_a_script_is_named(picture: str) -> None:
    page = nodes.document(None, None)
    page += nodes.figure("", nodes.image(uri="plain.svg"))
    page += nodes.figure("", nodes.image(uri=f"/diagrams/{picture}"), classes=["live"])
    with pytest.raises(ValueError, match=rf"{picture} is none of live-attention.svg, .*live-translate.svg"):
        live_figures(page, JS)


def test_a_page_loads_what_its_figure_needs_and_other_pages_nothing(live_site: Path) -> None:
    page = (live_site / "en/live-attention.html").read_text(encoding="utf-8")
    order = [page.index(f"js/{script}.js") for script in scripts(JS, ["attention"])]
    assert order == sorted(order)
    assert "js/live-sinusoids.js" not in page
    size = (live_site / "weights/pinyin.js").stat().st_size / 1e6
    assert f'LLMBook.sizes = {{"pinyin": {size:.1f}, ' in page
    other = (live_site / "en/index.html").read_text(encoding="utf-8")
    assert "live.js" not in other
    assert "live.css" not in other


def test_the_drawings_of_two_languages_become_one_with_two_tables() -> None:
    zh, en = (f'<svg>\n<text x="1">{word}</text>\n<title>n</title>\n</svg>\n' for word in ("长度 &amp; 宽度", "length"))
    drawing, labels = live_pictures.with_labels({"zh": zh, "en": en})
    assert drawing == '<svg>\n<text x="1">{{word_1}}</text>\n<title>n</title>\n</svg>\n'
    assert labels == {"zh": {"word_1": "长度 &amp; 宽度"}, "en": {"word_1": "length"}}
    with pytest.raises(ValueError, match="more than words"):
        live_pictures.with_labels({"zh": zh, "en": en.replace('x="1"', 'x="2"')})


def test_the_recipe_for_a_new_figure(page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its script, `make pictures`, a page; in a copy of the checkout, where one other figure is drawn again as it was."""
    root, out = tmp_path / "root", tmp_path / "out"
    shutil.copytree(SETTINGS, root / "site")
    (root / "build/weights").mkdir(parents=True)
    for weights in live_weights(paths.build_dir() / "weights"):
        shutil.copy(weights, root / "build/weights")
    (root / "chapters/diagrams").mkdir(parents=True)
    script = root / "site/_static/js/live-tiny.js"
    for other in script.parent.glob("live-*.js"):
        if other.name != "live-cost.js":
            other.unlink()
    script.write_text(TINY, encoding="utf-8")
    subprocess.run([sys.executable, root / "site/live_pictures.py"], check=True, capture_output=True, timeout=300)
    for name in ("live-cost.svg", "live-cost.toml"):
        stored = (paths.chapters_dir() / "diagrams" / name).read_text(encoding="utf-8")
        assert (root / "chapters/diagrams" / name).read_text(encoding="utf-8") == stored
    monkeypatch.setattr(paths, "chapters_dir", lambda: root / "chapters")
    assert ">直线</text>" in diagram("live-tiny.svg", "zh")
    assert ">line &amp; axis</text>" in diagram("live-tiny.svg", "en")
    site = site_of_figures(out, ["tiny"], root / "site")
    figure = Figure(page, build_site(site), "tiny").open("zh")
    figure.press("slope", "ArrowRight")
    assert figure.reading == "斜率是 3"
    script.write_text(TINY.replace("needs: plot", "needs: plots"), encoding="utf-8")
    with pytest.raises(SiteError, match=r"js/live-tiny.js needs 'plots', but there is no js/plots.js"):
        build_site(site)
