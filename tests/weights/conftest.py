import threading

import pytest
from support.file_server import Server


@pytest.fixture
def servers():
    """Starts a `Server` with the behaviour that is asked for."""
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


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    """An empty cache, no mirror, and no proxy before the test's own server."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    proxies = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
    for name in ("ZOO_MIRROR", "ZOO_OFFLINE", *proxies):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.pth"


@pytest.fixture
def lite(tmp_path):
    return tmp_path / "net.tflite"
