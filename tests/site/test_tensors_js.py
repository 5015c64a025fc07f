"""The parts of models in the page are those of PyTorch and of `llmbook.nn`, each by itself."""

from collections.abc import Iterator

import pytest
import torch
from playwright.sync_api import Browser, Page
from torch import Tensor

from llmbook import paths
from llmbook.nn import FeedForward, LayerNorm, scaled_dot_product_attention

Given = dict[str, object]


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    page.set_content("<!doctype html><title>tensors</title>")
    page.add_script_tag(path=paths.root() / "site/_static/js/tensors.js")
    page.evaluate(
        """() => {
          window.matrix = rows => LLMBook.tensors.matrix(rows.length, rows[0].length, Float32Array.from(rows.flat()));
          window.rows = m => Array.from({length: m.rows}, (_, i) => Array.from(LLMBook.tensors.row(m, i)));
          window.layer = ({weight, bias, ...rest}) =>
            ({weight: weight[0].length ? matrix(weight) : Float32Array.from(weight), bias: bias && Float32Array.from(bias), ...rest});
        }"""
    )
    yield page
    page.close()


def plain(module: torch.nn.Module) -> Given:
    return {name: parameter.tolist() for name, parameter in module.named_parameters()}


def same(found: list, expected: Tensor) -> None:
    torch.testing.assert_close(torch.tensor(found), expected.detach(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("width", [1, 4, 7])
def test_linear_and_norm(page: Page, width: int) -> None:
    torch.manual_seed(width)
    x = torch.randn(3, width)
    for bias in (True, False):
        dense = torch.nn.Linear(width, 5, bias=bias)
        same(
            page.evaluate("([w, x]) => rows(LLMBook.tensors.linear(layer(w), matrix(x)))", [plain(dense), x.tolist()]),
            dense(x),
        )
    norm = LayerNorm(width, eps=1e-3)
    for parameter in norm.parameters():
        torch.nn.init.normal_(parameter)
    given = {**dict(zip(("weight", "bias"), map(Tensor.tolist, norm.parameters()), strict=True)), "eps": 1e-3}
    same(
        page.evaluate("([w, x]) => rows(LLMBook.tensors.layerNorm(layer(w), matrix(x)))", [given, x.tolist()]), norm(x)
    )


def test_the_feed_forward_network(page: Page) -> None:
    torch.manual_seed(0)
    network, x = FeedForward(6, 9), torch.randn(4, 6)
    found = page.evaluate(
        "([inner, outer, x]) => rows(LLMBook.tensors.feedForward({inner: layer(inner), outer: layer(outer)}, matrix(x)))",
        [plain(network.inner), plain(network.outer), x.tolist()],
    )
    same(found, network(x))


def test_softmax_of_large_numbers(page: Page) -> None:
    scores = [1000.0, 999.0, -1000.0]
    found = page.evaluate("scores => { LLMBook.tensors.softmax(scores); return scores; }", scores)
    same(found, torch.tensor(scores).softmax(0))


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("scale", [True, False])
def test_attention_of_two_heads_with_more_keys_than_queries(page: Page, causal: bool, scale: bool) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 8), torch.randn(5, 8), torch.randn(5, 8)
    found = page.evaluate(
        """([q, key, value, settings]) => {
          const {output, maps} = LLMBook.tensors.attend(matrix(q), {key: matrix(key), value: matrix(value)}, {numHeads: 2, ...settings});
          return [rows(output), maps.map(rows)];
        }""",
        [query.tolist(), key.tolist(), value.tolist(), {"causal": causal, "scale": scale}],
    )
    heads = [x.view(1, -1, 2, 4).transpose(1, 2) for x in (query if scale else query * 2, key, value)]
    mask = torch.ones(3, 5).tril(2).bool() if causal else None
    output, weights = scaled_dot_product_attention(*heads, mask=mask, return_weights=True)
    same(found[0], output.transpose(1, 2).reshape(3, 8))
    same(found[1], weights[0])


def test_embeddings_with_positions_that_count_from_where_the_text_goes_on(page: Page) -> None:
    torch.manual_seed(0)
    table, positions = torch.randn(7, 4), torch.randn(9, 4)
    found = page.evaluate(
        """([table, positions]) => rows(LLMBook.tensors.embed(matrix(table), [3, 0, 6],
            {name: "text", factor: 2, positions: matrix(positions), first: 5}))""",
        [table.tolist(), positions.tolist()],
    )
    same(found, 2 * table[[3, 0, 6]] + positions[5:8])
