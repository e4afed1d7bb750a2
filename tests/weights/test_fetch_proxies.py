"""Proxies that refuse, proxies that are gone, certificates that are not known: the cause, and what to do."""

import http.server
import shutil
import socket
import ssl
import subprocess
import threading

import pytest
from support.file_server import CONTENT, FILE, Server, entry_for, error_of, stored

from zoo.weights import fetch

pytestmark = pytest.mark.usefixtures("own_cache")

OUTSIDE = f"https://weights.example.org/{FILE}"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


class Refusing(http.server.BaseHTTPRequestHandler):
    def do_CONNECT(self):
        self.send_error(self.server.status)

    do_GET = do_CONNECT

    def log_message(self, *arguments):
        pass


@pytest.fixture
def proxy(monkeypatch):
    """Starts a proxy that answers everything with one status; its address."""
    running = []

    def start(status, *, name="HTTPS_PROXY"):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
        server.status = status
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        running.append(server)
        monkeypatch.setenv(name, f"http://me:secret@127.0.0.1:{server.server_address[1]}")
        return f"127.0.0.1:{server.server_address[1]}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    "scheme, name", [("https", "HTTPS_PROXY"), ("http", "HTTP_PROXY"), ("https", "ALL_PROXY")]
)
def test_proxy_that_wants_a_password(proxy, scheme, name):
    address = proxy(407, name=name)
    message = error_of(entry_for(OUTSIDE.replace("https", scheme)))
    assert "407 Proxy Authentication Required" in message and address in message
    assert "HTTPS_PROXY=http://name:password@host:port" in message and "secret" not in message


@pytest.mark.parametrize("status, words", [(403, "403 Forbidden"), (502, "502 Bad Gateway")])
def test_proxy_that_refuses_the_address(proxy, status, words):
    address = proxy(status)
    message = error_of(entry_for(OUTSIDE))
    assert words in message and f"through the proxy http://{address}" in message
    assert "HTTPS_PROXY" in message and "NO_PROXY" in message and "secret" not in message


def test_proxy_that_refuses_a_plain_address(proxy):
    address = proxy(403, name="HTTP_PROXY")
    message = error_of(entry_for(OUTSIDE.replace("https", "http")))
    assert "HTTP 403 Forbidden" in message and f"through the proxy http://{address}" in message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxy_that_is_gone(monkeypatch, scheme):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", address)
        message = error_of(entry_for(OUTSIDE.replace("https", scheme)))
    assert f"connection refused (through the proxy {address})" in message and "HTTPS_PROXY" in message


def test_proxy_that_has_no_address(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    message = error_of(entry_for(OUTSIDE))
    assert "host name not found (through the proxy http://proxy.invalid:3128)" in message


def test_no_proxy_is_named_where_there_is_none(servers):
    assert "proxy" not in error_of(entry_for(servers(status=404).url))


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that nobody knows, and its key, as a proxy has that inspects TLS."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is absent: no certificate can be made")
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", folder / "key.pem", "-out", folder / "known.pem"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def secure(certificate):
    """A server of the file over TLS; its URL."""
    server = Server()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "known.pem", certificate / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server.url.replace("http", "https")
    server.shutdown()
    server.server_close()


def test_unknown_certificate(secure):
    message = error_of(entry_for(secure))
    assert "certificate verify failed: self" in message and "REQUESTS_CA_BUNDLE" in message
    assert "_ssl.c" not in message
    assert stored() == []


def test_certificate_that_the_bundle_knows(secure, certificate, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate / "known.pem"))
    assert fetch.fetch(entry_for(secure)).read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_bundle_that_is_not_there(secure, tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, str(tmp_path / "none.pem"))
    message = error_of(entry_for(secure))
    assert "invalid path" in message and f"{name}={tmp_path / 'none.pem'}" in message


def test_bundle_that_holds_no_certificate(secure, tmp_path, monkeypatch):
    (tmp_path / "empty.pem").write_text("nothing\n")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "empty.pem"))
    message = error_of(entry_for(secure))
    assert "certificate" in message.lower() and f"REQUESTS_CA_BUNDLE={tmp_path / 'empty.pem'}" in message


def test_server_that_speaks_no_tls(servers):
    message = error_of(entry_for(servers().url.replace("http", "https")))
    assert "the TLS connection failed" in message and "BUNDLE" not in message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_way_out_and_no_proxy_set(scheme):
    message = error_of(entry_for(f"{scheme}://nowhere.invalid/{FILE}"))
    assert f"host name not found (no proxy is set; where one is needed, {scheme.upper()}_PROXY" in message
