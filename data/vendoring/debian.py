"""Debian's packages: which release LibreOffice's are of, and how their files are taken out."""

import subprocess
from pathlib import Path

DEBIAN_LIBREOFFICE = "4:7.4.7-1+deb12u14"


def unpack_deb(package: Path, folder: str) -> None:
    """A Debian package's files, without its scripts."""
    subprocess.run(["dpkg-deb", "-x", str(package), folder], check=True)
