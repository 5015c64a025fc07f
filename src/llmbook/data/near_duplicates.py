"""Near-duplicates between the parts of a corpus: a test on what was almost trained on is no test.

Book: §1.2.1
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence


def similarity(a: str, b: str) -> float:
    """Jaccard's |A ∩ B| / |A ∪ B| on the texts' sets of neighbouring character pairs; 1 for equal texts."""
    pairs_a, pairs_b = character_pairs(a), character_pairs(b)
    return len(pairs_a & pairs_b) / len(pairs_a | pairs_b)


def character_pairs(text: str) -> set[str]:
    """The pairs of neighbouring characters; of a text of one character, that text."""
    return {text[i : i + 2] for i in range(len(text) - 1)} or {text}


def near_duplicates(texts: Sequence[str], others: Iterable[str], *, threshold: float | int = 0.5) -> set[str]:
    """Those of `texts` whose similarity to one of `others` reaches the threshold.

    Only texts that share a character pair are compared: the others' similarity is 0 (Broder 1997 calls the measure resemblance).

    Leaves out: hashing (MinHash), which makes it cheap for millions of texts.

    Raises:
        ValueError: a threshold outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie in (0, 1]; got {threshold}")
    others_with = defaultdict(set)
    for other in others:
        for pair in character_pairs(other):
            others_with[pair].add(other)
    found = set()
    for text in texts:
        candidates = set().union(*(others_with[pair] for pair in character_pairs(text)))
        if any(similarity(text, other) >= threshold for other in candidates):
            found.add(text)
    return found
