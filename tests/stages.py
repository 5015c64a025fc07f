"""Prints where the minutes of `make test` went: a table of its stages, the ten slowest tests with what they share (fixtures), and what a
chapter costs. That has a budget, on the machine of reference: eight chapters have to be tested within an hour.
"""

import json
import sys
from pathlib import Path
from statistics import mean
from xml.etree import ElementTree

BUDGET = 300.0  # seconds of the machine of reference
LIMIT = 2  # times the budget: a test is slower beside another one than alone, so what is printed is more than a chapter adds
WORKERS = 2
PAGES = ("tests.site.test_proof", "tests.site.test_live_book", "tests.site.test_reading")
BY_CHAPTER = ("tests.chapters.", "tests.exercises.test_gate", *PAGES)
ONCE = ("test_one_seed_of_the_cheap_run",)  # however many chapters there are


def stages(folder: Path) -> list[tuple[str, int]]:
    """Name and seconds of each stage, in order."""
    lines = (folder / "stages.txt").read_text(encoding="utf-8").splitlines()
    return [(name, int(seconds)) for name, _, seconds in (line.partition("\t") for line in lines)]


def slowest(folder: Path, count: int = 10) -> list[tuple[float, str]]:
    """Seconds and name of the slowest tests of all stages; a fixture counts to the test that set it up."""
    return sorted((one for path in folder.glob("*.xml") for one in timed(path)), reverse=True)[:count]


def timed(path: Path) -> list[tuple[float, str]]:
    """Seconds and name of each test of a stage."""
    cases = ElementTree.parse(path).iter("testcase")
    return [(float(case.get("time", 0)), f"{case.get('classname')}.{case.get('name')}") for case in cases]


def seconds_a_chapter(folder: Path, chapters: int) -> float:
    """What a further chapter will cost: its notebook, its probes and its exercises' gate, its pages."""
    notebooks = sum(seconds for name, seconds in stages(folder) if name == "notebooks")
    growing = [
        seconds
        for path in folder.glob("*.xml")
        for seconds, name in timed(path)
        if name.startswith(BY_CHAPTER) and not any(one in name for one in ONCE)
    ]
    return (notebooks + sum(growing) / WORKERS) / chapters


def slowness(executed: Path) -> float:
    """How slow this machine was beside the one of reference while chapters were executed, at least 1."""
    measured = [json.loads(path.read_text(encoding="utf-8"))["slowness"] for path in executed.glob("*.json")]
    return max(1.0, *(mean(one) for one in measured)) if measured else 1.0


def main() -> None:
    folder = Path(sys.argv[1])
    listed = stages(folder)
    print("\nWhere the time went")
    for name, seconds in [*listed, ("together", sum(seconds for _, seconds in listed))]:
        print(f"  {seconds // 60:3d} min {seconds % 60:02d} s  {name}")
    print("The slowest tests")
    for seconds, name in slowest(folder):
        print(f"  {seconds:6.1f} s  {name}")
    executed = sorted((folder.parent / "executed").glob("*.json"))
    if any(name == "site" for name, _ in listed) and executed:
        cost, allowed = seconds_a_chapter(folder, len(executed)), BUDGET * slowness(folder.parent / "executed")
        print(f"A chapter costs {cost:.0f} s of these; its budget on this machine is {allowed:.0f} s")
        if cost > LIMIT * allowed:
            sys.exit("a chapter costs more than twice its budget: shorten its notebook, its probes or its tests")


if __name__ == "__main__":
    main()
