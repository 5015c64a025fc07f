"""Which cells answers rest on."""

import pytest

from llmbook.grading.influence import influential


@pytest.mark.parametrize(
    ("codes", "needed"),
    [
        (["def f(x): return x", "print(1)"], {"0"}),
        (["import torch as t", "def g(x): return t.exp(x)", "def f(x): return g(x)", "y = f(1)"], {"0", "1", "2"}),
        (["a = 1", "b = a + 1", "f = lambda x: b", "a, c = 2, 3", "d = c"], {"0", "1", "2", "3"}),
        (["settings = {}", "settings['scale'] = 2", "def f(x): return x * settings['scale']"], {"0", "1", "2"}),
        (["class A: pass", "A.x = 1", "def f(x): return A.x"], {"0", "1", "2"}),
        (["%time", "not python (", "def f(x): return x"], {"0", "1", "2"}),
        (["from math import *", "def f(x): return sin(x)"], {"0", "1"}),
        (["for i in range(3): s = i", "def f(x): return s"], {"0", "1"}),
        (["import os.path", "def f(x): return os"], {"0", "1"}),
        (["g = 1"], set()),
    ],
)
def test_the_cells_that_an_answer_rests_on(codes: list[str], needed: set[str]) -> None:
    assert influential([(str(number), code) for number, code in enumerate(codes)], ["f"]) == needed
