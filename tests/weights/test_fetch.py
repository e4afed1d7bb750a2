"""Fetching where all goes well: once, from mirrors, offline, and what is removed again."""

import hashlib
import os
import sys

import numpy as np
import pytest
from support.file_server import CONTENT, FILE, entry_for, error_of, part, stored, write_part

from zoo.errors import DownloadError
from zoo.weights import cache, fetch
from zoo.weights.locking import locked

pytestmark = pytest.mark.usefixtures("own_cache")


def test_downloads_once_and_reports_progress(servers):
    server, seen = servers(), []
    entry = entry_for(server.url)
    path = fetch.fetch(entry, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT))
    assert fetch.fetch(entry) == path == fetch.cached(entry)
    assert len(server.log) == 1
    assert stored() == [f"files/{FILE}"]


def test_bar_on_a_terminal(servers, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    fetch.fetch(entry_for(servers().url))
    assert FILE in capsys.readouterr().err


def test_flipped_byte_in_the_cache_is_noticed(servers):
    server = servers()
    entry = entry_for(server.url)
    path = fetch.fetch(entry)
    before = path.stat()
    content = bytearray(CONTENT)
    content[500_000] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert fetch.verify(entry) == "damaged"
    assert fetch.fetch(entry).read_bytes() == CONTENT
    assert fetch.verify(entry) == "ok"
    assert len(server.log) == 2


def test_address_whose_last_part_is_not_the_file_name(servers):
    server = servers()
    entry = entry_for(server.url.replace(FILE, "resolve/main?download=true"))
    assert fetch.fetch(entry).name == FILE
    assert server.log[0]["path"] == "/resolve/main?download=true"


def test_unknown_size(servers):
    assert fetch.fetch(entry_for(servers().url, bytes=None)).read_bytes() == CONTENT


def test_offline_touches_no_network(servers, monkeypatch, tmp_path):
    server = servers()
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setenv("ZOO_MIRROR", server.url.removesuffix(FILE))
    entry = entry_for(server.url)
    message = error_of(entry)
    assert str(cache.files_dir() / FILE) in message and "ZOO_OFFLINE" in message
    assert server.log == []
    (tmp_path / FILE).write_bytes(CONTENT)
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path))
    assert fetch.fetch(entry).read_bytes() == CONTENT
    monkeypatch.delenv("ZOO_MIRROR")
    assert fetch.fetch(entry).is_file()
    assert server.log == []


@pytest.mark.parametrize("form", ["{}", "file://{}", "/nowhere; {}"])
def test_folder_mirror_and_its_sub_folders(monkeypatch, tmp_path, form):
    folder = tmp_path / "a mirror"
    (folder / "weights").mkdir(parents=True)
    (folder / "weights" / FILE).write_bytes(CONTENT)
    monkeypatch.setenv("ZOO_MIRROR", form.format(folder))
    path = fetch.fetch(entry_for("http://127.0.0.1:9/x"))
    assert path.parent == cache.files_dir() and path.read_bytes() == CONTENT
    assert (folder / "weights" / FILE).is_file()
    assert stored() == [f"files/{FILE}"]


def test_url_mirror_comes_first(servers, monkeypatch):
    official, mirror = servers(), servers()
    monkeypatch.setenv("ZOO_MIRROR", mirror.url.removesuffix(f"/{FILE}"))
    assert fetch.fetch(entry_for(official.url)).read_bytes() == CONTENT
    assert [record["path"] for record in mirror.log] == [f"/{FILE}"] and official.log == []


def test_wrong_mirrors_fall_through(servers, monkeypatch, tmp_path):
    (tmp_path / FILE).write_bytes(b"z" * len(CONTENT))
    mirror, official = servers(content=b"w" * len(CONTENT)), servers()
    monkeypatch.setenv("ZOO_MIRROR", f"{tmp_path};{mirror.url.removesuffix(FILE)}")
    write_part(CONTENT[:100_000])
    assert fetch.fetch(entry_for(official.url)).read_bytes() == CONTENT
    assert len(official.log) == 1
    assert stored() == [f"files/{FILE}"]


def test_mirror_of_another_kind(monkeypatch):
    monkeypatch.setenv("ZOO_MIRROR", "ftp://example.org")
    assert "ZOO_MIRROR" in error_of(entry_for("http://127.0.0.1:9/x"))


def test_passwords_of_a_mirror_are_not_shown(monkeypatch):
    monkeypatch.setenv("ZOO_MIRROR", "http://user:secret@127.0.0.1:9")
    assert "secret" not in error_of(entry_for("http://127.0.0.1:9/x"))


def test_real_mirror(data_dir, monkeypatch):
    monkeypatch.setenv("ZOO_MIRROR", str(data_dir))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    entry = entry_for(
        "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth",
        file="mobilenet_v2-b0353104.pth",
        bytes=14_212_972,
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
    )
    assert fetch.fetch(entry).stat().st_size == 14_212_972


def test_bundled_file(monkeypatch, tmp_path):
    monkeypatch.setattr(fetch, "bundled_path", lambda entry: tmp_path / entry.file)
    entry = entry_for(bundled=True)
    assert "reinstall" in error_of(entry) and fetch.verify(entry) == "absent"
    (tmp_path / FILE).write_bytes(CONTENT)
    assert fetch.fetch(entry) == tmp_path / FILE and fetch.verify(entry) == "ok"
    assert fetch.clear([entry]) == {} and (tmp_path / FILE).is_file()


def test_unverified_file_is_pinned_at_first_sight(servers):
    server = servers()
    entry = entry_for(server.url, sha256=None, bytes=None)
    assert "allow_unverified=True" in error_of(entry) and server.log == []
    path = fetch.fetch(entry, allow_unverified=True)
    digest = hashlib.sha256(CONTENT).hexdigest()
    assert fetch.seen_digest(entry) == digest and fetch.verify(entry) == "ok"
    path.unlink()
    server.content = CONTENT[::-1]
    other = hashlib.sha256(server.content).hexdigest()
    message = error_of(entry, allow_unverified=True)
    assert digest in message and other in message
    assert stored() == [f"seen/{FILE}.json"]
    fetch._seen_path(entry).unlink()
    assert fetch.fetch(entry, allow_unverified=True).read_bytes() == server.content


def test_the_start_of_a_digest_must_match(servers):
    """It does not stand for the whole: the file is accepted by the caller, and pinned."""
    server = servers()
    digest = hashlib.sha256(server.content).hexdigest()
    entry = entry_for(server.url, sha256=None, bytes=None, sha256_start=digest[:8])
    assert "allow_unverified=True" in error_of(entry) and server.log == []
    wrong = entry_for(server.url, sha256=None, bytes=None, sha256_start="0" * 8)
    assert f"SHA-256 is {digest}, expected 00000000…" in error_of(wrong, allow_unverified=True)
    assert stored() == []
    path = fetch.fetch(entry, allow_unverified=True)
    assert path.read_bytes() == server.content and fetch.seen_digest(entry) == digest
    assert fetch.verify(entry) == "ok"
    fetch._seen_path(entry).unlink()
    assert fetch.verify(entry) == "unverified" and fetch.verify(wrong) == "damaged"


def test_unverified_download_never_joins_halves(servers):
    write_part(b"x" * 1000)
    server = servers()
    entry = entry_for(server.url, sha256=None, bytes=None)
    assert fetch.fetch(entry, allow_unverified=True).read_bytes() == CONTENT
    assert server.log[0]["range"] is None


def test_clear_removes_files_parts_and_converted(servers):
    entry, other = entry_for(servers().url), entry_for("http://x/y", file="y", sha256="0" * 64)
    fetch.fetch(entry)
    write_part(b"12345")
    for source in (entry, other):
        path = cache.converted_path(source_sha256=source.sha256, converter_version="1", key="k")
        assert cache.store_converted(path, {"a": np.zeros(3)})
    removed = fetch.clear([entry])
    assert sorted(path.suffix for path in removed) == [".npz", ".part", ".pth"]
    assert removed[part()] == 5 and len(stored()) == 1
    (cache.files_dir() / "old.pth").write_bytes(b"old catalog")
    assert len(fetch.clear()) == 2 and stored() == [] and fetch.clear() == {}


def test_clear_refuses_a_file_in_use():
    with (
        locked(cache.files_dir() / FILE),
        pytest.raises(DownloadError, match="another process"),
    ):
        fetch.clear()
