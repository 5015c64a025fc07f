import base64
import hashlib
import importlib.util
import json
import tarfile
from pathlib import Path

import pytest

SITE = Path(__file__).resolve().parents[2] / "site"
SPEC = importlib.util.spec_from_file_location("llmbook_vendor", SITE / "vendor.py")
assert SPEC
assert SPEC.loader
vendor = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(vendor)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for name, text in {"one.js": "1", "folder/two.js": "2", "left.js": "3"}.items():
        file = tmp_path / "package" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with tarfile.open(tmp_path / "p-1.0.0.tgz", "w:gz") as tar:
        tar.add(tmp_path / "package", "package")
    return tmp_path / "p-1.0.0.tgz"


def test_only_the_named_files_are_unpacked(archive: Path, tmp_path: Path) -> None:
    vendor.unpack(archive, {"one.js": "m/1.js", "folder": "m/f"}, tmp_path / "out")
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.js")) == [
        "m/1.js",
        "m/f/two.js",
    ]


@pytest.mark.messages
def test_a_missing_file_is_refused(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no \['none\.js'\]"):
        vendor.unpack(archive, {"none.js": "m"}, tmp_path / "out")


@pytest.mark.messages
def test_another_archive_is_refused(archive: Path) -> None:
    right = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    vendor.verify(archive, right)
    with pytest.raises(ValueError, match="expected sha512-AAAA"):
        vendor.verify(archive, "sha512-AAAA")


def test_all_that_is_named_is_there_with_its_licence() -> None:
    entries = json.loads((SITE / "package.json").read_text(encoding="utf-8"))["vendor"].values()
    assert all((SITE / entry["folder"] / place).exists() for entry in entries for place in entry["files"].values())
    folders = {entry["folder"] for entry in entries}
    assert all(
        any((SITE / folder / name).exists() for name in ("LICENSE", "LICENSE.txt", "package.json"))
        for folder in folders
    )
