"""Chinese to English by a recurrent network, one with attention, and a Transformer of the same size, as long as the book's translator.

Book: §1.1.1
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import torch
from torch import nn

from llmbook.data import collate_ids, translation_batches, translation_mixture, translation_pairs, vendored
from llmbook.data.translation_batches import BOS, EOS
from llmbook.evaluation import corpus_bleu
from llmbook.generation import generate
from llmbook.generation.translator import LONGEST
from llmbook.models import Seq2Seq, Seq2SeqConfig, Transformer, TransformerConfig
from llmbook.nn.fused_lstm import fuse
from llmbook.tokenizers import ByteBPE
from llmbook.training import fit, teacher_forced, warmup_cosine
from llmbook.training.tensor_file import write_tensors


@dataclass(frozen=True, kw_only=True)
class Config:
    kind: str
    d_model: int
    tokens_per_batch: int = 1500
    steps: int = 3600
    peak: float = 3e-3
    warmup_steps: int = 300
    betas: tuple[float, float] = (0.9, 0.98)
    dropout: float = 0.1
    clip: float = 1.0
    label_smoothing: float = 0.1


CONFIGS = {  # widths such that all have about 1.44 million parameters
    "LSTM": Config(kind="lstm", d_model=162),
    "LSTM with attention": Config(kind="lstm with attention", d_model=154),
    "Transformer": Config(kind="transformer", d_model=128),
}
SEEDS = (0, 1, 2)
RATES = (2e-3, 4e-3, 8e-3, 1.6e-2)
SWEEP_SEEDS = (10,)
SWEEP_STEPS = 600
MILESTONES = (150, 300, 600, 1200, 1800, 2400, 3000, 3600)
DATA = (
    "libreoffice/help.jsonl.gz",
    "interface/libreoffice.jsonl.gz",
    "interface/python.jsonl.gz",
    "hsk/sentences.jsonl.gz",
    "weights/translator/tokenizer.json",
)
LENGTHS = ((1, 10), (11, 20), (21, 30), (31, 45), (46, 70), (71, LONGEST))  # tokens of the source, from … to


@cache
def encoded() -> tuple[list, list, list, ByteBPE]:
    """The pairs for training, and those of the validation and the test part, that are short enough, as ids."""
    tokenizer = ByteBPE.load(vendored(DATA[-1]))

    def ids(pairs) -> list:
        both = [(tokenizer.encode(pair.zh), tokenizer.encode(pair.en)) for pair in pairs]
        return [pair for pair in both if max(map(len, pair)) <= LONGEST]

    return ids(translation_mixture()), ids(translation_pairs().validation), ids(translation_pairs().test), tokenizer


def build(config: Config, vocab_size: int) -> nn.Module:
    if config.kind != "transformer":
        attention = config.kind == "lstm with attention"
        sizes = Seq2SeqConfig(vocab_size, d_model=config.d_model, attention=attention, dropout=config.dropout)
        return Seq2Seq(sizes)
    return Transformer(TransformerConfig(
        vocab_size, d_model=config.d_model, num_heads=4, num_layers=2, dropout=config.dropout, max_seq_len=256,
        norm_first=True,
    ))  # fmt: skip


def train(config: Config, seed: int, *, fit: Callable = fit) -> nn.Module:
    pairs, _, _, tokenizer = encoded()
    torch.manual_seed(seed)
    model = build(config, tokenizer.vocab_size)
    fuse(model)
    fit(
        model,
        translation_batches(pairs, tokenizer, tokens_per_batch=config.tokens_per_batch, seed=seed),
        loss=partial(teacher_forced, label_smoothing=config.label_smoothing),
        optimizer=torch.optim.AdamW(model.parameters(), betas=config.betas),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )
    return model.eval()


def export(model: nn.Module, config: Config, folder: Path) -> None:
    """The weights in float16, for the chapter to write with; the tokenizer is the translator's."""
    tensors = {name: parameter.detach().half() for name, parameter in model.named_parameters()}
    write_tensors(folder / f"{config.kind.replace(' ', '-')}.safetensors", tensors, {})


def written(model: nn.Module, pairs: list, tokenizer: ByteBPE, batch_size: int = 64) -> list[str]:
    """The greedy translation of each source."""
    bos, eos = (tokenizer.special_ids[name] for name in (BOS, EOS))
    order = sorted(range(len(pairs)), key=lambda row: len(pairs[row][0]))
    texts = [""] * len(pairs)
    for start in range(0, len(order), batch_size):
        rows = order[start : start + batch_size]
        batch = collate_ids([pairs[row] for row in rows], tokenizer)
        decoder = model.conditioned(batch.source_ids, source_mask=batch.source_mask)
        prompt = torch.full((len(rows), 1), bos)
        longest = min(LONGEST, 10 + 3 * batch.source_ids.shape[1])
        ids = generate(decoder, prompt, max_new_tokens=longest, temperature=0.0, eos_id=eos)
        for row, line in zip(rows, ids[:, 1:].tolist(), strict=True):
            texts[row] = tokenizer.decode(line[: line.index(eos)] if eos in line else line)
    return texts


def spread(pairs: list, number: int | None) -> list:
    """So many of them, evenly spread."""
    return pairs[:: max(1, len(pairs) // number)][:number] if number else pairs


def loss_on(model: nn.Module, pairs: list, tokenizer: ByteBPE) -> float:
    """Nats a token, with the right prefix and without label smoothing."""
    pairs = sorted(pairs, key=lambda pair: len(pair[0]))
    parts = [pairs[start : start + 32] for start in range(0, len(pairs), 32)]
    losses = [teacher_forced(model, collate_ids(part, tokenizer)) for part in parts]
    return sum(part.count * part.mean.item() for part in losses) / sum(part.count for part in losses)


@torch.no_grad()
def evaluate(model: nn.Module, config: Config, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """BLEU of the greedy translations of the test part, and the loss with the right prefix: of all, and by the source's length."""
    _, _, test, tokenizer = encoded()
    test = spread(test, limit)
    texts = written(model, test, tokenizer)
    right = [[tokenizer.decode(target)] for _, target in test]

    def score(rows: list[int]) -> tuple[float, float, float]:
        if not rows:
            return 0.0, 0.0, 0.0
        bleu = corpus_bleu([texts[row] for row in rows], [right[row] for row in rows])
        loss = loss_on(model, [test[row] for row in rows], tokenizer)
        return bleu.score, loss, bleu.hypothesis_length / bleu.reference_length

    by_length = [
        score([row for row, (source, _) in enumerate(test) if low <= len(source) <= high]) for low, high in LENGTHS
    ]
    bleu, loss, length = score(list(range(len(test))))
    return {
        "loss": loss,
        "bleu": bleu,
        "length_ratio": length,
        "bleu_by_length": [scores[0] for scores in by_length],
        "loss_by_length": [scores[1] for scores in by_length],
        "length_ratio_by_length": [scores[2] for scores in by_length],
        "sentences_by_length": [float(sum(low <= len(source) <= high for source, _ in test)) for low, high in LENGTHS],
        "parameters": float(sum(parameter.numel() for parameter in model.parameters())),
    }


@torch.no_grad()
def validate(model: nn.Module, config: Config, *, limit: int | None = None) -> float:
    """The loss on the validation part."""
    _, validation, _, tokenizer = encoded()
    return loss_on(model, spread(validation, limit), tokenizer)


@torch.no_grad()
def follow(model: nn.Module, config: Config, *, limit: int | None = None) -> dict[str, float]:
    """BLEU of the greedy translations, and the loss, of 300 pairs of the validation part."""
    _, validation, _, tokenizer = encoded()
    pairs = spread(validation, limit or 300)
    right = [[tokenizer.decode(target)] for _, target in pairs]
    bleu = corpus_bleu(written(model, pairs, tokenizer), right)
    return {"bleu": bleu.score, "loss": loss_on(model, pairs, tokenizer)}
