"""汉字 → 拼音: sentences of Chinese characters, each with its reading in pinyin, in three parts and in batches.

A real translation task small enough for a minute of training: about one syllable a character, yet many characters are read
in more than one way, and only the context says which.

Book: §1.2.1
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch

from llmbook import seeding
from llmbook.checks import is_integer, require_list
from llmbook.data.batch import Batch, batch_of
from llmbook.data.corpora import load_corpus
from llmbook.data.splits import Split, split_by_document
from llmbook.tokenizers import Characters


@dataclass(frozen=True)
class PinyinPair:
    """A sentence, punctuation included, and its syllables with tone marks."""

    characters: tuple[str, ...]
    syllables: tuple[str, ...]

    @property
    def units(self) -> tuple[str, ...]:
        """What each syllable is written with: one character, or two for a syllable such as wánr (玩儿)."""
        return tuple("".join(self.characters[i] for i in place) for place in align(self.characters, self.syllables))


def align(characters: Sequence[str], syllables: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """For each syllable the places of its characters.

    Punctuation has no syllable. A syllable that ends in an added r (wánr, but neither èr nor r alone) takes the 儿 that follows.

    Raises:
        ValueError: too few or too many syllables, or one string in place of several.
    """
    characters, syllables = list(characters), require_list("syllables", syllables)
    spoken = [i for i, character in enumerate(characters) if character.isalnum()]
    places = []
    next_ = 0
    for syllable in syllables:
        ends_in_r = syllable.endswith("r") and syllable not in ("r", "er", "ēr", "ér", "ěr", "èr")
        size = 2 if ends_in_r and "".join(characters[i] for i in spoken[next_ + 1 : next_ + 2]) == "儿" else 1
        places.append(tuple(spoken[next_ : next_ + size]))
        next_ += size
    if next_ != len(spoken):
        raise ValueError(
            f"{''.join(characters)} has {len(spoken)} characters to read; {' '.join(syllables)} reads {next_}"
        )
    return tuple(places)


def pinyin_pairs() -> Split[PinyinPair]:
    """The HSK sentences in three parts, about 80, 8 and 12 percent.

    The part is a hash of the sentence without punctuation, so it depends on no order and no seed. A training sentence is dropped
    when it is a near-duplicate of one in another part (Jaccard similarity of their sets of character pairs at least 0.5), a
    validation sentence when it is one of a test sentence.
    """
    pairs = (PinyinPair(tuple(row["chinese"]), tuple(row["pinyin"].split())) for row in load_corpus("hsk"))
    return split_by_document(pairs, document=spoken_text, text=spoken_text)


def spoken_text(pair: PinyinPair) -> str:
    """The sentence without punctuation."""
    return "".join(character for character in pair.characters if character.isalnum())


def require_pairs(pairs: Iterable[PinyinPair]) -> list[PinyinPair]:
    """The pairs as a list, of an iterator too.

    Raises:
        ValueError: something else than pairs.
    """
    pairs = require_list("pairs", pairs)
    for number, pair in enumerate(pairs):
        if not isinstance(pair, PinyinPair):
            raise ValueError(f"pairs[{number}] is {pair!r:.80}; expected a PinyinPair")
    return pairs


def commonest_readings(pairs: Iterable[PinyinPair]) -> dict[str, str]:
    """For each character (or character with 儿) the syllable it is read with most often, ties to the first by code point."""
    return {unit: min(counts, key=lambda s: (-counts[s], s)) for unit, counts in reading_counts(pairs).items()}


def polyphones(pairs: Iterable[PinyinPair], *, min_count: int = 1) -> set[str]:
    """The characters that are read in at least two ways, each at least `min_count` times."""
    return {
        unit
        for unit, counts in reading_counts(pairs).items()
        if len(unit) == 1 and sum(count >= min_count for count in counts.values()) >= 2
    }


def reading_counts(pairs: Iterable[PinyinPair]) -> dict[str, Counter[str]]:
    """How often each character (or character with 儿) is read with each syllable."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for pair in require_pairs(pairs):
        for unit, syllable in zip(pair.units, pair.syllables, strict=True):
            counts[unit][syllable] += 1
    return dict(counts)


def batches(
    pairs: Iterable[PinyinPair],
    source_tokenizer: Characters,
    target_tokenizer: Characters,
    *,
    batch_size: int,
    seed: int,
    device: str | torch.device = "cpu",
) -> Callable[[int], Batch]:
    """A function from the step to its batch that depends on nothing but step and seed.

    Each epoch goes once through all pairs in a new order, sentences of about the same length together, so that little is padded.

    Raises:
        ValueError: no pairs, something else than pairs, or `batch_size` < 1.
    """
    pairs = require_pairs(pairs)
    if not pairs or not is_integer(batch_size) or batch_size < 1:
        raise ValueError(
            f"expected at least one pair and batch_size >= 1; got {len(pairs)} pairs, batch_size {batch_size}"
        )
    lengths = torch.tensor([len(pair.characters) for pair in pairs])
    batches_per_epoch = math.ceil(len(pairs) / batch_size)

    def batch(step: int) -> Batch:
        epoch, position = divmod(step, batches_per_epoch)
        rng = seeding.generator(seed, epoch)
        about_sorted = (lengths + 2 * torch.rand(len(pairs), generator=rng)).argsort()
        chosen = torch.randperm(batches_per_epoch, generator=rng)[position]
        rows = about_sorted.split(batch_size)[chosen].tolist()
        return collate([pairs[row] for row in rows], source_tokenizer, target_tokenizer, device=device)

    return batch


def collate(
    pairs: Iterable[PinyinPair],
    source_tokenizer: Characters,
    target_tokenizer: Characters,
    *,
    device: str | torch.device = "cpu",
) -> Batch:
    """One batch: the decoder reads <bos> y₁ … yₙ and is to say y₁ … yₙ <eos>.

    Raises:
        ValueError: no pairs, or something else than pairs.
    """
    pairs = require_pairs(pairs)
    return batch_of(
        [source_tokenizer.encode(pair.characters) for pair in pairs],
        [target_tokenizer.encode(pair.syllables) for pair in pairs],
        pad_id=target_tokenizer.pad_id,
        bos_id=target_tokenizer.bos_id,
        eos_id=target_tokenizer.eos_id,
        device=device,
    )
