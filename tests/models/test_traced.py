"""Whole models compiled, exported, mapped, and without data: checks of values step aside, results stay.

Marked as the tests of messages are, because the shape hook cannot be traced.
"""

import pytest
import torch

from llmbook.models import Seq2Seq, Seq2SeqConfig, SequenceModel, SequenceModelConfig, Transformer, TransformerConfig

pytestmark = pytest.mark.messages

VOCAB = 11
SIZES = {"d_model": 8, "num_heads": 2, "num_layers": 1, "dropout": 0.0, "max_seq_len": 12}


def transformer(positions):
    return Transformer(TransformerConfig(VOCAB, positions=positions, **SIZES))


def sequence_model(mixer):
    return SequenceModel(SequenceModelConfig(vocab_size=VOCAB, mixer=mixer, **SIZES))


def seq2seq(attention):
    return Seq2Seq(Seq2SeqConfig(VOCAB, d_model=8, attention=attention, dropout=0.0))


MODELS = {
    **{f"Transformer, {kind}": (transformer, kind) for kind in ("sinusoidal", "learned", "none")},
    **{f"SequenceModel, {mixer}": (sequence_model, mixer) for mixer in ("attention", "recurrence", "convolution")},
    **{f"Seq2Seq, {attention}": (seq2seq, attention) for attention in (True, False)},
}


@pytest.fixture(params=MODELS)
def make(request):
    build, kind = MODELS[request.param]

    def made():
        torch.manual_seed(0)
        return build(kind).eval()

    return made


def ids(*shape, seed=0):
    return torch.randint(VOCAB, shape, generator=torch.Generator().manual_seed(seed))


def inputs(model, *batch):
    """Ids and masks by the names that the model gives them; the last row is shorter."""
    if isinstance(model, SequenceModel):
        real = (torch.arange(4) < torch.tensor([[4], [2]])).expand(*batch, 2, 4)
        return {"token_ids": ids(*batch, 2, 4), "token_mask": real}
    real = (torch.arange(5) < torch.tensor([[5], [3]])).expand(*batch, 2, 5)
    return {
        "source_ids": ids(*batch, 2, 5),
        "target_ids": ids(*batch, 2, 4, seed=1),
        "source_mask": real,
        "target_mask": real[..., 1:],
    }


def without_masks(named):
    return {name: value for name, value in named.items() if not name.endswith("mask")}


def close(actual, expected):
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


def test_compiled(make):
    model = make()
    named = inputs(model)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    logits = compiled(**named)
    close(logits, model(**named))
    logits.square().sum().backward()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}
    model.zero_grad()
    model(**named).square().sum().backward()
    for name, gradient in found.items():
        close(gradient, model.get_parameter(name).grad)


def test_compiled_without_masks(make):
    model = make()
    named = without_masks(inputs(model))
    torch._dynamo.reset()
    close(torch.compile(model, backend="eager", fullgraph=True)(**named), model(**named))


@pytest.mark.parametrize("choose", [dict, without_masks])
def test_exported(make, choose):
    model = make()
    named = choose(inputs(model))
    exported = torch.export.export(model, (), kwargs=named)
    close(exported.module()(**named), model(**named))


@pytest.mark.parametrize("choose", [dict, without_masks])
def test_mapped(make, choose):
    model = make()
    named = choose(inputs(model, 3))
    mapped = torch.vmap(lambda given: model(**given))(named)
    for i in range(3):
        close(mapped[i], model(**{name: value[i] for name, value in named.items()}))


def test_gradients_of_each_example_at_once(make):
    model = make()
    named = without_masks(inputs(model, 3))
    parameters = dict(model.named_parameters())

    def loss(parameters, given):
        return torch.func.functional_call(model, parameters, (), given).square().mean()

    gradients = torch.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, named)
    loss(parameters, {name: value[1] for name, value in named.items()}).backward()
    for name, parameter in model.named_parameters():
        if parameter.grad is not None:
            close(gradients[name][1], parameter.grad)


@pytest.mark.parametrize("choose", [dict, without_masks])
def test_without_data(make, choose):
    named = choose(inputs(make()))
    with torch.device("meta"):
        model = make()
    logits = model(**{name: value.to("meta") for name, value in named.items()})
    assert logits.is_meta
    assert logits.shape == (2, 4, VOCAB)


def test_without_data_and_cached(make):
    with torch.device("meta"):
        model = make()
    if not isinstance(model, SequenceModel):
        model = model.conditioned(ids(2, 5).to("meta"), source_mask=torch.ones(2, 5, dtype=torch.bool, device="meta"))
    cache = model.make_cache(2)
    for new in (3, 1):
        assert model(ids(2, new).to("meta"), cache=cache).shape == (2, new, VOCAB)
    cache.reorder(torch.tensor([1, 1, 0], device="meta"))
    assert cache.mask.shape == (3, 4)


def test_made_on_the_meta_device_and_filled_it_computes_what_the_other_does(make):
    model = make()
    with torch.device("meta"):
        other = make()
    other.to_empty(device="cpu").load_state_dict(model.state_dict())
    named = inputs(model)
    assert torch.equal(other(**named), model(**named))
