"""A server that misbehaves as it is told, and what the tests of fetching ask of the cache."""

import hashlib
import json
import random
import re
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from zoo.errors import DownloadError
from zoo.weights import cache, fetch
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
