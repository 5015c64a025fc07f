"""Cuts an executed chapter into the pages of the site: an index, one page a numbered section, a table of claims.

The cut is made at the level-2 headings that markdown-it finds. A section's page starts with its own heading, so there
every heading rises by one level. What stands before the first section is the index page, which lists the sections.

Book: §0
"""

import copy
import html
import re
from dataclasses import dataclass
from typing import Any

import nbformat
from nbformat import NotebookNode

from llmbook.book.markup import parsed, parser
from llmbook.results import CLAIM_TYPE

SECTION = re.compile(r"section-\d+-\d+")
SOURCE = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LONGEST_SOURCE = 24
WORDS = {
    "zh": {
        "facts": "本章的全部代码执行一遍用时 {seconds:.0f} 秒，内存峰值 {peak:.1f} GB。",
        "download": "下载本章笔记本",
        "claims": "本章的全部论断",
        "claim": "论断",
        "intro": "正文里的实验数字都来自运行。下表列出本章的每一条论断：取值与区间、它须守住的界，"
        "以及来自本章的执行（实时）还是存档的运行。",
        "live": "实时，n = {n}",
        "recorded": "存档 {run}，n = {n}，全部种子共 {minutes:.0f} 分钟",
        "stale": "，此后代码或数据有改动",
        "holds": "成立",
        "fails": "不成立",
        "differs": "此处不同",
        "source": "源码，{n} 行",
        "folded": "论断，{n} 条",
    },
    "en": {
        "facts": "All code of this chapter was executed in {seconds:.0f} s, with a peak memory of {peak:.1f} GB.",
        "download": "Download this chapter's notebook",
        "claims": "All claims of this chapter",
        "claim": "claim",
        "intro": "Every experimental number in the text comes from a run. The table lists each claim of this chapter: "
        "its value and interval, the bound it has to keep, and whether it comes from the chapter's own execution (live) "
        "or from a recorded run.",
        "live": "live, n = {n}",
        "recorded": "recorded: {run}, n = {n}, {minutes:.0f} min for all seeds",
        "stale": "; code or data have changed since",
        "holds": "holds",
        "fails": "fails",
        "differs": "differs here",
        "source": "Source, {n} lines",
        "folded": "Claims, {n}",
    },
}
HEAD = {
    "zh": ("要点", "论断", "取值", "界", "来源", "结果"),
    "en": ("Point", "Claim", "Value", "Bound", "Source", "Result"),
}


@dataclass(frozen=True)
class Page:
    """One source file for Sphinx: its document name, the suffix of its file, and the file's text."""

    docname: str
    suffix: str
    text: str


@dataclass(frozen=True)
class Piece:
    """A stretch of a prose cell: the labels right above its level-2 heading (None: it starts without one), its text."""

    labels: tuple[str, ...] | None
    text: str


def cut(notebook: NotebookNode) -> list[Page]:
    """The pages of one executed chapter in one language, in reading order: index, sections, claims.

    Raises:
        ValueError: a section without its label or with that of another, or a link reference definition (it would not
            reach across the cut, and would be printed as it is without a warning).
    """
    facts = notebook.metadata["llmbook"]
    cells: dict[str, list[NotebookNode]] = {"index": []}
    current = "index"
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            cells[current] += _code(cell, facts["lang"])
            continue
        for piece in pieces(cell.source, raised=current != "index"):
            if piece.labels is not None:
                current = _page_name(piece)
                if current in cells:
                    raise ValueError(f"the label {current!r} heads two sections of {facts['slug']}")
                cells[current] = []
            if piece.text.strip():
                cells[current].append(_prose(cell, piece.text))
    sections = [name for name in cells if name != "index"]
    exercises = facts.get("exercises", "")
    last = [*(["exercises"] if exercises else []), "claims"]
    cells["index"].append(nbformat.v4.new_markdown_cell(_contents(facts, [*sections, *last]), id="contents"))
    pages = [_notebook_page(notebook, facts["slug"], name, page) for name, page in cells.items()]
    pages += [Page(f"{facts['slug']}/exercises", ".md", exercises)] if exercises else []
    return [*pages, Page(f"{facts['slug']}/claims", ".md", claims_table(facts, point_labels(notebook)))]


def pieces(source: str, *, raised: bool) -> list[Piece]:
    """Splits a prose cell before each level-2 heading, and raises the headings from there on (with `raised`, all).

    Raises:
        ValueError: the cell holds a link reference definition.
    """
    state: dict[str, Any] = {}
    tokens = [token for token in parser().parse(source, state) if token.level == 0 or token.type == "inline"]
    if state.get("references"):
        names = sorted(state["references"])
        raise ValueError(f"link reference definitions {names} do not reach across pages: write the links inline")
    lines = source.splitlines()
    found: list[Piece] = []
    labels: tuple[str, ...] | None = None
    out: list[str] = []
    done = above = 0
    pending: list[str] = []
    for token, inline in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "myst_target" and token.map:
            above = above if pending else token.map[0]
            pending.append(token.content)
            continue
        if token.type == "heading_open" and token.map and inline is not None:
            level, start = int(token.tag[1]), above if pending else token.map[0]
            out += lines[done:start]
            if level == 2:
                found.append(Piece(labels, "\n".join(out)))
                labels, out, raised = tuple(pending), [], True
            out += lines[start : token.map[0]]
            out.append(f"{'#' * (level - raised if level > 1 else 1)} {inline.content}")
            done = token.map[1]
        pending = []
    return [*found, Piece(labels, "\n".join([*out, *lines[done:]]))]


def point_labels(notebook: NotebookNode) -> frozenset[str]:
    """The labels of the chapter's prose cells."""
    prose = (cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return frozenset(token.content for source in prose for token in parsed(source) if token.type == "myst_target")


def claim_anchor(claim_id: str) -> str:
    """The fragment of a claim in the chapter's table: "1.2.1/memory-ratio" → "claim-1-2-1-memory-ratio"."""
    return "claim-" + re.sub(r"[^a-z0-9]+", "-", claim_id.lower()).strip("-")


def claims_table(facts: dict[str, Any], labels: frozenset[str]) -> str:
    """The chapter's page of claims in MyST; a claim of a point that has a label links to it."""
    words = WORDS[facts["lang"]]
    head = HEAD[facts["lang"]]
    rows: list[tuple[str, ...]] = [head, ("---",) * len(head)]
    for claim in facts["claims"]:
        point, _, name = claim["id"].partition("/")
        label = "point-" + point.replace(".", "-")
        what = (claim.get("what") or {}).get(facts["lang"], "")
        source = origin(claim, words)
        result = "differs" if claim.get("differs") else "holds" if claim["holds"] else "fails"
        rows.append(
            (
                f"{{ref}}`{point} <{label}>`" if label in labels else point,
                f"[`{name or point}`]{{#{claim_anchor(claim['id'])}}} {_cell(what)}".strip(),
                _cell(claim["text"]),
                _cell(claim["bound"]),
                source,
                f"[{words[result]}]{{.claim-{result}}}",
            )
        )
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    return (
        f"(claims-{facts['chapter']})=\n# {words['claims']}\n\n{words['intro']}\n\n{table if facts['claims'] else ''}\n"
    )


def origin(claim: dict[str, Any], words: dict[str, str]) -> str:
    """Where a claim's values come from: the chapter's own execution, or a recorded run with its minutes."""
    recorded = claim.get("recorded")
    if not recorded:
        return words["live"].format(n=claim["n"])
    text = words["recorded"].format(n=claim["n"], **{**recorded, "run": f"`{recorded['run']}`"})
    return text + (words["stale"] if claim.get("stale") else "")


def _cell(text: str) -> str:
    return re.sub(r"([\\|`*_$\[\]{}<])", r"\\\1", " ".join(text.split()))


def _page_name(piece: Piece) -> str:
    names = [label for label in piece.labels or () if SECTION.fullmatch(label)]
    if len(names) != 1:
        heading = next(line for line in piece.text.splitlines() if line.startswith("#"))
        given = list(piece.labels or ())
        raise ValueError(f"the section {heading.lstrip('# ')!r} needs one label (section-1-2)= above it, given {given}")
    return names[0]


def _prose(cell: NotebookNode, text: str) -> NotebookNode:
    piece = copy.deepcopy(cell)
    piece.source = text.strip("\n")
    return piece


def _code(cell: NotebookNode, lang: str) -> list[NotebookNode]:
    """The cell without its claims, and below it, folded, a quiet line for each of them that leads to the chapter's table.

    A figure's name and caption stand in the cell's metadata and would be given to the claims' outputs too. Long sources
    are folded too, since both would bury the text, which quotes the numbers where they matter. A claim that fails is shown.
    """
    words = WORDS[lang]
    shown = copy.deepcopy(cell)
    claims = [output["data"][CLAIM_TYPE] for output in shown.outputs if CLAIM_TYPE in output.get("data", {})]
    shown.outputs = [output for output in shown.outputs if CLAIM_TYPE not in output.get("data", {})]
    for output in shown.outputs:
        if "text/markdown" in output.get("data", {}):
            output["data"]["text/markdown"] = fold_source(output["data"]["text/markdown"], words)
    if not claims:
        return [shown]
    text = "\n".join(_claim_line(claim, words) for claim in claims)
    text = _folded(words["folded"].format(n=len(claims)), text, opened=not all(claim["holds"] for claim in claims))
    return [shown, nbformat.v4.new_markdown_cell(text, id=f"{cell.id}-claims")]


def fold_source(markdown: str, words: dict[str, str]) -> str:
    """The Markdown of an output with its Python source folded if it's long; the path above it stays in sight."""

    def fold(match: re.Match[str]) -> str:
        lines = match[1].count("\n")
        if lines <= LONGEST_SOURCE:
            return match[0]
        return _folded(words["source"].format(n=lines), f"\n{match[0]}\n")

    return SOURCE.sub(fold, markdown)


def _folded(summary: str, body: str, *, opened: bool = False) -> str:
    return f'<details class="llmbook-fold"{" open" * opened}><summary>{summary}</summary>\n{body}\n</details>'


def _claim_line(claim: dict[str, Any], words: dict[str, str]) -> str:
    text = html.escape(
        f"{claim['id']}: {claim['text']} [{claim['bound']}] {words['holds' if claim['holds'] else 'fails']}"
    )
    return f'<p class="llmbook-claim"><a href="claims.html#{claim_anchor(claim["id"])}">{words["claim"]}</a> <span>{text}</span></p>'


def _contents(facts: dict[str, Any], names: list[str]) -> str:
    words = WORDS[facts["lang"]]
    measured = words["facts"].format(seconds=facts["seconds"], peak=facts["peak_mb"] / 1000)
    link = f'<a href="../notebooks/{facts["slug"]}.ipynb" download>{words["download"]}</a>'
    toctree = "\n".join(["```{toctree}", ":maxdepth: 2", "", *names, "```"])
    return f'{toctree}\n\n<p class="llmbook-facts">{measured} {link}</p>'


def _notebook_page(notebook: NotebookNode, slug: str, name: str, cells: list[NotebookNode]) -> Page:
    metadata = NotebookNode(
        {key: value for key, value in notebook.metadata.items() if key in ("kernelspec", "language_info")}
    )
    ids = set()
    for index, cell in enumerate(cells):
        if cell.get("id") in ids:
            cell.id = f"{name}-{index}"
        ids.add(cell.get("id"))
    page = nbformat.v4.new_notebook(cells=cells, metadata=metadata)
    return Page(f"{slug}/{name}", ".ipynb", nbformat.writes(page, version=4) + "\n")
