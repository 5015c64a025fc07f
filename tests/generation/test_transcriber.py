"""The reader of Chinese: text in, syllables out, files that are damaged."""

from pathlib import Path

import pytest
import torch

from llmbook.generation import Transcriber, load_transcriber, save_transcriber
from llmbook.models import Transformer, TransformerConfig
from llmbook.tokenizers import Characters


@pytest.fixture
def transcriber() -> Transcriber:
    characters, syllables = Characters(list("你好吗我。")), Characters(["nǐ", "hǎo", "ma", "wǒ"])
    torch.manual_seed(1)
    sizes = {"d_model": 16, "num_heads": 2, "num_layers": 2, "max_seq_len": 32, "norm_first": True}
    model = Transformer(TransformerConfig(syllables.vocab_size, source_vocab_size=characters.vocab_size, **sizes))
    return Transcriber(model.eval(), characters, syllables)


def test_a_text_gives_the_same_alone_and_in_a_batch(transcriber: Transcriber):
    texts = ["你好吗。", "我", "火山你好"]
    together = transcriber.transcribe(texts, max_new_tokens=9)
    assert together == [transcriber.transcribe([text], max_new_tokens=9)[0] for text in texts]
    assert {syllable for row in together for syllable in row} <= {
        *transcriber.syllables.symbols,
        "<pad>",
        "<bos>",
        "<unk>",
    }
    assert transcriber.transcribe([]) == []


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
def test_what_cannot_be_read_is_refused(transcriber: Transcriber, tmp_path: Path):
    with pytest.raises(ValueError, match="expected a list of texts, none of them empty; got '你好'"):
        transcriber.transcribe("你好")
    with pytest.raises(ValueError, match="none of them empty"):
        transcriber.transcribe(["你好", ""])
    with pytest.raises(ValueError, match="a sequence has 33 tokens; max_seq_len is 32"):
        transcriber.transcribe(["你" * 33])
    save_transcriber(tmp_path, transcriber)
    (tmp_path / "syllables.json").unlink()
    with pytest.raises(ValueError, match="lacks a vocabulary"):
        load_transcriber(tmp_path)
