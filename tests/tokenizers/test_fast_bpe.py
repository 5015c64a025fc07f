"""The fast merges are those of the definition, and cost what they should."""

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from llmbook.tokenizers import ByteBPE, encode_bpe, train_bpe
from llmbook.tokenizers.fast_bpe import BYTES, apply_merges, learn_merges

CORPUS = ["你好，世界！你好吗？", "Hello, hello world: it's the world's 2nd.", "naïve café, 123 123 1234\n\n  naïve"]
texts_of_few = st.lists(st.text(alphabet="aab 中é", max_size=12), max_size=6)


@given(texts_of_few, st.integers(0, 12))
@settings(derandomize=True, deadline=None)
def test_merges_are_those_of_the_definition(texts, num_merges):
    tokenizer = ByteBPE.train(texts, 256 + num_merges)
    assert tokenizer.merges == tuple(train_bpe(texts, num_merges))
    assert tokenizer.vocab_size == 256 + len(tokenizer.merges)


def test_merges_of_a_real_text_are_those_of_the_definition():
    assert ByteBPE.train(CORPUS * 2, 380).merges == tuple(train_bpe(CORPUS * 2, 124))


@given(texts_of_few, st.text(alphabet="aab 中é", max_size=30))
@settings(derandomize=True, deadline=None)
def test_encoding_is_every_merge_in_turn(texts, text):
    tokenizer = ByteBPE.train(texts, 300)
    assert tokenizer.tokens(tokenizer.encode(text)) == encode_bpe(text, tokenizer.merges)


def test_the_cost_of_a_word_does_not_grow_with_its_square():
    looked_up = Counter()

    class Ranks(dict):
        def __contains__(self, pair):
            looked_up["pairs"] += 1
            return super().__contains__(pair)

    rng = Random(1)
    word = bytes(rng.choices(b"abcdefgh", k=20_000))
    ranks = Ranks({pair: rank for rank, pair in enumerate(learn_merges({word[:4000]: 1}, 200))})
    assert b"".join(apply_merges([BYTES[value] for value in word], ranks)) == word
    assert looked_up["pairs"] < 4 * len(word)
