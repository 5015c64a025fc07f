"""What each tokenizer cuts, by hand."""

import pytest

from llmbook.evaluation.bleu_tokenizers import TOKENIZERS, tokenize_13a, tokenize_char, tokenize_zh


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        (" \n\t", ""),
        ("It's 3,000.5-fold, &lt;sic&gt;.", "It's 3,000.5 - fold , < sic > ."),
        ("well-known e.g. 2-3", "well-known e . g . 2 - 3"),
        ('"Yes," (he) said: no/yes?', '" Yes , " ( he ) said : no / yes ?'),
        ("&amp;quot;", "& quot ;"),  # &quot; is looked for before &amp;
        ("a<skipped>b", "ab"),
        ("trans-\nlation\nends-\n", "translation ends-"),  # a dash at the very end is no hyphenation
        (".5 5.", ". 5 5 ."),
        ("a,,5", "a , ,5"),  # the second comma's neighbor was used up by the first
        ("“quoted” — naïve…", "“quoted” — naïve…"),  # beyond ASCII nothing is cut
        ("他说:GPT-2。", "他说 : GPT-2。"),
    ],
)
def test_13a(text: str, words: str):
    assert tokenize_13a(text) == words.split()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("他用GPT-2写诗。", "他 用 GPT-2 写 诗 。"),
        ("价格是3,000.5元(含税)", "价 格 是 3,000.5 元 ( 含 税 )"),
        ("“好”——他说…", "“ 好 ” — — 他 说 …"),  # U+2014, U+201C …: the slip in the ranges
        ("𠀀𠀁", "𠀀𠀁"),  # beyond U+FFFF: the other side of it
        (" .5 5. ", ".5 5."),  # no space stands around the line, unlike in 13a
        ("&lt;", "& lt ;"),  # and no entity is read
    ],
)
def test_zh(text: str, words: str):
    assert tokenize_zh(text) == words.split()


def test_char_and_none():
    assert tokenize_char(" 你 好\tab\0") == ["你", "好", "a", "b", "\0"]
    assert TOKENIZERS["none"](" It's  3,000.5-fold.\n") == ["It's", "3,000.5-fold."]
