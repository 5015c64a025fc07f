"""LibreOffice's help pages in Chinese and English, aligned paragraph by paragraph."""

import re
import tempfile
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

from llmbook.data.fetch import downloaded
from vendoring.debian import DEBIAN_LIBREOFFICE, unpack_deb
from vendoring.tables import HAN, clean, compressed

ENGLISH = {
    "package": "libreoffice-help-en-us",
    "version": DEBIAN_LIBREOFFICE,
    "registry": "Debian",
    "file": "libreoffice-help-en-us_4%3a7.4.7-1+deb12u14_all.deb",
    "sha256": "8faa840285734d6cfe1ed25537b48f07e74bd6412e3917bf8e5f8a653f7b3712",
}
CHINESE = {
    "package": "libreoffice-help-zh-cn",
    "version": DEBIAN_LIBREOFFICE,
    "registry": "Debian",
    "file": "libreoffice-help-zh-cn_4%3a7.4.7-1+deb12u14_all.deb",
    "sha256": "db867cdece4c2f9c7eebe65e519c6cf386fdcf49d6e061db3dffec893b3e1dee",
}
TABLE = "libreoffice/help.jsonl.gz"
WHAT = "39,552 paragraphs of LibreOffice's help in Chinese and English, by page and in order; see LICENSE.md beside it"


class HelpPage(HTMLParser):
    """The headings and paragraphs of a page that carry an id, in order: [id, kind, text].

    Of a text that differs by system or application the browser shows the default, so that is what is kept.
    """

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[list[str]] = []
        self.is_open = False
        self.spans: list[bool] = []  # of each open span: does it hide its text?

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        id_ = values.get("id") or ""
        if re.fullmatch(r"p|h[1-6]", tag):
            self.is_open = bool(re.match(r"(par|hd)_id", id_))
            self.spans = []
            if self.is_open:
                self.blocks.append([id_, tag if tag != "p" else kind(values.get("class") or ""), ""])
        elif tag == "span":
            self.spans.append("hidden" in values and not id_.startswith("default"))
        elif tag == "br":
            self.handle_data(" ")

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch(r"p|h[1-6]", tag):
            self.is_open = False
        elif tag == "span" and self.spans:
            self.spans.pop()

    def handle_data(self, data: str) -> None:
        if self.is_open and not any(self.spans):
            self.blocks[-1][2] += data


def kind(style: str) -> str:
    """What a paragraph is, by its style: "code", "cell" (of a table), "item" (of a list) or "paragraph"."""
    for part, name in (("code", "code"), ("table", "cell"), ("item", "item")):
        if part in style:
            return name
    return "paragraph"


def pages(package: Path, language: str) -> dict[str, list[list[str]]]:
    """The blocks of each page of a help package, by the page's path."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        unpack_deb(package, folder)
        base = Path(folder, "usr/share/libreoffice/help", language, "text")
        for path in sorted(base.rglob("*.html")):
            parser = HelpPage()
            parser.feed(path.read_text(encoding="utf-8"))
            parser.close()
            found[path.relative_to(base).with_suffix("").as_posix()] = parser.blocks
    return found


def help_rows(english: dict[str, list[list[str]]], chinese: dict[str, list[list[str]]]) -> list[dict[str, str | int]]:
    """What both languages have: the n-th block with some id on a page is the translation of the n-th with that id.

    Left out are code, blocks without text, blocks that are not translated, and a few with broken characters.
    """
    rows: list[dict[str, str | int]] = []
    for page in sorted(english.keys() & chinese.keys()):
        translations = {(id_, n): clean(text) for n, (id_, _, text) in counted(chinese[page])}
        for order, (n, (id_, kind_, text)) in enumerate(counted(english[page])):
            en, zh = clean(text), translations.get((id_, n), "")
            translated = re.search("[A-Za-z]", en) and re.search(f"[{HAN}]", zh) and en != zh
            if kind_ != "code" and translated and (en + zh).isprintable():
                rows.append({"page": page, "order": order, "paragraph": id_, "kind": kind_, "zh": zh, "en": en})
    return rows


def counted(blocks: list[list[str]]) -> list[tuple[int, list[str]]]:
    """Each block with how many before it have its id: some pages include a part of another twice."""
    seen: Counter[str] = Counter()
    numbered = []
    for block in blocks:
        numbered.append((seen[block[0]], block))
        seen[block[0]] += 1
    return numbered


def made(folder: Path) -> dict[str, bytes]:
    """The table."""
    english, chinese = downloaded(ENGLISH, folder), downloaded(CHINESE, folder)
    return {TABLE: compressed(help_rows(pages(english, "en-US"), pages(chinese, "zh-CN")))}


FILES = [(TABLE, [ENGLISH, CHINESE], "MPL-2.0", WHAT)]
