"""The reader of Chinese: what is saved is loaded, files that are damaged."""

from pathlib import Path

import pytest
import torch

from llmbook.data import PinyinPair
from llmbook.generation import Transcriber, load_transcriber, save_transcriber, transcribe
from llmbook.models import Transformer, TransformerConfig
from llmbook.tokenizers import Characters


@pytest.fixture
def transcriber() -> Transcriber:
    characters, syllables = Characters(list("你好吗我。")), Characters(["nǐ", "hǎo", "ma", "wǒ"])
    torch.manual_seed(1)
    sizes = {"d_model": 16, "num_heads": 2, "num_layers": 2, "max_seq_len": 32, "norm_first": True}
    model = Transformer(TransformerConfig(syllables.vocab_size, source_vocab_size=characters.vocab_size, **sizes))
    return Transcriber(model.eval(), characters, syllables)


def test_what_is_saved_is_loaded(transcriber: Transcriber, tmp_path: Path):
    save_transcriber(tmp_path, transcriber)
    loaded = load_transcriber(tmp_path)
    for (name, saved), (_, found) in zip(
        transcriber.model.named_parameters(), loaded.model.named_parameters(), strict=True
    ):
        assert torch.equal(found, saved.half().float()), name
    assert loaded.characters.symbols == transcriber.characters.symbols
    assert loaded.syllables.symbols == transcriber.syllables.symbols


@pytest.mark.messages
def test_a_missing_vocabulary_is_named(transcriber: Transcriber, tmp_path: Path):
    save_transcriber(tmp_path, transcriber)
    (tmp_path / "syllables.json").unlink()
    with pytest.raises(ValueError, match="lacks a vocabulary"):
        load_transcriber(tmp_path)


BOOK = PinyinPair(tuple("他还没还书。"), ("tā", "hái", "méi", "huán", "shū"))
PLAY = PinyinPair(tuple("去玩儿吧"), ("qù", "wánr", "ba"))


def test_an_untrained_model_says_something_of_at_most_its_length_and_takes_any_batch():
    characters = Characters.train([BOOK.characters, PLAY.characters])
    syllables = Characters.train([BOOK.syllables, PLAY.syllables])
    config = TransformerConfig(
        syllables.vocab_size,
        source_vocab_size=characters.vocab_size,
        d_model=8,
        num_heads=2,
        num_layers=1,
        max_seq_len=16,
    )
    torch.manual_seed(0)
    model = Transformer(config).eval()
    together = transcribe(model, [BOOK, PLAY, BOOK], characters, syllables)
    apart = transcribe(model, [BOOK, PLAY, BOOK], characters, syllables, batch_size=1)
    assert together == apart
    assert together[0] == together[2]
    assert all(len(prediction) < 16 for prediction in together)
    assert transcribe(model, [], characters, syllables) == []
