"""A trained translator: a Transformer, its tokenizer, and how text goes in and comes out.

Book: §1.2.1
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from llmbook.checks import require_list, require_positive
from llmbook.data import vendored
from llmbook.data.translation_batches import BOS, EOS, collate_ids
from llmbook.generation.beam_search import beam_search
from llmbook.generation.generate import generate
from llmbook.generation.inputs import BUDGET, require_budget
from llmbook.generation.stored import FILES, store_transformer, stored_transformer
from llmbook.models import Transformer
from llmbook.tokenizers import ByteBPE
from llmbook.tokenizers.base import require_text

TOKENIZER = "tokenizer.json"
LONGEST = 127  # tokens of one piece of text: what training saw
LINES, SENTENCES, CLAUSES = r"\n", r"(?<=[。！？；!?;\n])", r"(?<=[。！？；!?;\n，、：,:])"  # where a text is cut


@dataclass(frozen=True)
class Translator:
    """Chinese to English."""

    model: Transformer
    tokenizer: ByteBPE

    @torch.no_grad()
    def translate(
        self,
        texts: Sequence[str],
        *,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        batch_size: int = 64,
        use_cache: bool = True,
        budget: int = BUDGET,
    ) -> list[str]:
        """The translation of each text. One that is too long for the model is translated sentence by sentence.

        Args:
            num_beams: 1 is greedy; more is a beam search, with this length_penalty.
            batch_size: texts, or pieces of them, that are translated together.
            use_cache: False computes the whole prefix again for each token, with the same outcome; greedy only.
            budget: bytes that this may take beside the weights.

        Raises:
            ValueError: before any work: one string in place of a list, a text without Chinese characters, or one that cannot be cut into
                pieces, num_beams or batch_size below 1, more than the budget.
        """
        require_positive(num_beams=num_beams, batch_size=batch_size)
        pieces = [self.pieces(text) for text in require_list("texts", texts)]
        flat = [ids for several in pieces for ids in several]
        together, longest = min(batch_size, len(flat)), max(map(len, flat), default=0) + 1
        each = self.model.row_bytes(longest, LONGEST + 1)
        require_budget(together * num_beams, each, budget, f"{together} texts at a time and num_beams {num_beams}")
        by_length = sorted(range(len(flat)), key=lambda index: len(flat[index]))
        done: dict[int, str] = {}
        for start in range(0, len(flat), batch_size):
            rows = by_length[start : start + batch_size]
            sources = [flat[row] for row in rows]
            if num_beams == 1:
                written = self.write(sources, partial(generate, temperature=0.0, use_cache=use_cache, budget=budget))
            else:
                search = partial(beam_search, num_beams=num_beams, length_penalty=length_penalty, budget=budget)
                written = self.write(
                    sources, lambda *args, search=search, **kwargs: search(*args, **kwargs).token_ids[:, 0]
                )
            done |= dict(zip(rows, written, strict=True))
        translated = iter(done[index] for index in range(len(flat)))
        return [" ".join(next(translated) for _ in several) for several in pieces]

    def write(self, sources: list[list[int]], decode: Callable[..., Tensor]) -> list[str]:
        """What the model writes for one batch of ids."""
        bos, eos = self.tokenizer.special_ids[BOS], self.tokenizer.special_ids[EOS]
        batch = collate_ids([(source, [eos]) for source in sources], self.tokenizer)
        decoder = self.model.conditioned(batch.source_ids, source_mask=batch.source_mask)
        begin = torch.full_like(batch.source_ids[:, :1], bos)
        ids = decode(decoder, begin, max_new_tokens=LONGEST, eos_id=eos)[:, 1:].tolist()
        return [self.tokenizer.decode(row[: row.index(eos)] if eos in row else row) for row in ids]

    def pieces(self, text: str) -> list[list[int]]:
        """The ids of a text's lines, or of their sentences, or of their clauses: the first that are all short enough.

        Raises:
            ValueError: there is nothing to translate, or a clause is too long.
        """
        require_text(text)
        text = "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()
        if not re.search(r"[\u3400-\u9fff]", text):
            raise ValueError(
                f"nothing to translate: expected text with Chinese characters, got {text[:40]!r}"
                if text
                else "nothing to translate: the text is empty"
            )
        for pattern in (LINES, SENTENCES, CLAUSES):
            ids = [self.tokenizer.encode(part.strip()) for part in re.split(pattern, text) if part.strip()]
            if max(map(len, ids)) <= LONGEST:
                return ids
        longest = max(map(len, ids))
        raise ValueError(
            f"the text has a clause of {longest} tokens; the translator takes at most {LONGEST} between two marks of punctuation"
        )


def save_translator(folder: Path, model: Transformer, tokenizer: ByteBPE) -> None:
    """Writes weights (in float16), sizes and tokenizer."""
    store_transformer(folder, model)
    tokenizer.save(folder / TOKENIZER)


def load_translator(folder: Path | None = None) -> Translator:
    """The book's translator, or that of another folder.

    Raises:
        ValueError: a file is missing, changed, cut short, or holds tensors of other names or shapes; the message says which.
    """
    weights, config, tokenizer = (
        vendored(f"weights/translator/{name}") if folder is None else folder / name for name in (*FILES, TOKENIZER)
    )
    return Translator(stored_transformer(weights, config), ByteBPE.load(tokenizer))
