"""Fetches what the site takes from npm into `_static/`; `python site/vendor.py FOLDER` takes archives from a folder.

`package.json` names each package's version, the hash of its archive, and the files that are taken. Nothing is unpacked
unless all hashes agree; an unpacked folder replaces the one that was there.
"""

import base64
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

SITE = Path(__file__).resolve().parent


def fetch(name: str, version: str, folder: Path) -> Path:
    """The package's archive in `folder`, fetched by npm if it isn't there."""
    archive = folder / f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"
    if not archive.exists():
        command = ["npm", "pack", f"{name}@{version}", "--pack-destination", str(folder), "--silent"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return archive


def verify(archive: Path, integrity: str) -> None:
    """Compares the archive's SHA-512 with the recorded one.

    Raises:
        ValueError: they differ.
    """
    found = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != integrity:
        raise ValueError(f"{archive.name}: expected {integrity}, found {found}")


def unpack(archive: Path, files: dict[str, str], target: Path) -> None:
    """Writes the named files and folders of the archive (below its `package/`) to their places in `target`."""
    missing = set(files)
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            path = PurePosixPath(member.name).relative_to("package")
            taken = next((name for name in files if name in (str(path), *map(str, path.parents))), None)
            content = (
                tar.extractfile(member) if member.isfile() and taken is not None and ".." not in path.parts else None
            )
            if taken is None or content is None:
                continue
            place = target / files[taken] / path.relative_to(taken)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.read())
            missing.discard(taken)
    if missing:
        raise ValueError(f"{archive.name} has no {sorted(missing)}")


def vendor(cache: Path, static: Path) -> None:
    """Fetches, verifies, then replaces the vendored folders of `static`."""
    package = json.loads((SITE / "package.json").read_text(encoding="utf-8"))
    archives = {}
    for name, entry in package["vendor"].items():
        archives[name] = fetch(name, package["dependencies"][name], cache)
        verify(archives[name], entry["integrity"])
    with tempfile.TemporaryDirectory(dir=static) as new:
        for name, archive in archives.items():
            unpack(archive, package["vendor"][name]["files"], Path(new))
        for folder in sorted(Path(new).iterdir()):
            shutil.rmtree(static / folder.name, ignore_errors=True)
            folder.rename(static / folder.name)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        vendor(Path(sys.argv[1]), SITE / "_static")
    else:
        with tempfile.TemporaryDirectory() as downloads:
            vendor(Path(downloads), SITE / "_static")
