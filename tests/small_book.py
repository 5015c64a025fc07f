"""A book of one small chapter in a folder of its own, for the tests of what reads, splits, executes and publishes a book."""

import json
import re
from pathlib import Path

import pytest

from llmbook import paths
from llmbook.book import bibliography, glossary, lock, outline
from llmbook.book.source import find_chapter, read

OUTLINE = {
    "title": {"zh": "书", "en": "Book"},
    "parts": [
        {
            "zh": "Part I：基础",
            "en": "Part I: Basics",
            "chapters": [
                {
                    "number": 1,
                    "zh": "第一章：小书",
                    "en": "Chapter 1: A small book",
                    "sections": [
                        {
                            "id": "1.1",
                            "zh": "第一节",
                            "en": "First section",
                            "points": [{"id": "1.1.1", "zh": "为什么要除？", "en": "Why divide?"}],
                        }
                    ],
                }
            ],
        }
    ],
}

CHAPTER = """\
+++ {"lang": "zh"}

(chapter-1)=
# 第一章：小书

+++ {"lang": "en"}

(chapter-1)=
# Chapter 1: A small book

```{code-cell} ipython3
:tags: [setup]

import math
```

+++ {"lang": "zh"}

(section-1-1)=
## 第一节

+++ {"lang": "en"}

(section-1-1)=
## First section

+++ {"lang": "zh"}

(point-1-1-1)=
### 除以根号

> 为什么要除？

若 $d = 64$，方差不是 1，而是 64 {cite:p}`vaswani2017attention`。由 {eq}`eq-score` 得，词元多了也一样：

```{math}
:label: eq-score

s = q \\cdot k - 1
```

测得的比值是 {claim}`1.1.1/ratio`，共 1,000 次。

+++ {"lang": "en"}

(point-1-1-1)=
### Divide by the root

> Why divide?

For $d = 64$ the variance is not 1 but 64 {cite:p}`vaswani2017attention`. By {eq}`eq-score` more tokens change nothing:

```{math}
:label: eq-score

s = q \\cdot k - 1
```

The measured ratio is {claim}`1.1.1/ratio`, over 1,000 draws.

```{code-cell} ipython3
:tags: [derive]

print(math.sqrt(64))
```

```{code-cell} ipython3
---
tags: [run]
---
from llmbook.notebook import claim
claim("1.1.1/ratio", 8.0, at_least=7.0)
```
"""

PAGE = """\
+++ {"lang": "zh"}

(NAME)=
# 页

+++ {"lang": "en"}

(NAME)=
# Page
"""

GLOSSARY = """\
[[term]]
zh = ["词元"]
en = ["token"]
avoid_zh = ["令牌"]
paired = true
definition = { zh = "最小单位。", en = "The smallest unit." }
"""

BIBLIOGRAPHY = """\
@inproceedings{vaswani2017attention,
  author = {Vaswani, Ashish and Shazeer, Noam and Parmar, Niki},
  title = {Attention Is All You Need},
  year = {2017},
  url = {https://arxiv.org/abs/1706.03762}
}
"""

CLAIM = {
    "id": "1.1.1/ratio",
    "values": [8.0],
    "unit": "",
    "at_least": 7.0,
    "at_most": None,
    "equals": None,
    "tolerance": None,
    "text": "8",
    "bound": "≥ 7",
    "holds": True,
    "timing": False,
}


def forget() -> None:
    """What has been read of another book, by functions that keep it."""
    for kept in (outline.load_outline, outline.finished_points, glossary.load_terms, bibliography.short_citations):
        kept.cache_clear()


@pytest.fixture
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The chapter file of a sound, locked book; its folder has a space and Chinese in its name."""
    root = tmp_path / "一本 书"
    chapters = root / "chapters"
    (chapters / "expected").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "data" / "MANIFEST.toml").write_text("file = []\n", encoding="utf-8")
    (root / "constraints.txt").write_text("", encoding="utf-8")
    chapter = chapters / "01-small.md"
    files = {
        "outline.json": json.dumps(OUTLINE, ensure_ascii=False),
        "status.toml": 'finished = ["1.1.1"]',
        "glossary.toml": GLOSSARY,
        "references.bib": BIBLIOGRAPHY,
        "index.md": PAGE.replace("NAME", "book"),
        "notation.md": PAGE.replace("NAME", "notation"),
        chapter.name: CHAPTER,
        "expected/01.claims.json": json.dumps({"1.1.1/ratio": CLAIM}, ensure_ascii=False),
    }
    for name, text in files.items():
        (chapters / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr(paths, "root", lambda: root)
    forget()
    for name in ("index.md", "notation.md", chapter.name):
        lock.approve(read(chapters / name), ["all"])
    yield chapter
    forget()


def more_chapters(chapter: Path, last: int) -> None:
    """The small book with its chapter as chapters 1 to `last`."""
    text = chapter.read_text(encoding="utf-8")
    known = outline.load_outline()
    part = known["parts"][0]
    for number in range(2, last + 1):
        renumbered = re.sub(r"(chapter|section|point)-1\b", rf"\1-{number}", text).replace("1.1.1", f"{number}.1.1")
        renumbered = renumbered.replace("eq-score", f"eq-score-{number}")
        (chapter.parent / f"{number:02d}-small.md").write_text(renumbered, encoding="utf-8")
        section = {"id": f"{number}.1", "zh": "第一节", "en": "First section"}
        section["points"] = [{"id": f"{number}.1.1", "zh": "为什么要除？", "en": "Why divide?"}]
        part["chapters"].append(
            {"number": number, **{lang: part["chapters"][0][lang] for lang in ("zh", "en")}, "sections": [section]}
        )
        claims = (chapter.parent / "expected/01.claims.json").read_text(encoding="utf-8")
        (chapter.parent / f"expected/{number:02d}.claims.json").write_text(
            claims.replace("1.1.1", f"{number}.1.1"), encoding="utf-8"
        )
        lock.approve(read(find_chapter(str(number))), ["all"])
