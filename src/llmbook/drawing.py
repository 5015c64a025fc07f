"""The words of a drawn figure, an SVG whose text is text: found, put into another language, and set in a font that it carries itself.

A picture on a page cannot use the page's fonts, so the few glyphs that it needs travel inside it.

Leaves out: text that holds mathematics, which matplotlib sets letter by letter; it stays as it is.

Book: §0
"""

import base64
import html
import io
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fontTools.subset import Options, Subsetter
from fontTools.ttLib import TTFont

SVG = "image/svg+xml"  # as an output's data are called
FONT = "fonts/NotoSansSC-subset.otf"  # of the vendored files
FAMILY = "Noto Sans SC Subset"
FIRST_CHINESE = 0x2E80
TEXT = re.compile(r"(<text\b[^>]*>)([^<]*)(</text>)")
MIXED = re.compile(r"<!-- (.*?) -->")  # the source of a text with mathematics stands before it
MATHEMATICS = re.compile(r"\$[^$]*\$")
WORD = re.compile(r"[A-Za-z]{2}")
CARRIED = re.compile(r'<style type="text/css" class="font">.*?</style>', re.DOTALL)


def words(svg: str) -> list[str]:
    """The texts of a drawing, each once, in order."""
    return list(dict.fromkeys(html.unescape(text) for _, text, _ in TEXT.findall(svg) if text.strip()))


def with_words(svg: str, labels: Mapping[str, str]) -> str:
    """The drawing with the texts that `labels` names exchanged."""

    def exchange(match: re.Match[str]) -> str:
        text = html.unescape(match[2])
        return f"{match[1]}{html.escape(labels.get(text, text), quote=False)}{match[3]}"

    return TEXT.sub(exchange, svg)


def label_complaints(svgs: list[str], labels: Mapping[str, str], font: Path) -> list[str]:
    """What keeps the drawings of a cell from being told in another language: words without a label, labels without a word, glyphs."""
    found = [text for svg in svgs for text in words(svg)]
    sources = dict.fromkeys(source for svg in svgs for source in MIXED.findall(svg))
    mixed = [source for source in sources if "$" in source and WORD.search(MATHEMATICS.sub("", source))]
    with TTFont(font, lazy=True) as opened:
        glyphs = opened.getBestCmap()
    lacking = sorted({letter for text in labels.values() for letter in text if ord(letter) not in glyphs})
    return [
        *(f"no label for {text!r}" for text in dict.fromkeys(found) if WORD.search(text) and text not in labels),
        *(f"the label of {text!r} stands for no text of the figure" for text in labels if text not in found),
        *(f"{text!r} mixes words and mathematics; write it without $" for text in mixed),
        *([f"the book's font has no {''.join(lacking)}"] if lacking else []),
    ]


def with_font(svg: str, font: Path) -> str:
    """The drawing with the glyphs of `font` that its texts need, in place of those that it carried before."""
    svg = CARRIED.sub("", svg)
    return _carrying(svg, font, _letters(svg))


def with_chinese(svg: str, font: Path) -> str:
    """A drawing that carries the glyphs of its Chinese letters; all other letters are in the reader's own fonts.

    The carried font stands first: behind the others Chromium draws the first words of each size before it is there, as boxes.
    """
    chinese = {letter for letter in _letters(svg) if ord(letter) >= FIRST_CHINESE}
    return _carrying(svg.replace('font-family="', f"font-family=\"'{FAMILY}', "), font, chinese) if chinese else svg


def _letters(svg: str) -> set[str]:
    return {letter for text in re.findall(r">([^<]+)<", svg) for letter in html.unescape(text)}


def _carrying(svg: str, font: Path, letters: set[str]) -> str:
    data = base64.b64encode(_subset(font, "".join(sorted(letters)))).decode()
    style = f'<style type="text/css" class="font">@font-face{{font-family:\'{FAMILY}\';src:url(data:font/otf;base64,{data})}}</style>'
    return re.sub(r"(<svg\b[^>]*>)", lambda match: match[1] + style, svg, count=1)


@cache
def _subset(font: Path, letters: str) -> bytes:
    """The bytes of a font that holds these letters only; the same for the same letters."""
    options = Options(layout_features=[], name_IDs=[], notdef_outline=True, hinting=False, recalc_timestamp=False)
    subsetter = Subsetter(options)
    subsetter.populate(text=letters)
    buffer = io.BytesIO()
    with TTFont(font, recalcTimestamp=False, lazy=True) as loaded:
        subsetter.subset(loaded)
        loaded.save(buffer, reorderTables=False)
    return buffer.getvalue()
