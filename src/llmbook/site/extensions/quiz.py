"""The `quiz` directive: a question with radio buttons, each of which shows the reason of its option, right or wrong.

What is chosen is shown by CSS alone; `llmbook.js` reads the reason out to those who do not see it.

Book: §0
"""

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

WORDS = {
    "zh_CN": {"head": "小测", "right": "对。", "wrong": "不对。"},
    "en": {"head": "Quiz", "right": "Right. ", "wrong": "Wrong. "},
}
NAMES = ("quiz", "quiz_question", "quiz_option", "quiz_label", "quiz_reason")


class quiz(nodes.General, nodes.Element):  # noqa: N801 - docutils names its nodes so
    """The question with all that belongs to it."""


class quiz_question(nodes.General, nodes.TextElement):  # noqa: N801
    """The question."""


class quiz_option(nodes.General, nodes.Element):  # noqa: N801
    """An option: its button, label and reason."""


class quiz_label(nodes.General, nodes.TextElement):  # noqa: N801
    """What stands beside the button."""


class quiz_reason(nodes.General, nodes.Element):  # noqa: N801
    """Why the option is right or wrong."""


class Quiz(SphinxDirective):
    """`{quiz} question` with `:label:` and `:answer:`; the body is a numbered list, each item an option and its reason."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec = {"label": directives.unchanged_required, "answer": directives.positive_int}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        words = WORDS[self.config.language]
        name = self.options["label"]
        body = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, body)
        asked, messages = self.state.inline_text(self.arguments[0], self.lineno)
        question = quiz_question("", "", nodes.strong("", words["head"]), nodes.Text(" "), *asked)
        options = []
        for number, item in enumerate(body.findall(nodes.list_item), 1):
            text, *reason = item.children
            verdict = words["right" if number == self.options["answer"] else "wrong"]
            reason[0].insert(0, nodes.strong("", verdict))
            key = f"{name}-{number}"
            label = quiz_label("", "", *text.children, key=key)
            options.append(quiz_option("", label, quiz_reason("", *reason), key=key, group=name))
        return [quiz("", question, *options, ids=[name], classes=["llmbook-quiz"]), *messages]


def visit_quiz(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "fieldset"))


def visit_quiz_question(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "legend", ""))


def visit_quiz_option(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(f'<div class="option"><input type="radio" name="{node["group"]}" id="{node["key"]}">')


def visit_quiz_label(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(f'<label for="{node["key"]}">')


def visit_quiz_reason(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(self.starttag(node, "div", CLASS="reason"))


CLOSING = {
    "quiz": "</fieldset>\n",
    "quiz_question": "</legend>\n",
    "quiz_option": "</div>\n",
    "quiz_label": "</label>\n",
    "quiz_reason": "</div>\n",
}


def depart(self: HTML5Translator, node: nodes.Element) -> None:
    self.body.append(CLOSING[type(node).__name__])


def setup(app: Sphinx) -> dict[str, bool]:
    for name in NAMES:
        app.add_node(globals()[name], html=(globals()[f"visit_{name}"], depart))
    app.add_directive("quiz", Quiz)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
