"""One id a symbol: a character of Chinese, a syllable of pinyin, whatever the caller takes as indivisible.

Book: §1.2.1
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from llmbook.atomic import write_text
from llmbook.checks import require_iterable, require_list, require_positive
from llmbook.tokenizers.base import require_ids, require_text

SPECIAL = ("<pad>", "<bos>", "<eos>", "<unk>")
UNKNOWN_TEXT = "\N{REPLACEMENT CHARACTER}"


class Characters:
    """A vocabulary of symbols. Ids 0 to 3 are padding, beginning, end and unknown; no text is ever encoded to the first three."""

    pad_id, bos_id, eos_id, unk_id = range(4)

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = tuple(require_symbols(symbols))
        self._id_of = {symbol: index for index, symbol in enumerate(self.symbols, start=len(SPECIAL))}
        if len(self._id_of) != len(self.symbols):
            repeated = [symbol for symbol, count in Counter(self.symbols).items() if count > 1]
            raise ValueError(f"symbols must differ from each other; repeated: {repeated[:5]}")

    @property
    def vocab_size(self) -> int:
        return len(SPECIAL) + len(self.symbols)

    @classmethod
    def train(cls, items: Iterable[Sequence[str]], vocab_size: int | None = None) -> "Characters":
        """Keeps the commonest symbols, the commonest first, ties in the order of code points.

        Args:
            items: lists of symbols; a string is the list of its characters.
            vocab_size: at most so many ids, the four special ones counted; all symbols by default.

        Raises:
            ValueError: there is no symbol, `vocab_size` leaves room for none, `items` is one string or holds something else than symbols.
        """
        if vocab_size is not None:
            require_positive(vocab_size=vocab_size)
            if vocab_size <= len(SPECIAL):
                raise ValueError(f"vocab_size must exceed the {len(SPECIAL)} special ids; got {vocab_size}")
        require_iterable("items", items)
        counts = Counter(symbol for item in items for symbol in require_symbols(item))
        if not counts:
            raise ValueError("there is no symbol to learn from: the items are empty")
        ranked = sorted(counts, key=lambda symbol: (-counts[symbol], symbol))
        return cls(ranked if vocab_size is None else ranked[: vocab_size - len(SPECIAL)])

    def encode(self, text: Sequence[str]) -> list[int]:
        """The id of each symbol, `unk_id` for one that was not learned; nothing is added.

        Raises:
            ValueError: it is neither a text nor a list of symbols.
        """
        return [self._id_of.get(symbol, self.unk_id) for symbol in require_symbols(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids: characters joined directly, longer symbols by a space.

        Padding, beginning and end have no text; unknown becomes U+FFFD.

        Raises:
            ValueError: an id outside the vocabulary, or something else than ids.
        """
        ids = require_ids(ids, self.vocab_size)
        silent = {self.pad_id, self.bos_id, self.eos_id}
        separator = "" if all(len(symbol) == 1 for symbol in self.symbols) else " "
        named = zip(ids, self.tokens(ids), strict=True)
        return separator.join(
            UNKNOWN_TEXT if id_ == self.unk_id else token for id_, token in named if id_ not in silent
        )

    def tokens(self, ids: Sequence[int]) -> list[str]:
        """The symbol of each id, the special ones as <pad>, <bos>, <eos>, <unk>.

        Raises:
            ValueError: an id outside the vocabulary, or something else than ids.
        """
        vocabulary = SPECIAL + self.symbols
        return [vocabulary[id_] for id_ in require_ids(ids, self.vocab_size)]

    def save(self, path: Path | str) -> None:
        """Writes the vocabulary to a JSON file."""
        content = {"type": "Characters", "symbols": self.symbols}
        write_text(Path(path), json.dumps(content, ensure_ascii=False, indent=0) + "\n")

    @classmethod
    def load(cls, path: Path | str) -> "Characters":
        """Reads what `save` wrote.

        Raises:
            ValueError: the file is damaged or holds something else.
        """
        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            if content["type"] != "Characters":
                raise ValueError(f"its type is {content['type']!r}")
            return cls(content["symbols"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is not a vocabulary of Characters: {error}") from error


def require_symbols(symbols: Iterable[str]) -> Sequence[str]:
    """A text as it is, other symbols as a list.

    Raises:
        ValueError: something else than texts.
    """
    if isinstance(symbols, str):
        require_text(symbols)
        return symbols
    if not isinstance(symbols, (list, tuple)):
        symbols = require_list("symbols", symbols)
    try:
        require_text("".join(symbols))
    except TypeError:
        wrong = next(symbol for symbol in symbols if not isinstance(symbol, str))
        raise ValueError(f"expected symbols, each a str; got {type(wrong).__name__} {wrong!r:.40}") from None
    return symbols
