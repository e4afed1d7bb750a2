"""How a model was trained does not reach the file."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
from support.tiny_export import FORMATS, LABELS, NAMES, SIZE, WRITERS, tiny, write

from zoo import export
from zoo.cli import main
from zoo.errors import InputError
from zoo.export.core.deployment import fingerprint, prepare
from zoo.export.proof.parity import synthetic_image
from zoo.layers.resize import SegmentationLogits


@pytest.fixture
def policy():
    """Sets Keras' default policy for one test."""
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", ["mixed_float16", "mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_of_float32_whatever_the_policy(format, name, policy, tmp_path):
    policy(name)
    model = tiny()
    report = write(format, model, tmp_path, input_size=SIZE)
    assert report.parity.passed
    policy("float32")
    plain = tiny()
    for ours, theirs in zip(plain.weights, model.weights, strict=True):
        ours.assign(keras.ops.cast(theirs, "float32"))
    image = synthetic_image(*SIZE)
    got = export.open_artifact(tmp_path / NAMES[format]).predict(image)
    np.testing.assert_allclose(got, plain(image[None].astype("float32")).numpy(), atol=1e-4)
    assert report.fingerprint == fingerprint(plain)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("head", ["logits", "mask"])
def test_a_keras_file_of_another_process(head, policy, tmp_path):
    policy("mixed_float16")
    tiny().save(tmp_path / "m.keras")
    code = """
import sys, keras, zoo.layers.preprocessing, zoo.layers.resize
from zoo import export
model = keras.models.load_model(sys.argv[1] + "/m.keras")
for write, name in ((export.to_onnx, "m.onnx"), (export.to_tflite, "m.tflite")):
    write(model, sys.argv[1] + "/" + name, input_size=(33, 47), head=sys.argv[2])
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path), head], check=True, capture_output=True)
    for name in ("m.onnx", "m.tflite"):
        stored = json.loads((tmp_path / f"{name}.json").read_text())
        assert stored["parity"]["passed"] is True
        policy("float32")
        assert stored["fingerprint"] == fingerprint(tiny())


def test_how_it_learns_does_not_change_the_fingerprint():
    plain = fingerprint(tiny())
    frozen, regularized = tiny(), tiny()
    frozen.trainable = False
    assert fingerprint(frozen) == plain
    regularized.get_layer("stem").kernel_regularizer = keras.regularizers.L2(1e-4)
    assert fingerprint(regularized) == plain
    assert prepare(frozen).metadata.fingerprint == plain


def test_what_keras_quantized_is_refused():
    image = keras.Input((None, None, 3), name="image")
    scores = keras.layers.Dense(len(LABELS), name="classifier")(image)
    last = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")
    model = keras.Model(image, last([scores, image]), name="quantized")
    model.get_layer("classifier").quantize("int8")
    with pytest.raises(InputError, match="layer 'classifier' was quantized by Keras"):
        prepare(model)


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_converter_raises_is_one_line(format, tmp_path, monkeypatch, capsys):
    def fail(*args, **options):
        raise RuntimeError("\n".join(["loc(unknown): not legal"] * 2001))

    monkeypatch.setattr(WRITERS[format], "write", fail)
    with pytest.raises(InputError, match="cannot be made of this model") as caught:
        write(format, tiny(), tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    path = str(tmp_path / NAMES[format])
    command = ["export", "deeplabv3_aspp", "--weights", "none", "--format", format, "--input-size", "33x33"]
    assert main([*command, "--output", path]) == 2
    assert capsys.readouterr().err.count("loc(unknown)") == 1
    assert not list(tmp_path.iterdir())
