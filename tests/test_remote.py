"""Addresses in place of paths: what is read is whole and current, what is written is whole or absent."""

import functools
import hashlib
import http.server
import importlib.util
import os
import shutil
import threading

import numpy as np
import pytest
from support import data_folders

from zoo.cli import main
from zoo.datasets import open_dataset
from zoo.datasets.records import pack
from zoo.errors import DownloadError, FormatError, InputError
from zoo.remote import RemoteFolder, _Store, check_remote, is_remote, local_file, local_folder

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("zoo.remote._PAUSE_SECONDS", 0.0)
    yield tmp_path / "cache"
    memory().store.clear()
    memory().pseudo_dirs[:] = [""]


def memory():
    return fsspec.filesystem("memory")


def put(folder, address):
    memory().put(str(folder), address.removeprefix("memory:/"), recursive=True)


@pytest.fixture
def web(tmp_path):
    """A web server of a folder, and its address."""
    folder = tmp_path / "web"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    made = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), made) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def same(ours, theirs):
    assert len(ours) == len(theirs)
    for index in range(len(theirs)):
        for a, b in zip(ours.read(index), theirs.read(index), strict=True):
            np.testing.assert_array_equal(a, b)


def test_what_is_an_address():
    assert [is_remote(x) for x in ("s3://b/x", "https:/h/x", "hdfs://h/x", "C:/x", "x")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert check_remote("http:/host/x") == "http://host/x"
    with pytest.raises(InputError, match="hdfs: addresses are not read or written here; give a path"):
        check_remote("hdfs://host/x")


def test_without_the_extra_it_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "s3fs" else found(name))
    message = r"s3: addresses are not read or written here without s3fs: pip install 'atrous-zoo\[remote\]'"
    with pytest.raises(InputError, match=message):
        open_dataset("camvid", "s3://bucket/camvid")


# --- reading ------------------------------------------------------------------------------------


def test_folders_and_records_are_read(tmp_path):
    source = open_dataset("folder", data_folders.folder(tmp_path / "mine"), split="all", classes=3)
    put(tmp_path / "mine", "memory://bucket/mine")
    same(open_dataset("folder", "memory://bucket/mine", split="all", classes=3), source)
    pack(source, tmp_path / "records", shards=3)
    put(tmp_path / "records", "memory://bucket/records")
    same(open_dataset("records", "memory://bucket/records", split="all"), source)
    part = open_dataset("records", "memory://bucket/records/all-00001-*.tfrecord", split="all")
    assert (len(part), part.shards) == (3, 1)
    with pytest.raises(InputError, match="memory://bucket/other: nothing is there"):
        open_dataset("records", "memory://bucket/other", split="all")


def test_a_web_server_is_read(tmp_path, web):
    folder, address = web
    source = open_dataset("folder", data_folders.folder(tmp_path / "mine"), split="all", classes=3)
    pack(source, folder / "records", shards=2)
    same(open_dataset("records", f"{address}/records", split="all"), source)
    # Another packing of as many bytes.
    shutil.rmtree(folder / "records")
    pack(source, folder / "records", shards=2, shuffle=1)
    for path in (folder / "records").iterdir():
        os.utime(path, (1, 1))
    other = open_dataset("records", folder / "records", split="all")
    same(open_dataset("records", f"{address}/records", split="all"), other)


def test_a_changed_file_is_read_again_and_a_removed_one_is_gone(tmp_path, monkeypatch):
    folder = tmp_path / "source"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_text(name)
    put(folder, "memory://bucket/x")
    read, get = [], _Store("memory://bucket/x").system.get_file
    monkeypatch.setattr(
        type(memory()), "get_file", lambda self, key, *args: read.append(key) or get(key, *args)
    )
    local = local_folder("memory://bucket/x")
    assert len(read) == 2
    assert local_folder("memory://bucket/x") == local
    assert len(read) == 2
    memory().pipe("/bucket/x/a", b"another")
    memory().rm("/bucket/x/b")
    local_folder("memory://bucket/x")
    assert read[2:] == ["/bucket/x/a"]
    assert (local / "a").read_text() == "another"
    assert not (local / "b").exists()


def test_a_file_that_does_not_come_whole_is_not_kept(monkeypatch, cache):
    memory().pipe("/bucket/x/a", b"0123456789")
    cut = lambda self, key, target: open(target, "wb").write(b"0123") and None  # noqa: E731, SIM115
    monkeypatch.setattr(type(memory()), "get_file", cut)
    with pytest.raises(DownloadError, match="a has 10 bytes, of which not all came"):
        local_file("memory://bucket/x/a")
    assert not [path for path in cache.rglob("*") if path.is_file() and path.name != ".states.json"]


def test_a_digest_pins_a_file(web):
    folder, address = web
    (folder / "w.bin").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    assert local_file(f"{address}/w.bin#sha256={digest}").read_bytes() == b"weights"
    (folder / "w.bin").write_bytes(b"another")
    os.utime(folder / "w.bin", (1, 1))
    with pytest.raises(FormatError, match="its SHA-256 is not"):
        local_file(f"{address}/w.bin#sha256={digest}")
    with pytest.raises(InputError, match="nothing is there"):
        local_file(f"{address}/none.bin")


# --- writing ------------------------------------------------------------------------------------


def test_what_is_written_is_whole_or_absent(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a").write_text("one")
    remote = RemoteFolder("memory://bucket/run", tmp_path / "run")
    remote.push()
    assert memory().cat("/bucket/run/a") == b"one"
    (tmp_path / "run" / "a").write_text("longer")
    with monkeypatch.context() as broken, pytest.raises(DownloadError, match="cannot be reached: the line"):
        broken.setattr(type(memory()), "mv", lambda *args: (_ for _ in ()).throw(OSError("the line is cut")))
        remote.push()
    assert memory().cat("/bucket/run/a") == b"one"
    remote.push()
    assert memory().cat("/bucket/run/a") == b"longer"
    (tmp_path / "run" / "a").unlink()
    remote.push()
    assert not memory().exists("/bucket/run/a")
    with pytest.raises(InputError, match="a web server takes no files"):
        RemoteFolder("http://127.0.0.1:1/run", tmp_path)


def test_the_name_that_counts_is_written_last(tmp_path, monkeypatch):
    (tmp_path / "checkpoints").mkdir()
    for name in ("checkpoint", "step-1.index", "z"):
        (tmp_path / "checkpoints" / name).write_text(name)
    order = []
    monkeypatch.setattr(_Store, "put", lambda self, path, name: order.append(name))
    RemoteFolder("memory://bucket/run", tmp_path, last=("checkpoints/checkpoint",)).push()
    assert order == ["checkpoints/step-1.index", "checkpoints/z", "checkpoints/checkpoint"]


def test_weights_are_read_by_the_command(tmp_path, capsys):
    words = ["info", "deeplabv3_aspp"]
    assert main(words) == 0
    capsys.readouterr()
    shutil.rmtree(tmp_path / "none", ignore_errors=True)
    command = ["evaluate", "deeplabv3_aspp", "--weights", "memory://bucket/none.keras", "--dataset", "camvid"]
    assert main([*command, "--data", "memory://bucket/camvid"]) == 2
    error = capsys.readouterr().err
    assert "memory://bucket/camvid: nothing is there" in error
    assert error.count("\n") == 1
