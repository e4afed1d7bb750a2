"""Chromium, driven by node, and the page of ``zoo demo`` as a process of its own."""

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.node_packages import PATIENCE
from support.tiny_export import tiny

import zoo
from zoo import export
from zoo.demo import runtimes
from zoo.images import read_image

CITY = Path(__file__).parents[2] / "examples" / "city.jpg"
SIZE, TINY = (96, 144), (33, 47)


@pytest.fixture(scope="session")
def model():
    return zoo.load("deeplabv3_aspp")


@pytest.fixture(scope="session")
def pixels():
    """The city at the size of the files, so that no resize of a browser is compared."""
    height, width = SIZE
    return np.asarray(Image.fromarray(read_image(CITY)).resize((width, height), Image.Resampling.BILINEAR))


@pytest.fixture(scope="session")
def photo(pixels, tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "city.png"
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="session")
def files(model, pixels, tmp_path_factory):
    """One file of each kind by name; those of LiteRT.js and those of ONNX Runtime Web."""
    folder = tmp_path_factory.mktemp("models")
    darker = [(pixels * share).astype(np.uint8) for share in np.linspace(0.6, 1, 8)]
    int8 = {"quantize": "int8", "calibration": darker}
    wide = {"quantize": "int16x8", "calibration": darker}
    settings = {
        "float.tflite": {},
        "half.tflite": {"quantize": "float16"},
        "int8.tflite": int8,
        "mask.tflite": {"head": "mask"},
        "float.onnx": {"layout": "nchw"},
        "any.onnx": {"input_size": None},
        "mask.onnx": {"head": "small_mask"},
        "wide.tflite": wide,
        "wide.onnx": {"layout": "nchw", **wide},
    }
    for name, options in settings.items():
        write = export.to_tflite if name.endswith(".tflite") else export.to_onnx
        write(model, folder / name, images=[pixels], **{"input_size": SIZE, **options})
    return {name: folder / name for name in settings}


@pytest.fixture(scope="session")
def serving(node_folder):
    """Starts ``zoo demo`` with files and gives its address, for as long as a context lasts."""

    @contextlib.contextmanager
    def started(*models):
        command = [sys.executable, "-m", "zoo", "demo", *map(str, models), "--port", "0"]
        process = subprocess.Popen(
            [*command, "--runtime", str(node_folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "ZOO_OFFLINE": "1"},
        )
        try:
            yield process.stdout.readline().split()[0], process
        finally:
            process.terminate()
            process.wait()
            process.stdout.close()

    return started


@pytest.fixture(scope="session")
def drive(node_folder, browser):
    """Runs a scenario of ``drive.mjs``; what it saw."""

    def run(name, *, stop=None, **options):
        options = {
            "program": browser,
            **{k: str(v) if isinstance(v, Path) else v for k, v in options.items()},
        }
        process = subprocess.Popen(
            ["node", "drive.mjs", name, json.dumps(options)],
            cwd=node_folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        if stop is not None:
            assert process.stdout.readline() == "stop\n", process.communicate()[1]
            stop()
        out, err = process.communicate("go\n" if stop else None, timeout=PATIENCE)
        assert process.returncode == 0, err
        return json.loads(out.splitlines()[-1])

    return run


# --- without a browser ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """A small file of each format."""
    folder, model = tmp_path_factory.mktemp("small"), tiny()
    export.to_tflite(model, folder / "a b.tflite", input_size=TINY)
    export.to_onnx(model, folder / "m.onnx")
    return folder / "a b.tflite", folder / "m.onnx"


@pytest.fixture(scope="session")
def packages(tmp_path_factory):
    """A lock file, and packages of few bytes that stand and are packed as it says."""
    folder = tmp_path_factory.mktemp("packages")
    lock = json.loads(runtimes.LOCK.read_text("utf-8"))
    (folder / "archives").mkdir()
    for name, entry in lock.items():
        archive = folder / "archives" / f"{name.strip('@').replace('/', '-')}-{entry['version']}.tgz"
        with tarfile.open(archive, "w:gz") as packed:
            for path, file in entry["files"].items():
                content = f'{path}; import x from "@litertjs/wasm-utils";'.encode()
                place = folder / "node_modules" / name / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
                member = tarfile.TarInfo(f"package/{path}")
                member.size, file["sha256"] = len(content), hashlib.sha256(content).hexdigest()
                packed.addfile(member, io.BytesIO(content))
        entry["bytes"] = archive.stat().st_size
        entry["sha256"] = hashlib.sha256(archive.read_bytes()).hexdigest()
    (folder / "lock.json").write_text(json.dumps(lock))
    return folder


@pytest.fixture
def pinned(packages, monkeypatch):
    monkeypatch.setattr(runtimes, "LOCK", packages / "lock.json")
    return packages
