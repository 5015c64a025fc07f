"""Characters and syllables align in every row; the parts share nothing; batches depend on step and seed alone."""

from functools import cache

import pytest
import torch

from llmbook.data import (
    PinyinPair,
    align,
    batches,
    collate,
    commonest_readings,
    load_corpus,
    pinyin_pairs,
    polyphones,
)
from llmbook.data.near_duplicates import character_pairs, similarity
from llmbook.data.sentence_pairs import spoken_text
from llmbook.data.splits import part_of
from llmbook.tokenizers import Characters


def pair(text, pinyin):
    return PinyinPair(tuple(text), tuple(pinyin.split()))


@cache
def split():
    return pinyin_pairs()


@cache
def tokenizers():
    train = split().train
    return Characters.train([p.characters for p in train]), Characters.train([p.syllables for p in train])


@pytest.mark.parametrize(
    ("text", "pinyin", "units"),
    [
        ("我们出去玩儿吧。", "wǒ men chū qù wánr ba", "我 们 出 去 玩儿 吧"),
        (
            "小女孩儿和小男孩儿一起玩儿。",
            "xiǎo nǚ háir hé xiǎo nán háir yī qǐ wánr",
            "小 女 孩儿 和 小 男 孩儿 一 起 玩儿",
        ),
        ("这是我儿子，那是我女儿。", "zhè shì wǒ ér zi nà shi wǒ nǚ ér", "这 是 我 儿 子 那 是 我 女 儿"),
        ("他干活儿很有劲儿。", "tā gàn huór hěn yǒu jìn ér", "他 干 活儿 很 有 劲 儿"),
        ("别走，再等一下儿。", "bié zǒu zài děng yī xià r", "别 走 再 等 一 下 儿"),
        ("不一会儿，他就回来了。", "bù yī huì er tā jiù huí lai le", "不 一 会 儿 他 就 回 来 了"),
        ("二月", "èr yuè", "二 月"),
        ("二儿子", "èr ér zi", "二 儿 子"),
        ("耳", "ěr", "耳"),
    ],
)
def test_alignment_of_real_sentences(text, pinyin, units):
    """An added r takes the 儿 after it; 儿 read by itself, and 二 and 耳, whose syllable ends in r anyway, do not."""
    assert pair(text, pinyin).units == tuple(units.split())


def test_alignment_gives_places_in_the_sentence_with_its_punctuation():
    assert align("好，玩儿！", ["hǎo", "wánr"]) == ((0,), (2, 3))


def test_all_sentences_align():
    rows = [pair(row["chinese"], row["pinyin"]) for row in load_corpus("hsk")]
    for row in rows:
        assert len(row.units) == len(row.syllables)
        assert "".join(row.units) == spoken_text(row)
    erhua = [row for row in rows if any(len(unit) == 2 for unit in row.units)]
    assert len(erhua) == 98
    assert all(unit[1] == "儿" for row in rows for unit in row.units if len(unit) == 2)


def test_the_parts_have_their_sizes():
    parts = split()
    sizes = [len(parts.train), len(parts.validation), len(parts.test)]
    assert sizes == [3451, 318, 540]
    assert 4354 - sum(sizes) == 45  # near-duplicates between parts


def test_nothing_of_one_part_is_in_another_exactly_or_nearly():
    parts = split()
    texts = {name: {spoken_text(p) for p in getattr(parts, name)} for name in ("train", "validation", "test")}
    for a, b in (("train", "test"), ("validation", "test"), ("train", "validation")):
        assert not texts[a] & texts[b]
        pairs_of = {text: character_pairs(text) for text in texts[a] | texts[b]}
        nearest = max(
            len(pairs_of[x] & pairs_of[y]) / len(pairs_of[x] | pairs_of[y]) for x in texts[a] for y in texts[b]
        )
        assert 0.3 < nearest < 0.5


def test_the_guard_would_find_a_leak():
    leaked = next(iter(split().test))
    assert similarity(spoken_text(leaked), spoken_text(leaked)) == 1
    assert part_of(spoken_text(leaked)) == "test"


def test_a_sentences_part_depends_on_the_sentence_alone(monkeypatch):
    rows = list(load_corpus("hsk"))
    monkeypatch.setattr("llmbook.data.sentence_pairs.load_corpus", lambda _name: rows[::-1])
    backwards = pinyin_pairs()
    assert backwards.test == split().test[::-1]
    assert backwards.train == split().train[::-1]


def test_readings_by_hand():
    pairs = [pair("长城很长。", "cháng chéng hěn cháng"), pair("校长玩儿", "xiào zhǎng wánr"), pair("玩", "wán")]
    readings = commonest_readings(pairs)
    assert readings["长"] == "cháng"
    assert (readings["玩儿"], readings["玩"]) == ("wánr", "wán")
    assert "。" not in readings
    assert polyphones(pairs) == {"长"}
    assert polyphones(pairs, min_count=2) == set()
    tied = [pair("行", "xíng"), pair("行", "háng")]
    assert commonest_readings(tied) == commonest_readings(tied[::-1]) == {"行": "háng"}


def test_the_bar_that_a_model_has_to_pass():
    parts = split()
    readings, several = commonest_readings(parts.train), polyphones(parts.train)
    spoken = [(unit, syllable) for p in parts.test for unit, syllable in zip(p.units, p.syllables, strict=True)]
    right = [readings.get(unit) == syllable for unit, syllable in spoken]
    right_of_several = [r for r, (unit, _) in zip(right, spoken, strict=True) if unit in several]
    assert (len(right), sum(right)) == (4014, 3813)
    assert (len(several), len(right_of_several), sum(right_of_several)) == (166, 1266, 1136)


def test_a_batch_by_hand():
    source = Characters(["你", "好", "。"])
    target = Characters(["nǐ", "hǎo"])
    batch = collate([pair("你好。", "nǐ hǎo"), pair("好", "hǎo")], source, target)
    assert batch.source_ids.tolist() == [[4, 5, 6], [5, 0, 0]]
    assert batch.source_mask.tolist() == [[True, True, True], [True, False, False]]
    assert batch.target_ids.tolist() == [[1, 4, 5], [1, 5, 0]]
    assert batch.target_mask.tolist() == [[True, True, True], [True, True, False]]
    assert batch.targets.tolist() == [[4, 5, 2], [5, 2, -100]]


def test_targets_are_the_target_ids_one_step_ahead():
    batch = batches(split().train, *tokenizers(), batch_size=32, seed=0)(5)
    for ids, targets, mask in zip(batch.target_ids, batch.targets, batch.target_mask, strict=True):
        length = int(mask.sum())
        assert ids[0] == 1
        assert torch.equal(ids[1:length], targets[: length - 1])
        assert targets[length - 1] == 2
        assert (targets[length:] == -100).all()


def test_a_batch_depends_on_step_and_seed_alone():
    make = batches(split().train, *tokenizers(), batch_size=32, seed=0)
    late_first = make(200).source_ids
    torch.rand(5)
    make(0)
    assert torch.equal(late_first, make(200).source_ids)
    assert torch.equal(late_first, batches(split().train, *tokenizers(), batch_size=32, seed=0)(200).source_ids)
    other = batches(split().train, *tokenizers(), batch_size=32, seed=1)(200).source_ids
    assert late_first.shape != other.shape or not torch.equal(late_first, other)


@pytest.mark.parametrize("batch_size", [1, 7, 50, 64])
def test_an_epoch_is_every_pair_once_in_an_order_of_its_own(batch_size):
    pairs = split().train[:50]
    source, target = tokenizers()
    make = batches(pairs, source, target, batch_size=batch_size, seed=3)
    steps = -(-50 // batch_size)
    epochs = [
        [
            tuple(row[mask].tolist())
            for step in range(epoch * steps, (epoch + 1) * steps)
            for row, mask in zip(make(step).source_ids, make(step).source_mask, strict=True)
        ]
        for epoch in range(2)
    ]
    expected = sorted(tuple(source.encode(p.characters)) for p in pairs)
    assert sorted(epochs[0]) == sorted(epochs[1]) == expected
    assert epochs[0] != epochs[1]


def test_little_is_padded():
    make = batches(split().train, *tokenizers(), batch_size=64, seed=0)
    real = torch.stack([make(step).source_mask.float().mean() for step in range(20)]).mean()
    assert real > 0.85


@pytest.mark.messages
def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r"你好。 has 2 characters to read; nǐ reads 1"):
        align("你好。", ["nǐ"])
    with pytest.raises(ValueError, match="has 1 characters to read; nǐ hǎo reads 2"):
        align("你", ["nǐ", "hǎo"])
    with pytest.raises(ValueError, match="0 pairs, batch_size 4"):
        batches([], *tokenizers(), batch_size=4, seed=0)
    with pytest.raises(ValueError, match="3 pairs, batch_size 0"):
        batches(split().train[:3], *tokenizers(), batch_size=0, seed=0)
