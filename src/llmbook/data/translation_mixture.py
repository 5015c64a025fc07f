"""What the book's translator is trained on: help pages, the strings of interfaces, and everyday sentences.

Book: §1.2.1
"""

from functools import cache

from llmbook.data.corpora import load_corpus
from llmbook.data.sentence_pairs import pinyin_pairs
from llmbook.data.splits import Split
from llmbook.data.translations import TranslationPair, translation_pairs, without_near_duplicates

INTERFACES = ("interface_libreoffice", "interface_python")


@cache
def translation_mixture() -> tuple[TranslationPair, ...]:
    """The training parts of help pages and HSK sentences, and all interface strings, less what resembles a held-out pair.

    Held out are the validation and test parts of the help pages and of the HSK sentences. What resembles them is said in
    `translation_pairs`.
    """
    help_, everyday = translation_pairs(), everyday_pairs()
    strings = [
        TranslationPair(row["zh"], row["en"], row["catalogue"], str(row["order"]))
        for name in INTERFACES
        for row in load_corpus(name)
    ]
    held_out = [*help_.validation, *help_.test, *everyday.validation, *everyday.test]
    unique = {(pair.zh, pair.en): pair for pair in reversed([*help_.train, *strings, *everyday.train])}
    return tuple(reversed(without_near_duplicates(list(unique.values()), held_out)))


@cache
def everyday_pairs() -> Split[TranslationPair]:
    """The HSK sentences with their English, in the same parts as in `pinyin_pairs`.

    Five sentences stand twice, three of them with other words in English: of those the last counts.
    """
    english = {row["chinese"]: row for row in load_corpus("hsk")}

    def translated(sentences: list[str]) -> tuple[TranslationPair, ...]:
        rows = [english[sentence] for sentence in sentences]
        return tuple(TranslationPair(row["chinese"], row["english"], row["topic"], str(row["id"])) for row in rows)

    parts = pinyin_pairs()
    return Split(
        *(
            translated(["".join(pair.characters) for pair in part])
            for part in (parts.train, parts.validation, parts.test)
        )
    )
