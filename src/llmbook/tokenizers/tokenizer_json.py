"""Byte-level BPE as a `tokenizer.json`, the file of Hugging Face's library `tokenizers`: written, and read with what others wrote.

Bytes stand in it as the characters of `byte_level.alphabet`. What such a file would add around a text, cut or pad is left out.

Book: §4.2.2
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from llmbook.atomic import write_text
from llmbook.tokenizers.byte_level import alphabet, unwritten, written
from llmbook.tokenizers.plain_bpe import Pair

# What a file says when its ids are the ids here.
MODEL = {
    "type": "BPE",
    "dropout": None,
    "continuing_subword_prefix": None,
    "end_of_word_suffix": None,
    "fuse_unk": False,
    "byte_fallback": False,
    "ignore_merges": False,
}
PRE_TOKENIZER = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}  # comes first where each digit is a pre-token by itself
ADDED_TOKEN = {"single_word": False, "lstrip": False, "rstrip": False}


class Contents(NamedTuple):
    """What `ByteBPE` is made of."""

    ids: dict[bytes, int]
    merges: list[Pair]
    special_ids: dict[str, int]
    unknown_id: int | None
    single_digits: bool


def write_tokenizer_json(
    path: Path,
    ids: Mapping[bytes, int],
    merges: Sequence[Pair],
    special_ids: Mapping[str, int],
    *,
    unknown_token: str | None = None,
    single_digits: bool = False,
) -> None:
    """Writes the file, with tokens in the order of their ids."""
    vocabulary = {written(token): id_ for token, id_ in ids.items()} | dict(special_ids)
    model = {
        "unk_token": unknown_token,
        "vocab": dict(sorted(vocabulary.items(), key=lambda item: item[1])),
        "merges": [[written(left), written(right)] for left, right in merges],
    }
    added_tokens = [
        {"id": id_, "content": name, **ADDED_TOKEN, "normalized": False, "special": True}
        for name, id_ in special_ids.items()
    ]
    byte_level = PRE_TOKENIZER | {"trim_offsets": True}
    content = {
        "version": "1.0",
        **dict.fromkeys(("truncation", "padding", "normalizer", "post_processor")),
        "added_tokens": added_tokens,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [DIGITS, byte_level]} if single_digits else byte_level,
        "decoder": byte_level,
        "model": MODEL | model,
    }
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_tokenizer_json(path: Path) -> Contents:
    """Reads the file.

    A name in the vocabulary that a special token has too is that special token, unless a merge makes it or it stands for one byte.

    Raises:
        ValueError, KeyError, TypeError or AttributeError: the file is damaged, is of another kind or has a setting that changes ids.
    """
    content = json.loads(path.read_text(encoding="utf-8"))
    require_settings(content)
    model = content["model"]
    special_ids = {token["content"]: token["id"] for token in content.get("added_tokens", ())}
    pairs = [pair.split(" ") if isinstance(pair, str) else pair for pair in model["merges"]]
    made = {left + right for left, right in pairs} | set(alphabet().values())
    return Contents(
        ids={unwritten(name): id_ for name, id_ in model["vocab"].items() if name in made or name not in special_ids},
        merges=[(unwritten(left), unwritten(right)) for left, right in pairs],
        special_ids=special_ids,
        unknown_id=model["vocab"].get(model.get("unk_token")),
        single_digits=len(pre_tokenizers(content)) > 1,
    )


def require_settings(content: Mapping[str, Any]) -> None:
    """Raises ValueError, with the setting's name, if the file's ids would be others than here."""
    for part, found, settings in parts_with_settings(content):
        for name, expected in settings.items():
            if (found.get(name, expected) or None) != (expected or None):  # an empty string is as good as None
                raise ValueError(f"{name} of the {part} is {found[name]!r}; expected {expected!r}")


def parts_with_settings(content: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """The parts of a file that decide on ids: a name, what stands there, what has to."""
    yield "model", content["model"], MODEL
    yield "tokenizer", content, {"normalizer": None}
    *before, last = pre_tokenizers(content)
    yield from (("pre_tokenizer", found, DIGITS) for found in before)
    yield "pre_tokenizer", last, PRE_TOKENIZER
    for token in content.get("added_tokens", ()):
        yield "added token", token, ADDED_TOKEN


def pre_tokenizers(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The steps of a file's cut into pre-tokens."""
    found = content["pre_tokenizer"] or {"type": None}
    return found["pretokenizers"] if found.get("type") == "Sequence" else [found]
