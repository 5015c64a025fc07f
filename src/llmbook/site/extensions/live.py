"""Live figures: a page with one gets the scripts that it needs, and no other page does.

A figure is live if its class is `live` (`:figclass: live`) and its picture is `live-NAME.svg`: `js/live-NAME.js` makes it
answer, and until then, in print and without scripts, it is that picture. The first line of a script says which others
it needs, `// needs: plot, heatmap`; nothing else knows what figures there are.

Book: §0
"""

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

PICTURE = re.compile(r"live-([a-z-]+)\.svg$")
NEEDS = re.compile(r"// needs: (.+)")


def figure_names(folder: Path) -> list[str]:
    """The names of all live figures that have a script in a folder."""
    return sorted(path.stem.removeprefix("live-") for path in folder.glob("live-*.js"))


def scripts(folder: Path, names: list[str]) -> list[str]:
    """The scripts that some live figures need, without `.js`, each after those that it needs itself.

    Raises:
        ValueError: a script names one that the folder lacks, or one that needs it in turn.
    """
    found: list[str] = []

    def add(script: str, *askers: str) -> None:
        path = folder / f"{script}.js"
        if not path.exists():
            raise ValueError(
                f"js/{askers[0] if askers else script}.js needs {script!r}, but there is no js/{script}.js"
            )
        if script in askers:
            raise ValueError(f"js/{script}.js and js/{askers[0]}.js need each other")
        for part in needs(path):
            add(part, script, *askers)
        if script not in found:
            found.append(script)

    for script in ("live", *(f"live-{name}" for name in names)):
        add(script)
    return found


def needs(script: Path) -> list[str]:
    """What the first line of a script asks for."""
    found = NEEDS.fullmatch(script.read_text(encoding="utf-8").partition("\n")[0])
    return [part.strip() for part in found[1].split(",")] if found else []


def live_figures(doctree: nodes.document, folder: Path) -> list[str]:
    """The names of a page's live figures.

    Raises:
        ValueError: a figure of class `live` whose picture is no `live-NAME.svg` that has a script.
    """
    known, names = figure_names(folder), []
    for figure in doctree.findall(nodes.figure):
        if "live" not in figure["classes"]:
            continue
        picture = next(figure.findall(nodes.image))["uri"]
        found = PICTURE.search(picture)
        if not found or found[1] not in known:
            raise ValueError(f"the live figure {picture} is none of {', '.join(f'live-{name}.svg' for name in known)}")
        names.append(found[1])
    return names


def add_scripts(
    app: Sphinx, _page: str, _template: str, _context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Adds what the page's live figures need, the sizes of the weights first."""
    folder = Path(app.confdir) / "_static" / "js"
    names = [] if doctree is None else live_figures(doctree, folder)
    if not names:
        return
    sizes = {name: float(size) for name, size in (pair.split(":") for pair in app.config.llmbook_weights if pair)}
    app.add_js_file(
        None, body=f"window.LLMBook = window.LLMBook || {{}}; LLMBook.sizes = {json.dumps(sizes)};", priority=200
    )
    for place, script in enumerate(scripts(folder, names)):
        app.add_js_file(f"js/{script}.js", priority=800 + place, loading_method="defer")
    app.add_css_file("css/live.css")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("llmbook_weights", [], "html", [list])
    app.connect("html-page-context", add_scripts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
