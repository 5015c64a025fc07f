"""What takes several things takes them from a list or an iterator, and says so where it gets one string or nothing of the kind.

Marked as the tests of messages are: the shape hook would refuse first.
"""

import numpy as np
import pytest
import torch

from llmbook.data import (
    PinyinPair,
    batch_of,
    batches,
    collate,
    collate_ids,
    commonest_readings,
    padded,
    polyphones,
    translation_batches,
)
from llmbook.data import split_by_document as split
from llmbook.data.near_duplicates import near_duplicates
from llmbook.data.translation_batches import SPECIAL_TOKENS
from llmbook.evaluation import (
    TranslationMemory,
    bleu_metric,
    bootstrap_difference,
    bootstrap_score,
    corpus_bleu,
    corpus_chrf,
    pinyin_accuracy,
)
from llmbook.generation import Translator, transcribe
from llmbook.models import Transformer, TransformerConfig
from llmbook.tokenizers import ByteBPE, Characters, train_bpe

pytestmark = pytest.mark.messages

TEXTS, OTHERS = ["the cat sat", "it is on the mat"], ["the cat", "it was on a mat"]
REFERENCES = [["the cat sat down"], ["it is on the mat", "on the mat it is"]]
PAIRS = [PinyinPair(tuple("你好"), ("nǐ", "hǎo")), PinyinPair(tuple("好吗"), ("hǎo", "ma"))]
CHARACTERS, SYLLABLES = Characters(list("你好吗")), Characters(["nǐ", "hǎo", "ma"])
BPE = ByteBPE.train(["ab"], 260, special_tokens=SPECIAL_TOKENS)
IDS = [([1, 2], [3]), ([4], [5, 6])]
SIZES = {"d_model": 8, "num_heads": 2, "num_layers": 1, "max_seq_len": 140}
SPECIAL = {"pad_id": 0, "bos_id": 1, "eos_id": 2}


def transcribed(pairs):
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(SYLLABLES.vocab_size, source_vocab_size=CHARACTERS.vocab_size, **SIZES))
    return transcribe(model.eval(), pairs, CHARACTERS, SYLLABLES)


def translated(texts):
    torch.manual_seed(0)
    return Translator(Transformer(TransformerConfig(260, **SIZES)).eval(), BPE).translate(texts)


BOOTSTRAP = {"metric": bleu_metric(), "num_samples": 5, "seed": 0}
# A call by its name: the function and its lists.
CALLS = {
    "corpus_bleu": (corpus_bleu, TEXTS, REFERENCES),
    "corpus_chrf": (corpus_chrf, TEXTS, REFERENCES),
    "bootstrap_score": (lambda a, r: bootstrap_score(a, r, **BOOTSTRAP), TEXTS, REFERENCES),
    "bootstrap_difference": (lambda a, b, r: bootstrap_difference(a, b, r, **BOOTSTRAP), TEXTS, OTHERS, REFERENCES),
    "pinyin_accuracy": (lambda p, q: pinyin_accuracy(p, q, polyphones={"好"}), [["nǐ", "hǎo"], ["hǎo"]], PAIRS),
    "TranslationMemory": (lambda pairs: TranslationMemory(pairs).nearest("ab"), [("ab", "c"), ("b", "d")]),
    "near_duplicates": (near_duplicates, TEXTS, OTHERS),
    "split_by_document": (lambda rows: split(rows, document=str, text=str), TEXTS),
    "padded": (lambda rows: padded(rows, 0), [[1, 2], [3]]),
    "batch_of": (lambda a, b: batch_of(a, b, **SPECIAL), [[1, 2], [3]], [[4], [5, 6]]),
    "batches": (lambda pairs: batches(pairs, CHARACTERS, SYLLABLES, batch_size=2, seed=0)(3), PAIRS),
    "collate": (lambda pairs: collate(pairs, CHARACTERS, SYLLABLES), PAIRS),
    "collate_ids": (lambda pairs: collate_ids(pairs, BPE), IDS),
    "translation_batches": (lambda pairs: translation_batches(pairs, BPE, tokens_per_batch=50, seed=0)(3), IDS),
    "commonest_readings": (commonest_readings, PAIRS),
    "polyphones": (polyphones, PAIRS),
    "transcribe": (transcribed, PAIRS),
    "translate": (translated, ["好", "我"]),
    "ByteBPE.train": (lambda texts: ByteBPE.train(texts, 260).merges, TEXTS),
    "Characters.train": (lambda items: Characters.train(items).symbols, TEXTS),
    "train_bpe": (lambda texts: train_bpe(texts, 4), TEXTS),
}
EMPTY_IS_DEFINED = {"near_duplicates", "split_by_document", "commonest_readings", "polyphones", "transcribe"}
EMPTY_IS_DEFINED |= {"translate", "ByteBPE.train", "train_bpe"}


def plain(value):
    """The outcome as something that can be compared."""
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return {name: plain(part) for name, part in vars(value).items()} if hasattr(value, "source_ids") else value


def iterated(values):
    """An iterator of the same, lists in it iterators too."""
    return (iter(value) if isinstance(value, list) else value for value in values)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("kind", [iterated, tuple])
def test_an_iterator_is_as_good_as_a_list(name, kind):
    function, *lists = CALLS[name]
    expected = plain(function(*lists))
    for number in range(len(lists)):
        changed = [kind(values) if number == index else values for index, values in enumerate(lists)]
        assert plain(function(*changed)) == expected
    assert plain(function(*map(kind, lists))) == expected


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("wrong", ["好的", "", b"ab", None, 5, {"a": 1}, {"a"}])
def test_one_string_and_what_is_no_list_are_named(name, wrong):
    function, *lists = CALLS[name]
    for number in range(len(lists)):
        with pytest.raises(ValueError, match=rf"is a {type(wrong).__name__}; expected a list"):
            function(*(wrong if number == index else values for index, values in enumerate(lists)))


@pytest.mark.parametrize("name", [name for name, (_, *lists) in CALLS.items() if len(lists) > 1 and "near" not in name])
def test_lists_of_different_lengths_are_named(name):
    function, *lists = CALLS[name]
    for number in range(len(lists)):
        with pytest.raises(ValueError, match="expected"):
            function(*(iter(values[:1]) if number == index else values for index, values in enumerate(lists)))


@pytest.mark.parametrize("name", CALLS)
def test_empty_lists_are_refused_or_give_nothing(name):
    function, *lists = CALLS[name]
    for empty in ([], iter(())):
        if name in EMPTY_IS_DEFINED:
            function(*([] for _ in lists[:-1]), empty)
        else:
            with pytest.raises(ValueError, match=r"expected|needs at least one|is no symbol|are empty"):
                function(*([] for _ in lists[:-1]), empty)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: padded([[1, 2.0]], 0), r"rows\[0\] has 2.0; expected integers"),
        (lambda: padded([[1], [True]], 0), r"rows\[1\] has True; expected integers"),
        (lambda: padded([[1], ["2"]], 0), r"rows\[1\] has '2'; expected integers"),
        (lambda: padded([[1], "23"], 0), r"rows\[1\] is a str; expected a list"),
        (lambda: padded([[1], 2], 0), r"rows\[1\] is a int; expected a list"),
        (lambda: padded([[[1]]], 0), r"rows\[0\] has \[1\]; expected integers"),
        (lambda: padded([[1]], 0.5), "value is 0.5; expected an integer"),
        (lambda: padded(torch.tensor([[1.0]]), 0), r"rows\[0\] has 1.0; expected integers"),
        (lambda: batch_of([[1]], [[2]], pad_id=-1, bos_id=1, eos_id=2), "pad_id is -1; expected at least 0"),
        (lambda: batch_of([[1]], [[None]], **SPECIAL), r"target\[0\] has None; expected integers"),
        (lambda: batches(PAIRS, CHARACTERS, SYLLABLES, batch_size=1.5, seed=0), "batch_size 1.5"),
        (lambda: collate(["你好"], CHARACTERS, SYLLABLES), r"pairs\[0\] is '你好'; expected a PinyinPair"),
        (lambda: collate_ids([([1],)], BPE), r"pairs\[0\] has 1 sides; expected source and target"),
        (lambda: collate_ids([(1, 2)], BPE), "a source is a int; expected a list"),
        (lambda: collate_ids(IDS, ByteBPE.train(["ab"], 257)), "the tokenizer has no <bos>, <eos>, <pad>; expected"),
        (lambda: pinyin_accuracy(["nǐ hǎo"], PAIRS[:1], polyphones=()), r"predictions\[0\] is a str; expected a list"),
        (lambda: pinyin_accuracy([[1, 2]], PAIRS[:1], polyphones=()), r"predictions\[0\] is \[1, 2\]; expected syll"),
        (lambda: pinyin_accuracy([["nǐ"]], PAIRS[:1], polyphones="好"), "polyphones is the string '好'"),
        (lambda: pinyin_accuracy([["nǐ"]], ["你"], polyphones=()), r"pairs\[0\] is '你'; expected a PinyinPair"),
        (
            lambda: bootstrap_score(TEXTS, REFERENCES, metric=bleu_metric(), num_samples=2.5, seed=0),
            "num_samples is 2.5",
        ),
        (
            lambda: bootstrap_score(TEXTS, REFERENCES, metric=bleu_metric(), seed=None),
            "seed is None; expected at least 0",
        ),
        (lambda: corpus_chrf(TEXTS, REFERENCES, char_order=1.5), "char_order is 1.5, word_order 0; expected integers"),
        (lambda: TranslationMemory([("a", "b")]).nearest(b"a"), "got bytes b'a'"),
        (lambda: translated(["好", None]), "got NoneType None"),
    ],
)
def test_what_is_in_the_lists_is_looked_at(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_rows_may_be_arrays_and_tensors():
    expected = padded([[1, 2], [3, 4]], 0)
    for rows in (torch.tensor([[1, 2], [3, 4]]), np.array([[1, 2], [3, 4]]), [torch.tensor([1, 2]), np.array([3, 4])]):
        assert torch.equal(padded(rows, np.int64(0)), expected)


def test_polyphones_from_an_iterator_count_in_every_sentence():
    found = pinyin_accuracy([["nǐ", "hǎo"], ["hǎo", "ma"]], PAIRS, polyphones=iter(["好"]))
    assert (found.polyphones, found.num_polyphones) == (100.0, 2)
