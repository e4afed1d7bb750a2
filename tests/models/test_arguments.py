"""What `zoo.load`, the layers and `zoo.segment` take, and what they refuse at once."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.errors import FormatError, InputError
from zoo.inference import forget_models, kept
from zoo.labels import numbered
from zoo.layers import DilatedConv2D
from zoo.layers.resize import label_set_of

MODEL = "deeplabv3_aspp_mobilenet_v2"
SMALL = {"width": 0.25, "aspp_channels": 16}


@pytest.mark.parametrize(
    "shape",
    [
        (32, 32, 1),
        (32, 32, 4),
        (32, 32),
        (-32, 32, 3),
        (32.0, 32, 3),
        (0, 32, 3),
        (True, 32, 3),
        32,
        "abc",
        None,
    ],
)
def test_shapes_of_no_image_are_refused(shape):
    with pytest.raises(InputError, match=r"input_shape must be \(height, width, 3\), None for any size, not"):
        zoo.load(MODEL, weights=None, input_shape=shape)


@pytest.mark.parametrize("kind", [np.int64, np.uint8, np.int32])
def test_numpys_integers_are_integers(kind):
    model = zoo.load(
        MODEL,
        weights=None,
        classes=kind(3),
        input_shape=(kind(33), None, kind(3)),
        output_stride=kind(8),
        settings={**SMALL, "rates": np.array([1, 2], kind)},
    )
    assert model.output_shape == (None, 33, None, 3)
    assert len(label_set_of(model)) == 3
    layer = DilatedConv2D(kind(4), kernel_size=kind(3), rate=kind(2))
    assert (layer.filters, layer.kernel_size, layer.rate) == (4, (3, 3), 2)


@pytest.mark.parametrize("value", [True, np.bool_(True), 3.0, "3", None, np.float32(3)])
def test_other_things_are_none(value):
    with pytest.raises(InputError, match="filters must be a positive integer, not"):
        DilatedConv2D(value, kernel_size=3)
    with pytest.raises(InputError, match="rate must be a positive integer, not"):
        DilatedConv2D(3, kernel_size=3, rate=value)
    if value is not None:
        with pytest.raises(InputError, match="classes must be an integer from 2 to 65535"):
            zoo.load(MODEL, weights=None, classes=value)


@pytest.mark.parametrize("count", [1, 65_536])
def test_a_label_set_has_as_many_classes_as_a_number_may_say(count):
    with pytest.raises(
        InputError, match=f"classes are 2 to 65535, the label set 'classes{count}' has {count}"
    ):
        zoo.load(MODEL, weights=None, classes=numbered(count))


@pytest.mark.parametrize("length", [0, 2, 40_000])
def test_a_cut_off_model_says_so(tmp_path, length):
    path = tmp_path / "m.keras"
    zoo.load(MODEL, weights=None, classes=3, settings=SMALL).save(path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(
        FormatError, match=r"m\.keras: not a readable \.keras file: it is (cut off|empty|no zip)"
    ):
        zoo.load(MODEL, path)


@pytest.mark.parametrize("backend", ["jax", "torch", "numpy", "tensorflwo"])
def test_another_backend_is_one_line(tmp_path, backend):
    Image.new("RGB", (33, 33)).save(tmp_path / "x.png")
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, "-m", "zoo", "segment", MODEL, str(tmp_path / "x.png")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    line = f"zoo: error: KERAS_BACKEND is '{backend}'; the zoo runs on 'tensorflow'"
    assert done.stderr.strip().splitlines()[-1].startswith(line) and "Traceback" not in done.stderr
    command = [sys.executable, "-c", f"import zoo; zoo.load({MODEL!r}, weights=None)"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1].startswith("zoo.errors.InputError: KERAS_BACKEND is")


def test_models_by_name_are_loaded_once(monkeypatch):
    loaded, load_really = [], zoo.load

    def load(name):
        loaded.append(name)
        return load_really(
            name, weights=None, classes=3, settings=SMALL if "deeplab" in name else {"width": 0.25}
        )

    monkeypatch.setattr("zoo.models.loading.load", load)
    monkeypatch.setattr(kept, "MOST", 1)
    forget_models()
    pixels = np.zeros((33, 33, 3), np.uint8)
    threads = [threading.Thread(target=zoo.segment, args=(MODEL, pixels)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    zoo.segment("deeplabv3_aspp", pixels)  # the same model by its other name
    assert len(loaded) == 1
    zoo.segment("pspnet_mobilenet_v2", pixels)
    zoo.segment(MODEL, pixels)
    assert len(loaded) == 3
    forget_models()
    zoo.segment(MODEL, pixels)
    assert len(loaded) == 4
    forget_models()


def test_the_files_of_a_model_are_those_that_have_a_conversion(tmp_path):
    own = {".keras", ".weights.h5", ".npz", ".weights.json", ".h5", ".hdf5"}
    torch = {".pth", ".pt", ".pth.tar", ".pt.tar", ".ckpt", ".bin", ".pkl", ".safetensors", ".index.json"}
    tensorflow = {".index", ".data-00000-of-00001", ".meta", ".pb", ".tar.gz", ".tgz", ".tar"}
    assert set(zoo.info(MODEL).files) == own | torch | tensorflow | {".tflite"}
    assert set(zoo.info("context_aggregation_vgg16").files) == own | torch | {".caffemodel"}
    assert set(zoo.info("pspnet_resnet152").files) == own | torch
    assert set(zoo.info("pspnet_mobilenet_v3_large").files) == own | torch
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"m\.onnx: deeplabv3_aspp_mobilenet_v2 has no conversion from \.onnx"
    ):
        zoo.load(MODEL, tmp_path / "m.onnx")
