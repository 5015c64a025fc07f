"""The merges of `plain_bpe`, learned without counting anew and applied without going through all of them.

Book: §4.2.2
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import pairwise

from llmbook.tokenizers.plain_bpe import Pair, merge_pair

BYTES = tuple(bytes([value]) for value in range(256))


def learn_merges(words: Mapping[bytes, int], num_merges: int) -> list[Pair]:
    """The pairs to merge, in order: each time the commonest, of equals the greatest pair compared as raw bytes.

    The count of a pair is Σ over words of (occurrences in the word) · (count of the word). A merge changes only the words
    that hold the pair, so counts are kept and corrected; the heap may hold counts that have fallen since, which are put back.

    Args:
        words: how often each pre-token occurs, in UTF-8.
        num_merges: at most so many; fewer when no pair is left.
    """
    splits = [[BYTES[value] for value in word] for word in words]
    weights = list(words.values())
    counts: Counter[Pair] = Counter()
    holders: defaultdict[Pair, set[int]] = defaultdict(set)
    for index, (tokens, weight) in enumerate(zip(splits, weights, strict=True)):
        for pair in pairwise(tokens):
            counts[pair] += weight
            holders[pair].add(index)

    heap = [heap_entry(pair, count) for pair, count in counts.items()]
    heapify(heap)
    merges: list[Pair] = []
    while heap and len(merges) < num_merges:
        negative_count, _, _, pair = heappop(heap)
        if -negative_count != counts[pair]:  # it has fallen since
            if counts[pair]:
                heappush(heap, heap_entry(pair, counts[pair]))
            continue
        merges.append(pair)
        merged = pair[0] + pair[1]
        born = set()
        for index in holders.pop(pair):
            old, new, weight = splits[index], merge_pair(splits[index], pair), weights[index]
            for changed in pairwise(old):
                counts[changed] -= weight
            for changed in pairwise(new):
                counts[changed] += weight
                if merged in changed:
                    holders[changed].add(index)
                    born.add(changed)
            splits[index] = new
        for changed in born:
            heappush(heap, heap_entry(changed, counts[changed]))
    return merges


def heap_entry(pair: Pair, count: int) -> tuple[int, tuple[int, ...], tuple[int, ...], Pair]:
    """Sorts the commonest pair first, then the greatest: the bytes are negated, and 1 after them puts a longer token first."""
    left, right = ((*(-byte for byte in token), 1) for token in pair)
    return -count, left, right, pair


def apply_merges(tokens: Sequence[bytes], ranks: Mapping[Pair, int]) -> list[bytes]:
    """Merges the pair that was learned first, of equals the leftmost, until no pair of neighbours was ever learned.

    n tokens cost O(n log n): the heap holds the pairs, `before` and `after` link what is left of the word, whose ends are empty tokens.
    """
    tokens = [b"", *tokens, b""]
    before, after = list(range(-1, len(tokens) - 1)), list(range(1, len(tokens) + 1))
    heap = [(ranks[pair], left, pair) for left, pair in enumerate(pairwise(tokens)) if pair in ranks]
    heapify(heap)
    while heap:
        _, left, pair = heappop(heap)
        right = after[left]
        if (tokens[left], tokens[right]) != pair:  # one of the two is part of another token by now
            continue
        tokens[left], tokens[right] = pair[0] + pair[1], b""
        after[left], before[after[right]] = after[right], left
        for start in (before[left], left):
            pair = (tokens[start], tokens[after[start]])
            if pair in ranks:
                heappush(heap, (ranks[pair], start, pair))
    return [token for token in tokens if token]
