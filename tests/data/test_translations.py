"""The parts share no page and nothing alike, found by comparing all with all; a page's part depends on the page alone."""

import time
from collections import defaultdict
from importlib import import_module

import numpy as np
import pytest

from llmbook.data import TranslationPair, load_corpus, translation_pairs
from llmbook.data.near_duplicates import character_pairs
from llmbook.data.splits import letters, part_of
from llmbook.data.translations import without_near_duplicates

PARTS = ("train", "validation", "test")
TWO_PARTS = [("train", "validation"), ("train", "test"), ("validation", "test")]


def pair(zh, en, page="p"):
    return TranslationPair(zh, en, page, "par_id1")


def largest_similarity(texts, others):
    """The largest Jaccard similarity of a text to one of the others; every one is compared."""
    others = sorted(set(others))
    having = defaultdict(list)
    for i, other in enumerate(others):
        for two in character_pairs(other):
            having[two].append(i)
    having = {two: np.array(places) for two, places in having.items()}
    sizes = np.array([len(character_pairs(other)) for other in others])
    largest = 0.0
    for text in set(texts):
        pairs = character_pairs(text)
        places = [having[two] for two in pairs if two in having]
        if places:
            shared = np.bincount(np.concatenate(places), minlength=len(others))
            largest = max(largest, (shared / (len(pairs) + sizes - shared)).max())
    return largest


def test_the_parts_have_their_sizes():
    sizes = [len(getattr(translation_pairs(), name)) for name in PARTS]
    assert sizes == [17674, 1539, 2767]
    unique = {(row["zh"], row["en"]) for row in load_corpus("libreoffice_help")}
    assert len(unique) - sum(sizes) == 2023  # near-duplicates between parts
    assert [len({p.page for p in getattr(translation_pairs(), name)}) for name in PARTS] == [1585, 169, 230]


@pytest.mark.parametrize(("one", "other"), TWO_PARTS)
def test_no_page_is_in_two_parts(one, other):
    one, other = ({p.page for p in getattr(translation_pairs(), name)} for name in (one, other))
    assert one
    assert other
    assert not one & other


@pytest.mark.parametrize(("one", "other"), TWO_PARTS)
def test_nothing_alike_is_in_two_parts(one, other):
    one, other = getattr(translation_pairs(), one), getattr(translation_pairs(), other)
    assert not {letters(p.en) for p in one} & {letters(p.en) for p in other}
    assert not {letters(p.zh) for p in one} & {letters(p.zh) for p in other}
    assert 0.4 < largest_similarity([letters(p.zh) for p in other], [letters(p.zh) for p in one]) < 0.5


def test_the_guard_would_find_a_leak():
    texts = [letters(p.zh) for p in translation_pairs().train[:50]]
    assert largest_similarity([*texts[:1], "毫不相干"], texts) == 1


def test_pairs_are_real_unique_and_of_the_corpus():
    pairs = [p for name in PARTS for p in getattr(translation_pairs(), name)]
    assert len({(p.zh, p.en) for p in pairs}) == len(pairs)
    rows = {(row["page"], row["paragraph"], row["zh"], row["en"]) for row in load_corpus("libreoffice_help")}
    assert {(p.page, p.paragraph, p.zh, p.en) for p in pairs} <= rows
    assert pair("按 Esc 键可退出文本编辑模式。", "Press Esc to exit text edit mode.").zh in {
        p.zh for p in translation_pairs().test
    }
    assert all(part_of(p.page) == name for name in PARTS for p in getattr(translation_pairs(), name))


def test_read_again_it_is_the_same_and_takes_seconds():
    expected = translation_pairs()
    start = time.process_time()
    assert translation_pairs.__wrapped__() == expected
    assert time.process_time() - start < 40  # 2.5 without the shape hook
    assert translation_pairs() is expected, "once read, it is kept"


def corpus(*rows):
    return lambda _name: [{"page": page, "paragraph": "par_id1", "zh": zh, "en": en} for page, zh, en in rows]


def test_a_pages_part_and_the_first_page_of_a_pair_by_hand(monkeypatch):
    pages = {name: [f"p{i}" for i in range(200) if part_of(f"p{i}") == name] for name in PARTS}
    (train, train2), (validation,), (test,) = pages["train"][:2], pages["validation"][:1], pages["test"][:1]
    rows = corpus(
        (train, "选择文件", "Choose a file"),
        (train, "红色", "Red"),
        (train, "蓝色的圆", "Blue circle"),
        (train2, "选择文件", "Choose a file"),  # seen before, on page `train`
        (validation, "选择文件", "Choose a file"),  # so it is not in validation either
        (validation, "打印机", "Printer"),
        (validation, "绿", "GREEN."),
        (test, "红色！", "Scarlet"),
        (test, "绿色的", "green"),
        (test, "天蓝色的圆", "Sky-blue circle"),
    )
    monkeypatch.setattr(import_module("llmbook.data.translations"), "load_corpus", rows)
    parts = translation_pairs.__wrapped__()
    assert [(p.zh, p.page) for p in parts.train] == [("选择文件", train)]  # 红色, 蓝色的圆: like 红色！, 天蓝色的圆
    assert [p.zh for p in parts.validation] == ["打印机"]  # GREEN.: the same English as green
    assert [p.zh for p in parts.test] == ["红色！", "绿色的", "天蓝色的圆"]


def test_what_counts_as_alike():
    others = [pair("打开「文件」。", "Open the file.")]
    alike = [pair("打开文件", "x"), pair("打开文件夹", "y"), pair("开", "open THE file")]
    apart = [pair("保存图像", "Open a file"), pair("新建文档", "New document")]
    assert without_near_duplicates([*alike, *apart], others) == apart
    assert without_near_duplicates(apart, []) == apart
    assert letters("「Shift+F5」 键。") == "shiftf5键"
