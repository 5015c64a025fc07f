"""Accuracy of 汉字 → 拼音: by syllable, on polyphones (多音字) in their context, by whole sentence.

Book: §1.2.1
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from llmbook.checks import require_list
from llmbook.data import PinyinPair
from llmbook.data.sentence_pairs import require_pairs


@dataclass(frozen=True)
class PinyinAccuracy:
    """Percentages of right syllables, of right syllables of polyphones, and of sentences without a mistake, with their counts."""

    syllables: float
    polyphones: float
    sentences: float
    num_syllables: int
    num_polyphones: int
    num_sentences: int


def pinyin_accuracy(
    predictions: Iterable[Iterable[str]], pairs: Iterable[PinyinPair], *, polyphones: Collection[str]
) -> PinyinAccuracy:
    """Compares predicted syllables with the sentences' own, place by place.

    The syllable at place t counts as right if the prediction's t-th syllable equals it; a prediction that is too short is wrong in the
    places that it lacks, and a sentence is right only if the prediction is neither longer nor shorter. One missing syllable therefore costs
    all that follow it.

    Leaves out: aligning a prediction that has slipped by one place, as an edit distance would.

    Args:
        predictions: one sequence of syllables a sentence.
        pairs: the sentences with their right syllables.
        polyphones: the characters to count as polyphones.

    Raises:
        ValueError: the two lengths differ, there is no syllable at all, a string in place of several, or something else than pairs.
            Iterators are as good as lists.
    """
    pairs, predictions = require_pairs(pairs), require_predictions(predictions)
    if isinstance(polyphones, str):
        raise ValueError(f"polyphones is the string {polyphones!r:.40}; expected several characters")
    polyphones = set(polyphones)
    if len(predictions) != len(pairs):
        raise ValueError(f"{len(predictions)} predictions for {len(pairs)} sentences; expected one each")
    syllables, of_polyphones, sentences = [], [], []  # of each, whether it is right
    for prediction, pair in zip(predictions, pairs, strict=True):
        missing = len(pair.syllables) - len(prediction)
        said = [*prediction, *[None] * missing]
        for unit, syllable, heard in zip(pair.units, pair.syllables, said, strict=False):
            syllables.append(heard == syllable)
            if unit in polyphones:
                of_polyphones.append(heard == syllable)
        sentences.append(tuple(prediction) == pair.syllables)
    if not syllables:
        raise ValueError("no syllable to compare; expected at least one sentence with a syllable")
    return PinyinAccuracy(
        syllables=percent(syllables),
        polyphones=percent(of_polyphones),
        sentences=percent(sentences),
        num_syllables=len(syllables),
        num_polyphones=len(of_polyphones),
        num_sentences=len(sentences),
    )


def require_predictions(predictions: Iterable[Iterable[str]]) -> list[list[str]]:
    """A list of syllables for each prediction, of iterators too.

    Raises:
        ValueError: a string in place of several, or something else than strings.
    """
    said = [require_list(f"predictions[{n}]", one) for n, one in enumerate(require_list("predictions", predictions))]
    for number, one in enumerate(said):
        if not all(isinstance(syllable, str) for syllable in one):
            raise ValueError(f"predictions[{number}] is {one!r:.80}; expected syllables, which are strings")
    return said


def percent(right: Sequence[bool]) -> float:
    """How many of these are right; of none, NaN."""
    return 100 * sum(right) / len(right) if right else float("nan")
