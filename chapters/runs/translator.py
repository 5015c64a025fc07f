"""The book's translator, Chinese to English: what do 40 minutes of training on one core give?

Book: §1.2.1
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from llmbook.data import translation_pairs
from llmbook.data.translation_batches import SPECIAL_TOKENS, collate_ids, translation_batches
from llmbook.data.translation_mixture import translation_mixture
from llmbook.evaluation import corpus_bleu, corpus_chrf
from llmbook.generation.translator import LONGEST, Translator, save_translator
from llmbook.models import Transformer, TransformerConfig
from llmbook.tokenizers import ByteBPE
from llmbook.training import fit, teacher_forced, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    vocab_size: int = 4000
    d_model: int = 192
    num_heads: int = 6
    num_layers: int = 3
    dropout: float = 0.1
    max_seq_len: int = 256
    tokens_per_batch: int = 1500
    steps: int = 3600
    peak: float = 1.5e-3
    warmup_steps: int = 300
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.01
    clip: float = 1.0
    label_smoothing: float = 0.1
    autocast: str = "bfloat16"


CONFIGS = {"translator": Config()}
SEEDS = (0,)
DATA = (
    "libreoffice/help.jsonl.gz",
    "interface/libreoffice.jsonl.gz",
    "interface/python.jsonl.gz",
    "hsk/sentences.jsonl.gz",
)


def train(config: Config, seed: int, *, fit: Callable = fit) -> Translator:
    pairs = translation_mixture()
    texts = [text for pair in pairs for text in (pair.zh, pair.en)]
    tokenizer = ByteBPE.train(texts, config.vocab_size, special_tokens=SPECIAL_TOKENS)
    encoded = [(tokenizer.encode(pair.zh), tokenizer.encode(pair.en)) for pair in pairs]
    short = [pair for pair in encoded if max(map(len, pair)) <= LONGEST]
    torch.manual_seed(seed)
    sizes = TransformerConfig(
        config.vocab_size, d_model=config.d_model, num_heads=config.num_heads, num_layers=config.num_layers,
        dropout=config.dropout, max_seq_len=config.max_seq_len, norm_first=True,
    )  # fmt: skip
    model = Transformer(sizes)
    fit(
        model,
        translation_batches(short, tokenizer, tokens_per_batch=config.tokens_per_batch, seed=seed),
        loss=partial(teacher_forced, label_smoothing=config.label_smoothing),
        optimizer=torch.optim.AdamW(model.parameters(), betas=config.betas, weight_decay=config.weight_decay),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        autocast=getattr(torch, config.autocast),
        seed=seed,
    )
    with torch.no_grad():
        for parameter in model.parameters():  # as it is shipped
            parameter.copy_(parameter.half())
    return Translator(model.eval(), tokenizer)


def export(translator: Translator, config: Config, folder: Path) -> None:
    save_translator(folder, translator.model, translator.tokenizer)


@torch.no_grad()
def evaluate(translator: Translator, config: Config, *, limit: int | None = None) -> dict[str, float]:
    pairs = translation_pairs().test[:limit]
    encoded = [(translator.tokenizer.encode(pair.zh), translator.tokenizer.encode(pair.en)) for pair in pairs]
    short = [pair for pair in encoded if max(map(len, pair)) <= LONGEST][:300]
    batch = collate_ids(short, translator.tokenizer)
    written, right = translator.translate([pair.zh for pair in pairs]), [[pair.en] for pair in pairs]
    return {
        "loss": teacher_forced(translator.model, batch).mean.item(),
        "bleu": corpus_bleu(written, right).score,
        "chrf": corpus_chrf(written, right),
        "parameters": sum(parameter.numel() for parameter in translator.model.parameters()),
    }
