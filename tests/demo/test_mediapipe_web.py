"""TFLite files in MediaPipe's `ImageSegmenter` for the browser."""

import json
import shutil
import subprocess
import threading

import numpy as np
import pytest
from support.node_packages import PATIENCE
from support.tiny_export import tiny

import zoo
from zoo import export
from zoo.demo.server import serve

SIZE = (96, 144)  # of the photograph
AT_LEAST = 0.999
# MediaPipe asks for WebGL even where it computes on the processor.
FLAGS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]


@pytest.fixture(scope="module")
def segmented(node_folder, browser, files, photo, tmp_path_factory):
    """Runs MediaPipe on the photograph with one of the files; what it gave, as arrays."""
    folder = tmp_path_factory.mktemp("mediapipe")
    package = node_folder / "node_modules" / "@mediapipe" / "tasks-vision"
    shutil.copytree(package / "wasm", folder / "tasks-vision" / "wasm")
    shutil.copy(package / "vision_bundle.mjs", folder / "tasks-vision")
    shutil.copy(node_folder / "mediapipe.html", folder / "index.html")
    shutil.copy(photo, folder / "photo.png")

    def run(path):
        shutil.copy(path, folder / "m.tflite")
        with serve(folder, port=0) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            url = f"http://localhost:{server.server_address[1]}/"
            options = {
                "program": browser,
                "url": url,
                "model": "m.tflite",
                "picture": "photo.png",
                "flags": FLAGS,
            }
            command = ["node", "mediapipe.mjs", json.dumps(options)]
            done = subprocess.run(command, cwd=node_folder, capture_output=True, text=True, timeout=PATIENCE)
            server.shutdown()
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        size = found["height"], found["width"]
        category = np.array(found["category"], np.uint8).reshape(size)
        confidence = np.array(found["confidence"], np.float32).reshape(-1, *size)
        return category, confidence, tuple(found["labels"])

    return run


def test_bytes_whose_scale_says_the_normalization(segmented, photo, pixels, tmp_path):
    darker = [(pixels * share).astype(np.uint8) for share in np.linspace(0.6, 1, 8)]
    path = tmp_path / "m.tflite"
    export.to_tflite(tiny(), path, input_size=SIZE, quantize="int8", calibration=darker)
    want = zoo.segment(export.open_artifact(path), photo).mask
    assert len(np.unique(want)) >= 2
    assert (segmented(path)[0] == want).mean() >= AT_LEAST


@pytest.mark.parametrize("name", ["float.tflite", "half.tflite", "int8.tflite", "wide.tflite"])
def test_masks_are_those_of_segment(name, segmented, files, model, photo):
    category, confidence, labels = segmented(files[name])
    exact = name in ("float.tflite", "half.tflite")
    want = zoo.segment(model if exact else export.open_artifact(files[name]), photo)
    assert len(np.unique(want.mask)) >= 3
    assert (category == want.mask).mean() >= AT_LEAST
    assert labels == want.labels.names
    assert len(confidence) == len(labels)
    np.testing.assert_allclose(confidence.sum(0), 1, atol=1e-3)
    assert (confidence.argmax(0) == want.mask).mean() >= AT_LEAST
    error = np.abs(confidence.transpose(1, 2, 0) - want.probabilities).max(-1)
    assert (error < 0.01).mean() >= AT_LEAST
