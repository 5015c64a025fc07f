"""What every page carries: the switch of languages, links to its chapter's notebook and claims, Chinese emphasis."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

CHAPTER = re.compile(r"(\d\d-[^/]+)/")
OTHER = {"zh_CN": ("en", "en"), "en": ("zh", "zh-CN")}
TOOLTIPS = {
    "zh_CN": ("下载本章笔记本", "本章的全部论断"),
    "en": ("Download this chapter's notebook", "All claims of this chapter"),
}


class MarkChineseEmphasis(SphinxTransform):
    """Gives emphasized Chinese a class, so that it gets dots below and "et al." keeps its slope."""

    default_priority = 320

    def apply(self, **_: object) -> None:
        for node in self.document.findall(nodes.emphasis):
            if re.search(r"[\u3400-\u9fff]", node.astext()):
                node["classes"].append("cjk")


def add_links(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: nodes.document | None
) -> None:
    """Tells the templates where the page stands in the other language, and which buttons its chapter has."""
    up = "../" * pagename.count("/")
    folder, code = OTHER[app.config.language]
    context["llmbook_other"] = {"url": f"../{up}{folder}/{pagename}.html", "lang": code}
    chapter = CHAPTER.match(pagename)
    if chapter is None:
        return
    slug = chapter[1]
    download, claims = TOOLTIPS[app.config.language]
    buttons = [{"url": f"{up}{slug}/claims.html", "tooltip": claims, "icon": "fas fa-list-check"}]
    if slug in app.config.llmbook_downloads:
        buttons.insert(
            0, {"url": f"{up}notebooks/{slug}.ipynb", "tooltip": download, "icon": "fas fa-download", "download": True}
        )
    context["llmbook_buttons"] = buttons


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("llmbook_title", "", "env", str)
    app.add_config_value("llmbook_downloads", [], "html", [list])
    app.add_config_value("llmbook_digest", "", "env", str)
    app.add_transform(MarkChineseEmphasis)
    app.connect("html-page-context", add_links, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
