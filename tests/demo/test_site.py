"""The folder of the page, the runtimes in it, and the server on this machine."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading

import pytest
from support.tiny_export import tiny

from zoo import export
from zoo.cli import main
from zoo.demo import runtimes
from zoo.demo.server import serve
from zoo.demo.site import STATIC, write_site
from zoo.errors import InputError
from zoo.export import open_artifact

SIZE = (33, 47)
LARGEST = 25e6


def text_of(site):
    """Content of all text files of a site by path."""
    paths = [path for path in site.rglob("*") if path.suffix in (".js", ".json", ".html", ".mjs", ".css")]
    return {path.relative_to(site).as_posix(): path.read_text("utf-8") for path in paths}


# --- the folder -------------------------------------------------------------------------------------------


def test_the_command_writes_all_that_the_page_names(models, pinned, tmp_path, capsys):
    site = tmp_path / "new" / "site"
    assert main(["demo", *map(str, models), "--output", str(site), "--runtime", str(pinned)]) == 0
    assert str(site) in capsys.readouterr().out
    texts = text_of(site)
    named = set(re.findall(r"""(?:from|import|import\()\s*["'](\./[^"']+)["']""", "".join(texts.values())))
    named |= set(re.findall(r"""(?:href|src)="([^"#:]+)\"""", texts["index.html"]))
    for name in named - {"./wasm-utils.js"}:
        assert (site / name).is_file(), name
    entries = json.loads(texts["models.json"])["models"]
    for entry, path in zip(entries, models, strict=True):
        assert (site / entry["path"]).read_bytes() == path.read_bytes()
        assert re.fullmatch(r"models/[\w.-]+", entry["path"])
    assert [entry["title"] for entry in entries] == [
        "tiny, 33×47, float32 (TFLite)",
        "tiny, any size, float32 (ONNX)",
    ]
    listed = json.loads(texts["files.js"].removeprefix("self.FILES = ").rstrip(";\n"))
    there = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert {*listed["shell"], *listed["kept"]} == {"./", *there} - {"sw.js", "files.js"}
    manifest = json.loads((site / "manifest.webmanifest").read_text())
    assert all((site / icon["src"]).is_file() for icon in manifest["icons"])


def test_the_runtimes_are_the_pinned_ones_but_for_one_import(models, pinned, tmp_path):
    write_site(tmp_path / "site", [open_artifact(path) for path in models], runtime=pinned)
    for package in (*runtimes.packages("tflite"), *runtimes.packages("onnx")):
        for path, (place, _) in package.files.items():
            kind, _, name = place.partition("/")
            content = (pinned / "node_modules" / package.key / path).read_bytes()
            if name == "index.js":
                content = content.replace(b'"@litertjs/wasm-utils"', b'"./wasm-utils.js"')
            (found,) = (tmp_path / "site" / "runtime").glob(f"{kind}-*/{name}")
            assert found.read_bytes() == content


def test_only_the_runtimes_that_are_needed(models, pinned, tmp_path):
    write_site(tmp_path / "site", [open_artifact(models[1])], runtime=pinned)
    assert [path.name for path in (tmp_path / "site" / "runtime").iterdir()] == ["ort-1.30.0"]


def test_the_same_models_give_the_same_bytes_and_replace_the_folder(models, pinned, tmp_path):
    contents = []
    for _ in range(2):
        write_site(tmp_path / "site", [open_artifact(models[0])], runtime=pinned)
        contents.append(
            {path: path.read_bytes() for path in (tmp_path / "site").rglob("*") if path.is_file()}
        )
        (tmp_path / "site" / "left.txt").touch()
    assert contents[0] == contents[1]
    assert [path.name for path in tmp_path.iterdir()] == ["site"]


def test_what_is_refused(models, pinned, tmp_path, capsys):
    artifact = open_artifact(models[0])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("dear")
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="holds something other than such a page"):
        write_site(tmp_path / "full", [artifact], runtime=pinned)
    with pytest.raises(InputError, match="a file stands there"):
        write_site(tmp_path / "file", [artifact], runtime=pinned)
    export.to_onnx(tiny(), tmp_path / "small.onnx", head="small_logits", input_size=SIZE)
    with pytest.raises(InputError, match="export it with head='logits' or 'mask'"):
        write_site(tmp_path / "site", [open_artifact(tmp_path / "small.onnx")], runtime=pinned)
    export.to_saved_model(tiny(), tmp_path / "saved", serving_bytes=False)
    for name, part in {
        str(tmp_path / "saved"): "no SavedModel",
        str(tmp_path / "none.tflite"): "there is no artifact",
        "deeplabv4": "unknown",
    }.items():
        assert main(["demo", name, "--output", str(tmp_path / "site"), "--runtime", str(pinned)]) == 2
        assert part in capsys.readouterr().err
    assert not (tmp_path / "site").exists()
    assert (tmp_path / "full" / "letter.txt").read_text() == "dear"


def test_what_is_wrong_is_said_before_an_export(pinned, tmp_path, capsys, monkeypatch):
    from zoo.cli import opening

    def never(*args, **named):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(opening, "load_model", never)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").touch()
    (tmp_path / "m.xml").touch()
    served = ["demo", "--runtime", str(pinned), "--port"]
    cases = [
        (["demo", "--output", str(tmp_path / "full")], "holds something other than such a page"),
        (["demo", "--output", str(tmp_path / "site"), "--runtime", str(tmp_path)], "holds no @litertjs/core"),
        ([*served, "99999"], "port must be 0-65535"),
        (
            ["demo", str(tmp_path / "m.xml"), "--output", str(tmp_path / "site")],
            "runs .tflite and .onnx files",
        ),
    ]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        cases.append(([*served, str(taken.getsockname()[1])], "in use; choose another with --port"))
        for arguments, part in cases:
            assert main(arguments) == 2 and part in capsys.readouterr().err


def test_no_framework_is_imported_for_files(models, pinned, tmp_path):
    # A shell that runs the tests in its background has interrupts ignored.
    code = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from zoo.cli import main
from zoo.demo import runtimes
runtimes.LOCK = runtimes.Path({str(pinned / "lock.json")!r})
assert main(["demo", {str(models[0])!r}, "--output", "site", "--runtime", {str(pinned)!r}]) == 0
sys.exit(str({{"tensorflow", "keras"}} & set(sys.modules)) if "tensorflow" in sys.modules else 0)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_page_asks_for_nothing_elsewhere():
    for path in STATIC.iterdir():
        if path.suffix in (".js", ".html", ".css"):
            text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
            assert not re.search(r"https?://|//cdn", text.replace("localhost or https", "")), path


# --- the server -------------------------------------------------------------------------------------------


@pytest.fixture
def served(models, pinned, tmp_path):
    write_site(tmp_path / "site", [open_artifact(models[0])], runtime=pinned)
    with serve(tmp_path / "site", port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def ask(port, path, host="localhost"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": f"{host}:{port}"})
    return connection.getresponse()


def test_the_server_sends_the_headers_of_threads(served):
    for path, kind in {"/": "text/html", "/app.js": "text/javascript", "/sw.js": "text/javascript"}.items():
        answer = ask(served, path)
        assert answer.status == 200 and answer.getheader("Content-Type") == kind
        assert answer.getheader("Cross-Origin-Opener-Policy") == "same-origin"
        assert answer.getheader("Cross-Origin-Embedder-Policy") == "require-corp"
    assert (
        ask(served, "/runtime/litert-2.5.3/litert_wasm_compat_internal.wasm").getheader("Content-Type")
        == "application/wasm"
    )


@pytest.mark.parametrize("path", ["/models/", "/../lock.json", "/%2e%2e/%2e%2e/etc/passwd", "/none"])
def test_the_server_gives_nothing_but_the_files(path, served):
    assert ask(served, path).status == 404


def test_other_names_of_this_machine_are_refused(served):
    assert ask(served, "/", host="evil.example").status == 403
    assert ask(served, "/", host="127.0.0.1").status == 200


def test_a_port_that_is_taken_is_one_line(served, tmp_path):
    for port in (served, 70000):
        with pytest.raises(InputError, match=rf"cannot serve on 127\.0\.0\.1:{port}: .*--port"):
            serve(tmp_path, port=port)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_a_server_that_is_ended_leaves_nothing(ending, models, packages, tmp_path):
    code = f"""
import sys
from zoo.cli import main
from zoo.demo import runtimes
runtimes.LOCK = runtimes.Path({str(packages / "lock.json")!r})
sys.exit(main(["demo", {str(models[0])!r}, "--port", "0", "--runtime", {str(packages)!r}]))
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as process:
        try:
            port = int(re.search(rb"localhost:(\d+)/", process.stdout.readline())[1])
            assert ask(port, "/").status == 200
            process.send_signal(ending)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []


# --- the whole command ------------------------------------------------------------------------------------


def test_the_default_page_is_small_and_quick(drive, node_folder, photo, tmp_path):
    """Exported into the cache, written, and shown; how soon is printed, since other work slows it."""
    environment = {**os.environ, "ZOO_CACHE": str(tmp_path / "cache"), "ZOO_OFFLINE": "1"}
    command = [sys.executable, "-m", "zoo", "demo", "--runtime", str(node_folder)]
    done = subprocess.run(
        [*command, "--output", str(tmp_path / "site")], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    size = sum(path.stat().st_size for path in (tmp_path / "site").rglob("*") if path.is_file())
    assert size < LARGEST
    with serve(tmp_path / "site", port=0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://localhost:{server.server_address[1]}/"
        found = drive("models", url=url, photo=photo, folder=tmp_path)
        server.shutdown()
    print(f"first mask after {found['seen'][0]['seconds']:.2f} s, {size / 1e6:.1f} MB")
    assert "camvid" in found["seen"][0]["title"] and found["errors"] == []
