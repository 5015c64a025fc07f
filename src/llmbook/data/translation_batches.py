"""Batches of about equally many tokens, of sentences that are about equally long.

Book: §1.2.1
"""

import math
from collections.abc import Callable, Iterable

import torch

from llmbook import seeding
from llmbook.checks import is_integer, require_list
from llmbook.data.batch import Batch, batch_of
from llmbook.tokenizers import ByteBPE

PAD, BOS, EOS = SPECIAL_TOKENS = ("<pad>", "<bos>", "<eos>")


def translation_batches(
    pairs: Iterable[tuple[list[int], list[int]]],
    tokenizer: ByteBPE,
    *,
    tokens_per_batch: int,
    seed: int,
    device: str | torch.device = "cpu",
) -> Callable[[int], Batch]:
    """A function from the step to its batch that depends on nothing but step and seed.

    Each epoch goes once through all pairs: in order of length, with some noise that is new in each epoch, they are cut into pieces of about
    equally many tokens, and the pieces come in random order.

    Args:
        pairs: ids of source and target, without special tokens.
        tokens_per_batch: of the longer side, eos counted, before padding.

    Raises:
        ValueError: no pairs, something else than pairs of lists, an empty side, tokens_per_batch < 1, or a pair longer than an even share
            of an epoch. Iterators are as good as lists.
    """
    pairs = require_id_pairs(pairs)
    if (
        not pairs
        or not is_integer(tokens_per_batch)
        or tokens_per_batch < 1
        or any(not source or not target for source, target in pairs)
    ):
        empty = sum(not source or not target for source, target in pairs)
        raise ValueError(
            f"expected pairs without an empty side and tokens_per_batch >= 1; "
            f"got {len(pairs)} pairs, {empty} of them with an empty side, tokens_per_batch {tokens_per_batch}"
        )
    lengths = torch.tensor([max(len(source), len(target)) + 1 for source, target in pairs])
    batches_per_epoch = math.ceil(lengths.sum().item() / tokens_per_batch)
    if lengths.max() * batches_per_epoch > lengths.sum():  # some piece could be empty
        share = lengths.sum().item() / batches_per_epoch
        raise ValueError(
            f"a pair has {lengths.max().item()} tokens; a batch gets {share:.0f} of tokens_per_batch {tokens_per_batch}"
        )

    def batch(step: int) -> Batch:
        epoch, position = divmod(step, batches_per_epoch)
        rng = seeding.generator(seed, epoch)
        noise = 1 + 0.1 * torch.rand(len(pairs), generator=rng, dtype=torch.float64)
        order = (lengths * noise).argsort()
        piece = (lengths[order].cumsum(0) - 1) * batches_per_epoch // lengths.sum()
        chosen = torch.randperm(batches_per_epoch, generator=rng)[position]
        rows = order[piece == chosen].tolist()
        return collate_ids([pairs[row] for row in rows], tokenizer, device=device)

    return batch


def collate_ids(
    pairs: Iterable[tuple[list[int], list[int]]], tokenizer: ByteBPE, *, device: str | torch.device = "cpu"
) -> Batch:
    """One batch: the encoder reads x₁ … xₙ <eos>, the decoder <bos> y₁ … yₘ, and is to say y₁ … yₘ <eos>.

    Raises:
        ValueError: no pairs, something else than pairs of lists of ids, or a tokenizer without the special tokens.
    """
    pairs = require_id_pairs(pairs)
    missing = set(SPECIAL_TOKENS) - tokenizer.special_ids.keys()
    if missing:
        raise ValueError(
            f"the tokenizer has no {', '.join(sorted(missing))}; expected the special tokens {SPECIAL_TOKENS}"
        )
    pad_id, bos_id, eos_id = (tokenizer.special_ids[name] for name in SPECIAL_TOKENS)
    return batch_of(
        [[*source, eos_id] for source, _ in pairs],
        [target for _, target in pairs],
        pad_id=pad_id,
        bos_id=bos_id,
        eos_id=eos_id,
        device=device,
    )


def require_id_pairs(pairs: Iterable[Iterable[Iterable[int]]]) -> list[tuple[list[int], list[int]]]:
    """The two sides of each pair as lists, of iterators too.

    Raises:
        ValueError: something else than pairs of lists.
    """
    listed = []
    for number, pair in enumerate(require_list("pairs", pairs)):
        sides = require_list(f"pairs[{number}]", pair)
        if len(sides) != 2:
            raise ValueError(f"pairs[{number}] has {len(sides)} sides; expected source and target")
        listed.append((require_list("a source", sides[0]), require_list("a target", sides[1])))
    return listed
