"""GPT-2's byte level: the cut of a text into pieces that no merge crosses, and the characters that stand for bytes in a file.

Radford et al. 2019, "Language Models are Unsupervised Multitask Learners" (GPT-2), section 2.2, keep merges from crossing kinds of
characters: without that, dog. and dog! and dog? would all become tokens. Pattern and alphabet are those of the code published with it.

Leaves out: the later patterns of GPT-4 and Llama 3, which cut numbers into groups of three digits.

Book: §4.2.2
"""

import re
import unicodedata
from functools import cache

from llmbook.tokenizers.base import require_text

# GPT-2's 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+, for the stand-ins that `stand_in` gives.
PRE_TOKEN = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+| ?[0-9]+| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+", re.ASCII)
# The same pattern on the text between two digits, each of which stands alone.
SINGLE_DIGITS = re.compile(r"'(?:[stmd]|re|ve|ll)| ?[A-Za-z]+|[0-9]| ?[^\sA-Za-z0-9]+|\s+(?![^\s0-9])|\s+", re.ASCII)

# Letters and numbers of Unicode 15 and 16, which older Pythons do not know, so that ids depend on no version: (first, last).
NEW_LETTERS = """1c89-1c8a a7cb-a7cd a7da-a7dc 105c0-105f3 10d4a-10d65 10d6f-10d85 10ec2-10ec4 1123f-11240 11380-11389 1138b-1138b
1138e-1138e 11390-113b5 113b7-113b7 113d1-113d1 113d3-113d3 11bc0-11be0 11f02-11f02 11f04-11f10 11f12-11f33 1342f-1342f 13441-13446
13460-143fa 16100-1611d 16d40-16d6c 18cff-18cff 1b132-1b132 1b155-1b155 1df25-1df2a 1e030-1e06d 1e4d0-1e4eb 1e5d0-1e5ed 1e5f0-1e5f0
2b739-2b739 2ebf0-2ee5d 31350-323af"""
NEW_NUMBERS = """10d40-10d49 116d0-116e3 11bf0-11bf9 11f50-11f59 16130-16139 16d70-16d79 1ccf0-1ccf9 1d2c0-1d2d3 1e4f0-1e4f9
1e5f1-1e5fa"""


def pre_tokens(text: str, *, single_digits: bool = False) -> list[str]:
    """Cuts a text into the pieces that no merge crosses, by GPT-2's pattern: words and numbers with the space before them,
    the rest by kind, English endings such as 's apart. Joined, the pieces are the text again.

    With `single_digits` the text is first cut at its digits, each a piece by itself, as for SmolLM and many models that compute.

    Raises:
        ValueError: it is no text.
    """
    require_text(text)
    kinds = text.translate({ord(character): stand_in(character) for character in set(text)})
    pattern = SINGLE_DIGITS if single_digits else PRE_TOKEN
    return [text[match.start() : match.end()] for match in pattern.finditer(kinds)]


def stand_in(character: str) -> str:
    r"""An ASCII character of the same kind, itself if it is ASCII: A for \p{L}, 0 for \p{N}, a newline for \s, ! for the rest.

    Python's `re` knows neither \p{L} nor \p{N}, and its \s and \d are other sets.
    """
    if character.isascii():
        return character
    category = unicodedata.category(character)
    if category == "Cn":
        return newer_characters().get(ord(character), "!")
    return "\n" if character == "\x85" else {"L": "A", "N": "0", "Z": "\n"}.get(category[0], "!")


@cache
def newer_characters() -> dict[int, str]:
    """The stand-ins of `NEW_LETTERS` and `NEW_NUMBERS` by code point."""
    ranges = [(ends, kind) for table, kind in ((NEW_LETTERS, "A"), (NEW_NUMBERS, "0")) for ends in table.split()]
    bounds = [(*(int(end, base=16) for end in ends.split("-")), kind) for ends, kind in ranges]
    return {code: kind for first, last, kind in bounds for code in range(first, last + 1)}


@cache
def alphabet() -> dict[int, str]:
    """The character that stands for each byte in a file: itself where it can be seen, else the next from U+0100; a space is Ġ."""
    visible = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    hidden = [value for value in range(256) if value not in visible]
    return {value: chr(value) for value in visible} | {value: chr(256 + n) for n, value in enumerate(hidden)}


def written(token: bytes) -> str:
    """A token as the file has it."""
    return token.decode("latin-1").translate(alphabet())


@cache
def values() -> dict[str, int]:
    """The byte for which each character of `alphabet` stands."""
    return {character: value for value, character in alphabet().items()}


def unwritten(name: str) -> bytes:
    """The token that the file means; a ValueError where a character stands for no byte."""
    if not values().keys() >= set(name):
        raise ValueError(f"token {name!r} holds a character that stands for no byte, and is no added token")
    return bytes(map(values().__getitem__, name))
