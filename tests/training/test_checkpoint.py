"""A checkpoint gives back what was saved; a crash at any point of a save leaves the previous one in force."""

import builtins
import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from llmbook.tokenizers import Characters
from llmbook.training import checkpoint as module
from llmbook.training import load_checkpoint, save_checkpoint, tensor_file


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
    with tensor_file.safe_open(made / "model.safetensors", framework="pt") as file:
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


def test_what_is_somebody_elses_is_neither_in_the_way_nor_deleted(tmp_path):
    model = trained()[0]
    (tmp_path / "step-notes.txt").write_text("mine")
    (tmp_path / "step-000003").write_text("a file of that name")
    for name in ("step-by-step", "step-000001-mine", "step-000007", "xstep-000001", "step-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("mine")
    (tmp_path / "step-000001-mine" / "state.json").write_text("mine")
    (tmp_path / "step-000004").symlink_to(tmp_path / "step-by-step")
    before = {path.name for path in tmp_path.iterdir()}
    made = []
    for step in (1, 3, 4, 7, 7, 7, 8):
        made.append(save_checkpoint(tmp_path, model=model, config=None, step=step).name)
        assert load_checkpoint(tmp_path).step == step
    assert made[:5] == ["step-000001", "step-000003b", "step-000004b", "step-000007b", "step-000007bb"]
    assert {path.name for path in tmp_path.iterdir()} == {*before, *made[-2:], "LATEST"}
    assert (tmp_path / "step-000007" / "config.json").read_text() == "mine"


class FullError(OSError):
    pass


def full(*_, **__):
    raise FullError("No space left on device")


@pytest.mark.parametrize("where", ["save_file", "write_text", "flush", "replace", "save"])
@pytest.mark.parametrize("same_step", [False, True])
def test_a_save_that_fails_leaves_nothing(tmp_path, monkeypatch, where, same_step):
    model, optimizer = trained()
    tokenizer = Characters.train(["你好"])

    def save(step):
        save_checkpoint(tmp_path, model=model, config=Config(), step=step, optimizer=optimizer, tokenizer=tokenizer)

    save(1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    owners = {"save_file": tensor_file, "replace": os, "save": Characters, "write_text": Path}
    with monkeypatch.context() as patch:
        patch.setattr(owners.get(where, module), where, full)
        with pytest.raises(FullError):
            save(1 if same_step else 2)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert {path.name for path in tmp_path.iterdir()} == {"step-000001", "LATEST"}
    save(2)
    assert load_checkpoint(tmp_path).step == 2


def test_a_checkpoint_of_before_there_were_versions_is_read(tmp_path):
    made = save_checkpoint(tmp_path, model=trained()[0], config=None, step=3, extra={"n": 1})
    state = json.loads((made / "state.json").read_text())
    assert state.pop("version") == 1
    (made / "state.json").write_text(json.dumps(state))
    assert (load_checkpoint(tmp_path).step, load_checkpoint(tmp_path).extra) == (3, {"n": 1})


class Crash(BaseException):
    pass


def operations():
    """Every call by which saving touches the disk, as (owner, name)."""
    return [
        (tensor_file, "save_file"),
        (os, "replace"),
        (os, "fsync"),
        (os, "open"),
        (Path, "write_text"),
        (Path, "write_bytes"),
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


@pytest.mark.messages
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": {"loss": math.nan}}, "state.json can't hold what is to be saved: .*not JSON compliant"),
        ({"extra": {"rates": [1.0, -math.inf]}}, "state.json can't hold"),
        ({"extra": {"path": Path("x")}}, "state.json can't hold .*PosixPath is not JSON serializable"),
        ({"extra": [1]}, r"extra is a list; expected a dataclass, a mapping or None"),
        ({"config": {"dtype": torch.float32}}, "config.json can't hold .*dtype is not JSON serializable"),
        ({"config": {"eps": math.nan}}, "config.json can't hold"),
        ({"config": 5}, "config is a int; expected a dataclass, a mapping or None"),
        ({"config": Config}, "config is a type; expected a dataclass"),
        ({"step": -1}, "step is -1; expected at least 0, an integer"),
        ({"step": 1.5}, "step is 1.5; expected at least 0, an integer"),
        ({"tokenizer": "words"}, "tokenizer is a str; expected a Tokenizer"),
        ({"model": nn.Linear(2, 2, device="meta")}, "weight is on the meta device: it has no values to save"),
    ],
)
def test_what_cannot_be_saved_is_named_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        save_checkpoint(tmp_path / "new", **{"model": trained()[0], "config": None, "step": 1, **change})
    assert not list(tmp_path.iterdir())


@pytest.mark.messages
def test_an_optimizer_whose_settings_json_cannot_hold_is_named_before_anything_is_written(tmp_path):
    model, optimizer = trained()
    optimizer.param_groups[0]["note"] = {1, 2}
    with pytest.raises(ValueError, match=r"optimizer.safetensors can't hold .*set is not JSON serializable"):
        save_checkpoint(tmp_path, model=model, config=None, step=1, optimizer=optimizer)
    assert not list(tmp_path.iterdir())


@pytest.mark.messages
@pytest.mark.parametrize("name", ["../../etc", "/etc", "", "..", ".", "step-000003/../..", "step-by-step", "\0\n"])
def test_a_pointer_that_names_no_checkpoint_beside_it_is_not_followed(tmp_path, name):
    model = trained()[0]
    save_checkpoint(tmp_path, model=model, config=None, step=3)
    (tmp_path / "LATEST").write_text(name)
    expected = "LATEST says .*; expected the name of a checkpoint beside it, such as step-000100"
    with pytest.raises(ValueError, match=expected):
        load_checkpoint(tmp_path)
    with pytest.raises(ValueError, match=expected):
        save_checkpoint(tmp_path, model=model, config=None, step=4)
    assert {path.name for path in tmp_path.iterdir()} == {"step-000003", "LATEST"}


@pytest.mark.messages
def test_a_pointer_that_is_no_text(tmp_path):
    (tmp_path / "LATEST").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"LATEST says .*; expected the name of a checkpoint"):
        load_checkpoint(tmp_path)


@pytest.mark.messages
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("state.json", {}, "state.json has no 'step'"),
        ("state.json", None, "state.json is no table"),
        ("state.json", [1], "state.json is no table"),
        ("state.json", {"step": "3", "generators": {}, "extra": {}}, "'step' of state.json is '3'"),
        ("state.json", {"step": 3, "generators": [], "extra": {}}, r"'generators' of state.json is \[\]"),
        ("state.json", {"step": 3, "generators": {"cpu": "xyz"}, "extra": {}}, "hexadecimal"),
        ("state.json", {"step": 3, "generators": {"cpu": 5}, "extra": {}}, "fromhex"),
        ("state.json", {"step": 3, "generators": {}}, "state.json has no 'extra'"),
        ("config.json", [], "config.json is no table"),
        ("config.json", None, "config.json is no table"),
    ],
)
def test_a_file_that_holds_something_else_is_named(tmp_path, name, content, message):
    made = save_checkpoint(tmp_path, model=trained()[0], config=None, step=3)
    (made / name).write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"step-000003 is damaged: .*{message}"):
        load_checkpoint(tmp_path)


@pytest.mark.messages
def test_a_newer_version_and_foreign_tensors_are_named(tmp_path):
    model, optimizer = trained()
    made = save_checkpoint(tmp_path, model=model, config=None, step=3, optimizer=optimizer)
    state = json.loads((made / "state.json").read_text())
    tensor_file.save_file({"a": torch.ones(1)}, made / "optimizer.safetensors")
    with pytest.raises(ValueError, match=r"is damaged: .*no 'rest'"):
        load_checkpoint(tmp_path)
    for version in (2, "new", None, 0):
        (made / "state.json").write_text(json.dumps({**state, "version": version}))
        with pytest.raises(ValueError, match=f"step-000003 is of version {version!r}; this package reads version 1"):
            load_checkpoint(tmp_path)
