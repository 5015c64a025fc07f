"""The records that the site's search reads: one for each heading, glossary entry and reference; Sphinx's index is off.

`search-records.js` sets `LLMBook.searchRecords`, a list of objects; what is empty is left out:
    url: the page and the fragment;   title: with its number, as shown;   trail: the titles above, outermost first;
    text: its own text, without that of the headings below; formulas of a line stand in it as `\\(TeX\\)`;
    defines: the words set in bold, which is where the book explains them;
    math: the TeX of its displayed formulas;   code: its code cells, and what the code that it shows defines;
    kind: "term" or "reference", nothing for a heading.

The words are cut in the browser (`js/search.js`), so that index and query are cut by the same program. The records are
made anew from all pages at each build: Sphinx may have read only those that changed.

Book: §0
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.builders.html import StandaloneHTMLBuilder
from sphinx.config import Config

from llmbook.atomic import write_text
from llmbook.book.bibliography import short_citation

RECORDS = "search-records.js"
LEFTOVERS = ("searchindex.js", "_static/searchtools.js", "_static/language_data.js", "_static/*-stemmer.js")
SCRIPTS = re.compile(r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"[^>]*></script>')
TERM = re.compile(r"[^“”。.?!？！]{1,40}")  # a word in bold, not a sentence
DEFINED = re.compile(r"^\s*(?:def|class) (\w+)", re.MULTILINE)
UNSAID = (nodes.raw, nodes.comment, nodes.Invisible, nodes.system_message, nodes.image, addnodes.toctree)
APART = (nodes.section, nodes.math_block, nodes.literal_block, nodes.citation, addnodes.glossary)
ASIDE = {"toctree-wrapper", "llmbook-minutes"}  # what Sphinx and the other extensions put between
CLAIMS = re.compile(r".*/claims")
POINT = re.compile(r"point-(\d+)-(\d+)-(\d+)")

Record = dict[str, Any]


def records(app: Sphinx) -> list[Record]:
    """The records of all pages, but not of the tables of claims, nor of sections that are not written yet."""
    env, builder = app.env, app.builder
    above = {child: page for page, children in env.toctree_includes.items() for child in children}
    found: list[Record] = []
    for docname in sorted(env.found_docs):
        if CLAIMS.fullmatch(docname):
            continue
        doctree = env.get_and_resolve_doctree(docname, builder, tags=app.tags)
        trail: list[str] = []
        page = above.get(docname)
        while page and page != app.config.root_doc:
            trail.insert(0, numbered(env.titles[page], env.toc_secnumbers.get(page, {}).get("")))
            page = above.get(page)
        for top in doctree.children:
            if isinstance(top, nodes.section) and is_written(top, app.config.llmbook_finished):
                found += _of_section(top, builder.get_target_uri(docname), trail, env.toc_secnumbers.get(docname, {}))
        found += _references(app, docname, [*trail, spoken(env.titles[docname])])
    return found


def is_written(page: nodes.section, finished: Sequence[str]) -> bool:
    """Whether one of a page's points is finished; a page without points is."""
    labels = [POINT.fullmatch(id_) for part in page.findall(nodes.section) for id_ in part["ids"]]
    points = [".".join(label.groups()) for label in labels if label]
    return not points or any(point in finished for point in points)


def numbered(title: nodes.Element, number: tuple[int, ...] | None) -> str:
    """A title as readers see it."""
    return f"{'.'.join(map(str, number))} {spoken(title)}" if number else spoken(title)


def spoken(node: nodes.Node) -> str:
    """A node's text in one line, with the formulas in it as `\\(TeX\\)`."""
    return " ".join("".join(_spoken(node)).split())


def _spoken(node: nodes.Node) -> Iterator[str]:
    if isinstance(node, nodes.Text):
        yield str(node)
    elif isinstance(node, nodes.math):
        yield f"\\({node.astext()}\\)"
    elif not isinstance(node, (*UNSAID, *APART)) and not ASIDE.intersection(node["classes"]):
        block = not isinstance(node, (nodes.Inline, nodes.Text))
        yield from (" " * block, *(part for child in node.children for part in _spoken(child)), " " * block)


def _of_section(
    section: nodes.section, page: str, trail: list[str], numbers: Mapping[str, tuple[int, ...] | None]
) -> Iterator[Record]:
    anchor = section["ids"][0]
    heading = section.next_node(nodes.title)
    number = numbers.get(f"#{anchor}") or (numbers.get("") if isinstance(section.parent, nodes.document) else None)
    title = numbered(heading, number)
    own = [child for child in section.children if not isinstance(child, (nodes.section, nodes.title))]
    yield _record(f"{page}#{anchor}", title, trail, own)
    for child in own:
        yield from _entries(child, page, [*trail, title])
    for child in section.children:
        if isinstance(child, nodes.section):
            yield from _of_section(child, page, [*trail, title], numbers)


def _entries(node: nodes.Node, page: str, trail: list[str]) -> Iterator[Record]:
    """The entries of a glossary, by their terms."""
    for item in node.findall(nodes.definition_list_item):
        terms = [child for child in item.children if isinstance(child, nodes.term) and child["ids"]]
        if terms:
            rest = [child for child in item.children if not isinstance(child, nodes.term)]
            title = ", ".join(map(spoken, terms))
            yield _record(f"{page}#{terms[0]['ids'][0]}", title, trail, rest) | {"kind": "term"}


def _references(app: Sphinx, docname: str, trail: list[str]) -> Iterator[Record]:
    """The references of a page by author and year; from their data, for their nodes grow each time they are resolved."""
    for citation in app.env.get_domain("cite").citations:  # type: ignore[attr-defined]
        if citation.bibliography_key.docname == docname:
            url = f"{app.builder.get_target_uri(docname)}#{citation.citation_id}"
            text = re.sub(r"<newblock>|URL: \S+", " ", str(citation.formatted_entry.text))
            title = short_citation(citation.entry) or citation.key
            yield {"url": url, "title": title, "trail": trail, "text": " ".join(text.split()), "kind": "reference"}


def _record(url: str, title: str, trail: list[str], own: list[nodes.Node]) -> Record:
    text, defines, math, code = [], [], [], []
    for child in own:
        cells = [] if isinstance(child, nodes.Text) else list(child.findall(_is_output))
        outputs = {id(block) for cell in cells for block in cell.findall(nodes.literal_block)}
        text.append(_without_outputs(child))
        defines += [word for word in map(spoken, child.findall(nodes.strong)) if TERM.fullmatch(word)]
        math += [block.astext() for block in child.findall(nodes.math_block)]
        for block in child.findall(nodes.literal_block):
            code += DEFINED.findall(block.astext()) if id(block) in outputs else [block.astext()]
    parts = {
        "text": " ".join(" ".join(text).split()),
        "defines": ", ".join(defines),
        "math": "\n".join(math),
        "code": "\n".join(code),
    }
    return {"url": url, "title": title, "trail": trail} | {name: part for name, part in parts.items() if part}


def _is_output(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and "cell_output" in node["classes"]


def _without_outputs(node: nodes.Node) -> str:
    """The text of a node; of a code cell only the captions of its figures."""
    if isinstance(node, nodes.container) and "cell" in node["classes"]:
        return " ".join(map(spoken, node.findall(nodes.caption)))
    return spoken(node)


def write_records(app: Sphinx, exception: Exception | None) -> None:
    """Writes the script of records where it changed, and removes what Sphinx's own search left."""
    if exception or not isinstance(app.builder, StandaloneHTMLBuilder):
        return
    listed = json.dumps(records(app), ensure_ascii=False, separators=(",", ":"))
    script = f"window.LLMBook = window.LLMBook || {{}};\nLLMBook.searchRecords = {listed};\n"
    write_text(Path(app.outdir, RECORDS), script)
    for pattern in LEFTOVERS:
        for leftover in app.outdir.glob(pattern):
            leftover.unlink()


def without_scripts(head: str) -> str:
    """A page's head without the scripts of Sphinx's search, which the theme loads on every page."""
    return SCRIPTS.sub("", head)


def choose_template(
    _app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], _doctree: nodes.document | None
) -> str | None:
    """Every page but the search's own goes through a template that takes the theme's search scripts out of its head."""
    if pagename == "search":
        return None
    context["llmbook_template"] = templatename
    context["llmbook_without_scripts"] = without_scripts
    return "search-none.html"


def switch_off(app: Sphinx) -> None:
    """No index by Sphinx."""
    if isinstance(app.builder, StandaloneHTMLBuilder):
        app.builder.search = False


def add_page(_app: Sphinx, config: Config) -> None:
    config.html_additional_pages = {**config.html_additional_pages, "search": "search.html"}


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", add_page)
    app.connect("builder-inited", switch_off)
    app.connect("html-page-context", choose_template)
    app.connect("build-finished", write_records)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
