"""The built site in Chromium, on a phone by night and on a table by day: whole, nothing from elsewhere."""

import functools
import json
import re
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from support.code_blocks import REPOSITORY
from support.node_packages import PATIENCE

from zoo import dilation

pytest.importorskip("mkdocs", reason='pip install ".[docs]"')
PAGES = ["", "gallery/", "gridding/", "api/zoo.dilation/", "cli/train/", "guides/own_images/", "faq/"]
SCREENS = [(390, 844, True), (1280, 800, False)]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of the site."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(built):
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(built)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_pages_name_no_other_origin(built):
    """Links may lead anywhere; scripts, styles, fonts and pictures are files of the site."""
    loaded = re.compile(
        r'<(?:script|img|iframe|link(?! rel="canonical"))[^>]* (?:src|href)="(?:https?:)?//[^"]*"'
    )
    for page in built.rglob("*.html"):
        assert not loaded.search(page.read_text("utf-8")), page
    for style in built.rglob("*.css"):
        assert not re.search(r"@import|url\(['\"]?(?:https?:)?//", style.read_text("utf-8")), style


@pytest.fixture(scope="module", params=SCREENS, ids=lambda screen: f"{screen[0]}x{screen[1]}")
def seen(request, address, node_folder, browser, tmp_path_factory):
    width, height, dark = request.param
    options = {
        "program": browser,
        "url": address,
        "paths": PAGES,
        "width": width,
        "height": height,
        "dark": dark,
    }
    options |= {"folder": str(tmp_path_factory.mktemp("screens")), "full": False}
    command = ["node", "documents.mjs", json.dumps(options)]
    done = subprocess.run(command, cwd=node_folder, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "width": width, "address": address}


def test_the_site_is_whole(seen):
    assert seen["errors"] == []
    assert seen["origins"] == [seen["address"].rstrip("/")]
    for path, page in seen["pages"].items():
        assert page["broken"] == [] and page["unnamed"] == [], path
        assert page["wide"] <= seen["width"], f"{path} is wider than the screen"
    assert any(link.startswith(seen["address"]) or "gridding" in link for link in seen["search"])


def test_the_gridding_page_answers(seen):
    first, keys, sequence, address, nonsense = (
        seen["gridding"][name] for name in ("first", "keys", "sequence", "address", "nonsense")
    )
    assert first["verdict"] == "2-2-2: fail"
    reached, pixels = dilation.reached([2, 2, 2])
    assert f"{pixels - reached} of {pixels}" in first["facts"] and first["colors"] > 3
    assert first["suggestion"].endswith("1-2-3") and first["command"] == "zoo dilation check 2 2 2"
    assert keys["verdict"] == "1-2-2: pass"
    assert sequence["verdict"] == "4-4-4-4: fail"
    assert sequence["command"] == "zoo dilation check --causal --kernel 2 4 4 4 4"
    assert "12 of 17" in sequence["facts"]
    passes = dilation.check([1, 2, 9], kernel=5).passes and dilation.covers([1, 2, 9] * 2, kernel=5)
    assert address["verdict"] == f"1-2-9: {'pass' if passes else 'fail'}"
    assert nonsense == address
