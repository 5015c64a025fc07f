"""Draws the still pictures of the live figures again: `python site/live_pictures.py`, after `make book`.

Each figure is started in Chromium as it stands in the built book, and what it draws at its start is written to
`chapters/diagrams/live-NAME.svg`: what print, notebooks and readers without scripts see is what the page draws.
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
HTML = ROOT / "build" / "html"
DRAWN = """holder => {
  const drawing = holder.querySelector(".live-map svg");
  return new XMLSerializer().serializeToString(drawing).replaceAll("><", ">\\n<");
}"""


def pages_with_figures(html: Path) -> list[Path]:
    """The Chinese pages that hold a live figure."""
    return [page for page in sorted((html / "zh").rglob("*.html")) if "js/live.js" in page.read_text(encoding="utf-8")]


def pictures(page: Page, address: str) -> dict[str, str]:
    """What each live figure of a page draws at its start: file name → SVG."""
    page.goto(address)
    page.wait_for_function("document.readyState === 'complete'")
    found = {}
    for holder in page.query_selector_all("figure.live"):
        name = holder.eval_on_selector("img", "img => /live-[a-z-]+\\.svg/.exec(img.getAttribute('src'))[0]")
        if button := holder.query_selector(".live-start"):
            button.click()
        holder.wait_for_selector(".live-map svg", timeout=60_000)
        found[name] = holder.evaluate(DRAWN) + "\n"
    return found


if __name__ == "__main__":
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium: install the distribution's package `chromium`")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        for path in pages_with_figures(HTML):
            for name, drawing in pictures(browser.new_page(), path.as_uri()).items():
                (ROOT / "chapters" / "diagrams" / name).write_text(drawing, encoding="utf-8")
                print(f"{name}: {len(drawing) / 1e3:.1f} kB")
        browser.close()
