"""The whole site as one file, to be read without a network.

Book: §0
"""

import re
import zipfile
from pathlib import Path


def archive(folder: Path, target: Path) -> None:
    """Packs the site below `llmbook/`; the same site gives the same bytes. Its pages don't offer the archive again."""
    with zipfile.ZipFile(target, "w") as packed:
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path != target):
            content = path.read_bytes()
            if path.suffix == ".html":
                content = re.sub(rb'<p class="llmbook-zip">.*?</p>\n?', b"", content)
            entry = zipfile.ZipInfo(f"llmbook/{path.relative_to(folder).as_posix()}", (1980, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            packed.writestr(entry, content)
