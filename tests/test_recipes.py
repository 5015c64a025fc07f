"""CONTRIBUTING, followed to the letter in a copy of the book; after each recipe it is counted what became stale or would be executed."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = (".venv*", ".git", "build", "work", ".*_cache", "__pycache__", "*.egg-info")
SECTION = "chapters/01-transformer/2-components.md"
POINT = '+++ {"lang": "zh"}\n\n(point-1-2-2)='
COUNT = """
import json
from llmbook.book.source import chapter_files, read
from llmbook.execution.kept import execution_key
from llmbook.runs import run
runs = {path.stem: run.state(run.load_run(path)) for path in run.run_files()}
keys = {path.stem: execution_key(read(path)) for path in chapter_files()}
print(json.dumps({"runs": runs, "executions": keys}))
"""


@dataclass
class Checkout:
    """A copy of the book; commands run its own code."""

    root: Path

    def run(self, *command: str, code: int = 0) -> str:
        mine = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
        there = {**mine, "PYTHONPATH": os.pathsep.join([str(self.root / "src"), str(self.root / "tests")])}
        done = subprocess.run(command, cwd=self.root, env=there, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def llmbook(self, *words: str, code: int = 0) -> str:
        return self.run(sys.executable, "-c", "from llmbook.cli import main; main()", *words, code=code)

    def pytest(self, *words: str) -> str:
        return self.run(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words)

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def change(self, name: str, change: Callable[[str], str]) -> None:
        before = (self.root / name).read_text(encoding="utf-8")
        after = change(before)
        assert after != before
        self.write(name, after)

    def add_prose(self, zh: str, en: str) -> None:
        pair = f'+++ {{"lang": "zh"}}\n\n{zh}\n\n+++ {{"lang": "en"}}\n\n{en}\n\n'
        self.change(SECTION, lambda text: text.replace(POINT, pair + POINT, 1))

    def approve_as_told(self) -> None:
        """Runs the very commands that the findings print, until nothing is found."""
        said = self.llmbook("check", "1", code=1)
        commands = sorted(set(re.findall(r"`llmbook (lock [^`]+)`", said)))
        assert len(commands) == len(re.findall(r"llmbook lock", said)) == int(said.split()[-2]), said
        for command in commands:
            self.llmbook(*command.split())
        assert self.llmbook("check", "1") == "0 findings\n"

    def state(self) -> dict:
        return json.loads(self.run(sys.executable, "-c", COUNT))


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    shutil.copytree(ROOT, tmp_path / "一本 书", ignore=shutil.ignore_patterns(*LEFT_OUT))
    return Checkout(tmp_path / "一本 书")


NORM = '''"""Division by the largest magnitude.

Book: §1.4.1
"""

from jaxtyping import Float
from torch import Tensor


def max_norm(x: Float[Tensor, "... width"]) -> Float[Tensor, "... width"]:
    """x / max|x| over the last dimension."""
    return x / x.abs().amax(dim=-1, keepdim=True)
'''
NORM_TEST = '''"""The largest magnitude becomes 1."""

import torch

from llmbook.nn import max_norm


def test_by_hand():
    assert max_norm(torch.tensor([1.0, -4.0])).tolist() == [0.25, -1.0]
'''


def test_a_concept(checkout: Checkout) -> None:
    """A module, its test, its export: nothing becomes stale, nothing is executed."""
    before = checkout.state()
    checkout.write("tests/nn/test_max_norm.py", NORM_TEST)
    checkout.write("src/llmbook/nn/max_norm.py", NORM)
    imported = "from llmbook.nn.masks import"
    checkout.change(
        "src/llmbook/nn/__init__.py",
        lambda text: text.replace(imported, f"from llmbook.nn.max_norm import max_norm\n{imported}", 1),
    )
    checkout.change(
        "src/llmbook/nn/__init__.py", lambda text: text.replace("__all__ = [", '__all__ = [\n    "max_norm",', 1)
    )
    assert "1 passed" in checkout.pytest("tests/nn/test_max_norm.py")
    assert checkout.state() == before


def test_a_paragraph(checkout: Checkout) -> None:
    """Two languages, read and approved by the command that is printed: nothing becomes stale, nothing is executed."""
    before = checkout.state()
    checkout.add_prose(
        "再看一段，共 2 句。见 {ref}`point-1-2-2`。", "One more paragraph, of 2 sentences. See {ref}`point-1-2-2`."
    )
    checkout.approve_as_told()
    assert checkout.state() == before


EXERCISE = """title = { zh = "最大的绝对值", en = "The largest magnitude" }
outline = ["1.2.1"]
kind = "code"
function = "largest_magnitude"
points = 3
minutes = 5

[misconceptions.no-magnitude]
zh = "没有取绝对值"
en = "the sign is left in"

[misconceptions.smallest]
zh = "取了最小的"
en = "the smallest is taken"

[misconceptions.first]
zh = "只看第一个数"
en = "only the first number is looked at"

[misconceptions.summed]
zh = "把绝对值加了起来"
en = "the magnitudes are summed"
"""
CHECKS = '''"""Checks of 1.2.1/largest-magnitude."""

import torch
from torch import Tensor

from llmbook.exercises.exercise import Case


def oracle(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, ord=torch.inf)


def cases() -> list[Case]:
    return [
        Case({"zh": "三个数", "en": "three numbers"}, (torch.tensor([1.0, -4.0, 2.0]),), public=True),
        Case({"zh": "另外三个数", "en": "three others"}, (torch.tensor([-1.0, 5.0, 2.5]),), public=True),
        Case({"zh": "都是负数", "en": "all negative"}, (torch.tensor([-3.0, -7.0, -1.5]),)),
    ]
'''
STUB = '''import torch


def largest_magnitude(x: torch.Tensor) -> torch.Tensor:
    """The largest magnitude of the numbers in x."""
    raise NotImplementedError
'''
WRONG = {"no_magnitude": "x.max()", "smallest": "x.abs().min()", "first": "x[0].abs()", "summed": "x.abs().sum()"}


def test_an_exercise(checkout: Checkout) -> None:
    """The gate passes for it, both statements are approved as printed; nothing becomes stale, nothing is executed."""
    before = checkout.state()
    folder = "exercises/01/largest-magnitude"
    checkout.write(f"{folder}/exercise.toml", EXERCISE)
    checkout.write(f"{folder}/checks.py", CHECKS)
    checkout.write(f"{folder}/stub.py", STUB)
    for name, answer in {
        "solution": "x.abs().max()",
        **{f"mutants/{name}": code for name, code in WRONG.items()},
    }.items():
        checkout.write(f"{folder}/{name}.py", STUB.replace("raise NotImplementedError", f"return {answer}"))
    checkout.write(
        f"{folder}/statement.md",
        '+++ {"lang": "zh"}\n\n求 `x` 中绝对值最大的数的绝对值。\n\n'
        '+++ {"lang": "en"}\n\nFind the largest magnitude among the numbers in `x`.\n',
    )
    checkout.add_prose(
        "练习：{ref}`最大 <exercise-largest-magnitude>`。", "Exercise: {ref}`largest <exercise-largest-magnitude>`."
    )
    checkout.approve_as_told()
    assert " passed" in checkout.pytest(
        "tests/exercises/test_gate.py", "-k", "largest-magnitude or chapter or different"
    )
    assert checkout.state() == before


FIGURE = """// needs: plot, numbers
// A made figure: y = a x.
(function () {
  "use strict";
  const { fill } = window.LLMBook.live;
  const WORDS = {
    zh: { slope: "斜率 a", told: "斜率是 {0}", picture: "一条直线", across: "横轴 x", up: "纵轴 y" },
    en: { slope: "Slope a", told: "The slope is {0}", picture: "A straight line", across: "across x", up: "up y" },
  };
  window.LLMBook.live.register("slope", {
    words: WORDS,
    defaults: { slope: 1 },
    build({ words, bar }) {
      bar.slide("slope", words.slope, { min: 0, max: 2 });
      return function draw({ slope }) {
        const chart = window.LLMBook.plot.chart({
          x: { from: 0, to: 1, label: words.across, ticks: [0, 1] }, y: { from: 0, to: 2, label: words.up, ticks: [0, 2] },
        });
        chart.line("line", [[0, 0], [1, slope]], { color: "#084081" });
        return { reading: fill(words.told, slope), picture: chart.drawing, label: words.picture };
      };
    },
  });
})();
"""
PLACED = """```{{figure}} live-slope.svg
:name: fig-live-slope
:alt: {alt}
:figclass: live

{caption}
```

{{numref}}`fig-live-slope`"""


def test_a_live_figure(checkout: Checkout, browser: Browser) -> None:
    """Its picture is drawn before any page has it; the tests of all live figures find it; nothing becomes stale, nothing is executed."""
    before = checkout.state()
    checkout.write("site/_static/js/live-slope.js", FIGURE)
    assert "live-slope.svg" in checkout.run(sys.executable, "site/live_pictures.py")
    assert '"斜率' not in (checkout.root / "chapters/diagrams/live-slope.svg").read_text(encoding="utf-8")
    assert 'word_1 = "横轴 x"' in (checkout.root / "chapters/diagrams/live-slope.toml").read_text(encoding="utf-8")
    checkout.add_prose(
        PLACED.format(alt="一条直线", caption="斜率可调。"),
        PLACED.format(alt="A straight line", caption="The slope can be set."),
    )
    checkout.approve_as_told()
    assert " passed" in checkout.pytest("tests/site/test_live.py", "-k", "slope")
    assert checkout.state() == before


RUN = '''"""A made run: how well a line of one weight is learned."""

from dataclasses import dataclass

import torch
from torch import nn

from llmbook.training import fit


@dataclass(frozen=True, kw_only=True)
class Config:
    steps: int = 20


CONFIGS = {"one weight": Config()}
SEEDS = (0, 1)
DATA = ()


def loss(model, x):
    return (model(x) - 2 * x).square().mean()


def train(config, seed, *, fit=fit):
    torch.manual_seed(seed)
    model = nn.Linear(1, 1)

    def batches(step):
        return torch.randn(8, 1, generator=torch.Generator().manual_seed(step), dtype=model.weight.dtype)

    fit(model, batches, loss=loss, optimizer=torch.optim.SGD(model.parameters()), max_steps=config.steps, seed=seed)
    return model.eval()


def evaluate(model, config, *, limit=None):
    return {"loss": loss(model, torch.ones(limit or 100, 1, dtype=model.weight.dtype)).item()}
'''


def test_a_recorded_run(checkout: Checkout) -> None:
    """Committed, made, stale after a change of its code alone, and approved again since its probe passes; no other run is touched."""
    before = checkout.state()
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    checkout.run("git", "init", "--quiet")
    checkout.run("git", "add", "--all")
    checkout.run(*git, "commit", "--quiet", "-m", "the book")
    checkout.write("chapters/runs/made.py", RUN)
    assert "commit" in checkout.llmbook("run", "made", code=1)
    checkout.run("git", "add", "--all")
    checkout.run(*git, "commit", "--quiet", "-m", "a run")
    assert "made: fresh" in checkout.llmbook("run", "made")
    after = checkout.state()
    assert after["runs"].pop("made") == "fresh"
    assert after == before
    checkout.change("chapters/runs/made.py", lambda text: text + "# a remark\n")
    assert checkout.state()["runs"]["made"] == "fresh"
    checkout.change("chapters/runs/made.py", lambda text: text + "MORE = 1\n")
    checkout.run(*git, "commit", "--quiet", "-am", "more")
    said = checkout.llmbook("run", "made", code=1)
    command = re.findall(r"`llmbook (run made --renew)`", said)[0]
    checkout.llmbook(*command.split())
    after = checkout.state()
    assert after["runs"].pop("made") == "fresh"
    assert after == before
