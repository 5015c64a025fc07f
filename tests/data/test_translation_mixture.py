"""What the translator is trained on, and that nothing held out is in it."""

from llmbook.data import pinyin_pairs, translation_pairs
from llmbook.data.near_duplicates import near_duplicates
from llmbook.data.splits import letters
from llmbook.data.translation_mixture import everyday_pairs, translation_mixture


def test_nothing_held_out_is_in_it_nor_nearly():
    mixture = translation_mixture()
    help_, everyday = translation_pairs(), everyday_pairs()
    held_out = [*help_.validation, *help_.test, *everyday.validation, *everyday.test]
    assert not near_duplicates([letters(pair.zh) for pair in mixture], [letters(pair.zh) for pair in held_out])
    assert not {letters(pair.en) for pair in mixture} & {letters(pair.en) for pair in held_out}
    assert len(mixture) == len({(pair.zh, pair.en) for pair in mixture}) == 37_864
    sources = {pair.page.split("/")[0] for pair in mixture}
    assert {"libreoffice", "sphinx", "django"} <= sources


def test_everyday_pairs_are_in_the_parts_of_the_pinyin_pairs():
    everyday, pinyin = everyday_pairs(), pinyin_pairs()
    for part in ("train", "validation", "test"):
        assert [pair.zh for pair in getattr(everyday, part)] == [
            "".join(pair.characters) for pair in getattr(pinyin, part)
        ]
