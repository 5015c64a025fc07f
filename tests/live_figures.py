"""The live figures, each on a page of its own: the site with all of them, and a reader who opens and moves one."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

from llmbook import paths
from llmbook.book.diagrams import diagram
from llmbook.site.build import Site
from llmbook.site.extensions.live import figure_names
from llmbook.site.live_weights import live_weights

SETTINGS = paths.root() / "site"
JS = SETTINGS / "_static/js"
NAMES = figure_names(JS)
LANGUAGES = ("zh", "en")
PAGE = "# A page\n\n```{{figure}} /diagrams/live-{0}.svg\n:name: fig-live-{0}\n:figclass: live\n:alt: a picture\n\nA caption.\n```\n"
WAIT = 60_000
_spec = importlib.util.spec_from_file_location("llmbook_live_pictures", SETTINGS / "live_pictures.py")
assert _spec
assert _spec.loader
live_pictures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(live_pictures)


def site_of_figures(folder: Path, names: Sequence[str], settings: Path = SETTINGS) -> Site:
    """A site with no chapter, and a page for each of these figures."""
    for lang in LANGUAGES:
        (folder / "images" / lang).mkdir(parents=True)
        for name in names:
            text = diagram(f"live-{name}.svg", lang)
            (folder / "images" / lang / f"live-{name}.svg").write_text(text, encoding="utf-8")
    (folder / "references.bib").write_text("", encoding="utf-8")
    pages = {"index": "# Figures\n", **{f"live-{name}": PAGE.format(name) for name in names}}
    return Site(
        chapters={"zh": [], "en": []},
        pages={"zh": pages, "en": pages},
        outline={"title": {"zh": "图", "en": "Figures"}, "parts": []},
        downloads={"zh": [], "en": []},
        images={lang: folder / "images" / lang for lang in LANGUAGES},
        bibliography=folder / "references.bib",
        finished=[],
        settings=settings,
        build=folder / "build",
        weights=live_weights(paths.build_dir() / "weights"),
    )


class Figure:
    """A live figure in a browser."""

    def __init__(self, page: Page, html: Path, name: str) -> None:
        self.page, self.html, self.name, self.at = page, html, name, f"#fig-live-{name}"

    def address(self, lang: str, fragment: str = "") -> str:
        return (self.html / lang / f"live-{self.name}.html").as_uri() + fragment

    def open(self, lang: str = "en", query: str = "") -> "Figure":
        """Its page, with the figure started by the address."""
        self.page.goto("about:blank")
        self.page.goto(self.address(lang, f"{self.at}?{query}"))
        self.page.wait_for_selector(f"{self.at}[data-live=on]", timeout=WAIT)
        return self

    def control(self, key: str) -> str:
        return f"{self.at} [data-key={key}]"

    def press(self, key: str, keyboard: str, times: int = 1) -> None:
        self.page.focus(self.control(key))
        for _ in range(times):
            self.page.keyboard.press(keyboard)

    def open_table(self) -> None:
        """Opens the figure's table, if it has one and it is not open."""
        if self.page.is_hidden(f"{self.at} .live-numbers"):
            return
        if not self.page.query_selector(f"{self.at} .live-numbers[open]"):
            self.page.click(f"{self.at} .live-numbers summary")
        self.page.wait_for_selector(f"{self.at} .live-numbers table")

    def all(self, within: str, script: str) -> list[Any]:
        """What a function of one element gives for each that is found within the figure."""
        return self.page.eval_on_selector_all(f"{self.at} {within}", f"all => all.map({script})")

    def texts(self, within: str) -> list[str]:
        return self.all(within, "one => one.textContent")

    @property
    def reading(self) -> str:
        return self.page.text_content(f"{self.at} .live-reading")

    @property
    def note(self) -> str:
        return self.page.text_content(f"{self.at} .live-note")

    @property
    def numbers(self) -> Any:
        """The exact numbers of the picture."""
        return json.loads(self.page.get_attribute(f"{self.at} .live-map", "data-numbers"))

    @property
    def rows(self) -> list[list[str]]:
        """The opened table without its names."""
        return self.all(".live-numbers tbody tr", "row => [...row.cells].slice(1).map(cell => cell.textContent)")
