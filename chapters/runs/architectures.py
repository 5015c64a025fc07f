"""Does 汉字 → 拼音 need an encoder and a decoder, or does one of them do alone?

The encoder alone gives each character its syllable, or "–" for none; it is told in training which character each syllable belongs to.
The decoder alone reads characters and syllables as one sequence. Both are the same stack of layers; the causal mask makes the difference.
Its syllables are numbered on from the characters, or from 0 anew, so that a syllable and its character have the same number, as they
have in the encoder and decoder.

Book: §1.2.1
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llmbook.data import IGNORED, Batch, PinyinPair, align, batches, collate, pinyin_pairs, polyphones
from llmbook.evaluation import pinyin_accuracy
from llmbook.generation import generate, transcribe
from llmbook.models import Transformer, TransformerConfig, initialize, positions_of
from llmbook.nn import FeedForward, LayerNorm, TransformerBlock, causal_mask, sinusoidal_encoding
from llmbook.tokenizers import Characters
from llmbook.training import cross_entropy, fit, warmup_cosine


@dataclass(frozen=True, kw_only=True)
class Config:
    kind: str
    num_layers: int
    counts_anew: bool = False
    d_model: int = 128
    num_heads: int = 4
    dropout: float = 0.2
    batch_size: int = 64
    steps: int = 1500
    peak: float = 2e-3
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.98)
    clip: float = 1.0


CONFIGS = {  # 2 + 2 layers have 56 d² weights, 5 layers 60 d²
    "encoder and decoder": Config(kind="both", num_layers=2),
    "encoder alone": Config(kind="encoder", num_layers=5),
    "decoder alone": Config(kind="decoder", num_layers=5),
    "decoder alone, counts anew": Config(kind="decoder", num_layers=5, counts_anew=True),
}
SEEDS = (0, 1, 2)
DATA = ("hsk/sentences.jsonl.gz",)
NONE = "–"


class Stack(nn.Module):
    """Layers without cross-attention: a decoder with the causal mask, an encoder without.

    One embedding holds the syllables, then the characters; the scores are those of the syllables.
    """

    def __init__(self, config: Config, num_characters: int, num_syllables: int):
        super().__init__()
        d_model, self.num_syllables = config.d_model, num_syllables
        self.is_causal, self.counts_anew = config.kind == "decoder", config.counts_anew
        self.embedding = nn.Embedding(num_syllables + num_characters, d_model)
        self.register_buffer("positions", sinusoidal_encoding(128, d_model), persistent=False)
        self.dropout = nn.Dropout(config.dropout)
        feed_forward = partial(FeedForward, dropout=config.dropout)
        block = partial(TransformerBlock, d_model, config.num_heads, 4 * d_model)
        self.layers = nn.ModuleList(
            block(feed_forward=feed_forward, dropout=config.dropout) for _ in range(config.num_layers)
        )
        self.norm = LayerNorm(d_model)
        initialize(self)

    def forward(self, token_ids: Tensor, *, token_mask: Tensor | None = None, cache: None = None) -> Tensor:
        real = torch.ones_like(token_ids).bool() if token_mask is None else token_mask
        order, is_syllable = positions_of(real), token_ids < self.num_syllables
        if self.counts_anew:
            order = torch.where(is_syllable, order - (real & ~is_syllable).sum(dim=1, keepdim=True), order)
        x = self.embedding(token_ids) * self.embedding.embedding_dim**0.5 + self.positions[order.clamp(min=0)]
        x, mask = self.dropout(x), real[:, None, None]
        if self.is_causal:
            mask = mask & causal_mask(token_ids.shape[1], token_ids.shape[1])
        for layer in self.layers:
            x = layer(x, mask=mask)
        return F.linear(self.norm(x), self.embedding.weight[: self.num_syllables])


def labelled(pair: PinyinPair) -> PinyinPair:
    """A syllable, or NONE, for each character: the second character of wánr (玩儿) has none, nor has punctuation."""
    labels = [NONE] * len(pair.characters)
    for place, syllable in zip(align(pair.characters, pair.syllables), pair.syllables, strict=True):
        labels[place[0]] = syllable
    return PinyinPair(pair.characters, tuple(labels))


PARTS = pinyin_pairs()
LABELLED = [labelled(pair) for pair in PARTS.train]
CHARACTERS = Characters.train([pair.characters for pair in PARTS.train])
SYLLABLES = Characters.train([pair.syllables for pair in LABELLED])


def scores(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """The logits of one batch and their targets."""
    if isinstance(model, Transformer):
        masks = {"source_mask": batch.source_mask, "target_mask": batch.target_mask}
        return model(batch.source_ids, batch.target_ids, **masks), batch.targets
    characters = batch.source_ids + SYLLABLES.vocab_size
    if not model.is_causal:
        length = characters.shape[1]
        targets = batch.targets[:, :length].masked_fill(~batch.source_mask, IGNORED)
        return model(characters, token_mask=batch.source_mask), targets
    joined, real = (torch.cat(two, dim=1) for two in (
        (characters, batch.target_ids), (batch.source_mask, batch.target_mask)))  # fmt: skip
    return model(joined, token_mask=real)[:, characters.shape[1] :], batch.targets


def train(config: Config, seed: int, *, fit: Callable = fit) -> nn.Module:
    torch.manual_seed(seed)
    if config.kind == "both":
        sizes = TransformerConfig(
            SYLLABLES.vocab_size, source_vocab_size=CHARACTERS.vocab_size, d_model=config.d_model,
            num_heads=config.num_heads, num_layers=config.num_layers, dropout=config.dropout,
            max_seq_len=64, norm_first=True,
        )  # fmt: skip
        model = Transformer(sizes)
    else:
        model = Stack(config, CHARACTERS.vocab_size, SYLLABLES.vocab_size)
    fit(
        model,
        batches(LABELLED if config.kind == "encoder" else PARTS.train, CHARACTERS, SYLLABLES,
                batch_size=config.batch_size, seed=seed),
        loss=lambda model, batch: cross_entropy(*scores(model, batch)),
        optimizer=torch.optim.AdamW(model.parameters(), betas=config.betas),
        clip=config.clip,
        schedule=partial(warmup_cosine, peak=config.peak, warmup_steps=config.warmup_steps, total_steps=config.steps),
        max_steps=config.steps,
        seed=seed,
    )  # fmt: skip
    return model.eval()


def written(model: nn.Module, pairs: list[PinyinPair]) -> list[tuple[str, ...]]:
    """The syllables that the model writes by itself."""
    if isinstance(model, Transformer):
        return transcribe(model, pairs, CHARACTERS, SYLLABLES)
    batch = collate(pairs, CHARACTERS, SYLLABLES)
    characters, real = batch.source_ids + SYLLABLES.vocab_size, batch.source_mask
    if not model.is_causal:
        ids = model(characters, token_mask=real).argmax(dim=-1).masked_fill(~real, SYLLABLES.encode([NONE])[0])
    else:
        begin = torch.full_like(real[:, :1], SYLLABLES.bos_id, dtype=torch.long)
        prompt, mask = torch.cat([characters, begin], dim=1), torch.cat([real, begin.bool()], dim=1)
        options = {"max_new_tokens": 60, "temperature": 0.0, "eos_id": SYLLABLES.eos_id, "use_cache": False}
        ids = generate(model, prompt, token_mask=mask, **options)[:, prompt.shape[1] :]
    rows = [row[: row.index(SYLLABLES.eos_id)] if SYLLABLES.eos_id in row else row for row in ids.tolist()]
    return [tuple(said for said in SYLLABLES.tokens(row) if said != NONE) for row in rows]


@torch.no_grad()
def evaluate(model: nn.Module, config: Config, *, limit: int | None = None) -> dict[str, float]:
    pairs = list(PARTS.test[:limit])
    labels = [labelled(pair) for pair in pairs] if config.kind == "encoder" else pairs
    right = pinyin_accuracy(written(model, pairs), pairs, polyphones=polyphones(PARTS.train))
    return {
        "loss": cross_entropy(*scores(model, collate(labels, CHARACTERS, SYLLABLES))).item(),
        "syllables": right.syllables,
        "polyphones": right.polyphones,
        "sentences": right.sentences,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
