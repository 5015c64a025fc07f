"""Pictures of emoji on one sheet, with labels and tags in Chinese and English."""

import io
import json
import tarfile
from pathlib import Path

from PIL import Image

from llmbook.data.fetch import downloaded
from vendoring.tables import compressed

PICTURES = {
    "package": "emoji-datasource-google",
    "version": "16.0.0",
    "registry": "npm",
    "file": "emoji-datasource-google-16.0.0.tgz",
    "sha256": "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
}
LABELS = {
    "package": "emojibase-data",
    "version": "17.0.0",
    "registry": "npm",
    "file": "emojibase-data-17.0.0.tgz",
    "sha256": "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
}
SHEET, TABLE, LICENCE = "emoji/sheet.png", "emoji/labels.jsonl.gz", "emoji/MIT.txt"
SIZE, BORDER, COLUMNS = 32, 1, 41


def members(package: Path, *names: str) -> list[bytes]:
    """Files of an npm package."""
    with tarfile.open(package) as archive:
        return [archive.extractfile(f"package/{name}").read() for name in names]


def chosen(emoji: list[dict]) -> list[dict]:
    """Those with a picture that are no flags, in the order of keyboards."""
    kept = [one for one in emoji if one["has_img_google"] and one["category"] != "Flags"]
    return sorted(kept, key=lambda one: one["sort_order"])


def sheet(source: Image.Image, emoji: list[dict]) -> bytes:
    """The pictures without their borders, 41 a row, as PNG."""
    rows = -(-len(emoji) // COLUMNS)
    image = Image.new("RGBA", (COLUMNS * SIZE, rows * SIZE))
    for place, one in enumerate(emoji):
        left, top = (BORDER + one[f"sheet_{axis}"] * (SIZE + 2 * BORDER) for axis in "xy")
        y, x = divmod(place, COLUMNS)
        image.paste(source.crop((left, top, left + SIZE, top + SIZE)), (x * SIZE, y * SIZE))
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()


def labels(emoji: list[dict], chinese: list[dict], english: list[dict]) -> list[dict]:
    """One row a picture, in the sheet's order; the sources write a code point for "as a picture" (FE0F) or leave it out."""
    zh, en = ({plain(one["hexcode"]): one for one in data} for data in (chinese, english))
    return [
        {
            "emoji": "".join(chr(int(code, 16)) for code in one["unified"].split("-")),
            "category": one["category"],
            "zh": zh[code]["label"],
            "zh_tags": zh[code].get("tags", []),
            "en": en[code]["label"],
            "en_tags": en[code].get("tags", []),
        }
        for one in emoji
        for code in [plain(one["unified"])]
    ]


def plain(code: str) -> str:
    """The code points without FE0F."""
    return "-".join(part for part in code.split("-") if part != "FE0F")


def made(folder: Path) -> dict[str, bytes]:
    """The sheet, the table and the two licences."""
    listed, picture, art = members(
        downloaded(PICTURES, folder), "emoji.json", f"img/google/sheets/{SIZE}.png", "LICENSE"
    )
    zh, en, words = members(downloaded(LABELS, folder), "zh/data.json", "en/data.json", "LICENSE")
    emoji = chosen(json.loads(listed))
    texts = [
        f"==== {name} ====\n\n{text.decode().strip()}\n"
        for name, text in zip(("emoji-datasource-google", "emojibase-data"), (art, words), strict=True)
    ]
    return {
        SHEET: sheet(Image.open(io.BytesIO(picture)).convert("RGBA"), emoji),
        TABLE: compressed(labels(emoji, json.loads(zh), json.loads(en))),
        LICENCE: "\n".join(texts).encode(),
    }


FILES = [
    (
        SHEET,
        PICTURES,
        "Apache-2.0",
        "1,641 emoji as pictures of 32 by 32 pixels, 41 a row, in the order of labels.jsonl.gz",
    ),
    (TABLE, [PICTURES, LABELS], "MIT", "1,641 emoji with labels and tags in Chinese and English"),
    (LICENCE, [PICTURES, LABELS], "MIT", "the licences of the lists of emoji and of their labels"),
]
