"""Two downloads on a file system on which locks fail, or hold nothing: both end with a right file."""

import errno
import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.file_server import CONTENT, FILE, SCRIPT, entry_for, part, stored, write_part

from zoo.weights import fetch, transfer

pytestmark = pytest.mark.usefixtures("own_cache")

# What a file system does to a lock: nothing at all, or an error.
LOCKS = {
    "silent": "lambda file, flags: None",
    **{
        name: f"lambda file, flags: (_ for _ in ()).throw(OSError(errno.{name}, 'no locks'))"
        for name in ("ENOLCK", "EOPNOTSUPP", "ENOSYS")
    },
}


def start(entry, lock):
    names = ("model", "tag", "file", "urls", "bytes", "sha256", "licence", "source", "labels", "name_map")
    fields = json.dumps({name: getattr(entry, name) for name in names})
    script = f"import errno, fcntl\nfcntl.flock = {lock}\n{SCRIPT}"
    command = [sys.executable, "-W", "ignore", "-c", script, fields]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("lock", LOCKS)
def test_two_processes_end_with_a_right_file(servers, lock):
    server = servers(delay=0.005)
    processes = [start(entry_for(server.url), LOCKS[lock]) for _ in range(2)]
    results = [process.communicate(timeout=60) for process in processes]
    for out, err in results:
        assert Path(out.strip()).read_bytes() == CONTENT, (out, err)
    assert stored() == [f"files/{FILE}"]


@pytest.mark.parametrize("lock", LOCKS)
def test_two_processes_that_resume_end_with_a_right_file(servers, lock):
    write_part(CONTENT[:200_000])
    server = servers(delay=0.005)
    processes = [start(entry_for(server.url), LOCKS[lock]) for _ in range(2)]
    results = [process.communicate(timeout=60) for process in processes]
    for out, err in results:
        assert Path(out.strip()).read_bytes() == CONTENT, (out, err)
    assert stored() == [f"files/{FILE}"]


def meddle(monkeypatch, action, *, after):
    """Do something to the partial file, as another process would, once so many bytes are written."""
    real, state = transfer._write_piece, {"written": 0, "done": False}

    def write(file, piece):
        real(file, piece)
        state["written"] += len(piece)
        if state["written"] > after and not state["done"]:
            state["done"] = True
            action()

    monkeypatch.setattr(transfer, "_write_piece", write)


def another_begins():
    part().unlink()
    part().write_bytes(CONTENT[:1000])


def another_is_ready():
    part().unlink()
    part().with_name(FILE).write_bytes(CONTENT)


def another_went_on():
    """In the same file, a little ahead."""
    with part().open("r+b") as file:
        file.write(CONTENT[: os.fstat(file.fileno()).st_size + 100_000])


@pytest.mark.parametrize(
    "action", [another_begins, another_is_ready, another_went_on, lambda: part().unlink()]
)
@pytest.mark.parametrize("verified", [True, False])
def test_whatever_another_process_does_to_the_partial_file(servers, monkeypatch, action, verified):
    meddle(monkeypatch, action, after=300_000)
    changes = {} if verified else {"sha256": None}
    entry = entry_for(servers().url, **changes)
    assert fetch.fetch(entry, allow_unverified=not verified).read_bytes() == CONTENT


def test_what_another_process_puts_in_place_at_the_last_moment(servers, monkeypatch):
    real = os.replace

    def replace(source, target):
        if str(source) == str(part()):
            another_begins()
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    assert fetch.fetch(entry_for(servers().url)).read_bytes() == CONTENT


def test_clearing_without_locks(servers, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    fetch.fetch(entry_for(servers().url))
    monkeypatch.setattr(fcntl, "flock", refuse)
    assert [path.name for path in fetch.clear()] == [FILE]
