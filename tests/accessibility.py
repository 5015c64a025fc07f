"""What axe-core finds wrong with a page, and the characters that no font draws, for all tests in a browser."""

from pathlib import Path

from playwright.sync_api import Page

AXE = (Path(__file__).resolve().parents[1] / "site" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")

GLYPHS = """() => {
  // a character is missing where the font draws the box that it draws for a code point that no font has
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [40, 40];
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const drawn = (character, font) => {
    pen.clearRect(0, 0, 40, 40);
    pen.font = font;
    pen.fillText(character, 4, 30);
    return canvas.toDataURL();
  };
  const missing = new Set();
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (parent.closest("script, style, mjx-container, noscript, i[class*='fa-']") || !parent.checkVisibility()) continue;
    const font = "24px " + getComputedStyle(parent).fontFamily;
    for (const character of walker.currentNode.textContent) {
      if (/[\\s\\u200b-\\u200f\\u2060\\ufe0f\\p{M}]/u.test(character) || seen.has(font + character)) continue;
      seen.add(font + character);
      if (drawn(character, font) === drawn("\\u{10fffe}", font)) missing.add(character);
    }
  }
  return [[...missing].join(" "), seen.size];
}"""


def violations(page: Page, within: str = "document") -> list[tuple[str, str, list]]:
    """Rule, impact and the first places of each violation, in the whole page or within what a selector finds."""
    if page.evaluate("typeof window.axe") == "undefined":
        page.evaluate(AXE)
    where = "document" if within == "document" else f"'{within}'"
    found = page.evaluate(f"axe.run({where}, {{preload: false, resultTypes: ['violations']}})")["violations"]
    return [(one["id"], one["impact"], [node["target"] for node in one["nodes"]][:3]) for one in found]
