"""The translator: text in, text out, long texts, what it refuses, files that are damaged."""

import json
from pathlib import Path

import pytest
import torch

from llmbook.data.translation_batches import SPECIAL_TOKENS
from llmbook.generation import Translator, load_translator, save_translator
from llmbook.models import Transformer, TransformerConfig
from llmbook.tokenizers import ByteBPE


@pytest.fixture
def translator() -> Translator:
    texts = ["打开文件。Open the file.", "关闭窗口。Close the window."] * 3
    tokenizer = ByteBPE.train(texts, 300, special_tokens=SPECIAL_TOKENS)
    torch.manual_seed(1)
    sizes = {"d_model": 16, "num_heads": 2, "num_layers": 2, "max_seq_len": 256, "norm_first": True}
    return Translator(Transformer(TransformerConfig(300, **sizes)).eval(), tokenizer)


TEXTS = ["打开文件。", "关闭窗口。打开文件。", "我"]


def test_a_text_gives_the_same_alone_and_in_a_batch(translator: Translator):
    together = translator.translate(TEXTS)
    assert together == [translator.translate([text])[0] for text in TEXTS]
    assert together == translator.translate(TEXTS, batch_size=2)
    assert len(together) == 3
    assert translator.translate([]) == []


def test_the_cache_changes_nothing(translator: Translator):
    assert translator.translate(TEXTS, use_cache=False) == translator.translate(TEXTS)


def test_a_beam_search_gives_one_text_each(translator: Translator):
    assert len(translator.translate(TEXTS, num_beams=3, length_penalty=0.5)) == 3


def test_a_text_that_fits_is_one_piece_and_a_longer_one_is_cut_at_sentences_then_at_commas(translator: Translator):
    assert len(translator.pieces("关闭窗口。打开文件。")) == 1
    sentence = "把这个文件打开，" * 3 + "再关闭窗口。"
    pieces = translator.pieces(sentence * 5)
    assert len(pieces) == 5
    assert translator.tokenizer.decode(pieces[0]) == sentence
    clauses = translator.pieces("把这个文件打开，" * 40)
    assert len(clauses) == 40
    assert "".join(map(translator.tokenizer.decode, clauses)) == "把这个文件打开，" * 40


def test_lines_are_translated_each_by_itself(translator: Translator):
    assert translator.pieces("打开文件\n\n  关闭窗口 ") == [
        translator.tokenizer.encode(line) for line in ("打开文件", "关闭窗口")
    ]


def test_ten_thousand_characters_get_an_answer():
    sentence = "单击「确定」按钮关闭对话框。"
    text = sentence * 715
    assert len(text) > 10_000
    shipped = load_translator()
    (written,) = shipped.translate([text])
    assert written == " ".join(shipped.translate([sentence]) * 715)


def test_what_is_saved_is_loaded_in_half_precision(translator: Translator, tmp_path: Path):
    save_translator(tmp_path, translator.model, translator.tokenizer)
    loaded = load_translator(tmp_path)
    for (name, saved), (_, found) in zip(
        translator.model.named_parameters(), loaded.model.named_parameters(), strict=True
    ):
        assert torch.equal(found, saved.half().float()), name
    assert loaded.model.output.weight is loaded.model.target_embedding.weight
    assert not loaded.model.training
    assert loaded.tokenizer.encode("打开") == translator.tokenizer.encode("打开")


@pytest.mark.messages
def test_what_cannot_be_translated_is_refused_before_anything_is_done(translator: Translator):
    for text, message in (
        ("", "nothing to translate: the text is empty"),
        (" \n\t ", "nothing to translate: the text is empty"),
        ("Guten Tag", "expected text with Chinese characters, got 'Guten Tag'"),
        ("Привет", "expected text with Chinese characters, got 'Привет'"),
        ("🙂", "expected text with Chinese characters"),
        ("好的" * 5000, "a clause of [0-9]+ tokens; the translator takes at most 127 between two marks"),
    ):
        with pytest.raises(ValueError, match=message):
            translator.translate(["打开文件。", text])
    with pytest.raises(ValueError, match="texts is a str; expected a list"):
        translator.translate("打开文件。")


@pytest.mark.messages
def test_a_damaged_file_is_named(translator: Translator, tmp_path: Path):
    with pytest.raises(ValueError, match="holds no stored Transformer, or a damaged one"):
        load_translator(tmp_path)
    save_translator(tmp_path, translator.model, translator.tokenizer)
    weights, config = tmp_path / "model.safetensors", tmp_path / "config.json"
    whole, sizes = weights.read_bytes(), config.read_text(encoding="utf-8")
    for cut in (0, 4, 100, len(whole) - 1):
        weights.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="a damaged one"):
            load_translator(tmp_path)
    weights.write_bytes(whole)
    for change, message in (
        ({"d_model": 32}, r"tensor .* has shape \(.*16.*\); config.json asks for \(.*32.*\)"),
        ({"num_layers": 3}, r"tensor decoder\.2\..* has shape none; config.json asks for"),
        ({"num_layers": 1}, r"tensor decoder\.1\..* has shape .*; config.json asks for none"),
        ({"num_heads": 3}, "a damaged one: num_heads = 3 does not divide d_model = 16"),
        ({"depth": 3}, "a damaged one: .*depth"),
    ):
        config.write_text(json.dumps({**json.loads(sizes), **change}), encoding="utf-8")
        with pytest.raises(ValueError, match=message):
            load_translator(tmp_path)
    config.write_text(sizes, encoding="utf-8")
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json"):
        load_translator(tmp_path)
