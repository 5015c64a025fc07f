"""The words of a figure: found, exchanged, and set in a font that the figure carries."""

import base64
import io
import re
import subprocess
import sys

import matplotlib as mpl

mpl.use("agg")

import matplotlib.pyplot as plt
import pytest
from fontTools.ttLib import TTFont

from llmbook.assets import vendored
from llmbook.drawing import FAMILY, FONT, label_complaints, with_chinese, with_font, with_words, words
from llmbook.notebook import use_book_style

ZH = {"tokens & words": "词元与词", "LSTM with attention": "有注意力的 LSTM"}


@pytest.fixture
def svg():
    with mpl.rc_context():
        use_book_style()
        figure, ax = plt.subplots()
        ax.plot([1, 2], [3e5, 4e5], label="LSTM with attention")
        ax.set(xlabel="tokens & words", ylabel="还", yscale="log", title="$n$")
        ax.legend()
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None})
        plt.close(figure)
    return buffer.getvalue()


def glyphs(drawing: str) -> set[str]:
    (data,) = re.findall(r"url\(data:font/otf;base64,([^)]*)\)", drawing)
    return set(map(chr, TTFont(io.BytesIO(base64.b64decode(data))).getBestCmap()))


def test_text_stays_text_and_is_exchanged(svg: str):
    assert {"tokens & words", "LSTM with attention", "还", "1.2"} <= set(words(svg))
    chinese = with_words(svg, ZH)
    assert {"词元与词", "有注意力的 LSTM", "还", "1.2"} <= set(words(chinese))
    assert not set(ZH) & set(words(chinese))


def test_a_drawing_carries_the_glyphs_of_its_own_words(svg: str):
    english = with_font(svg, vendored(FONT))
    assert glyphs(english) >= set("LSTMwithattention") | {"还", "&", "×"}
    chinese = with_font(with_words(english, ZH), vendored(FONT))
    assert glyphs(chinese) >= set("词元与有注意力的")
    assert "w" not in glyphs(chinese)
    assert len(chinese) < len(svg) + 16_000


def test_the_same_drawing_has_the_same_bytes_in_another_process(svg: str, tmp_path):
    (tmp_path / "a.svg").write_text(svg, encoding="utf-8")
    program = (
        "import sys; from pathlib import Path; from llmbook.drawing import *; from llmbook.assets import vendored;"
        "sys.stdout.buffer.write(with_font(Path(sys.argv[1]).read_text(encoding='utf-8'), vendored(FONT)).encode())"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.svg")], capture_output=True, check=True)
    assert done.stdout.decode() == with_font(svg, vendored(FONT))


def test_a_diagram_carries_its_chinese_for_those_who_have_no_such_font():
    head = '<svg xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif">'
    carried = with_chinese(f"{head}<text>n 词元 α</text></svg>", vendored(FONT))
    assert glyphs(carried) == set("词元")
    assert f"font-family=\"'{FAMILY}', system-ui, sans-serif\"" in carried  # first, or its first words are boxes
    english = f"{head}<text>n tokens α</text></svg>"
    assert with_chinese(english, vendored(FONT)) == english


def test_what_a_language_lacks_is_named(svg: str):
    font = vendored(FONT)
    assert label_complaints([svg], ZH, font) == []
    assert label_complaints([], {}, font) == []
    assert label_complaints([svg], {"tokens & words": "词元\U0001f600", "tokens": "词元"}, font) == [
        "no label for 'LSTM with attention'",
        "the label of 'tokens' stands for no text of the figure",
        "the book's font has no \U0001f600",
    ]
    assert label_complaints(["<!-- width $d$ --><g><text><tspan>w</tspan></text></g>"], {}, font) == [
        "'width $d$' mixes words and mathematics; write it without $"
    ]
