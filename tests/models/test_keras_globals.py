"""Models compute the same whatever ``keras.json`` says."""

import importlib
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from goldens.seeding import image
from support.torch_parity import relative_error

import zoo
from zoo.labels import numbered
from zoo.models.architectures.table import ARCHITECTURES

NARROW = {"width": 0.25}
MODELS = {
    "deeplabv3_aspp_mobilenet_v2": {**NARROW, "aspp_channels": 16},
    "deeplabv3_aspp_mobilenet_v3_large": {**NARROW, "aspp_channels": 16},
    "pspnet_mobilenet_v2": {**NARROW, "channels": 16},
    "context_aggregation_resnet50": {"module": None},
    "deeplabv3_plus_mobilenet_v2": NARROW,
    "lraspp_mobilenet_v3_large": NARROW,
    "context_aggregation_vgg16": {"width": 0.02},
}
OTHERS = {
    "backend": "tensorflow",
    "image_data_format": "channels_first",
    "floatx": "float16",
    "epsilon": 1e-2,
}

# Writes the logits of each model as it is read, and as it is built anew with the file's weights.
PROGRAM = """
import sys
import numpy as np
import zoo
from zoo.labels import numbered
from zoo.models.surgery import with_classes

folder, *names = sys.argv[1:]
pixels = np.load(f"{folder}/image.npy")
found = {}
for name in names:
    path = f"{folder}/{name}.keras"
    found[f"{name}/read"] = np.asarray(zoo.load(name, path)(pixels[None]))
    built = zoo.load(name, path, input_shape=(41, 57, 3))
    found[f"{name}/built"] = np.asarray(built(pixels[None]))
    assert {v.dtype for v in built.variables if "seed" not in v.path} == {"float32"}, name
built.save(path)
assert with_classes(built, numbered(5))(pixels[None]).shape == (1, 41, 57, 5)
found["segmented"] = zoo.segment(built, pixels).probabilities
np.savez(f"{folder}/found.npz", **found)
"""


def test_the_same_numbers_under_other_globals(tmp_path):
    np.save(tmp_path / "image.npy", image(41, 57))
    expected = {}
    for name, settings in MODELS.items():
        model = zoo.load(name, weights=None, classes=3, settings=settings)
        model.save(tmp_path / f"{name}.keras")
        expected[name] = np.asarray(model(image(41, 57)[None]))
    (tmp_path / "keras.json").write_text(json.dumps(OTHERS))
    environment = {**os.environ, "KERAS_HOME": str(tmp_path)}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), *MODELS]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    found = np.load(tmp_path / "found.npz")
    for name, logits in expected.items():
        for way in ("read", "built"):
            assert relative_error(found[f"{name}/{way}"], logits) < 1e-5, (name, way)
    back = zoo.load(name, tmp_path / f"{name}.keras")  # saved under the other globals
    assert relative_error(np.asarray(back(image(41, 57)[None])), expected[name]) < 1e-5
    probabilities = zoo.segment(back, image(41, 57)).probabilities
    np.testing.assert_allclose(found["segmented"], probabilities, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_builder_that_is_called_itself(monkeypatch, architecture):
    before = keras.config.floatx()
    build = getattr(importlib.import_module(f"zoo.models.architectures.{architecture}"), architecture)
    narrow = {"backbone": "mobilenet_v2", "label_set": numbered(3), "width": 0.25}
    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    try:
        model = build(**narrow)
        assert keras.config.floatx() == "float16" and keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_floatx(before)
        keras.config.set_image_data_format("channels_last")
    assert {v.dtype for v in model.variables if "seed" not in v.path} == {"float32"}
    assert model(image(33, 41)[None]).shape == (1, 33, 41, 3)
