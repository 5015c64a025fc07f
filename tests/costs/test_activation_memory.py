"""The formula against what autograd keeps, byte for byte: in all, and term by term."""

import pytest
import torch
from torch import nn

from llmbook.costs import activation_memory, recurrent_activation_memory, saved_tensors
from llmbook.models.sequence_model import Attention, Recurrence, SequenceModel, SequenceModelConfig
from llmbook.nn import FeedForward, LayerNorm
from llmbook.training import cross_entropy

SIZES = [  # batch, tokens, width, heads, layers, vocabulary
    (1, 16, 8, 1, 1, 11),
    (3, 16, 8, 2, 2, 50),
    (1, 64, 32, 4, 3, 7),
    (3, 64, 24, 3, 2, 101),
    (1, 256, 32, 8, 2, 30),
    (3, 256, 64, 2, 1, 30),
    (1, 512, 128, 4, 4, 1000),
    (3, 512, 16, 4, 2, 20),
    (2, 1, 8, 2, 2, 5),
]
SMALL = {"batch_size": 2, "seq_len": 8, "d_model": 4, "num_heads": 2, "num_layers": 3, "vocab_size": 10}
TYPES = {4: torch.float32, 2: torch.bfloat16}


def settings(sizes):
    return dict(zip(SMALL, sizes, strict=True))


def without_heads(sizes):
    return {name: size for name, size in sizes.items() if name != "num_heads"}


def measured(mixer, *, batch_size, seq_len, vocab_size, dtype=torch.float32, **sizes):
    """What training a model keeps."""
    torch.manual_seed(0)
    config = SequenceModelConfig(vocab_size=vocab_size, mixer=mixer, **sizes)
    model = SequenceModel(config).to(dtype)
    token_ids, targets = torch.randint(vocab_size, (2, batch_size, seq_len))
    return saved_tensors(lambda: cross_entropy(model(token_ids), targets), apart_from=[*model.parameters(), token_ids])


def bytes_of(saved, is_one):
    return sum(size for shape, size in saved.storages if is_one(shape))


@pytest.mark.parametrize("sizes", SIZES)
def test_the_total_is_what_training_keeps(sizes):
    sizes = settings(sizes)
    assert activation_memory(**sizes).total == measured("attention", **sizes).total


@pytest.mark.parametrize("sizes", SIZES[:4] + SIZES[-1:])
def test_the_total_of_a_recurrent_model_is_what_training_keeps(sizes):
    sizes = settings(sizes)
    assert recurrent_activation_memory(**without_heads(sizes)).total == measured("recurrence", **sizes).total


def test_the_total_in_bfloat16_is_what_training_keeps():
    sizes = settings(SIZES[3])
    half = activation_memory(**sizes, bytes_per_value=2)
    assert half.total == measured("attention", **sizes, dtype=torch.bfloat16).total
    recurrent = recurrent_activation_memory(**without_heads(sizes), bytes_per_value=2)
    assert recurrent.total == measured("recurrence", **sizes, dtype=torch.bfloat16).total
    assert half.logits == activation_memory(**sizes).logits  # the loss is computed in float32


@pytest.mark.parametrize("bytes_per_value", [4, 2])
@pytest.mark.parametrize("sizes", SIZES[:4])
def test_each_part_alone_keeps_its_term(sizes, bytes_per_value):
    sizes, dtype = settings(sizes), TYPES[bytes_per_value]
    batch, length, width, heads, layers, vocab_size = sizes.values()
    memory = activation_memory(**sizes, bytes_per_value=bytes_per_value)
    x = torch.rand(batch, length, width, dtype=dtype, requires_grad=True)
    real = torch.ones(batch, length, dtype=torch.bool)

    def kept(module, *inputs):
        module = module.to(dtype)
        return saved_tensors(lambda: module(*inputs), apart_from=[x, *module.parameters()]).total

    norm = nn.Sequential(LayerNorm(width), nn.Linear(width, 1))  # what comes out is kept by the layer that it feeds
    assert kept(norm, x) * (2 * layers + 1) == memory.norms
    config = SequenceModelConfig(vocab_size=vocab_size, mixer="attention", d_model=width, num_heads=heads)
    assert kept(Attention(config), x, real, real, None) * layers == memory.projections + memory.scores
    assert kept(FeedForward(width, 4 * width), x) * layers == memory.feed_forward
    states = kept(Recurrence(config), x, real, real, None) * layers
    recurrent = recurrent_activation_memory(**without_heads(sizes), bytes_per_value=bytes_per_value)
    assert (states, recurrent.projections, recurrent.scores) == (recurrent.states, 0, 0)
    logits = torch.rand(batch, length, vocab_size, dtype=dtype, requires_grad=True)
    targets = torch.randint(vocab_size, (batch, length))
    assert saved_tensors(lambda: cross_entropy(logits.clone(), targets)).total == memory.logits


def test_in_the_whole_model_the_terms_are_told_apart_by_their_shapes():
    sizes = settings((3, 40, 24, 3, 2, 101))
    saved, memory = measured("attention", **sizes), activation_memory(**sizes)
    assert bytes_of(saved, lambda shape: shape[-2:] == (40, 40)) == memory.scores == memory.quadratic
    assert bytes_of(saved, lambda shape: shape[-1] == 96) == memory.feed_forward
    assert bytes_of(saved, lambda shape: 101 in shape) == 3 * 40 * 101 * 4
    assert memory.linear == saved.total - memory.scores


def test_by_hand():
    memory = activation_memory(**SMALL)  # 16 tokens, 128 pairs
    assert memory.norms == 7 * 16 * (4 * 4 + 1) * 4
    assert memory.projections == 3 * 16 * (4 * 4 * 4 + 1)
    assert memory.scores == 3 * 128 * 2 * 4
    assert memory.feed_forward == 3 * 16 * 16 * 4
    assert memory.logits == 16 * (40 + 4 + 8 + 1)
    assert memory.total == memory.linear + memory.quadratic
    assert activation_memory(**SMALL, d_ff=5).feed_forward == 3 * 16 * 5 * 4


def test_twice_the_length_is_twice_the_linear_part_and_four_times_the_quadratic():
    short, long = activation_memory(**SMALL), activation_memory(**SMALL | {"seq_len": 16})
    assert (long.linear, long.quadratic) == (2 * short.linear, 4 * short.quadratic)
    short, long = (recurrent_activation_memory(**without_heads(SMALL | {"seq_len": length})) for length in (1000, 2000))
    assert long.quadratic == 0
    assert long.total == pytest.approx(2 * short.total, rel=1e-3)


def test_recurrence_is_the_thriftier_one_but_for_a_few_tokens():
    for length, thriftier in ((8, False), (32, True), (1024, True)):
        sizes = settings((1, length, 128, 4, 4, 100))
        recurrent = recurrent_activation_memory(**without_heads(sizes))
        assert (recurrent.total < activation_memory(**sizes).total) == thriftier


@pytest.mark.messages
@pytest.mark.parametrize("name", list(SMALL))
def test_sizes_below_one_are_named(name):
    with pytest.raises(ValueError, match=f"{name} is 0; expected at least 1"):
        activation_memory(**SMALL | {name: 0})
    if name != "num_heads":
        with pytest.raises(ValueError, match=f"{name} is -1; expected at least 1"):
            recurrent_activation_memory(**without_heads(SMALL) | {name: -1})


@pytest.mark.messages
def test_other_mistakes_are_named():
    with pytest.raises(ValueError, match="num_heads = 3 does not divide d_model = 4"):
        activation_memory(**SMALL | {"num_heads": 3})
    with pytest.raises(ValueError, match="d_ff is 0"):
        activation_memory(**SMALL, d_ff=0)
    for function, sizes in ((activation_memory, SMALL), (recurrent_activation_memory, without_heads(SMALL))):
        with pytest.raises(ValueError, match=r"bytes_per_value is 3; expected 4 \(float32\) or 2 \(bfloat16\)"):
            function(**sizes, bytes_per_value=3)
