"""Where exercises and their checks are found: public ones, and an instructor's own in place of some chapters'."""

from pathlib import Path

import pytest

from llmbook import paths
from llmbook.exercises.exercise import exercises
from llmbook.grading.judging import checks_key


def made(folder: Path, *, checks: bool = True) -> None:
    folder.mkdir(parents=True)
    chapter = int(folder.parent.name)
    facts = f'outline = ["{chapter}.1.1"]\nkind = "code"\nfunction = "f"\npoints = 5\n'
    (folder / "exercise.toml").write_text(facts, encoding="utf-8")
    if checks:
        (folder / "checks.py").write_text("def cases():\n    return []\n", encoding="utf-8")


@pytest.fixture
def two_chapters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "book"
    made(root / "exercises/01/one")
    made(root / "exercises/02/two")
    monkeypatch.setattr(paths, "root", lambda: root)
    return root / "exercises"


def test_private_checks_may_be_there_for_some_chapters_only(two_chapters: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    made(own / "02/two")
    assert [one.checks for one in exercises(private=own)] == [two_chapters / "01/one", own / "02/two"]
    assert [one.checks for one in exercises(1, private=own)] == [two_chapters / "01/one"]


def test_the_key_of_a_chapters_checks_covers_that_chapter_and_no_other(two_chapters: Path, tmp_path: Path) -> None:
    before = checks_key(1, ""), checks_key(2, "")
    made(two_chapters / "02/three")
    assert checks_key(1, "") == before[0]
    assert checks_key(2, "") != before[1]
    (two_chapters / "01/one/checks.py").write_text("def cases():\n    return [1]\n", encoding="utf-8")
    changed = checks_key(1, "")
    assert changed != before[0]
    made(tmp_path / "own/01/one")
    assert checks_key(1, str(tmp_path / "own")) not in (before[0], changed)


@pytest.mark.messages
def test_a_folder_that_holds_no_private_checks_is_refused_and_not_passed_over(
    two_chapters: Path, tmp_path: Path
) -> None:
    with pytest.raises(
        ValueError, match=r"own holds no private checks: expected a folder for a chapter at least, such as .*01"
    ):
        exercises(1, private=tmp_path / "own")
    made(tmp_path / "own/01/one", checks=False)
    with pytest.raises(ValueError, match=r"own/01/one/checks\.py is missing"):
        exercises(1, private=tmp_path / "own")
