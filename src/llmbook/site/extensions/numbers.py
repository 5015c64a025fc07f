"""Section numbers that come from the labels: `section-1-2` is 1.2, `point-1-2-3` is 1.2.3, wherever the page stands.

Sphinx counts headings under `:numbered:` toctrees instead, so that a chapter without its neighbour gets a wrong number,
each part starts at 1 again, and a chapter called 第一章 is numbered a second time. A heading's label also becomes the
fragment of its address, so that both languages have the same addresses.

Book: §0
"""

import re

from docutils import nodes
from sphinx.addnodes import compact_paragraph
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector
from sphinx.transforms import SphinxTransform

PAGE = re.compile(r"(?:.*/)?section-(\d+)-(\d+)")
POINT = re.compile(r"point-(\d+)-(\d+)-(\d+)")
CLOSING = re.compile(r"closing-\d+-\d+")


class LabelsFirst(SphinxTransform):
    """Puts a heading's explicit label before the identifier that was made from its words, and counts the parts of a point or a closing.

    So every heading has the same address in both languages.
    """

    default_priority = 300

    def apply(self, **_: object) -> None:
        explicit = {
            self.document.nameids.get(name) for name, is_explicit in self.document.nametypes.items() if is_explicit
        }
        for section in self.document.findall(nodes.section):
            section["ids"].sort(key=lambda identifier: identifier not in explicit)
        for point in self.document.findall(nodes.section):
            if not (POINT.fullmatch(point["ids"][0]) or CLOSING.fullmatch(point["ids"][0])):
                continue
            for count, part in enumerate(filter(lambda node: isinstance(node, nodes.section), point.children), start=1):
                identifier = f"{point['ids'][0]}-{count}"
                part["ids"].insert(0, identifier)
                self.document.ids[identifier] = part


def assign_section_numbers(self: TocTreeCollector, env: BuildEnvironment) -> list[str]:
    """Numbers all headings that have a number; returns the documents that must be written again."""
    before = env.toc_secnumbers
    env.toc_secnumbers = {}
    for docname, toc in env.tocs.items():
        page = PAGE.fullmatch(docname)
        numbers: dict[str, tuple[int, ...] | None] = {}
        for entry in toc.findall(compact_paragraph):
            reference = entry[0]
            anchor = reference["anchorname"]
            match = page if anchor == "" else POINT.fullmatch(anchor[1:])
            numbers[anchor] = tuple(map(int, match.groups())) if match else None
            reference["secnumber"] = numbers[anchor]
        env.titles[docname]["secnumber"] = numbers.get("")
        env.toc_secnumbers[docname] = numbers  # type: ignore[assignment]  # None says: no number
    return [docname for docname, numbers in env.toc_secnumbers.items() if numbers != before.get(docname)]


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(LabelsFirst)
    TocTreeCollector.assign_section_numbers = assign_section_numbers  # type: ignore[method-assign]
    return {"parallel_read_safe": True, "parallel_write_safe": True}
