"""Trained on short sentences only, which positional encoding still serves on longer ones?

Book: §1.2.4
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from llmbook.data import PinyinPair, batches, collate, pinyin_task
from llmbook.generation import transcribe
from llmbook.models import Transformer, TransformerConfig
from llmbook.training import cross_entropy, fit, teacher_forced, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    positions: str
    longest: int = 8  # characters of a training sentence, punctuation included
    max_seq_len: int = 20
    d_model: int = 128
    num_heads: int = 4
    num_layers: int = 2
    dropout: float = 0.1
    batch_size: int = 64
    steps: int = 800
    clip: float = 1.0
    peak: float = 2e-3
    warmup_steps: int = 100


CONFIGS = {positions: Config(positions=positions) for positions in ("sinusoidal", "learned", "none")}
SEEDS = (1, 2, 3, 4, 5)  # seed 0 was used to set the run up
DATA = ("hsk/sentences.jsonl.gz",)
LENGTHS = ((4, 6), (7, 7), (8, 8), (9, 9), (10, 10), (11, 11), (12, 15))  # of test sentences, from … to
SLOTS = 12


def is_short(pair: PinyinPair, longest: int) -> bool:
    """Whether neither the characters nor <bos> and the syllables need a position beyond."""
    return max(len(pair.characters), 1 + len(pair.syllables)) <= longest


def train(config: Config, seed: int, *, fit: Callable = fit) -> Transformer:
    parts, characters, syllables = pinyin_task()
    short = [pair for pair in parts.train if is_short(pair, config.longest)]
    torch.manual_seed(seed)
    sizes = TransformerConfig(
        syllables.vocab_size,
        source_vocab_size=characters.vocab_size,
        d_model=config.d_model,
        num_heads=config.num_heads,
        num_layers=config.num_layers,
        dropout=config.dropout,
        max_seq_len=config.max_seq_len,
        norm_first=True,
        positions=config.positions,
    )
    model = Transformer(sizes)
    fit(
        model,
        batches(short, characters, syllables, batch_size=config.batch_size, seed=seed),
        loss=teacher_forced,
        optimizer=torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98)),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )
    return model.eval()


@torch.no_grad()
def evaluate(model: Transformer, config: Config, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """On the test part: the loss and the right syllables with the right prefix, the right sentences of the model's own.

    "by_length" has the syllables right for sentences of each of `LENGTHS`, "by_slot" for the first, second, … syllable of
    the sentences beyond the trained length, "by_slot_if_going_on" the same where the model may not choose <eos>.
    """
    parts, characters, syllables = pinyin_task()
    pairs = parts.test[:limit]
    batch = collate(pairs, characters, syllables)
    logits = model(batch.source_ids, batch.target_ids, source_mask=batch.source_mask)
    spoken = (batch.targets != -100) & (batch.targets != syllables.eos_id)
    right = logits.argmax(dim=-1) == batch.targets
    going_on = logits.index_fill(-1, torch.tensor(syllables.eos_id), -torch.inf).argmax(dim=-1) == batch.targets
    length = batch.source_mask.sum(dim=1)
    beyond = torch.tensor([not is_short(pair, config.longest) for pair in pairs])
    written = transcribe(model, pairs, characters, syllables)
    whole = torch.tensor([said == pair.syllables for said, pair in zip(written, pairs, strict=True)])
    slipped = torch.tensor([len(said) != len(pair.syllables) for said, pair in zip(written, pairs, strict=True)])

    def share(rows: torch.Tensor, slots: slice = slice(None), right: torch.Tensor = right) -> float:
        return percent(right[rows, slots][spoken[rows, slots]])

    return {
        "loss": cross_entropy(logits, batch.targets).item(),
        "loss_within": cross_entropy(logits[~beyond], batch.targets[~beyond]).item(),
        "loss_beyond": cross_entropy(logits[beyond], batch.targets[beyond]).item(),
        "within": share(~beyond),
        "beyond": share(beyond),
        "by_length": [share((low <= length) & (length <= high)) for low, high in LENGTHS],
        "by_slot": [share(beyond, slice(slot, slot + 1)) for slot in range(SLOTS)],
        "by_slot_if_going_on": [share(beyond, slice(slot, slot + 1), going_on) for slot in range(SLOTS)],
        "sentences_within": percent(whole[~beyond]),
        "sentences_beyond": percent(whole[beyond]),
        "slipped_within": percent(slipped[~beyond]),
        "slipped_beyond": percent(slipped[beyond]),
    }


def percent(right: torch.Tensor) -> float:
    """0 if there is nothing to count, as may be in the first few sentences."""
    return 100 * right.double().mean().item() if right.numel() else 0.0
