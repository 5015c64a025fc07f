"""Chinese poems and the Analects in simplified characters: 宋词 by author, 诗经 by section, 论语 by chapter."""

import json
import re
import tarfile
from collections import defaultdict
from pathlib import Path

from llmbook.data.fetch import downloaded
from vendoring.tables import HAN, compressed

SOURCE = {
    "package": "chinese-poetry",
    "version": "2.0.1",
    "registry": "npm",
    "file": "chinese-poetry-2.0.1.tgz",
    "sha256": "25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86",
}
SONGCI, SHIJING, LUNYU = (f"poetry/{name}.jsonl.gz" for name in ("songci", "shijing", "lunyu"))
LICENCE = "poetry/MIT.txt"
NUM_AUTHORS = 60
ANONYMOUS, TUNE_LOST = "无名氏", "失调名"
SHORTEST = 16  # characters of the shortest tune, 十六字令; what is shorter is a fragment
WHOLE = re.compile("[\u4e00-\u9fff。，、；：？！“”‘’\n]+")  # neither □ nor a note, a digit or a broken character
CHINESE_MARKS = str.maketrans(":?,", "：？，")
Row = dict[str, str]


def songci(poems: list[dict]) -> list[Row]:
    """All whole poems of the 60 known authors who have most of them, each poem once, by author, in the package's order."""
    by_author: dict[str, list[Row]] = defaultdict(list)
    seen = set()
    for poem in poems:
        author, tune, text = poem["author"], poem["rhythmic"], "\n".join(poem["paragraphs"])
        is_whole = WHOLE.fullmatch(tune + text) and len(re.findall(f"[{HAN}]", text)) >= SHORTEST
        if text not in seen and is_whole and tune != TUNE_LOST:
            seen.add(text)
            by_author[author].append({"collection": "宋词", "document": author, "title": tune, "text": text})
    by_author.pop(ANONYMOUS, None)
    authors = sorted(by_author, key=lambda author: (-len(by_author[author]), author))[:NUM_AUTHORS]
    return [row for author in authors for row in by_author[author]]


def shijing(poems: list[dict]) -> list[Row]:
    """The 305 poems, by section."""
    return [
        {"collection": "诗经", "document": poem["section"], "title": poem["title"], "text": "\n".join(poem["content"])}
        for poem in poems
    ]


def lunyu(chapters: list[dict]) -> list[Row]:
    """The paragraphs of the twenty chapters, a few marks made Chinese; a title is the chapter's and the paragraph's number."""
    return [
        {
            "collection": "论语",
            "document": chapter["chapter"],
            "title": f"{chapter['chapter']} {number}",
            "text": text.translate(CHINESE_MARKS),
        }
        for chapter in chapters
        for number, text in enumerate(chapter["paragraphs"], 1)
    ]


def made(folder: Path) -> dict[str, bytes]:
    """The three tables and the package's licence."""
    with tarfile.open(downloaded(SOURCE, folder)) as archive:
        files = {
            name: archive.extractfile(name).read()
            for name in archive.getnames()
            if re.search(r"/(ci\.song\.\d+y?|shijing|lunyu)\.json$|^package/LICENSE$", name)
        }
    numbered = {int(found[1]): name for name in files if (found := re.search(r"ci\.song\.(\d+)", name))}
    poems = [poem for number in sorted(numbered) for poem in json.loads(files[numbered[number]])]
    return {
        SONGCI: compressed(songci(poems)),
        SHIJING: compressed(shijing(json.loads(files["package/dist/shijing/shijing.json"]))),
        LUNYU: compressed(lunyu(json.loads(files["package/dist/lunyu/lunyu.json"]))),
        LICENCE: files["package/LICENSE"].strip() + b"\n",
    }


FILES = [
    (
        SONGCI,
        SOURCE,
        "MIT",
        "宋词: 9,177 poems of the 60 authors with most of them, in simplified characters; see LICENSE.md",
    ),
    (SHIJING, SOURCE, "MIT", "诗经: 305 poems in 30 sections, in simplified characters"),
    (LUNYU, SOURCE, "MIT", "论语: 512 paragraphs in 20 chapters, in simplified characters"),
    (LICENCE, SOURCE, "MIT", "the licence of the poems' collection"),
]
