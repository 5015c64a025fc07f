"""Live figures: a page with one gets the scripts that it needs, and no other page does.

A figure is live if its class is `live` (`:figclass: live`) and its picture is `live-NAME.svg`: `js/live-NAME.js` makes it
answer, and until then, in print and without scripts, it is that picture.

Book: §0
"""

import json
import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

PICTURE = re.compile(r"live-([a-z-]+)\.svg$")
ENGINE = ("transformer", "tokenizers")
NEEDS = {"attention": ENGINE, "translate": ENGINE, "sinusoids": (), "depth": (), "memory": (), "cost": ()}


def live_figures(doctree: nodes.document) -> list[str]:
    """The names of a page's live figures.

    Raises:
        ValueError: a figure of class `live` whose picture is no `live-NAME.svg` that `NEEDS` knows.
    """
    names = []
    for figure in doctree.findall(nodes.figure):
        if "live" not in figure["classes"]:
            continue
        picture = next(figure.findall(nodes.image))["uri"]
        found = PICTURE.search(picture)
        if not found or found[1] not in NEEDS:
            raise ValueError(f"the live figure {picture} is none of {', '.join(f'live-{name}.svg' for name in NEEDS)}")
        names.append(found[1])
    return names


def add_scripts(
    app: Sphinx, _page: str, _template: str, _context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Adds what the page's live figures need, the sizes of the weights first."""
    names = [] if doctree is None else live_figures(doctree)
    if not names:
        return
    sizes = {name: float(size) for name, size in (pair.split(":") for pair in app.config.llmbook_weights if pair)}
    app.add_js_file(
        None, body=f"window.LLMBook = window.LLMBook || {{}}; LLMBook.sizes = {json.dumps(sizes)};", priority=200
    )
    parts = [
        *dict.fromkeys(part for name in names for part in NEEDS[name]),
        "live",
        *(f"live-{name}" for name in names),
    ]
    for place, part in enumerate(parts):
        app.add_js_file(f"js/{part}.js", priority=800 + place, loading_method="defer")
    app.add_css_file("css/live.css")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("llmbook_weights", [], "html", [list])
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
