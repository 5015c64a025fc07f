"""How BLEU cuts a text into words: the score depends on it, so the rule has a name and everyone must use the same.

Book: §4.1.1
"""

import re
from collections.abc import Callable

# ASCII punctuation but ' , - .   then . and , but inside a number, then the dash after a digit. Each rule rewrites what the one before
# left, and a match uses up the neighbor that it looks at: of two commas in a row the first rule for commas sees only one.
RULES_13A = (
    (re.compile(r"([!-&(-+/:-@\[-`{-~])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))

# Chinese characters, their punctuation and full-width forms, as sacrebleu has them. The range from U+2001 to U+2A6D (“ ” — … → ∑ and
# Braille, for instance) is a slip of the original, which wrote U+20000 … U+2A6D6 as "\u20000" … "\u2a6d6"; hence the rare characters beyond
# U+FFFF that it meant are not cut. A score that others can compare keeps the slip.
CHINESE = re.compile(
    "([\u2001-\u2a6d\u2e80-\u2fdf\u2ff0-\u303f\u3100-\u312f\u31a0-\u31ef\u3200-\u4db5\u4e00-\u9fbb"
    "\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef])"
)


def tokenize_13a(text: str) -> list[str]:
    """Words and punctuation of a Western language, as NIST's script mteval-v13a.pl cuts them.

    "It's 3,000.5-fold, &lt;sic&gt;." becomes It's 3,000.5 - fold , < sic > .

    Leaves out: letter case, which 13a keeps, and all punctuation beyond ASCII, which stays glued to its word.
    """
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in ENTITIES:
        text = text.replace(entity, character)
    return _split_punctuation(f" {text} ")


def tokenize_zh(text: str) -> list[str]:
    """Each Chinese character alone, what stands between them as in 13a.

    "他用GPT-2写诗。" becomes 他 用 GPT-2 写 诗 。

    Leaves out: words. 词 of several characters are found by the 2-grams to 4-grams.
    """
    return _split_punctuation(CHINESE.sub(r" \1 ", text.strip()))


def tokenize_char(text: str) -> list[str]:
    """Every character alone, white space dropped."""
    return list("".join(text.split()))


def _split_punctuation(text: str) -> list[str]:
    for pattern, replacement in RULES_13A:
        text = pattern.sub(replacement, text)
    return text.split()


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {
    "13a": tokenize_13a,
    "zh": tokenize_zh,
    "char": tokenize_char,
    "none": str.split,
}
