"""An admonition of class `dropdown` becomes `<details>`: it folds without scripts, and the keyboard reaches it.

Book: §0
"""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator


class details(nodes.General, nodes.Element):  # noqa: N801 - docutils names its nodes so
    """The folded block."""


class summary(nodes.General, nodes.TextElement):  # noqa: N801
    """Its line that is always seen."""


class FoldDropdowns(SphinxTransform):
    """Replaces the admonitions of class `dropdown`."""

    default_priority = 310

    def apply(self, **_: object) -> None:
        for admonition in list(self.document.findall(nodes.admonition)):
            if "dropdown" not in admonition["classes"]:
                continue
            title, *body = admonition.children
            head = summary("", "", *title.children, classes=["admonition-title"])
            folded = details("", head, *body, ids=admonition["ids"], names=admonition["names"])
            folded["classes"] = ["admonition", *admonition["classes"]]
            admonition.replace_self(folded)


def visit(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append(translator.starttag(node, type(node).__name__))


def depart(translator: HTML5Translator, node: nodes.Element) -> None:
    translator.body.append(f"</{type(node).__name__}>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_node(details, html=(visit, depart))
    app.add_node(summary, html=(visit, depart))
    app.add_transform(FoldDropdowns)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
