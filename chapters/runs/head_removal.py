"""What does the shipped translator lose without one of its heads, and where do its heads look?

Book: §1.2.3
"""

import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange

from llmbook.data import Batch, collate_ids, translation_pairs
from llmbook.evaluation import corpus_bleu
from llmbook.generation import load_translator
from llmbook.models import Transformer, attention_maps, without_head
from llmbook.nn import MultiHeadAttention, causal_mask


@dataclass(frozen=True, kw_only=True)
class Config:
    num_paragraphs: int = 300
    max_characters: int = 40
    alignment_rounds: int = 5


CONFIGS = {"translator": Config()}
SEEDS = (0,)
DATA = (
    "libreoffice/help.jsonl.gz",
    "weights/translator/model.safetensors",
    "weights/translator/config.json",
    "weights/translator/tokenizer.json",
)


def measure(config: Config, seed: int, *, limit: int | None = None) -> dict[str, float | list[float]]:
    """BLEU and loss of the whole model and without each head, and how each head spreads its weight.

    Lists have an entry a head: encoder, then decoder, then cross-attention; in each layer by layer, in each layer head
    by head. Those called "evenly …" have one for each of the three: a head that gives all visible tokens equal weight.
    """
    translator, parts = load_translator(), translation_pairs()
    model, tokenizer = translator.model, translator.tokenizer
    short = [pair for pair in parts.test if len(pair.zh) <= config.max_characters and re.search("[一-鿿]", pair.zh)]
    pairs = short[:: len(short) // config.num_paragraphs][: config.num_paragraphs][:limit]
    encoded = [(tokenizer.encode(pair.zh), tokenizer.encode(pair.en)) for pair in pairs]
    batch = collate_ids(encoded, tokenizer)

    def bleu() -> float:
        return corpus_bleu(translator.translate([pair.zh for pair in pairs]), [[pair.en] for pair in pairs]).score

    whole, tokens = nats(model, batch), (batch.targets >= 0).sum().item()
    result: dict[str, float | list[float]] = {"bleu": bleu(), "loss": whole.sum().item() / tokens}
    rows = []
    for layers in attentions(model):
        for layer in layers:
            for head in range(layer.num_heads):
                with without_head(layer, head):
                    rise = nats(model, batch) - whole
                    error = rise.std().item() * len(pairs) ** 0.5 / tokens
                    rows.append((bleu(), rise.sum().item() / tokens, error))
    result |= zip(("bleu without", "loss rise", "loss rise error"), map(list, zip(*rows, strict=True)), strict=True)

    eos = tokenizer.special_ids["<eos>"]
    training = [pair for pair in parts.train if len(pair.zh) <= config.max_characters]
    known = [(tokenizer.encode(pair.zh), tokenizer.encode(pair.en)) for pair in training]
    with_eos = [([*source, eos], [*target, eos]) for source, target in known + encoded]
    aligned = ibm_model_1(with_eos, tokenizer.vocab_size, config.alignment_rounds)[-len(encoded) :]
    for name, values in all_roles(model, batch, aligned, tokenizer).items():
        result[name] = values
    return result


def attentions(model: Transformer) -> list[list[MultiHeadAttention]]:
    """The self-attention of the encoder's layers, that of the decoder's, and the decoder's cross-attention."""
    return [
        [block.self_attention for block in model.encoder],
        [block.self_attention for block in model.decoder],
        [block.cross_attention for block in model.decoder],
    ]


@torch.no_grad()
def nats(model: Transformer, batch: Batch) -> torch.Tensor:
    """−log p of each paragraph's reference."""
    logits = model(batch.source_ids, batch.target_ids, source_mask=batch.source_mask, target_mask=batch.target_mask)
    of_target = logits.log_softmax(dim=-1).gather(-1, batch.targets.clamp(min=0)[..., None])[..., 0]
    return -(of_target * (batch.targets >= 0)).sum(dim=1)


def ibm_model_1(pairs: list[tuple[list[int], list[int]]], vocab_size: int, rounds: int) -> list[np.ndarray]:
    """For each pair, the source place that each target token is most likely a translation of.

    Expectation maximization of t(target | source), which starts even and knows nothing of order (Brown et al. 1993, model 1).
    """
    source = np.concatenate([np.repeat(f, len(e)) for f, e in pairs])
    target = np.concatenate([np.tile(e, len(f)) for f, e in pairs])
    starts = np.cumsum([0] + [len(e) for _, e in pairs])
    slot = np.concatenate(
        [np.tile(np.arange(len(e)) + start, len(f)) for (f, e), start in zip(pairs, starts, strict=False)]
    )
    words, word = np.unique(source * vocab_size + target, return_inverse=True)
    t = np.ones(len(words))
    for _ in range(rounds):
        share = t[word] / np.bincount(slot, t[word])[slot]  # of each source token in each target token
        count = np.bincount(word, share)
        t = count / np.bincount(words // vocab_size, count)[words // vocab_size]
    blocks = np.split(t[word], np.cumsum([len(f) * len(e) for f, e in pairs])[:-1])
    return [block.reshape(len(f), len(e)).argmax(axis=0) for block, (f, e) in zip(blocks, pairs, strict=True)]


def all_roles(model: Transformer, batch: Batch, aligned: list[np.ndarray], tokenizer) -> dict[str, list[float]]:
    """The roles of all heads. A token's home is, in self-attention, its own place, in cross-attention what it translates."""
    batch_size, longest = batch.target_ids.shape
    translated = torch.zeros_like(batch.target_ids)
    for row, places in zip(translated, aligned, strict=True):
        row[: len(places)] = torch.from_numpy(places)
    source_places = torch.arange(batch.source_ids.shape[1]).expand_as(batch.source_ids)
    target_places = torch.arange(longest).expand(batch_size, -1)
    past = causal_mask(longest) & batch.target_mask[:, None]
    homes = [
        (
            source_places,
            batch.source_mask,
            batch.source_ids,
            batch.source_mask[:, None].expand(-1, source_places.shape[1], -1),
        ),
        (target_places, batch.target_mask, batch.target_ids, past),
        (translated, batch.target_mask, batch.source_ids, batch.source_mask[:, None].expand(-1, longest, -1)),
    ]
    punctuation = torch.tensor([is_punctuation(tokenizer.decode([id_])) for id_ in range(tokenizer.vocab_size)])
    special = torch.zeros_like(punctuation)
    special[list(tokenizer.special_ids.values())] = True
    found: dict[str, list[float]] = {}
    for layers, (home, real, keys, visible) in zip(attentions(model), homes, strict=True):
        maps = attention_maps(layers, lambda: nats(model, batch))
        weights = rearrange(maps, "layer batch head query key -> (layer head) batch query key")
        evenly = (visible / visible.sum(dim=-1, keepdim=True)).nan_to_num()[None]
        kinds = {"punctuation": punctuation[keys], "special": special[keys]}
        for prefix, these in (("", weights), ("evenly ", evenly)):
            for name, values in roles(these, home, real, kinds).items():
                found.setdefault(prefix + name, []).extend(values.tolist())
    return found


def roles(weights: torch.Tensor, home: torch.Tensor, real: torch.Tensor, kinds: dict) -> dict[str, torch.Tensor]:
    """Of weights [head, batch, query, key], means over the real queries, for each head."""

    def mean(values: torch.Tensor, counted: torch.Tensor = real) -> torch.Tensor:
        return values[:, counted].mean(dim=1)

    def on(weights: torch.Tensor, place: torch.Tensor) -> torch.Tensor:
        return weights.gather(-1, place.expand(weights.shape[:-1])[..., None])[..., 0]

    return {
        "home": mean(on(weights, home)),
        "previous": mean(on(weights[:, :, 1:], home[:, :-1]), real[:, 1:]),  # the home of the query before
        "next": mean(on(weights[:, :, :-1], home[:, 1:]), real[:, 1:]),
        "first": mean(weights[..., 0]),
        **{name: mean((weights * of[:, None]).sum(dim=-1)) for name, of in kinds.items()},
        "largest is home": mean((weights.argmax(dim=-1) == home).float()),
        "largest": mean(weights.amax(dim=-1)),
        "entropy": mean(torch.special.entr(weights).sum(dim=-1)),
    }


def is_punctuation(text: str) -> bool:
    return bool(text.strip()) and all(unicodedata.category(character)[0] == "P" for character in text.strip())
