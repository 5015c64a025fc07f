"""Whole models compiled, exported, mapped, without data, and copied: checks of values step aside, results stay.

Marked as the tests of messages are, because the shape hook cannot be traced.
"""

import copy
import io
import pickle

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


def conditioned(model, *batch):
    """What generation is given: the model itself, or its decoder with the source read."""
    if isinstance(model, SequenceModel):
        return model
    named = inputs(model, *batch)
    return model.conditioned(named["source_ids"], source_mask=named["source_mask"])


def test_mapped_with_a_cache(make):
    model = make()
    target, source = ids(3, 2, 4, seed=1), ids(3, 2, 5)

    def step_by_step(source, target):
        decoder = model if isinstance(model, SequenceModel) else model.conditioned(source)
        cache = decoder.make_cache(2)
        return torch.cat([decoder(part, cache=cache) for part in (target[:, :3], target[:, 3:])], dim=1)

    mapped = torch.vmap(step_by_step)(source, target)
    for i in range(3):
        close(mapped[i], step_by_step(source[i], target[i]))


def pickled(value):
    return pickle.loads(pickle.dumps(value))


def stored(value):
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled, stored])
@pytest.mark.parametrize("grad", [True, False])
def test_copied(make, copied, grad):
    model = make()
    named, target = inputs(model), ids(2, 4, seed=1)
    with torch.set_grad_enabled(grad):
        decoder = conditioned(model)
        twin, other = copied(model), copied(decoder)
        assert torch.equal(twin(**named), model(**named))
        assert torch.equal(other(target), decoder(target))
    if isinstance(model, Transformer | Seq2Seq):
        assert twin.output.weight is twin.state_dict(keep_vars=True)[tied(model)]
    for parameter in model.parameters():  # the copies have their own
        parameter.data.zero_()
    assert twin(**named).abs().max() > 0
    assert other(target).abs().max() > 0


def tied(model):
    return "target_embedding.weight" if isinstance(model, Transformer) else "embedding.weight"


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled, stored])
def test_a_copied_cache_goes_on_alone(make, copied):
    model = make()
    decoder, target = conditioned(model), ids(2, 4, seed=1)
    cache = decoder.make_cache(2)
    decoder(target[:, :3], cache=cache)
    other = copied(cache)
    expected = decoder(target[:, 3:], cache=cache)
    close(decoder(target[:, 3:], cache=other), expected)
    assert other.length == cache.length == 4


def test_without_data_a_decoder_is_repeated_and_copied(make):
    with torch.device("meta"):
        model = make()
    if isinstance(model, SequenceModel):
        pytest.skip("it has no source")
    decoder = copy.deepcopy(model.conditioned(ids(2, 5).to("meta")).repeated(3))
    logits = decoder(ids(6, 2).to("meta"), cache=decoder.make_cache(6))
    assert logits.is_meta
    assert logits.shape == (6, 2, VOCAB)


def test_what_was_read_moves_with_the_decoder(make):
    model = make()
    target = ids(2, 4, seed=1)
    single = conditioned(model)(target)
    double = conditioned(model).to(torch.float64)(target)
    assert double.dtype == torch.float64
    close(double.float(), single)
    assert conditioned(make()).to("meta")(target.to("meta")).is_meta
