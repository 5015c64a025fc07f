"""Weights of live figures: packed for the page, once."""

from pathlib import Path

import pytest

from llmbook.site import live_weights


def test_weights_are_packed_once_and_again_when_the_model_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def packed(name: str) -> str:
        calls.append(name)
        return name

    monkeypatch.setattr(live_weights, "packed", packed)
    first = live_weights.live_weights(tmp_path)
    assert [path.name for path in first] == ["pinyin.js", "translator.js"]
    live_weights.live_weights(tmp_path)
    assert calls == ["pinyin", "translator"]
    monkeypatch.setattr(live_weights, "PACKING", Path(__file__))  # other code packs them
    live_weights.live_weights(tmp_path)
    assert calls == ["pinyin", "translator"] * 2


def test_the_page_gets_the_model_with_its_vocabularies() -> None:
    script = live_weights.packed("pinyin")
    assert script.startswith("window.LLMBook = ")
    assert '\\"num_heads\\":4' in script
    assert '\\"characters\\":[' in script
