"""Bad servers, killed processes and full disks: one line, and nothing half-written stays."""

import errno
import hashlib
import signal
import socket
import time
from pathlib import Path

import pytest
from support.file_server import CONTENT, FILE, entry_for, error_of, part, start_process, stored, write_part

from zoo.weights import cache, fetch, transfer

pytestmark = pytest.mark.usefixtures("own_cache")


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
