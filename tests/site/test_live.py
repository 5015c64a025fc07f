"""The live figures of the built book, moved like a reader moves them; what they show is held to what Python computes."""

import copy
import importlib.util
import math
import re
from pathlib import Path
from unittest import mock

import pytest
import torch
from accessibility import violations
from playwright.sync_api import Browser, ElementHandle, Page

import llmbook.models.transformer
from llmbook import paths
from llmbook.data import pinyin_pairs
from llmbook.generation import Transcriber, generate, load_transcriber, load_translator
from llmbook.generation.translator import LONGEST
from llmbook.models import attention_maps
from llmbook.nn import sinusoidal_encoding

pytestmark = pytest.mark.built
SITE = Path(__file__).resolve().parents[2] / "site"
SPEC = importlib.util.spec_from_file_location("llmbook_live_pictures", SITE / "live_pictures.py")
assert SPEC
assert SPEC.loader
live_pictures = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(live_pictures)
SECTION = "01-transformer/section-1-2.html"
WAIT = 60_000


def address(lang: str, fragment: str = "") -> str:
    return (paths.build_dir() / "html" / lang / SECTION).as_uri() + fragment


@pytest.fixture(scope="module")
def reader() -> Transcriber:
    return load_transcriber()


def started(page: Page, name: str, lang: str = "zh", query: str = "") -> ElementHandle:
    """The live figure, started with a click, or by an address with a state."""
    page.goto(address(lang, f"#fig-live-{name}{query}"))
    if not query and name != "sinusoids":
        page.click(f"#fig-live-{name} .live-start")
    return page.wait_for_selector(f"#fig-live-{name}[data-live=on]", timeout=WAIT)


def control(name: str, key: str) -> str:
    return f"#fig-live-{name} [data-key={key}]"


def cell(holder: ElementHandle, row: int, column: int) -> float:
    title = holder.query_selector(f".live-map g[data-row='{row}'][data-column='{column}'] title")
    return float(title.text_content().rpartition(": ")[2])


def syllables(holder: ElementHandle) -> list[str]:
    return holder.eval_on_selector_all(
        ".live-reading [lang='zh-Latn-pinyin']", "all => all.map(one => one.textContent)"
    )


def read_greedily(reader: Transcriber, text: str, *, use_cache: bool = True) -> list[str]:
    source = torch.tensor([reader.characters.encode(text)])
    with torch.no_grad():
        ids = generate(
            reader.model.conditioned(source), torch.tensor([[1]]), max_new_tokens=40, temperature=0.0, eos_id=2,
            use_cache=use_cache,
        )[0, 1:].tolist()  # fmt: skip
    return reader.syllables.tokens(ids[: ids.index(2)] if 2 in ids else ids)


def test_the_still_pictures_are_what_the_page_draws(page: Page) -> None:
    drawn = {}
    for path in live_pictures.pages_with_figures(paths.build_dir() / "html"):
        drawn |= live_pictures.pictures(page, path.as_uri())
    assert set(drawn) == {
        f"live-{name}.svg" for name in ("attention", "cost", "depth", "memory", "sinusoids", "translate")
    }
    for name, svg in drawn.items():
        assert svg == (paths.chapters_dir() / "diagrams" / name).read_text(encoding="utf-8"), (
            f"{name} is not what the page draws: run `python site/live_pictures.py`"
        )


def test_without_scripts_a_figure_is_its_picture(browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address("en"))
    for holder in page.query_selector_all("figure.live"):
        assert holder.query_selector("img").is_visible()
        assert holder.query_selector("button") is None
    context.close()


def test_weights_are_loaded_on_request_only(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address("zh"))
    page.wait_for_load_state("load")
    assert not [url for url in asked if "/weights/" in url]
    page.click("#fig-live-attention .live-start")
    page.wait_for_selector("#fig-live-attention[data-live=on]", timeout=WAIT)
    assert [url.rpartition("/")[2] for url in asked if "/weights/" in url] == ["pinyin.js"]


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_attention_reads_and_shows_the_weights_that_python_computes(page: Page, reader: Transcriber, lang: str) -> None:
    holder, text = started(page, "attention", lang), "他还没还书。"
    page.fill(control("attention", "text"), text)
    assert syllables(holder) == read_greedily(reader, text)
    source = torch.tensor([reader.characters.encode(text)])
    layers = [block.self_attention for block in reader.model.encoder]
    maps = attention_maps(layers, lambda: reader.model.encode(source))
    page.select_option(control("attention", "kind"), "encoder")
    page.select_option(control("attention", "layer"), "2")
    page.select_option(control("attention", "head"), "3")
    for row in range(len(text)):
        for column in range(len(text)):
            assert cell(holder, row, column) == pytest.approx(maps[1, 0, 2, row, column].item(), abs=1e-4)
    target = torch.tensor([[1, *reader.syllables.encode(syllables(holder))]])
    with torch.no_grad():
        memory = reader.model.encode(source)
    layers = [block.cross_attention for block in reader.model.decoder]
    maps = attention_maps(layers, lambda: reader.model.decode(target, memory))
    page.select_option(control("attention", "kind"), "cross")
    rows = target.shape[1]
    shown = [[cell(holder, row, column) for column in range(len(text))] for row in range(rows)]
    assert torch.allclose(torch.tensor(shown), maps[1, 0, 2], atol=1e-4)
    assert holder.query_selector(".live-numbers table") is None
    page.click("#fig-live-attention .live-numbers summary")
    table = page.wait_for_selector("#fig-live-attention .live-numbers table")
    numbers = [float(value) for value in re.findall(r"\d\.\d{4}", table.text_content())]
    assert numbers == pytest.approx([value for row in shown for value in row])


@pytest.mark.parametrize("part", ["scale", "positions", "causal"])
def test_a_part_taken_away_breaks_the_page_as_it_breaks_python(page: Page, reader: Transcriber, part: str) -> None:
    holder, texts = started(page, "attention"), ["谢谢你！不客气。", "他们都在首都工作。", "他还没还书。"]
    model = copy.deepcopy(reader.model)
    if part == "scale":
        for name, parameter in model.named_parameters():
            if ".query." in name:
                parameter.data *= math.sqrt(32)
    if part == "positions":
        model.positions.rows.zero_()
    broken = Transcriber(model, reader.characters, reader.syllables)
    see = (lambda rows, columns=None: torch.ones(rows, columns or rows, dtype=torch.bool)) if part == "causal" else None
    page.uncheck(control("attention", part))
    differs = False
    for text in texts:
        page.fill(control("attention", "text"), text)
        with mock.patch.object(
            llmbook.models.transformer, "causal_mask", see or llmbook.models.transformer.causal_mask
        ):
            expected = read_greedily(broken, text, use_cache=part != "causal")
        assert syllables(holder) == expected
        differs |= expected != read_greedily(reader, text)
    assert differs or part == "causal"
    if part == "causal":  # the last step has all its rows
        page.select_option(control("attention", "kind"), "decoder")
        source = torch.tensor([reader.characters.encode(texts[-1])])
        target = torch.tensor([[1, *reader.syllables.encode(syllables(holder))]])
        layers = [block.self_attention for block in reader.model.decoder]
        with mock.patch.object(llmbook.models.transformer, "causal_mask", see), torch.no_grad():
            memory = reader.model.encode(source)
            maps = attention_maps(layers, lambda: reader.model.decode(target, memory))
        size = target.shape[1]
        shown = [[cell(holder, row, column) for column in range(size)] for row in range(size)]
        assert torch.allclose(torch.tensor(shown), maps[0, 0, 0], atol=1e-4)
        assert maps[0, 0, 0].triu(1).sum() > 0.01


def test_the_state_is_in_the_address_and_a_reset_takes_it_out(page: Page) -> None:
    holder = started(page, "attention")
    page.fill(control("attention", "text"), "你好 & 再见？")
    page.uncheck(control("attention", "scale"))
    written = page.url
    assert written.partition("#")[2].startswith("fig-live-attention?text=")
    before = syllables(holder)
    page.goto("about:blank")
    page.goto(written)
    holder = page.wait_for_selector("#fig-live-attention[data-live=on]", timeout=WAIT)
    assert page.input_value(control("attention", "text")) == "你好 & 再见？"
    assert not page.is_checked(control("attention", "scale"))
    assert syllables(holder) == before
    page.wait_for_function(
        "() => { const { top } = document.querySelector('#fig-live-attention').getBoundingClientRect(); return top > 0 && top < 300 }",
        timeout=WAIT,
    )
    link = page.eval_on_selector(
        ".llmbook-languages a",
        "link => { link.addEventListener('click', event => event.preventDefault()); link.click(); return link.href }",
    )
    assert "/en/" in link
    page.goto(link)
    page.wait_for_selector("#fig-live-attention[data-live=on]", timeout=WAIT)
    assert page.input_value(control("attention", "text")) == "你好 & 再见？"
    page.click("#fig-live-attention .live-reset")
    assert page.url.endswith("#fig-live-attention")
    assert page.is_checked(control("attention", "scale"))
    assert page.input_value(control("attention", "text")) == "音乐让我快乐。"


def test_a_damaged_address_changes_nothing(page: Page) -> None:
    started(page, "attention", query="?head=99&kind=x&layer=NaN&nonsense=1&scale=maybe")
    assert page.input_value(control("attention", "head")) == "1"
    assert page.input_value(control("attention", "kind")) == "cross"
    assert page.is_checked(control("attention", "scale"))


def test_an_example_is_taken_and_a_missing_syllable_counts_once(page: Page, reader: Transcriber) -> None:
    holder = started(page, "attention", "en")
    page.select_option("#fig-live-attention .live-controls select >> nth=0", "我想学数学，因为数学很有意思。")
    assert page.input_value(control("attention", "text")) == "我想学数学，因为数学很有意思。"
    whole = syllables(holder)
    page.uncheck(control("attention", "scale"))
    broken = syllables(holder)
    assert broken == [*whole[:8], *whole[9:]]  # one xué is left out
    assert holder.query_selector(".live-note").text_content().startswith("1 syllable(s) added, lost or changed")
    assert holder.query_selector(".live-whole").text_content() == f"With all parts on: {' '.join(whole)}"


def test_what_training_never_saw_is_warned_of(page: Page) -> None:
    holder, sentences = started(page, "attention", "en"), [pair.characters for pair in pinyin_pairs().train]
    longest = max(map(len, sentences))
    assert {sentence[-1] for sentence in sentences} <= set("。！？…”")
    for text, warning in (
        ("你好", "ended with a punctuation mark"),
        ("我" * longest + "。", f"longer than any sentence in training ({longest} "),
    ):
        page.fill(control("attention", "text"), text)
        assert warning in holder.query_selector(".live-note").text_content()
    page.fill(control("attention", "text"), "你好！")
    assert holder.query_selector(".live-note").text_content() == ""


def test_on_paper_a_figure_is_its_picture(page: Page) -> None:
    holder = started(page, "attention")
    assert holder.query_selector("img").is_hidden()
    page.emulate_media(media="print")
    assert holder.query_selector("img").is_visible()
    assert holder.query_selector(".live-stage").is_hidden()


def test_a_broken_escape_in_the_address_stops_nothing(page: Page) -> None:
    page.goto(address("zh", "#%E0%A4%A?x=1"))
    page.wait_for_selector("#fig-live-sinusoids[data-live=on]", timeout=WAIT)
    assert page.query_selector("#fig-live-attention .live-start")


def test_unknown_characters_and_no_text_are_said(page: Page) -> None:
    holder = started(page, "attention", "en")
    page.fill(control("attention", "text"), "龘龖")
    assert "never seen in training: 龘 龖" in holder.query_selector(".live-note").text_content()
    page.fill(control("attention", "text"), "  ")
    assert holder.query_selector(".live-reading").text_content() == "Type some Chinese characters."
    page.fill(control("attention", "text"), "Hello 123 😀")
    assert holder.query_selector(".live-reading").text_content() == "Type some Chinese characters."


def test_translate_writes_what_python_writes(page: Page) -> None:
    holder, translator = started(page, "translate"), load_translator()
    for text in ["单击「确定」按钮关闭对话框。", "选择要插入的图片文件。", '如果 "x" 等于 1，则条件为 True。']:
        page.fill(control("translate", "text"), text)
        (expected,) = translator.translate([text])
        page.wait_for_function(
            "text => document.querySelector('#fig-live-translate .live-reading q')?.textContent === text", arg=expected
        )
    page.fill(control("translate", "text"), "hello")
    page.wait_for_function("document.querySelector('#fig-live-translate .live-reading').textContent.includes('汉字')")
    page.fill(control("translate", "text"), "好的" * LONGEST)
    page.wait_for_function(
        "most => document.querySelector('#fig-live-translate .live-reading').textContent.includes(most)",
        arg=str(LONGEST),
    )
    assert holder.query_selector(".live-map svg") is None


def test_the_prose_about_single_sentences_is_true(page: Page, reader: Transcriber) -> None:
    holder = started(page, "attention")
    assert " ".join(read_greedily(reader, "他还没还书。")) == "tā hái méi hái shū"
    assert read_greedily(reader, "音乐让我快乐。") == ["yīn", "yuè", "ràng", "wǒ", "kuài", "lè"]
    page.fill(control("attention", "text"), "她为了孩子什么都行。")
    assert syllables(holder)[1] == "wèi"
    page.uncheck(control("attention", "scale"))
    assert syllables(holder)[1] == "wéi"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_started_figures_are_accessible_and_fit_a_phone(browser: Browser, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": 360, "height": 800}, reduced_motion="reduce")
    page = context.new_page()
    page.goto(address("zh"))
    for name in ("attention", "translate"):
        page.click(f"#fig-live-{name} .live-start")
        page.wait_for_selector(f"#fig-live-{name}[data-live=on]", timeout=WAIT)
        page.click(f"#fig-live-{name} .live-numbers summary")
        page.wait_for_selector(f"#fig-live-{name} .live-numbers table")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    found = violations(page, "figure.live")
    context.close()
    assert found == []


def test_sinusoids_gives_the_dot_product_by_keyboard(page: Page) -> None:
    holder = started(page, "sinusoids", "en")
    for base, width, distance in ((4, 64, 13), (2, 64, 13), (2, 16, 13)):
        for key, value, step in (("base", base, 1), ("width", width, 2), ("distance", distance, 1)):
            page.focus(control("sinusoids", key))
            now = int(page.input_value(control("sinusoids", key)))
            for _ in range(abs(value - now) // step):
                page.keyboard.press("ArrowRight" if value > now else "ArrowLeft")
        table = sinusoidal_encoding(distance + 6, width, base=10.0**base)
        said = holder.query_selector(".live-reading").text_content()
        found = float(re.search(r"dot product (−?\d+\.\d+)", said)[1].replace("−", "-"))
        assert found == pytest.approx((table[5] @ table[5 + distance]).item(), abs=1e-4)
        assert said.endswith(f"times the maximum, {width // 2}")


def test_every_control_has_a_label_and_the_keyboard_reaches_it(page: Page) -> None:
    page.goto(address("en"))
    page.focus("#fig-live-attention .live-start")
    page.keyboard.press("Enter")
    page.wait_for_selector("#fig-live-attention[data-live=on]", timeout=WAIT)
    page.wait_for_function("document.activeElement.className === 'live-controls'")
    reached = []
    for _ in range(8):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.dataset.key || document.activeElement.labels[0].textContent")
        )
    assert reached == ["text", "Examples", "scale", "causal", "positions", "kind", "layer", "head"]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "live-reset"
    page.focus(control("attention", "scale"))
    page.keyboard.press("Space")
    assert not page.is_checked(control("attention", "scale"))
    page.wait_for_function(
        "document.querySelector('#fig-live-attention [aria-live]').textContent.startsWith('Read as')"
    )
    unlabelled = page.eval_on_selector_all(
        "figure.live :is(input, select, textarea)", "all => all.filter(one => one.labels.length !== 1).length"
    )
    assert unlabelled == 0
