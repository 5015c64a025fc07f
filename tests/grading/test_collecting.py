"""Submissions as Moodle, Canvas, zips and browsers hand them out."""

import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from llmbook.grading.collecting import found_in

RELEASED = ["01.en.ipynb", "01.zh.ipynb"]
WHEN = datetime(2027, 3, 4, 5, 6, tzinfo=UTC)

FILES = [  # a path as a system makes it; whose it is, the name that it gives, which notebook; or why it is left
    ("ann/01.en.ipynb", ("ann", "", "01.en.ipynb")),
    ("李华/01.zh.ipynb", ("李华", "", "01.zh.ipynb")),
    ("ben/01.en (1).ipynb", ("ben", "", "01.en.ipynb")),
    ("cho/chapter-01/01.zh.ipynb", ("cho", "", "01.zh.ipynb")),
    ("Dee Lee_4711_assignsubmission_file/01.en.ipynb", ("4711", "Dee Lee", "01.en.ipynb")),
    ("王小明_4712_assignsubmission_file_/01.zh.ipynb", ("4712", "王小明", "01.zh.ipynb")),
    ("Eve O'Hara_4713_assignsubmission_file_01.en.ipynb", ("4713", "Eve O'Hara", "01.en.ipynb")),
    ("_x_4714_assignsubmission_file_01.zh(2).ipynb", ("4714", "_x", "01.zh.ipynb")),
    ("foxgina_811_90210_01.en.ipynb", ("811", "foxgina", "01.en.ipynb")),
    ("grayhal_LATE_812_90211_01.en-1.ipynb", ("812", "grayhal", "01.en.ipynb")),
    ("huivy_813_90212_01.EN.ipynb", ("813", "huivy", "01.en.ipynb")),
    ("ann/notes.txt", "is no notebook of this assignment"),
    ("ann/02.en.ipynb", "is no notebook of this assignment"),
    ("ann/.ipynb_checkpoints/01.en-checkpoint.ipynb", "is no notebook of this assignment"),
    ("__MACOSX/._x", "is no notebook of this assignment"),
    ("01.en.ipynb", "lies in no student's folder"),
    ("homework 01.en.ipynb", "begins with 'homework ', by which no student can be told"),
    ("=1+1/01.en.ipynb", "is no student's id"),
]


def laid_out(folder: Path, paths: list[str]) -> Path:
    for path in paths:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(path, encoding="utf-8")
        os.utime(file, (WHEN.timestamp(), WHEN.timestamp()))
    return folder


def zipped(folder: Path, archive: Path, top: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            file.write(path, top + path.relative_to(folder).as_posix())
    return archive


@pytest.mark.parametrize("packed", ["folder", "zip", "folder within a folder", "zip within a folder"])
def test_each_file_is_taken_or_left_with_a_reason(packed: str, tmp_path: Path) -> None:
    top = "class 7/all/" if "within" in packed else ""
    paths = [path for path, _ in FILES if not (top and path == "01.en.ipynb")]
    laid_out(tmp_path / "in" / (top if packed == "folder within a folder" else ""), paths)
    place = tmp_path / "in"
    if "zip" in packed:
        place = zipped(place, tmp_path / "in.zip", top)
    taken, left = found_in(place, "chapter-01", RELEASED)
    found = {one.source.removeprefix(top): (one.student, one.name, one.notebook) for one in taken}
    assert found == {path: what for path, what in FILES if isinstance(what, tuple)}
    reasons = {one.source.removeprefix(top): one.why for one in left}
    assert reasons.keys() == {path for path, what in FILES if isinstance(what, str) and path in paths}
    for path, what in FILES:
        assert isinstance(what, tuple) or path not in paths or what in reasons[path]
    assert {one.read().decode().removeprefix(top) for one in taken} == found.keys()
    if packed == "folder":
        assert {one.when for one in taken} == {WHEN}


def test_of_several_the_latest_is_taken_and_the_others_are_named(tmp_path: Path) -> None:
    laid_out(tmp_path, ["ann/01.en.ipynb", "ann/01.en (1).ipynb", "ann/01.zh.ipynb", "ben/01.en.ipynb"])
    for hours, path in enumerate(["ann/01.en.ipynb", "ann/01.zh.ipynb", "ann/01.en (1).ipynb"]):
        os.utime(tmp_path / path, (WHEN.timestamp() + 3600 * hours,) * 2)
    (ann, ben), left = found_in(tmp_path, "chapter-01", RELEASED)
    assert (ann.source, ann.instead_of, ben.instead_of) == ("ann/01.en (1).ipynb", "01.zh.ipynb", "")
    assert [(one.source, one.why) for one in left] == [
        ("ann/01.en.ipynb", "is older than ann/01.zh.ipynb, in another language"),
        ("ann/01.zh.ipynb", "is older than ann/01.en (1).ipynb, in another language"),
    ]


def test_one_student_alone_is_not_taken_for_a_folder_around_all(tmp_path: Path) -> None:
    laid_out(tmp_path / "a", ["ann/01.en.ipynb"])
    laid_out(tmp_path / "b", ["ann/chapter-01/01.en.ipynb"])
    laid_out(tmp_path / "c", ["all/ann/01.en.ipynb"])
    for name in "abc":
        (one,), _ = found_in(tmp_path / name, "chapter-01", RELEASED)
        assert one.student == "ann"


def test_a_link_is_left(tmp_path: Path) -> None:
    laid_out(tmp_path, ["ann/01.en.ipynb", "ben/secret"])
    (tmp_path / "ben" / "01.en.ipynb").symlink_to(tmp_path / "ben" / "secret")
    taken, left = found_in(tmp_path, "chapter-01", RELEASED)
    assert [one.student for one in taken] == ["ann"]
    assert ("ben/01.en.ipynb", "is a link or no plain file") in [(one.source, one.why) for one in left]


def test_a_damaged_member_and_one_without_a_date_stop_nobody(tmp_path: Path) -> None:
    laid_out(tmp_path / "in", ["ann/01.en.ipynb", "ben/01.en.ipynb", "cho/01.en.ipynb"])
    place = zipped(tmp_path / "in", tmp_path / "in.zip")
    raw = place.read_bytes()
    raw = raw.replace(b"ben/01.en.ipynbben/01.en.ipynb", b"ben/01.en.ipynbBEN/01.en.ipynb")  # its checksum fails
    at = raw.rindex(b"PK\x01\x02")  # the last entry of the list: cho's
    place.write_bytes(raw[: at + 14] + b"\0\0" + raw[at + 16 :])  # month 0, day 0
    taken, left = found_in(place, "chapter-01", RELEASED)
    assert [one.student for one in taken] == ["ann", "ben"]
    assert [(one.source, one.why) for one in left] == [("cho/01.en.ipynb", "has no date in the zip")]
    assert taken[0].read() == b"ann/01.en.ipynb"
    with pytest.raises(OSError, match="cannot be read from the zip"):
        taken[1].read()


def test_a_file_that_is_neither_folder_nor_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(ValueError, match="x is neither a folder nor a zip"):
        found_in(tmp_path / "x", "chapter-01", RELEASED)
