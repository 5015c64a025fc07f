"""Prints where the minutes of `make test` went: a table of its stages, and the ten slowest tests with what they share (fixtures)."""

import sys
from pathlib import Path
from xml.etree import ElementTree


def stages(folder: Path) -> list[tuple[str, int]]:
    """Name and seconds of each stage, in order."""
    lines = (folder / "stages.txt").read_text(encoding="utf-8").splitlines()
    return [(name, int(seconds)) for name, _, seconds in (line.partition("\t") for line in lines)]


def slowest(folder: Path, count: int = 10) -> list[tuple[float, str]]:
    """Seconds and name of the slowest tests of all stages; a fixture counts to the test that set it up."""
    cases = [case for path in folder.glob("*.xml") for case in ElementTree.parse(path).iter("testcase")]
    timed = [(float(case.get("time", 0)), f"{case.get('classname')}.{case.get('name')}") for case in cases]
    return sorted(timed, reverse=True)[:count]


def main() -> None:
    folder = Path(sys.argv[1])
    listed = stages(folder)
    print("\nWhere the time went")
    for name, seconds in [*listed, ("together", sum(seconds for _, seconds in listed))]:
        print(f"  {seconds // 60:3d} min {seconds % 60:02d} s  {name}")
    print("The slowest tests")
    for seconds, name in slowest(folder):
        print(f"  {seconds:6.1f} s  {name}")


if __name__ == "__main__":
    main()
