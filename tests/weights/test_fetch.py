import errno
import hashlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import DownloadError, InputError
from zoo.weights import cache, fetch, transfer
from zoo.weights.entry import WeightsEntry

CONTENT = random.Random(0).randbytes(1_000_003)
FILE = "net-12345678.pth"


class Handler(BaseHTTPRequestHandler):
    """Serves one content, as badly as the server's attributes ask for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        record = {"path": self.path, "range": asked, "sent": 0}
        server.log.append(record)
        if server.status != 200:
            self.send_error(server.status)
            return
        body, start = server.content, 0
        if asked and server.ranges != "ignore":
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if server.ranges == "416" or start >= len(body):
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
        self.answer(body, start, partial=asked and server.ranges != "ignore", record=record)

    def answer(self, body, start, *, partial, record):
        server = self.server
        self.send_response(206 if partial else 200)
        if partial:
            first = start + (7 if server.ranges == "shifted" else 0)
            self.send_header("Content-Range", f"bytes {first}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        cut = server.cuts.pop(0) if server.cuts else None
        end = len(body) if cut is None else min(len(body), start + cut)
        for position in range(start, end, 1 << 14):
            piece = body[position : min(end, position + (1 << 14))]
            self.wfile.write(piece)
            record["sent"] += len(piece)
            time.sleep(server.delay)
        if end < len(body):
            self.close_connection = True

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.status, self.ranges = CONTENT, 200, "honour"
        self.cuts, self.delay, self.log = [], 0.0, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/{FILE}"

    def handle_error(self, request, client_address):
        pass  # clients are killed on purpose


@pytest.fixture
def servers():
    running = []

    def start(**behaviour):
        server = Server()
        vars(server).update(behaviour)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    proxies = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
    for name in ("ZOO_MIRROR", "ZOO_OFFLINE", *proxies):
        monkeypatch.delenv(name, raising=False)


def entry_for(*urls, content=CONTENT, **changes):
    fields = {
        "model": "deeplabv3_aspp_mobilenet_v2",
        "tag": "voc2012",
        "file": FILE,
        "urls": urls,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "Apache-2.0",
        "source": "https://example.org",
        "labels": "voc21",
        "name_map": "torch",
    }
    return WeightsEntry(**fields | changes)


def part():
    return cache.files_dir() / f"{FILE}.part"


def write_part(content):
    part().parent.mkdir(parents=True, exist_ok=True)
    part().write_bytes(content)


def stored():
    """Everything in the cache except lock files."""
    folder = cache.cache_dir()
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")
    return sorted(str(path.relative_to(folder)) for path in files)


def error_of(entry, **options):
    with pytest.raises(DownloadError) as caught:
        fetch.fetch(entry, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


SCRIPT = """
import json, sys
from zoo.errors import DownloadError
from zoo.weights import fetch
from zoo.weights.entry import WeightsEntry
if len(sys.argv) > 2:
    import resource
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
try:
    print(fetch.fetch(WeightsEntry(**json.loads(sys.argv[1]))))
except DownloadError as error:
    print("DownloadError:", error)
"""


def start_process(entry, *arguments):
    names = ("model", "tag", "file", "urls", "bytes", "sha256", "licence", "source")
    fields = {name: getattr(entry, name) for name in (*names, "labels", "name_map")}
    command = [sys.executable, "-c", SCRIPT, json.dumps(fields), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# --- entries -------------------------------------------------------------------------------------


def test_entry_is_frozen_and_its_settings_are_read_only():
    entry = entry_for("https://example.org/a", settings={"output_stride": 16})
    with pytest.raises(AttributeError):
        entry.file = "other"
    with pytest.raises(TypeError):
        entry.settings["output_stride"] = 8
    assert hash(entry) == hash(entry_for("https://example.org/a", settings={}))


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "abc"},
        {"sha256": "A" * 64},
        {"file": "../net.pth"},
        {"file": "a\\b"},
        {"file": ".."},
        {"bytes": 0},
        {"score": 74.0},
        {"score": 74.0, "metric": "mIoU"},
        {"urls": ("ftp://example.org/a",)},
        {"urls": ()},
    ],
)
def test_entry_refuses(changes):
    with pytest.raises(InputError):
        entry_for("https://example.org/a", **changes)


# --- the plain way -------------------------------------------------------------------------------


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


# --- bad servers ---------------------------------------------------------------------------------


def test_cut_connection_is_resumed(servers):
    server = servers(cuts=[300_000, 400_000])
    assert fetch.fetch(entry_for(server.url)).read_bytes() == CONTENT
    assert [record["range"] is None for record in server.log] == [True, False, False]
    assert sum(record["sent"] for record in server.log) < 1.3 * len(CONTENT)
    assert stored() == [f"files/{FILE}"]


def test_truncating_server_leaves_only_a_part_that_is_resumed_later(servers):
    server = servers(cuts=[300_000, 0])
    message = error_of(entry_for(server.url))
    assert server.url in message and "resumes" in message and "connection" in message
    assert stored() == [f"files/{FILE}.part"]
    assert fetch.fetch(entry_for(server.url)).read_bytes() == CONTENT
    assert server.log[-1]["range"] is not None
    assert stored() == [f"files/{FILE}"]


def test_server_that_truncates_and_ignores_range(servers):
    server = servers(cuts=[300_000] * 9, ranges="ignore")
    error_of(entry_for(server.url))
    assert stored() == [f"files/{FILE}.part"]


def test_flipped_byte_from_the_server(servers):
    content = bytearray(CONTENT)
    content[7] ^= 128
    server = servers(content=bytes(content))
    message = error_of(entry_for(server.url))
    assert "SHA-256" in message and hashlib.sha256(content).hexdigest() in message
    assert len(server.log) == 1
    assert stored() == []


@pytest.mark.parametrize("ranges", ["honour", "ignore", "416", "shifted"])
def test_resume_whatever_the_server_makes_of_range(servers, ranges):
    server = servers(ranges=ranges)
    write_part(CONTENT[:400_000])
    assert fetch.fetch(entry_for(server.url)).read_bytes() == CONTENT
    assert server.log[0]["range"] == "bytes=400000-"
    if ranges == "honour":
        assert server.log[0]["sent"] == len(CONTENT) - 400_000
    assert stored() == [f"files/{FILE}"]


@pytest.mark.parametrize("stale", [b"x" * 400_000, b"x" * len(CONTENT), CONTENT + b"more"])
def test_wrong_part_is_discarded_and_downloaded_once_more(servers, stale):
    server = servers()
    write_part(stale)
    assert fetch.fetch(entry_for(server.url)).read_bytes() == CONTENT
    assert server.log[-1]["range"] is None


def test_complete_part_needs_no_network():
    write_part(CONTENT)
    assert fetch.fetch(entry_for("http://127.0.0.1:9/x")).read_bytes() == CONTENT


def test_resumed_file_that_stays_wrong_is_given_up(servers):
    server = servers(content=b"y" * len(CONTENT))
    write_part(CONTENT[:400_000])
    assert "SHA-256" in error_of(entry_for(server.url))
    assert [record["range"] for record in server.log] == ["bytes=400000-", None]
    assert stored() == []


def test_changed_size(servers):
    server = servers(content=CONTENT + b"new")
    assert f"{len(CONTENT) + 3} bytes, expected {len(CONTENT)}" in error_of(entry_for(server.url))
    assert stored() == []


def test_every_failed_address_is_listed(servers, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", (0.3, 0.3))
    real = socket.getaddrinfo

    def resolve(host, *arguments, **options):
        if host == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with socket.socket() as silent, socket.socket() as closed:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        closed.bind(("127.0.0.1", 0))
        addresses = [f"http://127.0.0.1:{s.getsockname()[1]}/{FILE}" for s in (silent, closed)]
        missing = servers(status=404)
        message = error_of(entry_for(*addresses, missing.url, f"http://nowhere.invalid/{FILE}"))
    assert f"{addresses[0]}: timed out" in message
    assert f"{addresses[1]}: connection refused" in message
    assert f"{missing.url}: HTTP 404 Not Found" in message
    assert f"http://nowhere.invalid/{FILE}: host name not found" in message
    assert "ZOO_MIRROR" in message
    assert stored() == []


def test_second_address_resumes_what_the_first_began(servers):
    first, second = servers(cuts=[300_000, 0]), servers()
    assert fetch.fetch(entry_for(first.url, second.url)).read_bytes() == CONTENT
    assert second.log[0]["range"] is not None


# --- processes -----------------------------------------------------------------------------------


def test_two_processes_at_once_download_once(servers):
    server = servers(delay=0.01)
    processes = [start_process(entry_for(server.url)) for _ in range(2)]
    results = [process.communicate(timeout=30) for process in processes]
    assert results[0][0] == results[1][0] and Path(results[0][0].strip()).is_file(), results
    assert [record["sent"] for record in server.log] == [len(CONTENT)]
    assert stored() == [f"files/{FILE}"]


def test_killed_download_resumes(servers):
    server = servers(delay=0.02)
    process = start_process(entry_for(server.url))
    deadline = time.monotonic() + 20
    while transfer.size_of(part()) < 300_000 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert stored() == [f"files/{FILE}.part"]
    kept, server.delay = part().stat().st_size, 0
    assert fetch.fetch(entry_for(server.url)).read_bytes() == CONTENT
    assert server.log[-1]["range"] == f"bytes={kept}-"
    assert sum(record["sent"] for record in server.log) < 2 * len(CONTENT)
    assert stored() == [f"files/{FILE}"]


# --- disk ----------------------------------------------------------------------------------------


def test_full_disk_while_writing(servers, monkeypatch):
    def full(file, piece, written=[0]):  # noqa: B006
        written[0] += len(piece)
        if written[0] > 300_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(piece)

    server = servers()
    monkeypatch.setattr(transfer, "_write_piece", full)
    message = error_of(entry_for(server.url, server.url))
    assert f"{len(CONTENT)} bytes are needed" in message and str(cache.files_dir()) in message
    assert "are free" in message and "No space left" in message
    assert len(server.log) == 1
    assert stored() == []


def test_full_disk_is_noticed_before_the_download(servers, monkeypatch):
    server = servers()
    usage = transfer.shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: usage)
    message = error_of(entry_for(server.url))
    assert f"{len(CONTENT)} bytes are needed, 1000 are free" in message
    assert server.log[0]["sent"] < len(CONTENT)
    assert stored() == []


def test_disk_that_really_refuses_to_write(servers):
    process = start_process(entry_for(servers().url), 300_000)
    out, err = process.communicate(timeout=30)
    assert out.startswith("DownloadError: no room for") and out.count("\n") == 1, (out, err)
    assert stored() == []


def test_unwritable_cache_folder(servers, monkeypatch, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    message = error_of(entry_for(servers().url))
    assert "ZOO_CACHE" in message and str(tmp_path / "file") in message


# --- offline, mirrors, bundled -------------------------------------------------------------------


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


# --- unverified ----------------------------------------------------------------------------------


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


def test_unverified_download_never_joins_halves(servers):
    write_part(b"x" * 1000)
    server = servers()
    entry = entry_for(server.url, sha256=None, bytes=None)
    assert fetch.fetch(entry, allow_unverified=True).read_bytes() == CONTENT
    assert server.log[0]["range"] is None


# --- clear, converted cache ----------------------------------------------------------------------


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
        fetch._locked(cache.files_dir() / FILE),
        pytest.raises(DownloadError, match="another process"),
    ):
        fetch.clear()


@pytest.fixture
def converted():
    path = cache.converted_path(source_sha256="ab" * 32, converter_version="1", key="m/t")
    arrays = {
        "stem/conv/kernel": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
        "file": np.array(7),
        "empty": np.zeros((0, 3), np.float16),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    }
    assert cache.load_converted(path) is None
    assert cache.store_converted(path, arrays)
    return path, arrays


def same(left, right):
    return list(left) == list(right) and all(
        left[name].dtype == right[name].dtype and np.array_equal(left[name], right[name]) for name in left
    )


def test_converted_round_trip(converted):
    path, arrays = converted
    assert same(cache.load_converted(path), arrays)
    assert [item.name for item in path.parent.iterdir()] == [path.name]
    others = [
        cache.converted_path(source_sha256="ab" * 32, converter_version="2", key="m/t"),
        cache.converted_path(source_sha256="ab" * 32, converter_version="1", key="m/u"),
        cache.converted_path(source_sha256="cd" * 32, converter_version="1", key="m/t"),
    ]
    assert len({path, *others}) == 4


def test_damaged_converted_file_is_absent_and_rewritten(converted):
    path, arrays = converted
    good = path.read_bytes()
    for position in range(len(good)):
        path.write_bytes(good[:position] + bytes([good[position] ^ 0x11]) + good[position + 1 :])
        loaded = cache.load_converted(path)
        assert loaded is None or same(loaded, arrays), position
    path.write_bytes(good[: len(good) // 2])
    assert cache.load_converted(path) is None
    assert cache.store_converted(path, arrays) and same(cache.load_converted(path), arrays)


def test_converted_refuses_objects_and_survives_a_full_disk(converted, monkeypatch):
    path, arrays = converted
    with pytest.raises(InputError):
        cache.store_converted(path, {"a": np.array([object()])})

    def full(file, arrays):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache, "_write_arrays", full)
    assert cache.store_converted(path, {"b": np.zeros(2)}) is False
    assert same(cache.load_converted(path), arrays)
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_nothing_here_imports_a_framework():
    code = (
        "import sys, zoo.weights.entry, zoo.weights.fetch, zoo.weights.cache, zoo.cli.weights,"
        "zoo.weights.readers.torch_file, zoo.weights.readers.tflite_file\n"
        "print({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "set()", result.stderr
