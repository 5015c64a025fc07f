"""Batches of about equally many tokens."""

import random
from collections import Counter

import pytest
import torch

from llmbook.data.translation_batches import BOS, EOS, PAD, SPECIAL_TOKENS, collate_ids, translation_batches
from llmbook.tokenizers import ByteBPE

TOKENIZER = ByteBPE.train(["ab"], 259, special_tokens=SPECIAL_TOKENS)
PAD_ID, BOS_ID, EOS_ID = (TOKENIZER.special_ids[name] for name in (PAD, BOS, EOS))
RNG = random.Random(0)
PAIRS = [([1 + i % 200] * RNG.randrange(1, 60), [i % 250] * RNG.randrange(1, 60)) for i in range(500)]
TOKENS = sum(max(len(source), len(target)) + 1 for source, target in PAIRS)


def test_a_batch_by_hand():
    batch = collate_ids([([5, 6], [7]), ([8], [9, 10])], TOKENIZER)
    assert batch.source_ids.tolist() == [[5, 6, EOS_ID], [8, EOS_ID, PAD_ID]]
    assert batch.source_mask.tolist() == [[True, True, True], [True, True, False]]
    assert batch.target_ids.tolist() == [[BOS_ID, 7, PAD_ID], [BOS_ID, 9, 10]]
    assert batch.targets.tolist() == [[7, EOS_ID, -100], [9, 10, EOS_ID]]
    assert batch.target_mask.tolist() == [[True, True, False], [True, True, True]]


def test_each_epoch_holds_every_pair_once_in_batches_of_about_the_asked_size():
    batches = translation_batches(PAIRS, TOKENIZER, tokens_per_batch=400, seed=0)
    per_epoch = -(-TOKENS // 400)
    for epoch in range(2):
        made = [batches(epoch * per_epoch + position) for position in range(per_epoch)]
        seen = Counter(tuple(row[row != PAD_ID].tolist()) for batch in made for row in batch.source_ids)
        assert seen == Counter((*source, EOS_ID) for source, _ in PAIRS)
        tokens = [torch.maximum(b.source_mask.sum(1), b.target_mask.sum(1)).sum().item() for b in made]
        assert max(tokens) <= 400 + 61
        padded = sum(b.source_ids.numel() + b.target_ids.numel() for b in made)
        real = sum((b.source_mask.sum() + b.target_mask.sum()).item() for b in made)
        assert real / padded > 0.6


def test_a_batch_depends_on_seed_and_step_only():
    batches, other = (translation_batches(PAIRS, TOKENIZER, tokens_per_batch=400, seed=seed) for seed in (0, 1))
    later = batches(7)
    assert torch.equal(
        later.source_ids, translation_batches(PAIRS, TOKENIZER, tokens_per_batch=400, seed=0)(7).source_ids
    )
    assert batches(0).source_ids.tolist() != other(0).source_ids.tolist()


@pytest.mark.messages
def test_bad_input_is_refused():
    for pairs, size in (([], 100), ([([], [1])], 100), ([([1], [2])], 0)):
        with pytest.raises(ValueError, match=f"got {len(pairs)} pairs, .* tokens_per_batch {size}"):
            translation_batches(pairs, TOKENIZER, tokens_per_batch=size, seed=0)
    with pytest.raises(ValueError, match="a pair has 21 tokens; a batch gets 8 of tokens_per_batch 10"):
        translation_batches([([1] * 20, [2]), ([1], [2])], TOKENIZER, tokens_per_batch=10, seed=0)
