"""Exported files by windows equal one pass of the model where its field fits, from arrays and from TIFF."""

import json
import subprocess
import sys

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.transform import from_origin
from support.window_models import convolution

from zoo import export
from zoo.inference import segment

SIZE, WINDOW = (320, 400), 160
PLACE = {"crs": "EPSG:32632", "transform": from_origin(500000, 5400000, 0.5, 0.5)}


@pytest.fixture(scope="module")
def model():
    # A sixteenth of the window has no weight at its borders, which is more than the network looks at.
    return convolution(kernel=5, layers=2)


@pytest.fixture(scope="module")
def pixels():
    coarse = np.random.default_rng(0).integers(0, 256, (SIZE[0] // 8, SIZE[1] // 8, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC))


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    export.to_tflite(model, folder / "logits.tflite", input_size=(WINDOW, WINDOW))
    export.to_onnx(model, folder / "logits.onnx")
    export.to_tflite(model, folder / "mask.tflite", input_size=(WINDOW, WINDOW), head="mask")
    return folder


def logits(probabilities):
    """Logits but for a constant of each pixel."""
    found = np.log(np.maximum(probabilities, 1e-30))
    return found - found.mean(axis=-1, keepdims=True)


@pytest.mark.parametrize("name", ["logits.tflite", "logits.onnx"])
def test_logits_across_the_borders_of_windows_are_those_of_one_pass(files, model, pixels, name):
    whole = segment(model, pixels)
    tiled = segment(export.open_artifact(files / name), pixels, tile=WINDOW)
    np.testing.assert_allclose(logits(tiled.probabilities), logits(whole.probabilities), atol=1e-3)
    assert (tiled.mask == whole.mask).mean() > 0.9999
    cut = segment(model, pixels[:WINDOW]).probabilities[-1]
    assert (
        np.abs(logits(cut) - logits(whole.probabilities[WINDOW - 1])).max() > 1e-2
    )  # what a border would do


@pytest.mark.parametrize("name", ["logits.tflite", "logits.onnx", "mask.tflite"])
def test_a_tiff_without_tensorflow(files, model, pixels, name, tmp_path):
    options = {"driver": "GTiff", "count": 3, "height": SIZE[0], "width": SIZE[1], "dtype": "uint8"}
    with rasterio.open(tmp_path / "a.tif", "w", compress="deflate", **options, **PLACE) as target:
        target.write(np.moveaxis(pixels, -1, 0))
    words = ["segment", str(files / name), str(tmp_path / "a.tif"), "--tile", str(WINDOW)]
    code = (
        "import json, sys; from zoo.cli import main; "
        f"code = main({[*words, '--output', str(tmp_path / 'out')]!r}); "
        "print(json.dumps([code, [m for m in ('tensorflow', 'keras') if m in sys.modules]]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=100)
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []], done.stderr
    with rasterio.open(tmp_path / "out" / "a_mask.tif") as mask:
        assert (mask.read(1) == segment(model, pixels).mask).mean() > 0.9999
        assert (mask.crs.to_epsg(), mask.transform) == (32632, PLACE["transform"])
