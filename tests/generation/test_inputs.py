"""What generation refuses: greedy, drawn and searched for alike; what a row takes, counted."""

import math

import pytest
import torch
from typer.testing import CliRunner

from llmbook.cli.main import app
from llmbook.data.translation_batches import SPECIAL_TOKENS
from llmbook.generation import Translator, beam_search, generate
from llmbook.models import Seq2Seq, Seq2SeqConfig, SequenceModel, SequenceModelConfig, Transformer, TransformerConfig
from llmbook.nn import LayerCache
from llmbook.tokenizers import ByteBPE

VOCAB = 7
SIZES = {"d_model": 8, "num_heads": 2, "num_layers": 3, "max_seq_len": 64}


class Cache:
    def reorder(self, rows):
        pass


class Rows:
    """The same logits for each row, which the second prompt may spoil; its sizes are not known."""

    def __init__(self, row=None):
        self.logits = torch.zeros(2, 1, VOCAB)
        self.calls = 0
        if row is not None:
            self.logits[1] = torch.tensor(row)

    def make_cache(self, batch_size):
        return Cache()

    def forward(self, token_ids, *, token_mask=None, cache=None):
        self.calls += 1
        return self.logits.repeat_interleave(len(token_ids) // 2, dim=0).expand(-1, token_ids.shape[1], -1)


class OneToken(Rows):
    def forward(self, token_ids, *, token_mask=None, cache=None):
        return torch.zeros(*token_ids.shape, 1)


def greedy(model, token_ids, **options):
    return generate(model, token_ids, temperature=0, **{"max_new_tokens": 2, **options})


def drawn(model, token_ids, **options):
    return generate(model, token_ids, temperature=0.7, **{"max_new_tokens": 2, **options})


def searched(model, token_ids, **options):
    return beam_search(model, token_ids, num_beams=2, **{"max_new_tokens": 2, **options})


WAYS = [greedy, drawn, searched]
PROMPTS = torch.tensor([[1], [2]])


@pytest.mark.messages
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "row",
    [
        [0.0, math.nan, 0, 0, 0, 0, 0],
        [math.nan] * VOCAB,
        [-math.inf] * VOCAB,
        [0.0, math.inf, 0, 0, 0, 0, 0],
        [math.inf, -math.inf, 0, 0, 0, 0, math.nan],
    ],
)
def test_logits_without_probabilities_are_named_with_their_row(way, row):
    expected = (
        r"logits must be finite or -inf, not all -inf; row [12] gives NaN probabilities"  # of four beams the third
    )
    with pytest.raises(ValueError, match=expected):
        way(Rows(row), PROMPTS)


@pytest.mark.parametrize("way", WAYS)
def test_one_that_is_finite_is_enough(way):
    found = way(Rows([-math.inf] * 6 + [-3.0]), PROMPTS)
    ids = found.token_ids[:, 0] if way is searched else found
    assert ids[1].tolist() == [2, 6, 6]


@pytest.mark.messages
def test_a_temperature_that_makes_infinity_of_logits_is_named():
    with pytest.raises(ValueError, match="row 1 gives NaN"):
        generate(Rows([1e30] * VOCAB), PROMPTS, max_new_tokens=1, temperature=1e-30)


@pytest.mark.messages
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("token_ids", "options", "message"),
    [
        (torch.tensor([1, 2]), {}, r"got token_ids of shape \(2,\)"),
        (torch.ones(2, 1), {}, "token_ids are torch.float32; expected integers"),
        (torch.ones(2, 1, dtype=torch.bool), {}, "token_ids are torch.bool; expected integers"),
        ([[1], [2]], {}, r"token_ids are a list; expected a tensor \[batch, tokens\]"),
        (PROMPTS.to("meta"), {}, "token_ids are on the meta device, where no token has a value"),
        (PROMPTS, {"max_new_tokens": -1}, "max_new_tokens is -1; expected at least"),
        (PROMPTS, {"max_new_tokens": 2.0}, r"max_new_tokens is 2.0; expected at least .*, an integer"),
        (PROMPTS, {"max_new_tokens": True}, "max_new_tokens is True; expected at least"),
        (PROMPTS, {"max_new_tokens": 10**12}, "MiB; the budget is 2048 MiB, enough for 0 rows"),
        (PROMPTS, {"budget": 23}, "rows of 24 bytes, 0 MiB; the budget is 0 MiB, enough for 0 rows"),
    ],
)
def test_what_is_asked_is_looked_at_before_any_work(way, token_ids, options, message):
    model = Rows()
    with pytest.raises(ValueError, match=message):
        way(model, token_ids, **options)
    assert model.calls == 0


@pytest.mark.messages
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("eos_id", [VOCAB, -1, 10**9, 1.0, True])
def test_an_end_that_the_vocabulary_lacks_is_named(way, eos_id):
    with pytest.raises(ValueError, match=f"eos_id is {eos_id}; expected 0 <= eos_id < vocab_size = {VOCAB}"):
        way(Rows(), PROMPTS, eos_id=eos_id)


@pytest.mark.messages
def test_padding_that_the_vocabulary_lacks_is_named():
    with pytest.raises(ValueError, match="pad_id is -100; expected 0 <= pad_id < vocab_size = 7"):
        generate(Rows(), PROMPTS, max_new_tokens=1, eos_id=1, pad_id=-100)


@pytest.mark.messages
def test_the_beams_of_a_long_search_are_counted_without_a_great_power():
    with pytest.raises(ValueError, match="num_beams is 3; 1 tokens make 1 sequences of length 100000"):
        beam_search(OneToken(), torch.tensor([[0]]), num_beams=3, max_new_tokens=100_000)


def sequence_model(mixer):
    return SequenceModel(SequenceModelConfig(vocab_size=VOCAB, mixer=mixer, **SIZES)).eval()


def conditioned(model):
    return model.eval().conditioned(torch.ones(2, 5, dtype=torch.long))


def transformer():
    return Transformer(TransformerConfig(VOCAB, **SIZES))


def seq2seq(*, attention):
    return Seq2Seq(Seq2SeqConfig(VOCAB, d_model=8, attention=attention))


MODELS = {
    "Transformer": lambda: conditioned(transformer()),
    "Transformer in double precision": lambda: conditioned(transformer().double()),
    "Seq2Seq": lambda: conditioned(seq2seq(attention=True)),
    "Seq2Seq without attention": lambda: conditioned(seq2seq(attention=False)),
    **{mixer: lambda mixer=mixer: sequence_model(mixer) for mixer in ("attention", "recurrence", "convolution")},
}


def kept_by(model, cache):
    """The tensors that the model and the cache keep for their rows."""
    tensors = [part for context in getattr(model, "contexts", ()) for part in context]
    tensors += [model.memory] if hasattr(model, "memory") else []
    if hasattr(model, "encoded"):  # with attention, keys and values are made of the memory anew
        tensors += [model.encoded.memory] * (1 if model.model.attention is None else 3)
    for layer in cache.layers:
        tensors += [layer.key, layer.value] if isinstance(layer, LayerCache) else layer.state
    return tensors


@pytest.mark.parametrize("name", MODELS)
def test_what_a_row_takes_is_what_is_kept_a_layer_more_and_four_times_the_scores(name):
    model, length = MODELS[name](), 9
    cache = model.make_cache(2)
    with torch.no_grad():
        logits = model.forward(torch.ones(2, length, dtype=torch.long), cache=cache)
    kept = sum(tensor[0].numel() for tensor in kept_by(model, cache))
    said = model.row_bytes(length) / logits.element_size() - 4 * VOCAB
    assert kept < said < 2.5 * kept
    if name.startswith("Transformer") or name in ("attention", "recurrence"):
        fixed = model.memory[0].numel() if hasattr(model, "memory") else 0
        assert said - fixed == (kept - fixed) * 4 / 3  # of three layers


@pytest.mark.messages
@pytest.mark.parametrize("name", MODELS)
def test_more_rows_than_the_budget_holds_are_refused_and_as_many_are_not(name):
    model = MODELS[name]()
    each = 8 * 3 + model.row_bytes(3)
    beam_search(model, PROMPTS, num_beams=3, max_new_tokens=2, budget=6 * each)
    with pytest.raises(ValueError, match=rf"2 prompts of 1 tokens, .* num_beams 4 make 8 rows of {each} bytes"):
        beam_search(model, PROMPTS, num_beams=4, max_new_tokens=2, budget=8 * each - 1)
    greedy(model, PROMPTS, budget=2 * each)
    with pytest.raises(ValueError, match=rf"2 prompts of 1 tokens and max_new_tokens 2 make 2 rows of {each} bytes"):
        greedy(model, PROMPTS, budget=2 * each - 1)


@pytest.fixture
def translator():
    tokenizer = ByteBPE.train(["打开文件。Open the file."], 270, special_tokens=SPECIAL_TOKENS)
    config = TransformerConfig(tokenizer.vocab_size, **{**SIZES, "max_seq_len": 256})
    return Translator(Transformer(config).eval(), tokenizer)


@pytest.mark.messages
def test_a_translator_counts_the_largest_batch_before_it_reads_a_text(translator, monkeypatch):
    def never(*_, **__):
        raise AssertionError("it has begun to work")

    monkeypatch.setattr(Transformer, "encode", never)
    for options, message in (
        ({"num_beams": 10**7}, r"3 texts at a time and num_beams 10000000 make 30000000 rows of .* 2048 MiB"),
        ({"num_beams": 10**7, "batch_size": 1}, "1 texts at a time and num_beams 10000000 make 10000000 rows"),
        ({"budget": 10_000}, "3 texts at a time and num_beams 1 make 3 rows"),
        ({"num_beams": 0}, "num_beams is 0; expected at least 1"),
        ({"num_beams": 2.0}, r"num_beams is 2.0; expected at least 1, an integer"),
        ({"batch_size": 0}, "batch_size is 0; expected at least 1"),
        ({"batch_size": -1}, "batch_size is -1; expected at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            translator.translate(["打开文件。", "打开。", "文件"], **options)


@pytest.mark.messages
def test_the_command_refuses_ten_million_beams_at_once():
    done = CliRunner().invoke(app, ["translate", "--beams", "10000000", "打开文件。"])
    assert isinstance(done.exception, ValueError)
    assert "num_beams 10000000 make 10000000 rows" in str(done.exception)
