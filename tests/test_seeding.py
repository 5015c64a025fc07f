"""A generator is a function of its seed and stream, and of nothing else."""

import torch

from llmbook import seeding


def draws(*seeds):
    return torch.rand(4, generator=seeding.generator(*seeds))


def test_a_seed_alone_is_torchs_manual_seed():
    torch.manual_seed(7)
    assert torch.equal(draws(7), torch.rand(4))


def test_the_global_generator_is_neither_used_nor_moved():
    before = torch.get_rng_state()
    first = draws(7, 1)
    torch.rand(3)
    second = draws(7, 1)
    assert torch.equal(first, second)
    torch.set_rng_state(before)
    draws(7, 1)
    assert torch.equal(torch.get_rng_state(), before)


def test_streams_differ():
    seen = [draws(0), draws(0, 0), draws(0, 1), draws(1, 0), draws(1), draws(0, 1, 0), draws(0, 10), draws(1, 0, 0)]
    assert len({tuple(row.tolist()) for row in seen}) == len(seen)
