"""Fetches what the site and its tests take from npm; `python site/vendor.py FOLDER` takes archives from a folder.

`package.json` names each package's version, the hash of its archive, the files that are taken and the folder that they
go to. Nothing is unpacked unless all hashes agree; an unpacked folder replaces the one that was there.
"""

import base64
import hashlib
import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from llmbook.data.fetch import download_command, run

SITE = Path(__file__).resolve().parent


def fetch(name: str, version: str, folder: Path) -> Path:
    """The package's archive in `folder`, fetched by npm if it isn't there."""
    archive = folder / f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"
    if not archive.exists():
        run(download_command({"package": name, "version": version, "registry": "npm", "file": archive.name}), folder)
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


def vendor(cache: Path, site: Path) -> None:
    """Fetches, verifies, then replaces the vendored folders of `site`."""
    package = json.loads((SITE / "package.json").read_text(encoding="utf-8"))
    versions = package["dependencies"] | package["devDependencies"]
    archives = {}
    for name, entry in package["vendor"].items():
        archives[name] = fetch(name, versions[name], cache)
        verify(archives[name], entry["integrity"])
    with tempfile.TemporaryDirectory(dir=site) as new:
        for name, archive in archives.items():
            entry = package["vendor"][name]
            unpack(archive, entry["files"], Path(new) / entry["folder"])
        folders = {PurePosixPath(entry["folder"]) for entry in package["vendor"].values()}
        for folder in sorted(folder for folder in folders if not folders & set(folder.parents)):
            shutil.rmtree(site / folder, ignore_errors=True)
            (Path(new) / folder).rename(site / folder)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        vendor(Path(sys.argv[1]), SITE)
    else:
        with tempfile.TemporaryDirectory() as downloads:
            vendor(Path(downloads), SITE)
