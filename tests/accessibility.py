"""What axe-core finds wrong with a page, for all tests in a browser."""

from pathlib import Path

from playwright.sync_api import Page

AXE = (Path(__file__).resolve().parents[1] / "site" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def violations(page: Page, within: str = "document") -> list[tuple[str, str, list]]:
    """Rule, impact and the first places of each violation, in the whole page or within what a selector finds."""
    if page.evaluate("typeof window.axe") == "undefined":
        page.evaluate(AXE)
    where = "document" if within == "document" else f"'{within}'"
    found = page.evaluate(f"axe.run({where}, {{preload: false, resultTypes: ['violations']}})")["violations"]
    return [(one["id"], one["impact"], [node["target"] for node in one["nodes"]][:3]) for one in found]
