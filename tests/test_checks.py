"""The checks that several modules make, and when the values of a tensor cannot be looked at."""

import jaxtyping
import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from llmbook import checks


def test_what_is_right_passes():
    checks.require_positive(d_model=1, num_heads=7)
    checks.require_at_least(0, step=0)
    checks.require_share(dropout=0.0)
    checks.require_even(d_model=2)
    checks.require_divides(num_heads=3, d_model=6)
    checks.require_above_zero(eps=1e-9)
    checks.require_one_of("norm", "pre", ("pre", "post"))
    checks.require_last(torch.zeros(2, 3), d_model=3)
    checks.require_sequence(torch.zeros(2, 3, 4), "context", d_model=4)
    checks.require_mask(torch.ones(2, 3, dtype=torch.bool), [2, 3])
    checks.require_indices(torch.tensor([[0, 4]]), "token ids", "id", vocab_size=5)
    checks.require_indices(torch.zeros(2, 0, dtype=torch.long), "token ids", "id", vocab_size=5)


@pytest.mark.messages
def test_what_is_an_integer():
    assert all(map(checks.is_integer, (0, -3, 10**30, np.int64(7))))
    assert not any(map(checks.is_integer, (True, 1.0, "1", None, np.float64(1), np.bool_(True), [1])))
    checks.require_positive(num_heads=np.int64(7))


@pytest.mark.messages
def test_what_can_be_gone_through_as_a_list():
    for values in ([1, 2], (1, 2), iter([1, 2]), range(1, 3), np.array([1, 2]), {1: 0, 2: 0}.values()):
        checks.require_iterable("rows", values)
    assert checks.require_list("rows", iter([1, 2])) == [1, 2]
    for wrong in ("ab", b"ab", {1: 2}, {1}, {1: 2}.keys(), None, 3):
        with pytest.raises(ValueError, match=f"rows is a {type(wrong).__name__}; expected a list"):
            checks.require_list("rows", wrong)


def test_where_a_tensor_has_no_values(monkeypatch):
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # the shape hook cannot be traced
    found = []

    def look(x):
        found.append(checks.has_values(x))
        checks.require_indices(x, "token ids", "id", vocab_size=2)  # would be refused, could it be looked at
        return x + 1

    class Look(torch.nn.Module):
        def forward(self, x):
            checks.require_indices(x, "token ids", "id", vocab_size=2)
            return x + 1

    x = torch.tensor([3, 4])
    torch.vmap(look)(x)
    look(x.to("meta"))
    with FakeTensorMode():
        look(torch.zeros(2, dtype=torch.long))
    assert found == [False] * 3
    assert checks.has_values(x)
    assert torch.compile(Look(), backend="eager", fullgraph=True)(x).tolist() == [4, 5]
    for strict in (True, False):
        assert torch.export.export(Look(), (x,), strict=strict).module()(x).tolist() == [4, 5]


@pytest.mark.messages
@pytest.mark.parametrize(
    ("check", "arguments", "named", "message"),
    [
        (checks.require_positive, (), {"d_model": 3, "d_ff": 0}, "d_ff is 0; expected at least 1"),
        (checks.require_positive, (), {"d_model": 2.0}, "d_model is 2.0; expected at least 1, an integer"),
        (checks.require_positive, (), {"d_model": True}, "d_model is True; expected at least 1, an integer"),
        (checks.require_positive, (), {"d_model": float("nan")}, "d_model is nan; expected at least 1, an integer"),
        (checks.require_at_least, (0,), {"step": -1}, "step is -1; expected at least 0, an integer"),
        (checks.require_even, (), {"d_model": 4.0}, r"d_model is 4\.0; expected an even number, at least 2"),
        (checks.require_even, (), {"d_model": 0}, "d_model is 0; expected an even number, at least 2"),
        (checks.require_even, (), {"d_model": 3}, "d_model is 3; expected an even number, at least 2"),
        (checks.require_divides, (), {"num_heads": 4, "d_model": 6}, "num_heads = 4 does not divide d_model = 6"),
        (checks.require_divides, (), {"num_heads": 0, "d_model": 6}, "num_heads = 0 does not divide d_model = 6"),
        (checks.require_above_zero, (), {"eps": float("nan")}, "eps is nan; expected eps > 0"),
        (checks.require_last, (torch.zeros(2, 3),), {"d_ff": 4}, r"x has shape \[2, 3\]; expected .* of d_ff = 4"),
        (
            checks.require_sequence,
            (torch.zeros(2, 3), "context"),
            {"d_model": 3},
            r"context has shape \[2, 3\]; expected \[batch, length, d_model = 3\]",
        ),
        (
            checks.require_mask,
            (torch.ones(2, 3), [2, 3]),
            {},
            r"mask is torch.float32 of shape \[2, 3\]; expected torch.bool of shape \[2, 3\]",
        ),
        (checks.require_share, (), {"dropout": 1.0}, r"dropout is 1\.0; expected 0 <= dropout < 1"),
        (checks.require_share, (), {"dropout": float("nan")}, "dropout is nan"),
        (
            checks.require_one_of,
            ("norm", "batch", ("pre", "post")),
            {},
            r"norm is 'batch'; expected one of \('pre', 'p",
        ),
        (
            checks.require_indices,
            (torch.tensor([-1, 3]), "positions", "position"),
            {"max_seq_len": 3},
            "positions go from -1 to 3; expected 0 <= position < max_seq_len = 3",
        ),
    ],
)
def test_mistakes_are_named(check, arguments, named, message):
    with pytest.raises(ValueError, match=message):
        check(*arguments, **named)
