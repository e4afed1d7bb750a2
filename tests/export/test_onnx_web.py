"""ONNX files in the browser's runtime, ONNX Runtime Web, run by node."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.node_packages import PATIENCE, installed
from support.tiny_export import SIZE, tiny

import zoo
from zoo import export
from zoo.export.proof.parity import synthetic_image
from zoo.images import read_image

WEB = Path(__file__).parent / "web"
CITY = Path(__file__).parents[2] / "examples" / "city.jpg"


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """A folder with the script and the runtime: the repository's after ``npm ci`` there, else a new one."""
    return installed(WEB, tmp_path_factory)


def segmented(web, model, image, folder):
    """The mask that the script writes for an image ``(height, width, 3)``, from an NCHW file."""
    (port,) = export.open_artifact(model).inputs
    image.transpose(2, 0, 1).astype(port.dtype).tofile(folder / "image.bin")
    command = ["node", "segment.mjs", *map(str, (model, folder / "image.bin", folder / "mask.bin"))]
    done = subprocess.run(command, cwd=web, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stderr
    return np.fromfile(folder / "mask.bin", np.uint8).reshape(image.shape[:2])


def test_mask_of_the_photograph_is_that_of_segment(web, tmp_path):
    image = np.asarray(Image.fromarray(read_image(CITY)).resize((144, 96), Image.Resampling.BILINEAR))
    model = zoo.load("deeplabv3_aspp")
    export.to_onnx(model, tmp_path / "m.onnx", input_size=(96, 144), layout="nchw", images=[image])
    mask = segmented(web, tmp_path / "m.onnx", image, tmp_path)
    want = zoo.segment(model, image).mask
    assert len(np.unique(want)) >= 3
    assert (mask == want).mean() >= 0.999


def test_int8_file_gives_the_mask_that_it_gives_here(web, tmp_path):
    path, images = tmp_path / "m.onnx", [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
    options = {"layout": "nchw", "quantize": "int8", "calibration": images}
    export.to_onnx(tiny(), path, input_size=SIZE, **options)
    want = export.open_artifact(path).predict(images[0])[0].argmax(-1)
    assert len(np.unique(want)) == 3
    assert (segmented(web, path, images[0], tmp_path) == want).mean() >= 0.999
