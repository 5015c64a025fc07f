"""The table at the end of `make test`."""

from pathlib import Path

import stages


def test_stages_in_order_and_the_slowest_of_all(tmp_path: Path) -> None:
    (tmp_path / "stages.txt").write_text("lint\t7\nunits and slow\t125\n", encoding="utf-8")
    for name, seconds in (("units", 2.5), ("site", 61.25)):
        case = f'<testcase classname="tests.{name}" name="test_{name}" time="{seconds}"/>'
        (tmp_path / f"{name}.xml").write_text(
            f"<testsuites><testsuite>{case}</testsuite></testsuites>", encoding="utf-8"
        )
    assert stages.stages(tmp_path) == [("lint", 7), ("units and slow", 125)]
    assert stages.slowest(tmp_path) == [(61.25, "tests.site.test_site"), (2.5, "tests.units.test_units")]
    assert len(stages.slowest(tmp_path, 1)) == 1
