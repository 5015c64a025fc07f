"""The book's corpora by name, as tables of the `datasets` library.

Book: §1.2.1
"""

import datasets

from llmbook import paths
from llmbook.assets import vendored
from llmbook.atomic import writable

FILES = {
    "hsk": ["hsk/sentences.jsonl.gz"],
    "libreoffice_help": ["libreoffice/help.jsonl.gz"],
    "interface_libreoffice": ["interface/libreoffice.jsonl.gz"],
    "interface_python": ["interface/python.jsonl.gz"],
    "poetry": ["poetry/songci.jsonl.gz", "poetry/shijing.jsonl.gz", "poetry/lunyu.jsonl.gz"],
    "moby_dick": ["moby_dick/chapters.jsonl.gz"],
}


def load_corpus(name: str) -> datasets.Dataset:
    """A vendored corpus; no network is used.

    "hsk": 4,354 Chinese sentences by level of the HSK examination, with pinyin and English: the columns id, hsk_level, topic,
    chinese, traditional, pinyin, pinyin_numbered, english. It is CC BY-SA 4.0; `data/hsk/LICENSE.md` names its author.

    "libreoffice_help": 39,552 paragraphs on 2,386 pages of LibreOffice's help in Chinese and English: the columns page, order (of
    the paragraph on its page; gaps are paragraphs without translation), paragraph (its id), kind (h1 to h6, paragraph, item, cell),
    zh, en. What several pages have in common stands on each. It is MPL-2.0; see `data/libreoffice/LICENSE.md`.

    "interface_libreoffice" and "interface_python": 17,961 strings of LibreOffice's and 4,656 of JupyterLab's, Django's and Sphinx's
    interfaces: the columns catalogue, order (in the catalogue), context (a dialog or the like), zh, en. They are MPL-2.0 and BSD; see
    `data/interface/LICENSE.md`.

    "poetry": 9,177 宋词 by 60 authors, the 305 poems of 诗经, 512 paragraphs of 论语: the columns collection, document (author, section or
    chapter), title, text. MIT; see `data/poetry/LICENSE.md`.

    "moby_dick": Melville's novel in 138 parts: the columns chapter, title, text (paragraphs apart by an empty line). Public domain; see
    `data/moby_dick/LICENSE.md`.

    Raises:
        ValueError: an unknown name, or a file that is missing or changed.
    """
    if name not in FILES:
        raise ValueError(f"unknown corpus {name!r}; known: {', '.join(sorted(FILES))}")
    return read_table(FILES[name])


def read_table(names: list[str]) -> datasets.Dataset:
    """Vendored files of JSON lines as one table.

    Raises:
        ValueError: a file that is missing or changed; a cache that this user may not write.
    """
    files = [str(vendored(name)) for name in names]
    cache = writable(paths.cache_dir() / "datasets")
    bars_were_on = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        return datasets.Dataset.from_json(files, cache_dir=str(cache))
    finally:
        if bars_were_on:
            datasets.enable_progress_bars()
