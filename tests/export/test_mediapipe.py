"""TFLite files in MediaPipe Tasks' `ImageSegmenter`, which has an environment of its own.

MediaPipe and tensorflow-model-optimization ask for versions of absl-py that exclude each other.
"""

import subprocess
import sys
import venv
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image
from support.tiny_export import tiny

import zoo
from zoo import export
from zoo.export.core.artifact_model import as_model
from zoo.images import read_image
from zoo.layers.resize import label_set_of

SCRIPT = Path(__file__).parent / "mediapipe" / "segment.py"
CITY = Path(__file__).parents[2] / "examples" / "city.jpg"
SIZE = (192, 256)
PATIENCE = 300
AT_LEAST = 0.999


def extra(name: str) -> list[str]:
    """The project's requirements under an extra."""
    found = map(Requirement, metadata.requires("atrous-zoo"))
    kept = [r for r in found if r.marker is not None and not r.marker.evaluate({"extra": ""})]
    return [f"{r.name}{r.specifier}" for r in kept if r.marker.evaluate({"extra": name})]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """Python that has MediaPipe and nothing of the project."""
    folder = tmp_path_factory.mktemp("mediapipe") / "venv"
    venv.create(folder, with_pip=True)
    program = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    install = [program, "-m", "pip", "install", "--quiet", "--retries=0", *extra("mediapipe"), "pillow"]
    try:
        done = subprocess.run(install, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        pytest.skip(f"pip did not install mediapipe within {PATIENCE} s")
    if done.returncode:
        pytest.skip(f"pip cannot install mediapipe: {done.stderr.strip().splitlines()[-1]}")
    return program


@pytest.fixture(scope="module")
def model():
    return zoo.load("deeplabv3_aspp")


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    """The city at the size of the files, so that no resize of MediaPipe's is compared."""
    path = tmp_path_factory.mktemp("photograph") / "city.png"
    height, width = SIZE
    small = Image.fromarray(read_image(CITY)).resize((width, height), Image.Resampling.BILINEAR)
    small.save(path)
    return path


def segmented(python, path, photograph, folder):
    """The mask and the labels by MediaPipe."""
    command = [python, SCRIPT, path, photograph, folder / "mask.png"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return np.asarray(Image.open(folder / "mask.png")), tuple(done.stdout.splitlines())


def test_float_file_gives_the_mask_of_segment(python, model, photograph, tmp_path):
    export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE, images=[read_image(photograph)])
    mask, labels = segmented(python, tmp_path / "m.tflite", photograph, tmp_path)
    want = zoo.segment(model, photograph).mask
    assert len(np.unique(want)) >= 3
    assert (mask == want).mean() >= AT_LEAST
    assert labels == label_set_of(model).names


@pytest.mark.parametrize("options", [{}, {"quantize": "int8"}], ids=["float", "int8"])
def test_a_file_of_masks_is_refused(options, python, photograph, tmp_path):
    """ImageSegmenter takes every output for scores, and would show class 0 everywhere."""
    image = read_image(photograph)
    if options:
        darker = [(image * share).astype(np.uint8) for share in np.linspace(0.6, 1, 8)]
        options = {**options, "calibration": darker}
    path = tmp_path / "m.tflite"
    export.to_tflite(tiny(), path, input_size=SIZE, head="mask", images=[image], **options)
    command = [python, SCRIPT, path, photograph, tmp_path / "mask.png"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode
    assert "Expected ImageProperties" in done.stderr or "normalization" in done.stderr.lower()
    assert not (tmp_path / "mask.png").exists()


def test_int8_file_gives_the_mask_that_it_gives_here(python, model, photograph, tmp_path):
    image = read_image(photograph)
    darker = [(image * share).astype(np.uint8) for share in np.linspace(0.6, 1, 8)]
    options = {"quantize": "int8", "calibration": darker, "images": [image]}
    export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE, **options)
    mask, labels = segmented(python, tmp_path / "m.tflite", photograph, tmp_path)
    want = zoo.segment(as_model(export.open_artifact(tmp_path / "m.tflite")), photograph).mask
    assert len(np.unique(want)) >= 3
    assert (mask == want).mean() >= AT_LEAST
    assert labels == label_set_of(model).names
