"""Byte-pair encoding on bytes: every text has ids, frequent strings have short ones.

Start from the 256 bytes. Again and again take the pair of neighbouring tokens that is commonest, and make it one new token.
To encode, apply the merges in the order in which they were learned. `plain_bpe` says it in few lines; here stands what has ids, special
tokens and a file, on the merges of `fast_bpe`.

The merges are those of Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units", algorithm 1, which has
characters where we have bytes. Bytes and the split into pre-tokens are those of Radford et al. 2019, "Language Models are Unsupervised
Multitask Learners" (GPT-2), section 2.2. The file is Hugging Face's `tokenizer.json`, and the ids are the same as theirs.

Leaves out: other pre-token patterns, normalization, BPE-dropout, offsets into the text, several cores.

Book: §4.2.2
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from llmbook.checks import require_iterable, require_list, require_positive
from llmbook.tokenizers.base import require_ids, require_text
from llmbook.tokenizers.byte_level import pre_tokens, written
from llmbook.tokenizers.fast_bpe import BYTES, apply_merges, learn_merges
from llmbook.tokenizers.plain_bpe import Pair
from llmbook.tokenizers.tokenizer_json import read_tokenizer_json, write_tokenizer_json

CACHE_SIZE, LONGEST_KEPT = 2**16, 64  # pre-tokens whose ids are kept, and their characters at most


class ByteBPE:
    """A vocabulary of byte strings, and the merges that make them.

    Trained here, ids 0 to 255 are the bytes, then come the merges in order, then the special tokens, as in GPT-2.

    Args:
        ids: the id of each token; with those of the special tokens they are 0, 1, 2, … without a gap.
        merges: pairs of tokens, the first learned first.
        special_ids: the id of each special token.
        unknown_id: stands for a byte that is not in `ids`; None leaves the byte out. Such bytes occur in others' files only.
        single_digits: whether each digit is a pre-token by itself, see `pre_tokens`.

    Raises:
        ValueError: ids with a gap, a merge that leads out of the vocabulary, a special token that is empty or written like another token.
    """

    def __init__(
        self,
        ids: Mapping[bytes, int],
        merges: Sequence[Pair],
        special_ids: Mapping[str, int],
        *,
        unknown_id: int | None = None,
        single_digits: bool = False,
    ) -> None:
        vocabulary = {written(token): id_ for token, id_ in ids.items()}
        for left, right in merges:
            if not ids.keys() >= {left, right, left + right}:
                raise ValueError(f"the merge of {left!r} and {right!r} leads out of the vocabulary")
        for name, id_ in special_ids.items():
            if not name or vocabulary.setdefault(name, id_) != id_:
                raise ValueError(f"special token {name!r} is empty or written like token {vocabulary.get(name)}")
        if sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise ValueError(f"{len(vocabulary)} tokens need the ids 0 … {len(vocabulary) - 1}, each once")
        self.ids, self.special_ids, self.unknown_id = dict(ids), dict(special_ids), unknown_id
        self.merges, self.single_digits = tuple(merges), single_digits
        by_id = {id_: name.encode() for name, id_ in special_ids.items()} | {id_: token for token, id_ in ids.items()}
        self._tokens = [by_id[id_] for id_ in range(len(vocabulary))]
        self._ranks = {pair: rank for rank, pair in enumerate(merges)}
        longest_first = sorted(special_ids, key=len, reverse=True)
        self._special = re.compile(f"({'|'.join(map(re.escape, longest_first))})")
        self._cache: dict[str, list[int]] = {}

    @property
    def vocab_size(self) -> int:
        return len(self._tokens)

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int, *, special_tokens: Sequence[str] = ()) -> "ByteBPE":
        """Learns vocab_size − 256 − len(special_tokens) merges, or fewer when there is no pair left.

        Args:
            texts: no merge crosses from one to the next; the name of a special token in a text is text.
            vocab_size: bytes + merges + special tokens.
            special_tokens: get the last ids, in this order; no merge makes them.

        Raises:
            ValueError: vocab_size has no room for bytes and special tokens, a special token is repeated, `texts` or `special_tokens` is
                one string or holds something else than texts.
        """
        require_positive(vocab_size=vocab_size)
        require_iterable("texts", texts)
        special_tokens = require_list("special_tokens", special_tokens)
        for token in special_tokens:
            require_text(token)
        num_merges = vocab_size - len(BYTES) - len(special_tokens)
        if num_merges < 0:
            raise ValueError(
                f"vocab_size must be at least {len(BYTES)} bytes + {len(special_tokens)} special tokens; got {vocab_size}"
            )
        if len(set(special_tokens)) < len(special_tokens) or "" in special_tokens:
            raise ValueError(f"special tokens must differ and not be empty; got {special_tokens}")
        words = Counter(piece for text in texts for piece in pre_tokens(text))
        merges = learn_merges({word.encode(): count for word, count in words.items()}, num_merges)
        ids = {token: id_ for id_, token in enumerate((*BYTES, *(left + right for left, right in merges)))}
        return cls(ids, merges, {name: id_ for id_, name in enumerate(special_tokens, start=len(ids))})

    def encode(self, text: str, *, allow_special: bool = False) -> list[int]:
        """The ids of a text; nothing is added.

        Args:
            allow_special: the name of a special token in the text becomes its id, the longest name where several fit;
                else it is text like any other, so that no user can write one.

        Raises:
            ValueError: it is no text.
        """
        require_text(text)
        parts = self._special.split(text) if allow_special and self.special_ids else [text]
        ids: list[int] = []
        for index, part in enumerate(parts):
            if index % 2:
                ids.append(self.special_ids[part])
            else:
                for piece in pre_tokens(part, single_digits=self.single_digits):
                    ids.extend(self._cache.get(piece) or self._encode_piece(piece))
        return ids

    def _encode_piece(self, piece: str) -> list[int]:
        tokens = [BYTES[value] for value in piece.encode()]
        if self.unknown_id is None:
            tokens = [token for token in tokens if token in self.ids]
        ids = [self.ids.get(token, self.unknown_id) for token in apply_merges(tokens, self._ranks)]
        if len(self._cache) >= CACHE_SIZE:
            self._cache.clear()
        if len(piece) <= LONGEST_KEPT:  # long ones rarely come back
            self._cache[piece] = ids
        return ids

    def tokens(self, ids: Sequence[int]) -> list[bytes]:
        """The bytes of each id, of a special token those of its name.

        Raises:
            ValueError: an id outside the vocabulary, or something else than ids.
        """
        return [self._tokens[id_] for id_ in require_ids(ids, self.vocab_size)]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of some ids; bytes that are no UTF-8 become U+FFFD, as in Python's `bytes.decode`.

        Raises:
            ValueError: an id outside the vocabulary, or something else than ids.
        """
        return b"".join(self.tokens(ids)).decode(errors="replace")

    def save(self, path: Path | str) -> None:
        """Writes a `tokenizer.json`, which the library `tokenizers` opens too, with the same ids.

        There, special tokens are always split off, as here with `allow_special=True`.
        """
        unknown = None if self.unknown_id is None else self._tokens[self.unknown_id].decode()
        options = {"unknown_token": unknown, "single_digits": self.single_digits}
        write_tokenizer_json(Path(path), self.ids, self.merges, self.special_ids, **options)

    @classmethod
    def load(cls, path: Path | str) -> "ByteBPE":
        """Reads what `save` wrote, or another `tokenizer.json` of byte-level BPE with GPT-2's pattern, digits cut apart or not.

        What such a file would add around a text, cut or pad is left out.

        Raises:
            ValueError: the file is damaged, is of another kind or has a setting that changes ids.
        """
        try:
            found = read_tokenizer_json(Path(path))
            options = {"unknown_id": found.unknown_id, "single_digits": found.single_digits}
            return cls(found.ids, found.merges, found.special_ids, **options)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{path} is not a tokenizer.json of byte-level BPE: {error!r}") from error
