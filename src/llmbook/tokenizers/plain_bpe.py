"""Byte-pair encoding by its definition, in few lines; `ByteBPE` gives the same and does not count anew.

Training counts all pairs of neighbouring tokens, makes the commonest one token, and counts anew. Encoding makes the same merges
in the same order. So a frequent string becomes one token, a rare one stays in pieces, and no text is without tokens.

Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", algorithm 1, which starts from characters where we
start from bytes, as Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2), section 2.2.

Leaves out: ids, special tokens, all that makes it fast.

Book: §4.2.2
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from llmbook.checks import require_at_least, require_iterable
from llmbook.tokenizers.byte_level import pre_tokens

Pair = tuple[bytes, bytes]


def train_bpe(texts: Iterable[str], num_merges: int) -> list[Pair]:
    """The pairs to merge, in order: each time the commonest, of equals the greatest pair compared as raw bytes.

    Args:
        texts: no merge crosses from one to the next, nor from one pre-token to the next.
        num_merges: at most so many; fewer when no pair is left.

    Raises:
        ValueError: one string in place of several, something else than texts, a negative number.
    """
    require_iterable("texts", texts)
    require_at_least(0, num_merges=num_merges)
    words = [single_bytes(word) for text in texts for word in pre_tokens(text)]
    merges: list[Pair] = []
    while len(merges) < num_merges:
        counts = Counter(pair for word in words for pair in pairwise(word))
        if not counts:
            break
        commonest = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(commonest)
        words = [merge_pair(word, commonest) for word in words]
    return merges


def encode_bpe(text: str, merges: Iterable[Pair]) -> list[bytes]:
    """The tokens of a text: every merge in the order of learning, over the whole of each pre-token."""
    words = [single_bytes(word) for word in pre_tokens(text)]
    for pair in merges:
        words = [merge_pair(word, pair) for word in words]
    return [token for word in words for token in word]


def merge_pair(tokens: Sequence[bytes], pair: Pair) -> list[bytes]:
    """Replaces each occurrence of the pair by one token, from left to right: a, a, a becomes aa, a."""
    left, right = pair
    merged: list[bytes] = []
    for token in tokens:
        if token == right and merged and merged[-1] == left:
            merged[-1] = left + right
        else:
            merged.append(token)
    return merged


def single_bytes(word: str) -> list[bytes]:
    """The bytes of a word in UTF-8, each a token."""
    return [bytes([value]) for value in word.encode()]
