"""A checkpoint gives back what was saved; a crash at any point of a save leaves the previous one in force."""

import builtins
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from llmbook.tokenizers import Characters
from llmbook.training import checkpoint as module
from llmbook.training import load_checkpoint, save_checkpoint


@dataclass(frozen=True, kw_only=True)
class Config:
    d_model: int = 4
    tie: bool = True


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.head = nn.Linear(4, 5, bias=False)
        self.head.weight = self.embedding.weight
        self.norm = nn.BatchNorm1d(5)  # has buffers, one an integer


def trained(seed=0, optimizer_class=torch.optim.AdamW):
    torch.manual_seed(seed)
    model = Tied()
    optimizer = optimizer_class(model.parameters(), lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        model.norm(model.head(model.embedding(torch.arange(5)))).square().sum().backward()
        optimizer.step()
    return model, optimizer


def assert_same(a, b):
    assert type(a) is type(b) or {type(a), type(b)} == {list, tuple}
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            assert_same(a[key], b[key])
    elif isinstance(a, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


@pytest.mark.parametrize("optimizer_class", [torch.optim.AdamW, torch.optim.SGD, torch.optim.Adagrad])
def test_everything_comes_back(tmp_path, optimizer_class):
    model, optimizer = trained(optimizer_class=optimizer_class)
    tokenizer = Characters.train(["你好"])
    extra = {"losses": [0.1, 1e-300, 1 / 3]}
    folder = tmp_path / "run 一"
    made = save_checkpoint(
        folder, model=model, config=Config(), step=7, optimizer=optimizer, tokenizer=tokenizer, extra=extra
    )
    saved = load_checkpoint(folder)
    assert saved.folder == made == folder / "step-000007"
    assert (saved.step, saved.config, saved.extra) == (7, {"d_model": 4, "tie": True}, extra)
    assert_same(saved.model, dict(model.state_dict()))
    assert_same(saved.optimizer, optimizer.state_dict())
    assert Characters.load(saved.tokenizer).symbols == tokenizer.symbols

    other, other_optimizer = trained(seed=1, optimizer_class=optimizer_class)
    other.load_state_dict(saved.model)
    other_optimizer.load_state_dict(saved.optimizer)
    assert other.head.weight is other.embedding.weight
    assert_same(dict(other.state_dict()), dict(model.state_dict()))
    assert_same(other_optimizer.state_dict(), optimizer.state_dict())


def test_only_what_is_given_is_written_and_a_tied_weight_once(tmp_path):
    made = save_checkpoint(tmp_path, model=trained()[0], config=None, step=0)
    assert {path.name for path in made.iterdir()} == {"model.safetensors", "config.json", "state.json"}
    saved = load_checkpoint(tmp_path)
    assert (saved.optimizer, saved.tokenizer, saved.config, saved.extra) == (None, None, {}, {})
    with module.safe_open(made / "model.safetensors", framework="pt") as file:
        names = set(file.keys())
    assert len(names & {"embedding.weight", "head.weight"}) == 1


def test_the_generators_go_on_where_they_were(tmp_path):
    torch.manual_seed(3)
    torch.rand(11)
    save_checkpoint(tmp_path, model=trained()[0], config=None, step=0)
    expected = torch.rand(4)
    torch.manual_seed(99)
    module.restore_generators(load_checkpoint(tmp_path).generators)
    assert torch.equal(torch.rand(4), expected)


def test_the_last_two_are_kept(tmp_path):
    model = trained()[0]
    for step in (1, 2, 10):
        save_checkpoint(tmp_path, model=model, config=None, step=step)
    assert {path.name for path in tmp_path.iterdir()} == {"step-000002", "step-000010", "LATEST"}
    assert load_checkpoint(tmp_path).step == 10


def test_saving_the_same_step_again_never_writes_into_the_one_in_force(tmp_path):
    first = trained(0)[0]
    folders = [save_checkpoint(tmp_path, model=first, config=None, step=5, extra={"n": n}) for n in range(3)]
    assert len({folder.name for folder in folders[:2]}) == 2
    assert load_checkpoint(tmp_path).extra == {"n": 2}
    assert len(list(tmp_path.glob("step-*"))) == 2


class Crash(BaseException):
    pass


def operations():
    """Every call by which saving touches the disk, as (owner, name)."""
    return [
        (module, "save_file"),
        (os, "replace"),
        (os, "fsync"),
        (os, "open"),
        (Path, "write_text"),
        (Path, "mkdir"),
        (shutil, "rmtree"),
        (Characters, "save"),
        (builtins, "open"),
    ]


def crashing(monkeypatch, at, *, after):
    """Makes the `at`-th of these calls crash, before or after it has done its work; gives the list of calls made."""
    calls = []
    for owner, name in operations():
        original = getattr(owner, name)

        def wrapped(*args, _original=original, _name=name, **kwargs):
            calls.append(_name)
            number = len(calls)
            if number == at and not after:
                raise Crash
            result = _original(*args, **kwargs)
            if number == at:
                raise Crash
            return result

        monkeypatch.setattr(owner, name, wrapped)
    return calls


@pytest.mark.parametrize("same_step", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_point_leaves_a_checkpoint_in_force(tmp_path, monkeypatch, after, same_step):
    monkeypatch.setattr(os, "fsync", lambda _: None)  # the disk's time; the calls are still counted
    old, new = trained(0), trained(1)
    tokenizer = Characters.train(["你好"])
    step_of_new = 2 if same_step else 3

    def save(folder, step, pair, label):
        save_checkpoint(
            folder,
            model=pair[0],
            config=Config(),
            step=step,
            optimizer=pair[1],
            tokenizer=tokenizer,
            extra={"label": label},
        )

    seen = []
    for at in range(1, 100):
        folder = tmp_path / str(at)
        save(folder, 1, old, "oldest")
        save(folder, 2, old, "old")
        with pytest.MonkeyPatch.context() as patch:
            calls = crashing(patch, at, after=after)
            try:
                save(folder, step_of_new, new, "new")
                crashed = False
            except Crash:
                crashed = True
        saved = load_checkpoint(folder)
        if not crashed:
            assert saved.extra == {"label": "new"}
            break
        label = saved.extra["label"]
        seen.append((calls[at - 1], label))
        expected = new if label == "new" else old
        assert saved.step == (step_of_new if label == "new" else 2)
        assert_same(saved.model, dict(expected[0].state_dict()))
        assert_same(saved.optimizer, expected[1].state_dict())
        # And training goes on: the next save works and clears up.
        save(folder, 4, new, "later")
        assert load_checkpoint(folder).extra == {"label": "later"}
        assert len(list(folder.glob("step-*"))) == 2
    else:
        pytest.fail("the save never came to its end")
    labels = [label for _, label in seen]
    assert labels == sorted(labels, reverse=True)  # old … old, then new … new
    assert set(labels) == {"old", "new"}
    switch = labels.index("new")
    assert seen[switch - (0 if after else 1)][0] == "replace"
    assert {name for name, _ in seen} >= {"save_file", "write_text", "replace", "fsync", "rmtree", "save"}


@pytest.mark.messages
def test_an_empty_folder_and_a_damaged_checkpoint_are_named(tmp_path):
    with pytest.raises(ValueError, match=r"holds no checkpoint.*LATEST"):
        load_checkpoint(tmp_path / "nothing")
    made = save_checkpoint(tmp_path, model=trained()[0], config=None, step=3)
    for name in ("model.safetensors", "config.json", "state.json"):
        content = (made / name).read_bytes()
        for damage in (content[: len(content) // 2], b""):
            (made / name).write_bytes(damage)
            with pytest.raises(ValueError, match="step-000003 is damaged"):
                load_checkpoint(tmp_path)
        (made / name).unlink()
        with pytest.raises(ValueError, match=f"step-000003 is damaged.*{name}"):
            load_checkpoint(tmp_path)
        (made / name).write_bytes(content)
    assert load_checkpoint(tmp_path).step == 3
