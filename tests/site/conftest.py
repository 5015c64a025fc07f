"""A chapter of two sections with everything that a page can hold, and the site built from it, once a session.

Its prose stands in `chapter.zh.md` and `chapter.en.md`, a cell between two `+++`.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from live_figures import NAMES, Figure, site_of_figures
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Browser, Page

from llmbook import paths
from llmbook.results import CLAIM_TYPE
from llmbook.site.build import Site, build_site

SETTINGS = Path(__file__).resolve().parents[2] / "site"
PLOT = """<?xml version="1.0" encoding="utf-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="420pt" height="180pt" viewBox="0 0 420 180">
<path d="M40 150H400M40 150V20" stroke="black" fill="none"/>
<path d="M40 40L160 90L280 120L400 130" stroke="#0072b2" fill="none"/>
<text x="180" y="172" font-size="13">词元 tokens</text></svg>"""
DIAGRAM = """<svg xmlns="http://www.w3.org/2000/svg" width="360" height="90" viewBox="0 0 360 90">
<rect x="10" y="20" width="120" height="50" fill="#cfe3f5" stroke="#0072b2"/>
<rect x="230" y="20" width="120" height="50" fill="#fde3c8" stroke="#d55e00"/>
<path d="M130 45H230" stroke="black"/>
<text x="40" y="50" font-size="14">{0}</text><text x="260" y="50" font-size="14">{1}</text></svg>"""
BIB = """@article{vaswani2017attention,
  author = {Vaswani, Ashish and Shazeer, Noam and Parmar, Niki},
  title = {Attention Is All You Need},
  journal = {Advances in Neural Information Processing Systems},
  year = {2017}
}
"""
OUTLINE = {
    "title": {"zh": "大型语言模型（LLM）架构与应用", "en": "Large Language Models: Architecture and Applications"},
    "parts": [
        {
            "zh": "Part I：基础架构与原理",
            "en": "Part I: Architecture and Principles",
            "chapters": [{"number": 1}, {"number": 2}],
        },
        {"zh": "Part II：语言模型与训练方法", "en": "Part II: Language Models", "chapters": [{"number": 3}]},
    ],
}
HERE = Path(__file__).parent
PROSE = {lang: (HERE / f"chapter.{lang}.md").read_text(encoding="utf-8").split("\n\n+++\n\n") for lang in ("zh", "en")}
FIGURE = {
    "zh": {"image": {"alt": "损失随词元数下降的曲线"}, "figure": {"name": "fig-curve", "caption": "损失先快后慢。"}},
    "en": {
        "image": {"alt": "A curve of the loss falling with tokens"},
        "figure": {"name": "fig-curve", "caption": "The loss falls fast, then slowly."},
    },
}
PAGES = {
    "zh": {
        "index": "# 大型语言模型（LLM）架构与应用\n\n从{ref}`chapter-1`开始。",
        "notation": "# 记号\n\n$T$ 是序列长度。",
        "glossary": "# 术语表\n\n```{glossary}\n词元\n  文本切成的最小单位。\n```\n",
    },
    "en": {
        "index": "# Large Language Models: Architecture and Applications\n\nStart with {ref}`chapter-1`.",
        "notation": "# Notation\n\n$T$ is the length of the sequence.",
        "glossary": "# Glossary\n\n```{glossary}\ntoken\n  The smallest unit that a text is cut into.\n```\n",
    },
}


def chapter(lang: str) -> NotebookNode:
    """The executed chapter in its MyST face."""
    title, section_1, point_111, section_2, point_121, point_122 = (
        new_markdown_cell(text, id=f"prose-{index}") for index, text in enumerate(PROSE[lang])
    )
    derive = new_code_cell(
        "weights = [0.2, 0.3, 0.5]\nprint('sum', sum(weights))\nprint(weights)",
        id="derive",
        execution_count=1,
        metadata={"tags": ["derive"]},
        outputs=[
            new_output("stream", name="stdout", text="sum 1.0\n"),
            new_output("stream", name="stdout", text="[0.2, 0.3, 0.5]\n"),
        ],
    )
    show = new_code_cell(
        "show(softmax)",
        id="show",
        execution_count=2,
        metadata={"tags": ["show"]},
        outputs=[
            new_output(
                "display_data", {"text/markdown": "```python\ndef softmax(x):\n    return x.exp() / x.exp().sum()\n```"}
            )
        ],
    )
    run = new_code_cell(
        "plot(losses);",
        id="run",
        execution_count=3,
        metadata={"tags": ["run"], "mystnb": FIGURE[lang]},
        outputs=[new_output("display_data", {"image/svg+xml": PLOT, "text/plain": "<Figure size 420x180>"})],
    )
    value = {"id": "1.2.1/accuracy", "text": "94.3% (93.1–95.5)", "bound": "≥ 90", "holds": True}
    claim = new_code_cell(
        "claim('1.2.1/accuracy', accuracies, at_least=90, unit='%')",
        id="claim",
        execution_count=4,
        metadata={"tags": ["check"]},
        outputs=[
            new_output("display_data", {CLAIM_TYPE: value, "text/plain": "1.2.1/accuracy: 94.3% (93.1–95.5), ≥ 90"})
        ],
    )
    claims = [
        {
            **value,
            "recorded": None,
            "n": 3,
            "holds": True,
            "differs": False,
            "what": {"zh": "正确率 | 三个种子", "en": "accuracy | three seeds"},
        },
        {
            "id": "1.1.1/ratio",
            "text": "2.1 (1.9–2.3)",
            "bound": "≥ 1.5",
            "recorded": {"run": "heads", "seeds": 5, "minutes": 24.6},
            "stale": True,
            "n": 5,
            "holds": True,
            "differs": True,
        },
    ]
    facts = {"chapter": 1, "slug": "01-transformer", "lang": lang, "seconds": 83.1, "peak_mb": 900, "claims": claims}
    cells = [title, section_1, point_111, derive, section_2, point_121, show, claim, run, point_122]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(
        cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}, "llmbook": facts}
    )


def make_site(folder: Path) -> Site:
    """The fixture's site, to be built in `folder`/build."""
    boxes = {"zh": ("编码器", "解码器"), "en": ("Encoder", "Decoder")}
    for lang, words in boxes.items():
        (folder / "images" / lang).mkdir(parents=True)
        (folder / "images" / lang / "two-boxes.svg").write_text(DIAGRAM.format(*words), encoding="utf-8")
        (folder / "notebooks" / lang).mkdir(parents=True)
        nbformat.write(new_notebook(), folder / "notebooks" / lang / "01-transformer.ipynb")
    (folder / "references.bib").write_text(BIB, encoding="utf-8")
    return Site(
        chapters={lang: [chapter(lang)] for lang in PROSE},
        pages=PAGES,
        outline=OUTLINE,
        downloads={lang: [folder / "notebooks" / lang / "01-transformer.ipynb"] for lang in PROSE},
        images={lang: folder / "images" / lang for lang in PROSE},
        bibliography=folder / "references.bib",
        finished=["1.1.1", "1.2.1", "1.2.2"],
        settings=SETTINGS,
        build=folder / "build",
    )


@pytest.fixture
def notebook() -> NotebookNode:
    """The Chinese chapter, free to be changed."""
    return chapter("zh")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return make_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def built(site: Site) -> Path:
    """The folder of the site, built in both languages with warnings as errors."""
    return build_site(site)


@pytest.fixture(scope="session")
def live_site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a site with a page for each live figure."""
    return build_site(site_of_figures(tmp_path_factory.mktemp("live"), NAMES))


@pytest.fixture(scope="session", params=["fixture", pytest.param("book", marks=pytest.mark.built)])
def html(request: pytest.FixtureRequest) -> Path:
    """What must hold of every site is held of the fixture's and of the book's own."""
    if request.param == "fixture":
        return request.getfixturevalue("built")
    folder = paths.build_dir() / "html"
    assert (folder / "index.html").exists(), "the book's site is not built; run `make book` first"
    return folder


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page on which every complaint in the console and every request that leaves the disk fails the test."""
    opened = browser.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    opened.on("request", lambda asked: asked.url.startswith(("file:", "data:")) or complaints.append(asked.url))
    yield opened
    opened.close()
    assert complaints == []


@pytest.fixture
def live(page: Page, live_site: Path) -> Callable[[str], Figure]:
    """A live figure by its name, on its own page."""
    return lambda name: Figure(page, live_site, name)
