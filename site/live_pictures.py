"""Draws the still pictures of the live figures again: `python site/live_pictures.py`; no built book is needed.

Each figure is started in Chromium on a page that holds nothing else, in both languages, and what it draws at its start is
written to `chapters/diagrams/live-NAME.svg`, with the words that differ in `live-NAME.toml`: what print, notebooks and
readers without scripts see is what the page draws.
"""

import json
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Page, sync_playwright

from llmbook.site.extensions.live import figure_names, scripts
from llmbook.site.live_weights import live_weights

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = {"zh": "zh-CN", "en": "en"}
BARE = """<!doctype html>
<html lang="{lang}" data-content_root="{root}">
<meta charset="utf-8">
<title>{name}</title>
<script>window.LLMBook = {{ sizes: {{}} }};</script>
{scripts}
<figure class="live" id="fig-live-{name}"><img src="live-{name}.svg" alt=""></figure>
"""
DRAWN = """holder => {
  const drawing = holder.querySelector(".live-map svg");
  return new XMLSerializer().serializeToString(drawing).replaceAll("><", ">\\n<");
}"""
WORD = re.compile(r">([^<>]+)</")


def bare_page(js: Path, weights: Path, name: str, lang: str) -> str:
    """A page with one figure and the scripts that it needs."""
    tags = "\n".join(
        f'<script defer src="{(js / f"{script}.js").as_uri()}"></script>' for script in scripts(js, [name])
    )
    root = f"{(weights.parent / 'pictures').as_uri()}/"  # weights are looked for beside the folder of a page
    return BARE.format(lang=LANGUAGES[lang], root=root, name=name, scripts=tags)


def drawn(page: Page) -> str:
    """What the live figure of the open page draws at its start."""
    holder = page.wait_for_selector("figure.live")
    if button := holder.query_selector(".live-start"):
        button.click()
    holder.wait_for_selector(".live-map svg", timeout=60_000)
    return holder.evaluate(DRAWN) + "\n"


def with_labels(drawings: dict[str, str]) -> tuple[str, dict[str, dict[str, str]]]:
    """One drawing of those in two languages, with `{{word_1}}` where their words differ, and the words of each.

    Raises:
        ValueError: the two differ in more than words.
    """
    lines, labels = [], {lang: {} for lang in LANGUAGES}
    both = {lang: drawings[lang].split("\n") for lang in LANGUAGES}
    for pair in zip(*both.values(), strict=True):
        zh, en = pair
        if zh != en:
            name, words = f"word_{len(labels['zh']) + 1}", [WORD.findall(line) for line in pair]
            zh, en = (WORD.sub(f">{{{{{name}}}}}</", line, count=1) for line in pair)
            if zh != en:
                raise ValueError(f"the two languages draw more than words differently: {pair[0]} and {pair[1]}")
            for lang, (word, *_) in zip(LANGUAGES, words, strict=True):
                labels[lang][name] = word
        lines.append(zh)
    return "\n".join(lines), labels


def toml(labels: dict[str, dict[str, str]]) -> str:
    """The table of labels of a drawing."""
    lines = []
    for lang, words in labels.items():
        lines += [f"[{lang}]", *(f"{key} = {json.dumps(word, ensure_ascii=False)}" for key, word in words.items())]
    return "\n".join(lines) + "\n"


def draw(js: Path, diagrams: Path, weights: Path, page: Page) -> list[Path]:
    """Draws the pictures of all figures whose scripts lie in `js`; returns the SVG files in `diagrams`.

    Raises:
        ValueError: a figure's script fails, or its two languages differ in more than words.
    """
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    live_weights(weights)
    written = []
    for name in figure_names(js):
        found = {}
        for lang in LANGUAGES:
            with TemporaryDirectory() as folder:
                bare = Path(folder, "page.html")
                bare.write_text(bare_page(js, weights, name, lang), encoding="utf-8")
                page.goto(bare.as_uri())
                if complaints:
                    raise ValueError(f"js/live-{name}.js: {complaints[0]}")
                found[lang] = drawn(page)
        svg, labels = with_labels(found)
        written.append(diagrams / f"live-{name}.svg")
        written[-1].write_text(svg, encoding="utf-8")
        written[-1].with_suffix(".toml").write_text(toml(labels), encoding="utf-8")
    return written


if __name__ == "__main__":
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium: install the distribution's package `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        for path in draw(
            ROOT / "site/_static/js", ROOT / "chapters/diagrams", ROOT / "build/weights", browser.new_page()
        ):
            print(f"{path.name}: {path.stat().st_size / 1e3:.1f} kB")
        browser.close()
