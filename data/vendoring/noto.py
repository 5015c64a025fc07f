"""The font of the figures: Noto Sans CJK SC, cut to the characters that the book may draw."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

from llmbook.data.fetch import downloaded
from vendoring.debian import unpack_deb

SOURCE = {
    "package": "fonts-noto-cjk",
    "version": "1:20220127+repack1-1",
    "registry": "Debian",
    "file": "fonts-noto-cjk_1%3a20220127+repack1-1_all.deb",
    "sha256": "4a2515eb6db3978b897fef9709ed0d2b1f4c6c4df4d83d6c4ef65f71f1b1f502",
}
FONT, FONT_LICENCE = "fonts/NotoSansSC-subset.otf", "fonts/OFL.txt"
SIMPLIFIED_CHINESE_FACE = 2
FAMILY = "Noto Sans SC Subset"  # a name that no installed font has, so that every machine draws with this file
PINYIN = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜüĀÁǍÀĒÉĚÈĪÍǏÌŌÓǑÒŪÚǓÙǕǗǙǛÜńňǹḿ"
SIGNS = (
    "·×÷±−∓∞∂∇∑∏∫√∝∈∉⊂⊆∪∩∧∨¬∀∃≈≠≡≤≥≪≫∥⊥→←↑↓↔⇒⇐⇔↗↘↙↖•…‥—–‐‑“”‘’《》〈〉「」『』【】〔〕、。，．：；！？（）［］｛｝％＋＝～＂＇／＜＞＆＠＃￥"
    "°′″‰€£¥§¶©®™†‡←∅⊙⊕⊗✓●○■□▲△▼▽◆◇★☆①②③④⑤⑥⑦⑧⑨⑩¹²³⁴"
    "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ\u00a0\u3000"
)


def characters() -> set[int]:
    """GB2312's 6,763 characters, ASCII, pinyin, the signs of labels."""
    gb2312 = "".join(
        bytes((row, cell)).decode("gb2312", errors="ignore") for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF)
    )
    return set(map(ord, gb2312 + "".join(map(chr, range(0x20, 0x7F))) + PINYIN + SIGNS))


def font(package: Path, wanted: Iterable[int]) -> tuple[bytes, bytes]:
    """The subset of Noto Sans CJK SC Regular without hints, and its licence's text."""
    with tempfile.TemporaryDirectory() as folder:
        unpack_deb(package, folder)
        collection = Path(folder, "usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
        face = TTFont(collection, fontNumber=SIMPLIFIED_CHINESE_FACE, recalcTimestamp=False)
        if face["name"].getDebugName(4) != "Noto Sans CJK SC":
            raise ValueError(
                f"face {SIMPLIFIED_CHINESE_FACE} is {face['name'].getDebugName(4)!r}, not 'Noto Sans CJK SC'"
            )
        notice = face["name"].getDebugName(0)
        options = subset.Options(hinting=False, desubroutinize=False, layout_features=["kern"], notdef_outline=True)
        options.drop_tables += ["VORG", "vhea", "vmtx", "BASE"]
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=wanted)
        cutter.subset(face)
        for record in face["name"].names:
            if record.nameID in (1, 4, 6, 16):
                face["name"].setName(
                    FAMILY.replace(" ", "") if record.nameID == 6 else FAMILY,
                    record.nameID,
                    record.platformID,
                    record.platEncID,
                    record.langID,
                )
        cut = Path(folder, "cut.otf")
        face.save(cut)
        copyright_ = Path(folder, "usr/share/doc/fonts-noto-cjk/copyright").read_text(encoding="utf-8")
        return cut.read_bytes(), licence_text(notice, copyright_).encode()


def licence_text(notice: str, copyright_: str) -> str:
    """The font's own copyright notice and the SIL Open Font License out of Debian's copyright file, as plain text."""
    body = copyright_.split("\n\nLicense: SIL-1.1\n", 1)[1].split("\n\n", 1)[0]
    lines = ["" if line.strip() == "." else line.removeprefix(" ") for line in body.splitlines()]
    return "\n".join([notice, "", *lines, ""])


def made(folder: Path) -> dict[str, bytes]:
    """The font and its licence."""
    glyphs, licence = font(downloaded(SOURCE, folder), characters())
    return {FONT: glyphs, FONT_LICENCE: licence}


FILES = [
    (FONT, SOURCE, "OFL-1.1", "Noto Sans CJK SC Regular, cut to GB2312, ASCII, pinyin and the signs of figures"),
    (FONT_LICENCE, SOURCE, "OFL-1.1", "the font's licence"),
]
