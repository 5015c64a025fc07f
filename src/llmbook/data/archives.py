"""Chosen files out of a zip, whl, tgz, tar.gz or deb, without ever running or trusting what the archive says of itself.

Book: §7.1.2
"""

import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

AR_MAGIC, AR_HEADER = b"!<arch>\n", 60
BROKEN = (zipfile.BadZipFile, tarfile.TarError, gzip.BadGzipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


def unpack(archive: Path, wanted: Sequence[str], target: Path) -> None:
    """Writes these members of a zip, whl, tgz, tar.gz or deb below `target`; no other member is looked at.

    Raises:
        ValueError: the archive is broken or of another kind, or one of the members is missing, twice there, or no plain file,
            or its path leads out of the target.
    """
    for path in wanted:
        require_plain_path(path)
    missing = set(wanted)
    try:
        for name, content in members(archive, frozenset(wanted)):
            if content is None:
                raise ValueError(f"{archive.name}: {name} is a link or no file; it is refused")
            if name not in missing:
                raise ValueError(f"{archive.name} holds {name} twice; it is refused")
            missing.discard(name)
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            with content, (target / name).open("xb") as file:
                shutil.copyfileobj(content, file)
    except BROKEN as error:
        raise ValueError(
            f"{archive.name} cannot be read, it may be cut off: {error or type(error).__name__}"
        ) from error
    if missing:
        raise ValueError(f"{archive.name} has no {', '.join(sorted(missing))}")


def members(archive: Path, wanted: frozenset[str]) -> Iterator[tuple[str, IO[bytes] | None]]:
    """Of each wanted member of the archive its name and its content, None for what is no plain file."""
    if archive.suffix in (".zip", ".whl"):
        with zipfile.ZipFile(archive) as zip_:
            for info in zip_.infolist():
                if (name := str(PurePosixPath(info.filename))) in wanted:
                    plain = not info.is_dir() and stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
                    yield name, zip_.open(info) if plain else None
    elif archive.suffix == ".deb" or archive.name.endswith((".tgz", ".tar.gz")):
        source = BytesIO(data_of_deb(archive)) if archive.suffix == ".deb" else archive.open("rb")
        with source, tarfile.open(fileobj=source) as tar:
            for member in tar:
                if (name := str(PurePosixPath(member.name))) in wanted:
                    yield name, tar.extractfile(member) if member.isreg() else None
            while tar.fileobj.read(2**20):  # to the end, where the compression's checksum is
                pass
    else:
        raise ValueError(f"expected a zip, whl, tgz, tar.gz or deb, got {archive.name}")


def data_of_deb(package: Path) -> bytes:
    """The archive `data.tar.*` inside a Debian package, which is an ar archive: of each member a header of 60 bytes, then its bytes.

    Raises:
        ValueError: no Debian package, one that is cut off, or one without data.
    """
    content = package.read_bytes()
    place = len(AR_MAGIC)
    while content.startswith(AR_MAGIC) and place + AR_HEADER <= len(content):
        header = content[place : place + AR_HEADER]
        name, size = header[:16].decode("latin-1").rstrip(" /"), header[48:58].decode("latin-1").strip()
        if header[58:] != b"`\n" or not size.isdigit() or place + AR_HEADER + int(size) > len(content):
            break
        place += AR_HEADER
        if name.startswith("data.tar"):
            return content[place : place + int(size)]
        place += int(size) + int(size) % 2
    raise ValueError(f"{package.name} is no Debian package, or it is cut off: no data.tar at byte {place}")


def require_plain_path(path: str) -> None:
    """A path inside an archive has to stay below the folder that it is unpacked into, on every system.

    Raises:
        ValueError: it is absolute, empty, not in its shortest form, or has a "..", a backslash or a colon.
    """
    if path in ("", ".") or path != str(PurePosixPath(path)) or path.startswith("/") or ".." in path.split("/"):
        raise ValueError(f"expected a plain path inside the archive, got {path!r}")
    if "\\" in path or ":" in path:
        raise ValueError(f"expected a path without backslash and colon, got {path!r}")
