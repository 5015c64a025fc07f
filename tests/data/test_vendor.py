"""What the help's pages become: blocks with ids, defaults of what differs by system, aligned rows; the same bytes each time."""

import gzip
import importlib.util
import json

import pytest

from llmbook import paths

SPEC = importlib.util.spec_from_file_location("llmbook_data_vendor", paths.data_dir() / "vendor.py")
vendor = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(vendor)


def blocks(html):
    page = vendor.HelpPage()
    page.feed(html)
    page.close()
    return page.blocks


def test_blocks_of_a_page():
    html = (
        '<nav><p>menu</p></nav><h2 id="hd_id1"><a name="x"></a>Ti<b>tle</b></h2><p class="related">no id</p>'
        '<div class="note"><p id="par_id2" class="paragraph">A &lt;b&gt; &amp; c<br>d</p>outside</div>'
        '<p id="par_id3" class="table_font_small paragraphintable">cell</p><li><p id="par_id4" class="listitem">item</p></li>'
        '<p id="par_id5" class="codeintable">x = 1</p><p id="bm_system">foot</p>'
    )
    assert blocks(html) == [
        ["hd_id1", "h2", "Title"],
        ["par_id2", "paragraph", "A <b> & c d"],
        ["par_id3", "cell", "cell"],
        ["par_id4", "item", "item"],
        ["par_id5", "code", "x = 1"],
    ]


def test_of_a_switch_the_default_is_kept():
    switch = (
        '<span class="switchinline"><span hidden="true" id="MAC1" class="MAC"><span class="keycode">Command</span></span>'
        '<span hidden="true" id="default1"><span class="keycode">Ctrl</span></span></span>'
    )
    assert blocks(f'<p id="par_id1">Press {switch}<span class="keycode">+Tab</span> now.</p>') == [
        ["par_id1", "paragraph", "Press Ctrl+Tab now."]
    ]
    assert blocks('<span hidden="true" class="CALC"><p id="par_id1">whole</p></span>') == [
        ["par_id1", "paragraph", "whole"]
    ]


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  选择\n  「 工具 」 。 ", "选择「工具」。"),
        ("按 Esc 键", "按 Esc 键"),
        ("a\u00a0 b\tc", "a b c"),
        ("co\u00adop", "coop"),
    ],
)
def test_clean(text, cleaned):
    assert vendor.clean(text) == cleaned


def test_rows_align_by_id_and_occurrence_and_drop_what_is_no_translation():
    english = {
        "p": [
            ["a", "h1", "One"], ["b", "paragraph", "Two"], ["a", "paragraph", "Three"], ["c", "code", "Dim x ' four"],
            ["d", "cell", "="], ["e", "cell", "F9"], ["f", "item", ""], ["g", "item", "Six"], ["h", "item", "Seven"],
        ],
        "only": [["a", "h1", "One"]],
    }  # fmt: skip
    chinese = {
        "p": [
            ["b", "paragraph", "二"], ["a", "h1", "一"], ["a", "paragraph", "三"], ["c", "code", "Dim x ' 四"],
            ["d", "cell", "等"], ["e", "cell", "F9"], ["f", "item", "空"], ["g", "item", "六\x97"],
        ]
    }  # fmt: skip
    assert vendor.help_rows(english, chinese) == [
        {"page": "p", "order": 0, "paragraph": "a", "kind": "h1", "zh": "一", "en": "One"},
        {"page": "p", "order": 1, "paragraph": "b", "kind": "paragraph", "zh": "二", "en": "Two"},
        {"page": "p", "order": 2, "paragraph": "a", "kind": "paragraph", "zh": "三", "en": "Three"},
    ]


def test_the_same_rows_give_the_vendored_bytes():
    content = (paths.data_dir() / vendor.HELP).read_bytes()
    rows = [json.loads(line) for line in gzip.decompress(content).decode().splitlines()]
    assert gzip.decompress(vendor.compressed(rows)) == gzip.decompress(content)
    assert vendor.compressed(rows) == vendor.compressed(rows)
    assert len(content) < 2_500_000


@pytest.mark.messages
def test_a_wrong_package_is_refused(tmp_path):
    (tmp_path / vendor.HELP_EN["file"]).write_bytes(b"no package")
    with pytest.raises(ValueError, match=r"libreoffice-help-en-us.*expected sha256 8faa8.*, found"):
        vendor.fetched(vendor.HELP_EN, tmp_path)
