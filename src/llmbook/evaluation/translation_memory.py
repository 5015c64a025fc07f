"""Translation by looking up the most similar text that is translated already: what a trained model has to beat.

Book: §1.2.3
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from llmbook.checks import require_list
from llmbook.data.near_duplicates import character_pairs
from llmbook.tokenizers.base import require_text


class Match(NamedTuple):
    """A remembered pair, and how similar its source is to the text, 0 to 1."""

    similarity: float
    source: str
    target: str


class TranslationMemory:
    """Pairs of (source, target), found again by the similarity of their sources: Jaccard's |A ∩ B| / |A ∪ B| on character pairs.

    An inverted index lists the sources that contain a pair of characters. Counting how often each source stands in the lists of the
    text's pairs gives all |A ∩ B| at once, and |A ∪ B| = |A| + |B| − |A ∩ B|. The measure is that of `near_duplicates`.

    Leaves out: putting right what differs (translators do that by hand), edit distance.

    Raises:
        ValueError: no pair, or something else than two strings.
    """

    def __init__(self, pairs: Iterable[tuple[str, str]]):
        self.pairs = require_list("pairs", pairs)
        if not self.pairs:
            raise ValueError("a translation memory needs at least one pair (source, target); got none")
        sources_with = defaultdict(list)
        sizes = []
        for index, (source, _) in enumerate(map(require_pair, self.pairs)):
            parts = character_pairs(source)
            sizes.append(len(parts))
            for part in parts:
                sources_with[part].append(index)
        self.sizes = np.array(sizes)
        self.sources_with = {part: np.array(sources) for part, sources in sources_with.items()}

    def nearest(self, text: str) -> Match:
        """The pair whose source is most similar to the text, the first of equals.

        Raises:
            ValueError: it is no text.
        """
        require_text(text)
        parts = character_pairs(text)
        listed = [self.sources_with[part] for part in parts if part in self.sources_with]
        if not listed:
            return Match(0.0, *self.pairs[0])
        shared = np.bincount(np.concatenate(listed), minlength=len(self.sizes))
        similarities = shared / (len(parts) + self.sizes - shared)
        best = int(similarities.argmax())
        return Match(float(similarities[best]), *self.pairs[best])


def require_pair(pair: tuple[str, str]) -> tuple[str, str]:
    """Raises ValueError unless it is two strings."""
    if not isinstance(pair, (tuple, list)) or [type(side) for side in pair] != [str, str]:
        raise ValueError(f"expected pairs (source, target) of strings; got {pair!r}")
    return pair
