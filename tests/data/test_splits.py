"""Parts share no document and nothing alike, in every corpus that is split so; the same each time; sizes stated."""

from functools import cache

import pytest

from llmbook.data import Split, load_corpus, part_of, split_by_document
from llmbook.data.near_duplicates import character_pairs
from llmbook.data.splits import apart_from, letters, words

PARTS = ("train", "validation", "test")
TWO_PARTS = [("train", "validation"), ("train", "test"), ("validation", "test")]


def moby_dick():
    return [
        {"document": row["chapter"], "text": paragraph}
        for row in load_corpus("moby_dick")
        for paragraph in row["text"].split("\n\n")
    ]


def dialog(row):
    return row["catalogue"] + row["context"]


def chinese(row):
    return letters(row["zh"])


def english(row):
    return letters(row["en"])


CORPORA = {  # rows, document, text, second text, rows in each part
    "poetry": (
        lambda: load_corpus("poetry"),
        lambda row: row["document"],
        lambda row: letters(row["text"]),
        None,
        [7365, 1253, 1353],
    ),
    "moby_dick": (moby_dick, lambda row: row["document"], lambda row: words(row["text"]), None, [2057, 187, 272]),
    "interface_libreoffice": (
        lambda: load_corpus("interface_libreoffice"),
        dialog,
        chinese,
        english,
        [11970, 1246, 1886],
    ),
    "interface_python": (lambda: load_corpus("interface_python"), dialog, chinese, english, [3865, 290, 330]),
}


@cache
def split(name):
    rows, document, text, also, _ = CORPORA[name]
    return split_by_document(list(rows()), document=document, text=text, also=also)


def largest_similarity(texts, others):
    """The largest Jaccard similarity of a text to one of the others, by the definition: all that share a pair are compared."""
    having = {}
    sizes = []
    for i, other in enumerate(set(others)):
        pairs = character_pairs(other)
        sizes.append(len(pairs))
        for two in pairs:
            having.setdefault(two, []).append(i)
    largest = 0.0
    for text in set(texts):
        pairs = character_pairs(text)
        shared = {}
        for two in pairs:
            for i in having.get(two, ()):
                shared[i] = shared.get(i, 0) + 1
        largest = max([largest, *(n / (len(pairs) + sizes[i] - n) for i, n in shared.items())])
    return largest


@pytest.mark.parametrize("name", CORPORA)
def test_the_parts_have_their_sizes(name):
    sizes = CORPORA[name][-1]
    assert [len(getattr(split(name), part)) for part in PARTS] == sizes


@pytest.mark.parametrize("name", CORPORA)
@pytest.mark.parametrize(("one", "other"), TWO_PARTS)
def test_no_document_is_in_two_parts_and_nothing_alike(name, one, other):
    _, document, text, also, _ = CORPORA[name]
    one, other = getattr(split(name), one), getattr(split(name), other)
    assert one
    assert other
    assert not set(map(document, one)) & set(map(document, other))
    assert largest_similarity(map(text, other), map(text, one)) < 0.5
    if also is not None:
        assert not set(map(also, one)) & set(map(also, other))


@pytest.mark.parametrize("name", CORPORA)
def test_a_second_split_of_the_rows_in_another_order_is_the_same(name):
    rows, document, text, also, _ = CORPORA[name]
    backwards = split_by_document(list(rows())[::-1], document=document, text=text, also=also)
    for part in PARTS:
        assert getattr(backwards, part) == getattr(split(name), part)[::-1]


def test_parts_by_hand():
    """All of a document goes to one part; what is alike stays in test before validation before training."""
    names = {part: next(f"d{i}" for i in range(200) if part_of(f"d{i}") == part) for part in PARTS}
    train, validation, test = names.values()
    rows = [
        (train, "abcdef"), (train, "uvwxyz"), (train, "mnopqr"), (train, "train alone"),
        (validation, "uvwxyq"), (validation, "mnopqr!"), (validation, "validation alone"),
        (test, "abcdeg"), (test, "mnopqr?"), (test, "abcdeg"),
    ]  # fmt: skip
    parts = split_by_document(rows, document=lambda row: row[0], text=lambda row: row[1])
    assert parts == Split(
        train=((train, "train alone"),),
        validation=((validation, "uvwxyq"), (validation, "validation alone")),
        test=((test, "abcdeg"), (test, "mnopqr?"), (test, "abcdeg")),  # within a part nothing is dropped
    )


def test_the_second_text_must_differ_too():
    rows, others = [("红", "red"), ("赤", "red")], [("朱", "red")]
    assert apart_from(rows, others, text=lambda row: row[0]) == rows
    assert apart_from(rows, others, text=lambda row: row[0], also=lambda row: row[1]) == []
    assert apart_from(rows, [], text=lambda row: row[0], also=lambda row: row[1]) == rows


def test_about_80_8_and_12_percent_of_documents():
    parts = [part_of(f"document {i}") for i in range(10_000)]
    shares = [parts.count(part) / 100 for part in PARTS]
    assert shares == pytest.approx([80, 8, 12], abs=1)


def test_letters_and_words():
    assert letters("「Shift+F5」 键。") == "shiftf5键"
    assert words('"Call me ISHMAEL—some years ago." — 1851') == (
        "call",
        "me",
        "ishmael",
        "some",
        "years",
        "ago",
        "1851",
    )
    assert words("…") == ()
