"""The live reader of Chinese, moved like a reader moves it: what it reads and shows is what Python computes."""

import copy
import math
from collections.abc import Callable
from unittest import mock

import pytest
import torch
from live_figures import Figure

import llmbook.models.transformer
from llmbook.data import pinyin_pairs
from llmbook.generation import Transcriber, generate, load_transcriber
from llmbook.models import attention_maps

Live = Callable[[str], Figure]


@pytest.fixture(scope="module")
def reader() -> Transcriber:
    return load_transcriber()


def cell(figure: Figure, row: int, column: int) -> float:
    title = figure.page.text_content(f"{figure.at} .live-map g[data-row='{row}'][data-column='{column}'] title")
    return float(title.rpartition(": ")[2])


def cells(figure: Figure, rows: int, columns: int) -> list[list[float]]:
    return [[cell(figure, row, column) for column in range(columns)] for row in range(rows)]


def syllables(figure: Figure) -> list[str]:
    return figure.texts(".live-reading > [lang='zh-Latn-pinyin']")


def read_greedily(reader: Transcriber, text: str, *, use_cache: bool = True) -> list[str]:
    source = torch.tensor([reader.characters.encode(text)])
    with torch.no_grad():
        ids = generate(
            reader.model.conditioned(source), torch.tensor([[1]]), max_new_tokens=40, temperature=0.0, eos_id=2,
            use_cache=use_cache,
        )[0, 1:].tolist()  # fmt: skip
    return reader.syllables.tokens(ids[: ids.index(2)] if 2 in ids else ids)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_it_reads_and_shows_the_weights_that_python_computes(live: Live, reader: Transcriber, lang: str) -> None:
    figure, text = live("attention").open(lang), "他还没还书。"
    page = figure.page
    page.fill(figure.control("text"), text)
    assert syllables(figure) == read_greedily(reader, text)
    source = torch.tensor([reader.characters.encode(text)])
    layers = [block.self_attention for block in reader.model.encoder]
    maps = attention_maps(layers, lambda: reader.model.encode(source))
    for key, value in (("kind", "encoder"), ("layer", "2"), ("head", "3")):
        page.select_option(figure.control(key), value)
    assert torch.allclose(torch.tensor(cells(figure, len(text), len(text))), maps[1, 0, 2], atol=1e-4)
    target = torch.tensor([[1, *reader.syllables.encode(syllables(figure))]])
    with torch.no_grad():
        memory = reader.model.encode(source)
    layers = [block.cross_attention for block in reader.model.decoder]
    maps = attention_maps(layers, lambda: reader.model.decode(target, memory))
    page.select_option(figure.control("kind"), "cross")
    shown = cells(figure, target.shape[1], len(text))
    assert torch.allclose(torch.tensor(shown), maps[1, 0, 2], atol=1e-4)
    assert page.query_selector(f"{figure.at} .live-numbers table") is None
    figure.open_table()
    assert [[float(number) for number in row] for row in figure.rows] == shown


@pytest.mark.parametrize("part", ["scale", "positions", "causal"])
def test_a_part_taken_away_breaks_the_page_as_it_breaks_python(live: Live, reader: Transcriber, part: str) -> None:
    figure, texts = live("attention").open("zh"), ["谢谢你！不客气。", "他们都在首都工作。", "他还没还书。"]
    model = copy.deepcopy(reader.model)
    if part == "scale":
        for name, parameter in model.named_parameters():
            if ".query." in name:
                parameter.data *= math.sqrt(32)
    if part == "positions":
        model.positions.rows.zero_()
    broken = Transcriber(model, reader.characters, reader.syllables)
    see = (lambda rows, columns=None: torch.ones(rows, columns or rows, dtype=torch.bool)) if part == "causal" else None
    figure.page.uncheck(figure.control(part))
    differs = False
    for text in texts:
        figure.page.fill(figure.control("text"), text)
        with mock.patch.object(
            llmbook.models.transformer, "causal_mask", see or llmbook.models.transformer.causal_mask
        ):
            expected = read_greedily(broken, text, use_cache=part != "causal")
        assert syllables(figure) == expected
        differs |= expected != read_greedily(reader, text)
    assert differs or part == "causal"
    if part == "causal":  # the last step has all its rows
        figure.page.select_option(figure.control("kind"), "decoder")
        source = torch.tensor([reader.characters.encode(texts[-1])])
        target = torch.tensor([[1, *reader.syllables.encode(syllables(figure))]])
        layers = [block.self_attention for block in reader.model.decoder]
        with mock.patch.object(llmbook.models.transformer, "causal_mask", see), torch.no_grad():
            memory = reader.model.encode(source)
            maps = attention_maps(layers, lambda: reader.model.decode(target, memory))
        size = target.shape[1]
        assert torch.allclose(torch.tensor(cells(figure, size, size)), maps[0, 0, 0], atol=1e-4)
        assert maps[0, 0, 0].triu(1).sum() > 0.01


def test_a_text_with_signs_of_addresses_comes_back_and_an_impossible_one_does_not(live: Live) -> None:
    figure = live("attention").open()
    figure.page.fill(figure.control("text"), "你好 & 再见？")
    before = syllables(figure)
    written = figure.page.evaluate("location.href")
    assert written.partition("#")[2].startswith("fig-live-attention?text=")
    figure.page.goto("about:blank")
    figure.page.goto(written)
    figure.page.wait_for_selector(f"{figure.at}[data-live=on]")
    assert figure.page.input_value(figure.control("text")) == "你好 & 再见？"
    assert syllables(figure) == before
    figure.open("en", "head=99&kind=x&layer=NaN&nonsense=1&scale=maybe")
    values = [figure.page.input_value(figure.control(key)) for key in ("head", "kind", "layer")]
    assert values == ["1", "cross", "1"]
    assert figure.page.is_checked(figure.control("scale"))


def test_an_example_is_taken_and_a_missing_syllable_counts_once(live: Live) -> None:
    figure = live("attention").open("en")
    text = "我想学数学，因为数学很有意思。"
    figure.page.get_by_label("Examples").select_option(text)
    assert figure.page.input_value(figure.control("text")) == text
    whole = syllables(figure)
    figure.page.uncheck(figure.control("scale"))
    broken = syllables(figure)
    assert broken == [*whole[:8], *whole[9:]]  # one xué is left out
    assert figure.note.startswith("1 syllable(s) added, lost or changed")
    assert figure.texts(".live-whole") == [f"With all parts on: {' '.join(whole)}"]


def test_what_training_never_saw_is_warned_of(live: Live) -> None:
    figure, sentences = live("attention").open("en"), [pair.characters for pair in pinyin_pairs().train]
    longest = max(map(len, sentences))
    assert {sentence[-1] for sentence in sentences} <= set("。！？…”")
    for text, warning in (
        ("你好", "ended with a punctuation mark"),
        ("我" * longest + "。", f"longer than any sentence in training ({longest} "),
        ("龘龖", "never seen in training: 龘 龖"),
    ):
        figure.page.fill(figure.control("text"), text)
        assert warning in figure.note
    figure.page.fill(figure.control("text"), "你好！")
    assert figure.note == ""
    for text in ("  ", "Hello 123 😀"):
        figure.page.fill(figure.control("text"), text)
        assert figure.reading == "Type some Chinese characters."
        assert figure.page.is_hidden(f"{figure.at} .live-map")


def test_the_prose_about_single_sentences_is_true(live: Live, reader: Transcriber) -> None:
    figure = live("attention").open("zh")
    assert " ".join(read_greedily(reader, "他还没还书。")) == "tā hái méi hái shū"
    assert read_greedily(reader, "音乐让我快乐。") == ["yīn", "yuè", "ràng", "wǒ", "kuài", "lè"]
    figure.page.fill(figure.control("text"), "她为了孩子什么都行。")
    assert syllables(figure)[1] == "wèi"
    figure.page.uncheck(figure.control("scale"))
    assert syllables(figure)[1] == "wéi"


def test_after_an_announcement_a_screen_reader_has_heard_the_note_too(live: Live) -> None:
    figure = live("attention").open("en", "scale=false&text=他还没还书。")
    figure.page.wait_for_function(
        "([at, text]) => document.querySelector(`${at} .live-said`).textContent.endsWith(text)",
        arg=[figure.at, figure.note],
    )
