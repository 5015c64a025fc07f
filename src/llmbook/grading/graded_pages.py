"""Pages that show a submitted notebook: feedback for its student, and nbgrader's grading page (formgrader) for the instructor.

nbgrader's own templates put a Markdown cell into the page as it is. Here every text goes through `safe_html`, outputs are text and PNG, and
a policy in the page (Content-Security-Policy) refuses what could come through all the same: in feedback any script and any address, in the
grading page any script that is not the page's own.

Book: §0
"""

import base64
import copy
import hashlib
import re
from typing import Any

from bs4 import BeautifulSoup
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbformat import NotebookNode
from traitlets import Bool

from llmbook.grading.received import picture
from llmbook.grading.safe_html import as_written, to_html

LONGEST_CODE = 20_000  # characters of a cell whose code is colored
NAME = re.compile(r"[\w.-]{1,100}")
OUTSIDE = re.compile(r"@font-face\s*\{[^}]*\}|@import[^;]*;")  # of the template's styles: fonts that lie beside them
NO_MATHJAX = (  # the grading page waits for MathJax to end
    "var MathJax = {Hub: {Startup: {signal: {Interest: function (told) { window.setTimeout(function () { told('End'); }, 0); }}}}};"
)
QUIET = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; base-uri 'none'; form-action 'none'"
)


class GradedPage(HTMLExporter):
    """A submitted notebook as a page. `plain` shows all texts as they were written: what then is left takes no time."""

    plain = Bool(False, help="show all texts as they were written").tag(config=True)

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.filters = {**self.filters, "highlight_code": self.highlight}

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        if self.plain:
            return as_written(source)
        return to_html(source, context.get("cell", {}).get("attachments", {}))

    def highlight(self, source: str, language: Any = None, metadata: Any = None, strip_verbatim: bool = False) -> str:
        if self.plain or len(source) > LONGEST_CODE:
            return f'<div class="highlight">{as_written(source)}</div>'
        return Highlight2HTML(pygments_lexer="ipython3", parent=self)(source)

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        page, resources = super().from_notebook_node(harmless(nb), resources, **kwargs)
        soup = BeautifulSoup(page, "lxml")
        if soup.html is not None:
            soup.html["lang"] = {"zh": "zh-CN"}.get(nb.metadata.get("llmbook", {}).get("lang", ""), "en")
        return self.finished(soup), resources

    def finished(self, soup: BeautifulSoup) -> str:
        """The page's text; what a kind of page adds or takes away."""
        return str(soup)


class FeedbackPage(GradedPage):
    """Feedback as one HTML file without a script: nothing is run, nothing is fetched, nothing leads away."""

    def finished(self, soup: BeautifulSoup) -> str:
        for tag in soup(["script", "link", "meta"]):
            if tag.name != "meta" or not tag.has_attr("charset"):
                tag.decompose()
        for tag in soup("style"):
            tag.string = OUTSIDE.sub("", tag.string or "")
        for tag in soup("details"):
            tag["open"] = ""
        _policy(soup, QUIET)
        return str(soup)


class GradingPage(GradedPage):
    """nbgrader's grading page: its own scripts, known by their hashes, and no others; formulas are MathML, and MathJax is not fetched."""

    def from_notebook_node(self, nb: NotebookNode, resources: Any = None, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        empty = NotebookNode(cells=[], metadata=NotebookNode(), nbformat=4, nbformat_minor=5)
        own, _ = HTMLExporter.from_notebook_node(self, empty, copy.deepcopy(resources), **kwargs)
        self._own = _without_mathjax(BeautifulSoup(own, "lxml"))
        return super().from_notebook_node(nb, resources, **kwargs)

    def finished(self, soup: BeautifulSoup) -> str:
        _without_mathjax(soup)
        scripts = [tag.string or "" for tag in self._own("script") if not tag.has_attr("src")]
        handlers = [value for tag in self._own(True) for name, value in tag.attrs.items() if name.startswith("on")]
        hashes = " ".join(sorted({f"'sha256-{_hash(text)}'" for text in [*scripts, *map(str, handlers)]}))
        _policy(
            soup,
            f"default-src 'none'; script-src 'self' 'unsafe-hashes' {hashes}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
            "font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'",
        )
        return str(soup)


def harmless(nb: NotebookNode) -> NotebookNode:
    """A notebook with what a page shows and nothing else: texts, marks, outputs as text and PNG."""
    cells = []
    for cell in nb.cells:
        marks = cell.metadata.get("nbgrader", {})
        known = isinstance(marks.get("grade_id", ""), str) and NAME.fullmatch(marks.get("grade_id", ""))
        plain = NotebookNode(cell_type=cell.cell_type, source=cell.source, metadata=NotebookNode())
        if known:
            plain.metadata["nbgrader"] = marks
        if cell.cell_type == "code":
            plain.outputs = [output for one in cell.get("outputs", []) for output in _output(one)]
            plain.execution_count = None
        elif cell.cell_type == "markdown":
            plain.attachments = cell.get("attachments", {})
        else:
            plain.cell_type, plain.source = "markdown", as_written(cell.source)
        cells.append(plain)
    metadata = NotebookNode(language_info=NotebookNode(name="python"))
    return NotebookNode(cells=cells, metadata=metadata, nbformat=4, nbformat_minor=4)


def _output(output: NotebookNode) -> list[NotebookNode]:
    if output.output_type in ("stream", "error"):
        return [output]
    data = output.get("data", {})
    kept = {"text/plain": data["text/plain"]} if isinstance(data.get("text/plain"), str) else {}
    if found := picture(data.get("image/png"), ["image/png"]):
        kept["image/png"] = found[1]
    count = {"execution_count": None} if output.output_type == "execute_result" else {}
    return [NotebookNode(output_type=output.output_type, data=NotebookNode(kept), metadata=NotebookNode(), **count)]


def _without_mathjax(soup: BeautifulSoup) -> BeautifulSoup:
    for tag in soup("script"):
        if "mathjax" in str(tag.get("src", "")).lower():
            tag.attrs, tag.string = {}, NO_MATHJAX
        elif "mathjax" in str(tag.get("type", "")).lower():
            tag.decompose()
    return soup


def _policy(soup: BeautifulSoup, text: str) -> None:
    policy = soup.new_tag("meta", attrs={"http-equiv": "Content-Security-Policy", "content": text})
    place = soup.head.find("meta", charset=True) if soup.head is not None else None
    if place is not None:
        place.insert_after(policy)
    else:
        (soup.head or soup).insert(0, policy)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
