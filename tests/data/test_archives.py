"""Chosen members of tiny archives come out as they are; links, paths that lead out, doubles, broken archives are refused."""

import io
import lzma
import tarfile
import zipfile

import pytest

from llmbook.data.archives import data_of_deb, require_plain_path, unpack

FILES = {"package/data/词.txt": "书".encode(), "package/more.bin": bytes(range(256)) * 40, "package/code.py": b"1 / 0"}
KINDS = ["a.zip", "a.whl", "a.tgz", "a.tar.gz", "a.deb"]


def tar_of(files, links=(), mode="w:gz"):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target, type_ in links:
            info = tarfile.TarInfo(name)
            info.linkname, info.type = target, type_
            tar.addfile(info)
    return stream.getvalue()


def zip_of(files, links=()):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
        for name, target in links:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o120777 << 16
            archive.writestr(info, target)
    return stream.getvalue()


def deb_of(data, name=b"data.tar.xz/"):
    def member(name, content):
        header = b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"100644", len(content))
        return header + content + b"\n" * (len(content) % 2)

    return b"!<arch>\n" + member(b"debian-binary", b"2.0\n") + member(b"control.tar.xz", b"odd") + member(name, data)


def make(folder, name, files=FILES, links=()):
    path = folder / name
    items = list(files.items())
    if path.suffix in (".zip", ".whl"):
        content = zip_of(items, [(link, target) for link, target, _ in links])
    elif path.suffix == ".deb":
        content = deb_of(tar_of([("./" + name, data) for name, data in items], links, mode="w:xz"))
    else:
        content = tar_of(items, links)
    path.write_bytes(content)
    return path


def tree(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_wanted_members_come_out(tmp_path, kind):
    wanted = ["package/data/词.txt", "package/more.bin"]
    unpack(make(tmp_path, kind), wanted, tmp_path / "out")
    assert tree(tmp_path / "out") == {name: FILES[name] for name in wanted}


@pytest.mark.parametrize("kind", KINDS)
def test_other_members_that_lead_out_are_not_looked_at(tmp_path, kind):
    evil = {"../out.txt": b"x", "/tmp/llmbook-escape": b"x", "a/../../b": b"x", "package/data": b"y", **FILES}
    unpack(make(tmp_path, kind, evil), ["package/more.bin"], tmp_path / "in" / "out")
    assert set(tree(tmp_path / "in")) == {"out/package/more.bin"}
    assert set(tree(tmp_path)) == {kind, "in/out/package/more.bin"}


@pytest.mark.messages
@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a", "a/../../b", "..", ".", "", "./a", "a//b", "a/", "a\\b", "C:/a"]
)
def test_a_path_that_leads_out_is_refused(tmp_path, path):
    with pytest.raises(ValueError, match="expected a p"):
        require_plain_path(path)
    with pytest.raises(ValueError, match="expected a p"):
        unpack(make(tmp_path, "a.tgz", {path or "x": b"x"}), [path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_plain_paths_pass():
    for path in ("a", "a/b.txt", "..a/b..", "a b/书", "a@1/b-c+d"):
        assert require_plain_path(path) is None


@pytest.mark.messages
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE])
def test_a_link_a_pipe_and_a_folder_are_refused(tmp_path, kind, type_):
    secret = tmp_path / "secret"
    secret.write_text("secret")
    archive = make(tmp_path, kind, links=[("package/link", str(secret), type_)])
    with pytest.raises(ValueError, match=rf"{kind}: package/link is a link or no file"):
        unpack(archive, ["package/link"], tmp_path / "out")
    assert tree(tmp_path).keys() == {kind, "secret"}


@pytest.mark.messages
def test_a_folder_of_a_zip_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no file"):
        unpack(make(tmp_path, "a.zip", {"package/": b""}), ["package"], tmp_path / "out")


def test_nothing_is_written_through_a_link(tmp_path):
    """A folder of the archive that is a link elsewhere, then a file in it: the file goes below the target."""
    outside = tmp_path / "outside"
    outside.mkdir()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        link = tarfile.TarInfo("package")
        link.type, link.linkname = tarfile.SYMTYPE, str(outside)
        tar.addfile(link)
        file = tarfile.TarInfo("package/a")
        file.size = 1
        tar.addfile(file, io.BytesIO(b"a"))
    (tmp_path / "a.tgz").write_bytes(stream.getvalue())
    unpack(tmp_path / "a.tgz", ["package/a"], tmp_path / "out")
    assert list(outside.iterdir()) == []
    assert tree(tmp_path / "out") == {"package/a": b"a"}


@pytest.mark.messages
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_member_is_named(tmp_path, kind):
    with pytest.raises(ValueError, match=rf"{kind} has no package/b, package/none$"):
        unpack(make(tmp_path, kind), ["package/none", "package/more.bin", "package/b"], tmp_path / "out")


@pytest.mark.messages
def test_a_member_that_is_there_twice_is_refused(tmp_path):
    (tmp_path / "a.tgz").write_bytes(tar_of([("a", b"1"), ("./a", b"2")]))
    (tmp_path / "b.deb").write_bytes(deb_of(tar_of([("./a", b"1"), ("a", b"2")], mode="w:xz")))
    for name in ("a.tgz", "b.deb"):
        with pytest.raises(ValueError, match=f"{name} holds a twice"):
            unpack(tmp_path / name, ["a"], tmp_path / name[0])


@pytest.mark.messages
@pytest.mark.parametrize("kind", KINDS)
def test_an_archive_cut_off_anywhere_is_refused(tmp_path, kind):
    whole = make(tmp_path, kind, {"a": bytes(range(256)) * 8, "b": b"b" * 999}).read_bytes()
    for i, size in enumerate([0, 1, 7, 30, 68, 100, len(whole) // 2, len(whole) - 30]):
        (tmp_path / kind).write_bytes(whole[:size])
        with pytest.raises(ValueError, match=kind):
            unpack(tmp_path / kind, ["a", "b"], tmp_path / f"out{i}")


@pytest.mark.messages
@pytest.mark.parametrize("kind", KINDS)
def test_a_foreign_file_is_refused(tmp_path, kind):
    (tmp_path / kind).write_bytes(b"<html>404</html>" * 100)
    with pytest.raises(ValueError, match=kind):
        unpack(tmp_path / kind, ["a"], tmp_path / "out")


@pytest.mark.messages
def test_a_kind_that_is_not_known_is_refused(tmp_path):
    (tmp_path / "a.rar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"expected a zip, whl, tgz, tar.gz or deb, got a\.rar"):
        unpack(tmp_path / "a.rar", ["a"], tmp_path / "out")


def test_the_data_of_a_deb_with_members_of_odd_length(tmp_path):
    for name in (b"data.tar.xz", b"data.tar.gz/"):
        (tmp_path / "a.deb").write_bytes(deb_of(lzma.compress(b"data"), name))
        assert lzma.decompress(data_of_deb(tmp_path / "a.deb")) == b"data"


@pytest.mark.messages
@pytest.mark.parametrize("damage", [b"control", b"data.tar.xz/", b"`\n"])
def test_a_deb_without_data_or_with_a_broken_header_is_refused(tmp_path, damage):
    (tmp_path / "a.deb").write_bytes(deb_of(b"x").replace(damage, b"?" * len(damage)))
    if damage == b"control":  # what else is in it plays no part
        assert data_of_deb(tmp_path / "a.deb") == b"x"
    else:
        with pytest.raises(
            ValueError, match=r"a\.deb is no Debian package, or it is cut off: no data\.tar at byte \d+"
        ):
            data_of_deb(tmp_path / "a.deb")
