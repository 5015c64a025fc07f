"""The translation memory: by hand, and against a comparison with every source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmbook.data.near_duplicates import similarity
from llmbook.evaluation import TranslationMemory

TEXTS = st.text(alphabet="打开文件夹a ", max_size=7)


def test_by_hand():
    memory = TranslationMemory([("打开文件", "Open file"), ("关闭文件", "Close file"), ("打开窗口", "Open window")])
    # 打开 开文 文件 件夹 against 打开 开文 文件: 3 of 4.
    assert memory.nearest("打开文件夹") == (3 / 4, "打开文件", "Open file")
    # 关闭 闭窗 窗口 against 关闭 闭文 文件, and against 打开 开窗 窗口: 1 of 5 each; the first is taken.
    assert memory.nearest("关闭窗口") == (1 / 5, "关闭文件", "Close file")
    match = memory.nearest("打开窗口")
    assert (match.similarity, match.target) == (1, "Open window")


def test_nothing_shared_gives_the_first_at_0():
    memory = TranslationMemory([("甲乙", "A"), ("丙", "B"), ("", "C")])
    assert memory.nearest("丁戊") == (0, "甲乙", "A")
    assert memory.nearest("丙") == (1, "丙", "B")
    assert memory.nearest("") == (1, "", "C")


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=12), TEXTS)
def test_as_a_comparison_with_every_source(pairs, text):
    found = TranslationMemory(iter(pairs)).nearest(text)
    similarities = [similarity(text, source) for source, _ in pairs]
    best = similarities.index(max(similarities))
    assert found == (similarities[best], *pairs[best])


@pytest.mark.messages
@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "at least one pair .* got none"),
        (["ab"], "expected pairs .* got 'ab'"),
        ([("a", "b"), ("a",)], r"got \('a',\)"),
        ([("a", None)], r"got \('a', None\)"),
    ],
)
def test_what_is_no_memory_is_refused(pairs, message):
    with pytest.raises(ValueError, match=message):
        TranslationMemory(pairs)
