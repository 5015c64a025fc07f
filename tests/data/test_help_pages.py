"""The help pages as ids: the text comes back, and no page stands in two parts."""

from llmbook.data import help_pages, translation_pairs


def test_each_part_is_its_pages_one_after_the_other():
    ids, tokenizer = help_pages()
    pairs = translation_pairs()
    for name in ("train", "validation", "test"):
        text = tokenizer.decode(getattr(ids, name).tolist())
        own = getattr(pairs, name)
        assert text.startswith(own[0].en)
        assert text.endswith(own[-1].en)
        assert text.replace("\n", "") == "".join(pair.en for pair in own).replace("\n", "")
        assert text.count("\n\n") >= len({pair.page for pair in own}) - 1
    assert help_pages() is help_pages()
