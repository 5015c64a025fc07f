"""The file is read again, also one that others wrote; a foreign one is refused with the reason."""

import json

import pytest

from llmbook.tokenizers import ByteBPE

CORPUS = ["你好，世界！你好吗？", "Hello, hello world: it's the world's 2nd.", "naïve café, 123 123 1234\n\n  naïve"]


@pytest.mark.parametrize("special_tokens", [(), ("<|endoftext|>", "<中>")])
def test_a_saved_tokenizer_is_the_same(tmp_path, special_tokens):
    tokenizer = ByteBPE.train(CORPUS, 300, special_tokens=special_tokens)
    tokenizer.save(tmp_path / "分 词.json")
    again = ByteBPE.load(str(tmp_path / "分 词.json"))
    assert (again.merges, again.special_ids, again.vocab_size) == (tokenizer.merges, tokenizer.special_ids, 300)
    for text in (*CORPUS, "<中>x<|endoftext|>"):
        for allow_special in (False, True):
            ids = tokenizer.encode(text, allow_special=allow_special)
            assert again.encode(text, allow_special=allow_special) == ids
            assert again.decode(ids) == text
    again.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "分 词.json").read_bytes()


def test_the_saved_file_is_of_the_known_form(tmp_path):
    ByteBPE.train([" a"], 258, special_tokens=["<s>"]).save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert (content["model"]["type"], content["pre_tokenizer"]["type"]) == ("BPE", "ByteLevel")
    assert content["model"]["merges"] == [["Ġ", "a"]]
    assert (content["model"]["vocab"]["Ġa"], content["model"]["vocab"]["<s>"]) == (256, 257)
    assert [(token["id"], token["content"]) for token in content["added_tokens"]] == [(257, "<s>")]


def test_digits_that_stand_alone_do_so_after_loading(tmp_path):
    merges = ((b"1", b"2"), (b" ", b"1"))
    ids = {bytes([value]): value for value in range(256)} | {b"12": 256, b" 1": 257}
    for single_digits, expected in ((True, [32, 49, 50]), (False, [32, 256])):
        ByteBPE(ids, merges, {}, single_digits=single_digits).save(tmp_path / "tokenizer.json")
        tokenizer = ByteBPE.load(tmp_path / "tokenizer.json")
        assert (tokenizer.single_digits, tokenizer.encode(" 12")) == (single_digits, expected)


def changed(path, change):
    """A saved tokenizer of merges ab, abc with one thing changed."""
    ByteBPE.train(["abc", "ab"], 259, special_tokens=["<s>"]).save(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def test_merges_in_the_older_form_and_absent_settings_are_read(tmp_path):
    def older(content):
        content["model"]["merges"] = [" ".join(pair) for pair in content["model"]["merges"]]
        for part, name in (("model", "type"), ("model", "ignore_merges"), ("pre_tokenizer", "use_regex")):
            del content[part][name]
        content["model"]["continuing_subword_prefix"] = ""

    changed(tmp_path / "tokenizer.json", older)
    tokenizer = ByteBPE.load(tmp_path / "tokenizer.json")
    assert (tokenizer.merges, tokenizer.encode("abc")) == (((b"a", b"b"), (b"ab", b"c")), [257])


@pytest.mark.messages
@pytest.mark.parametrize(
    ("part", "name", "value", "reason"),
    [
        ("model", "type", "Unigram", "type of the model is 'Unigram'; expected 'BPE'"),
        ("model", "dropout", 0.1, "dropout of the model is 0.1"),
        ("model", "ignore_merges", True, "ignore_merges"),
        ("model", "byte_fallback", True, "byte_fallback"),
        ("model", "end_of_word_suffix", "</w>", "</w>"),
        ("pre_tokenizer", "type", "Metaspace", "Metaspace"),
        ("pre_tokenizer", "add_prefix_space", True, "add_prefix_space of the pre_tokenizer is True; expected False"),
        ("pre_tokenizer", "use_regex", False, "use_regex"),
        (None, "pre_tokenizer", None, "type of the pre_tokenizer is None"),
        (None, "pre_tokenizer", {"type": "Sequence", "pretokenizers": []}, "unpack"),
        (
            None,
            "pre_tokenizer",
            {"type": "Sequence", "pretokenizers": [{"type": "Split"}, {"type": "ByteLevel"}]},
            "type of the pre_tokenizer is 'Split'; expected 'Digits'",
        ),
        (
            None,
            "pre_tokenizer",
            {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": False}, {}]},
            "individual_digits of the pre_tokenizer is False",
        ),
        (None, "normalizer", {"type": "NFC"}, "normalizer of the tokenizer is .*NFC"),
        (None, "model", None, "model|NoneType"),
        ("model", "merges", [["a", "b"], ["a", "é"]], "merge of b'a' and .* leads out"),
        ("model", "merges", [["a"]], "unpack"),
        ("model", "vocab", {"a": 0, "b": 1, "ab": 2, "c": 2, "abc": 3}, "ids 0 … "),
        ("model", "vocab", {"a": 0, "b": 1, "ab": 2, "c": 5, "abc": 3}, "ids 0 … "),
        (None, "added_tokens", [], None),
        (None, "added_tokens", [{"id": 258, "content": "<s>", "lstrip": True}], "lstrip of the added token is True"),
        (None, "added_tokens", [{"id": 258, "content": "中"}], "'中' is empty or|each once"),
    ],
)
def test_a_file_with_other_settings_is_refused(tmp_path, part, name, value, reason):
    def change(content):
        (content[part] if part else content)[name] = value

    path = tmp_path / "tokenizer.json"
    changed(path, change)
    if reason is None:
        assert ByteBPE.load(path).special_ids == {}
    else:
        with pytest.raises(ValueError, match=f"tokenizer.json is not a tokenizer.json of byte-level BPE: .*({reason})"):
            ByteBPE.load(path)


@pytest.mark.messages
@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model": 3}', '{"type": "Characters", "symbols": []}'])
def test_a_foreign_or_damaged_file_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(ValueError, match=r"tokenizer.json is not a tokenizer.json of byte-level BPE"):
        ByteBPE.load(tmp_path / "tokenizer.json")
