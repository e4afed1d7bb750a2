"""A web server on this machine alone, with the headers that threads of WebAssembly need."""

from __future__ import annotations

from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from zoo.errors import InputError

HOST = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost")
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class _Handler(SimpleHTTPRequestHandler):
    # What the system's tables say of these differs.
    extensions_map = {  # noqa: RUF012 (as the class above has it)
        "": "application/octet-stream",
        ".css": "text/css",
        ".html": "text/html",
        ".js": "text/javascript",
        ".json": "application/json",
        ".mjs": "text/javascript",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".txt": "text/plain",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
    }

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def send_head(self):
        # Another site whose name leads here must not read what is served.
        if self.headers.get("Host", "").rpartition(":")[0] not in _NAMES:
            self.send_error(HTTPStatus.FORBIDDEN)
            return None
        return super().send_head()

    def list_directory(self, path):
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format, *args) -> None:
        """Nothing: the terminal is for the person who started it."""


def serve(folder: Path, *, port: int) -> ThreadingHTTPServer:
    """A server of the folder, bound and not yet running; port 0 takes a free one.

    Raises:
        InputError: The port is taken.
    """

    def handler(*args, **named):
        return _Handler(*args, directory=str(folder), **named)

    try:
        return ThreadingHTTPServer((HOST, port), handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"cannot serve on {HOST}:{port}: {reason}; choose another with --port") from error
