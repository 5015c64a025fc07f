"""The book's corpora by name, as tables of the `datasets` library.

Book: §1.2.1
"""

import datasets

from llmbook import paths
from llmbook.data.assets import vendored

FILES = {"hsk": "hsk/sentences.jsonl.gz", "libreoffice_help": "libreoffice/help.jsonl.gz"}


def load_corpus(name: str) -> datasets.Dataset:
    """A vendored corpus; no network is used.

    "hsk": 4,354 Chinese sentences by level of the HSK examination, with pinyin and English: the columns id, hsk_level, topic,
    chinese, traditional, pinyin, pinyin_numbered, english. It is CC BY-SA 4.0; `data/hsk/LICENSE.md` names its author.

    "libreoffice_help": 39,552 paragraphs on 2,386 pages of LibreOffice's help in Chinese and English: the columns page, order (of
    the paragraph on its page; gaps are paragraphs without translation), paragraph (its id), kind (h1 to h6, paragraph, item, cell),
    zh, en. What several pages have in common stands on each. It is MPL-2.0; see `data/libreoffice/LICENSE.md`.

    Raises:
        ValueError: an unknown name, or a file that is missing or changed.
    """
    if name not in FILES:
        raise ValueError(f"unknown corpus {name!r}; known: {', '.join(sorted(FILES))}")
    path = vendored(FILES[name])
    bars_were_on = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        return datasets.Dataset.from_json(str(path), cache_dir=str(paths.cache_dir() / "datasets"))
    finally:
        if bars_were_on:
            datasets.enable_progress_bars()
