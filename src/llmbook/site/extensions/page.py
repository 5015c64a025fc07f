"""What every page carries: the switch of languages, its chapter's buttons, minutes, points to read, the theme's words.

Book: §0
"""

import json
import re
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform

from llmbook.atomic import write_text
from llmbook.site.pages import LONGEST_SOURCE

CHAPTER = re.compile(r"(\d\d-[^/]+)/")
POINT = re.compile(r"point-(\d+-\d+-\d+)")
SECTION = re.compile(r"(\d\d-[^/]+)/section-\d+-\d+")
OTHER = {"zh_CN": ("en", "en"), "en": ("zh", "zh-CN")}
WORDS = {
    "zh_CN": {
        "download": "下载本章笔记本",
        "claims": "本章的全部论断",
        "minutes": "读一遍约 {} 分钟",
        "unwritten": "这一点还没有写。",
        "languages": "语言",
        "contents": "全书目录",
        "home": "首页",
        "fold": "展开或收起这一章",
        "left": "显示或隐藏全书目录",
        "right": "显示或隐藏本页目录",
        "run": "自己运行一遍",
        "lab": "或者取得全书，在终端里启动 JupyterLab：",
        "open": "再打开",
        "zip": "下载整个网站（zip，离线可读）",
    },
    "en": {
        "download": "Download this chapter's notebook",
        "claims": "All claims of this chapter",
        "minutes": "about {} min to read",
        "unwritten": "This point is not written yet.",
        "languages": "Language",
        "contents": "Contents of the book",
        "home": "Home",
        "fold": "Unfold or fold this chapter",
        "left": "Show or hide the book's contents",
        "right": "Show or hide this page's contents",
        "run": "Run this yourself",
        "lab": "Or get the whole book and start JupyterLab from a terminal:",
        "open": "then open",
        "zip": "Download the whole site (zip, reads offline)",
    },
}
# The theme's words that its Chinese lacks or gets wrong.
THEME = {
    "zh_CN": {
        "Color mode": "明暗",
        "Light": "浅色",
        "Dark": "深色",
        "System Settings": "跟随系统",
        "previous": "上一页",
        "next": "下一页",
        "Breadcrumb": "所在位置",
        "Skip to main content": "跳到正文",
    },
    "en": {},
}
# What stands in the HTML of Sphinx and MyST-NB and is wrong: a deprecated role, a list of something else, a name in
# English that is not what can be read.
WRONG_LABELS = (' role="doc-biblioentry"', ' role="list"', ' aria-label="Toggle hidden content"')
HAN = re.compile(r"[\u3400-\u9fff]")
WORD = re.compile(r"[^\W\u3400-\u9fff]+")


class SayWhatIsUnwritten(SphinxTransform):
    """A point that is not among the finished ones says so."""

    default_priority = 330

    def apply(self, **_: object) -> None:
        for section in self.document.findall(nodes.section):
            label = POINT.fullmatch(section["ids"][0])
            if label and label[1].replace("-", ".") not in self.config.llmbook_finished:
                words = WORDS[self.config.language]
                section.append(nodes.paragraph("", words["unwritten"], classes=["llmbook-unwritten"]))


class MarkChineseEmphasis(SphinxTransform):
    """Gives emphasized Chinese a class, so that it gets dots below and "et al." keeps its slope."""

    default_priority = 320

    def apply(self, **_: object) -> None:
        for node in self.document.findall(nodes.emphasis):
            if re.search(r"[\u3400-\u9fff]", node.astext()):
                node["classes"].append("cjk")


def reading_minutes(doctree: nodes.document) -> int:
    """Minutes to read a page; above 20, to the nearest 5.

    A minute takes 260 Chinese characters, or 160 words, or 25 lines of code, or 4 displayed formulas, or 40 inline ones.
    What a cell printed is skimmed: 80 lines a minute. Long sources are folded, and not counted.
    """
    minutes = 0.0
    for node in doctree.findall(lambda node: isinstance(node, nodes.Text | nodes.literal_block | nodes.math_block)):
        if isinstance(node, nodes.math_block):
            minutes += 1 / 4
        elif isinstance(node, nodes.literal_block):
            lines = node.astext().count("\n") + 1
            if "python" not in node.get("language", ""):
                minutes += lines / 80
            elif lines <= LONGEST_SOURCE:
                minutes += lines / 25
        elif isinstance(node.parent, nodes.math):
            minutes += 1 / 40
        elif not isinstance(node.parent, nodes.literal_block | nodes.math_block | nodes.raw | nodes.comment):
            minutes += len(HAN.findall(node)) / 260 + len(WORD.findall(node)) / 160
    return max(1, round(minutes)) if minutes <= 20 else 5 * round(minutes / 5)


def add_minutes(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Puts the reading minutes below the title of a section's page, if any of it is written."""
    if not points(app.env).get(docname):
        return
    title = next(iter(doctree.findall(nodes.title)), None)
    if title is not None:
        said = WORDS[app.config.language]["minutes"].format(reading_minutes(doctree))
        title.parent.insert(1, nodes.paragraph("", said, classes=["llmbook-minutes"]))


def add_links(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: nodes.document | None
) -> None:
    """Tells the templates where the page stands in the other language, its chapter's buttons, and the theme's words."""
    up = "../" * pagename.count("/")
    folder, code = OTHER[app.config.language]
    words = WORDS[app.config.language]
    context["llmbook_other"] = {"url": f"../{up}{folder}/{pagename}.html", "lang": code}
    context["llmbook_words"] = words
    for wrong in WRONG_LABELS:
        context["body"] = context.get("body", "").replace(wrong, "")
    translate = app.builder.templates.environment.globals["gettext"]
    theme = THEME[app.config.language]
    context["_"] = lambda text: theme.get(text) or translate(text)
    if pagename == app.config.root_doc:
        context["llmbook_zip"] = f"{up}../llmbook.zip"
    chapter = CHAPTER.match(pagename)
    if chapter is None:
        return
    slug = chapter[1]
    buttons: list[dict[str, Any]] = [
        {"url": f"{up}{slug}/claims.html", "tooltip": words["claims"], "icon": "fas fa-list-check"}
    ]
    if slug in app.config.llmbook_downloads:
        notebook = f"{up}notebooks/{slug}.ipynb"
        buttons.insert(0, {"url": notebook, "tooltip": words["download"], "icon": "fas fa-download", "download": True})
        if SECTION.fullmatch(pagename):
            work = f"work/{'zh' if code == 'en' else 'en'}/{slug}.ipynb"
            context["llmbook_run"] = {"notebook": notebook, "work": work, "zip": f"{up}../llmbook.zip"}
    context["llmbook_buttons"] = buttons


def points(env: BuildEnvironment) -> dict[str, list[tuple[str, str]]]:
    """Number and title of the finished points of each section's page."""
    found: dict[str, list[tuple[str, str]]] = {}
    for docname in sorted(filter(SECTION.fullmatch, env.tocs)):
        numbered = [
            (".".join(map(str, entry[0]["secnumber"])), entry[0].astext())
            for entry in env.tocs[docname].findall(lambda node: node.tagname == "compact_paragraph")
            if POINT.fullmatch(entry[0]["anchorname"][1:])
        ]
        numbered = [point for point in numbered if point[0] in env.config.llmbook_finished]
        if numbered:
            found[docname] = numbered
    return found


def write_points(app: Sphinx, exception: Exception | None) -> None:
    """Writes the list of points for `progress.js`; a classic script, because pages opened from a disk may not fetch."""
    if exception is None and app.builder.format == "html":
        text = json.dumps(points(app.env), ensure_ascii=False, separators=(",", ":"))
        write_text(Path(app.outdir, "_static", "js", "points.js"), f"window.llmbookPoints = {text};\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("llmbook_title", "", "env", str)
    app.add_config_value("llmbook_downloads", [], "html", [list])
    app.add_config_value("llmbook_digest", "", "env", str)
    app.add_config_value("llmbook_finished", [], "env", [list])
    app.add_transform(MarkChineseEmphasis)
    app.add_transform(SayWhatIsUnwritten)
    app.connect("doctree-resolved", add_minutes, priority=900)
    app.connect("html-page-context", add_links, priority=400)
    app.connect("build-finished", write_points)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
