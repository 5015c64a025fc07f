"""Chinese search: runs of Chinese are cut into pairs of neighbours, in the index and in the browser alike.

Sphinx's own Chinese search names a stemmer that its browser code lacks, and cuts words in the index only.
The index also holds single characters, for queries of one.
"""

import re

import snowballstemmer
from sphinx.application import Sphinx
from sphinx.search import SearchLanguage
from sphinx.search._stopwords.en import ENGLISH_STOPWORDS

TOKEN = re.compile(r"[\u3400-\u9fff]+|[^\W\u3400-\u9fff]+")
SPLITTER = r"""
var splitQuery = (query) => (query.match(/[\u3400-\u9fff]+|[\p{Letter}\p{Number}_]+/gu) || []).flatMap((run) =>
  run.split(/([\u3400-\u9fff]+)/u).filter((part) => part).flatMap((part) => {
    if (part.length < 2 || !/^[\u3400-\u9fff]/u.test(part)) return [part];
    return Array.from({ length: part.length - 1 }, (_, i) => part.slice(i, i + 2));
  }));
"""


class Chinese(SearchLanguage):
    """Pairs of Chinese characters, and English words by their stems."""

    lang = "zh"
    language_name = "English"
    js_stemmer_rawcode = "english-stemmer.js"
    js_splitter_code = SPLITTER
    stopwords = ENGLISH_STOPWORDS

    def __init__(self, options: dict[str, str]) -> None:
        super().__init__(options)
        self.stemmer = snowballstemmer.stemmer("english")

    def split(self, text: str) -> list[str]:
        words = []
        for run in TOKEN.findall(text):
            words.append(run)
            if "\u3400" <= run[0] <= "\u9fff":
                words[-1:] = [*run, *(run[start : start + 2] for start in range(len(run) - 1))]
        return words

    def stem(self, word: str) -> str:
        return self.stemmer.stemWord(word.lower())


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_search_language(Chinese)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
