"""Near-duplicates between the parts of a corpus: a test on what was almost trained on is no test.

Book: §1.2.1
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TypeVar

from llmbook.checks import require_iterable

Text = TypeVar("Text", str, tuple[str, ...])  # a text as its characters or as its words


def similarity(a: Text, b: Text) -> float:
    """Jaccard's |A ∩ B| / |A ∪ B| on the texts' sets of neighbouring pairs (of characters or words); 1 for equal texts."""
    return jaccard(character_pairs(a), character_pairs(b))


def jaccard(a: set[Text], b: set[Text]) -> float:
    """|A ∩ B| / |A ∪ B|."""
    shared = len(a & b)
    return shared / (len(a) + len(b) - shared)


def character_pairs(text: Text) -> set[Text]:
    """The pairs of neighbouring characters (or words); of a text of one character, that text."""
    return {text[i : i + 2] for i in range(len(text) - 1)} or {text}


def near_duplicates(texts: Iterable[Text], others: Iterable[Text], *, threshold: float = 0.5) -> set[Text]:
    """Those of `texts` whose similarity to one of `others` reaches the threshold.

    Few are compared. |A ∩ B| / |A ∪ B| ≥ t asks that A and B share at least t |A| and t |B| pairs, so the ⌊(1 − t) |A|⌋ + 1 rarest pairs
    of A and as many of B, by one order of rarity, have one in common (Chaudhuri, Ganti and Kaushik 2006, "A Primitive Operator for
    Similarity Joins in Data Cleaning", call it the prefix filter; Broder 1997 calls the measure resemblance).

    Leaves out: hashing (MinHash), which makes it cheap for millions of texts.

    Raises:
        ValueError: a threshold outside (0, 1], one string in place of several texts.
    """
    require_iterable("texts", texts)
    require_iterable("others", others)
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie in (0, 1]; got {threshold}")
    pairs_of = {other: character_pairs(other) for other in others}
    count = Counter(pair for pairs in pairs_of.values() for pair in pairs)
    others_with = defaultdict(set)
    for other, pairs in pairs_of.items():
        for pair in rarest(pairs, count, threshold):
            others_with[pair].add(other)
    found = set()
    for text in set(texts):
        pairs = character_pairs(text)
        candidates = set().union(*(others_with[pair] for pair in rarest(pairs, count, threshold)))
        if any(jaccard(pairs, pairs_of[other]) >= threshold for other in candidates):
            found.add(text)
    return found


def rarest(pairs: set[Text], count: Counter[Text], threshold: float) -> list[Text]:
    """The rarest pairs, so many that what is left is too few for the threshold."""
    must_share = math.ceil(threshold * len(pairs) - 1e-9)
    return sorted(pairs, key=lambda pair: (count[pair], pair))[: len(pairs) - must_share + 1]
