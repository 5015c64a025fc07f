"""Tables as compressed lines of JSON, and the cleaning of texts that several sources need."""

import gzip
import json
import re
from collections.abc import Iterable

HAN = "\u4e00-\u9fff"
WIDE = f"{HAN}\u3000-\u303f\uff00-\uffef"  # Chinese characters and punctuation: no space belongs between two of them


def compressed(rows: Iterable[dict]) -> bytes:
    """One JSON object a line; the same rows give the same bytes."""
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    return gzip.compress(lines.encode(), compresslevel=9, mtime=0)


def clean(text: str) -> str:
    """One line without soft hyphens, and without spaces between Chinese characters."""
    text = " ".join(text.replace("\u00ad", "").split())
    return re.sub(f"(?<=[{WIDE}]) (?=[{WIDE}])", "", text)
