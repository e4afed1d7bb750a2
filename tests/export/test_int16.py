"""TFLite files with 16-bit activations and 8-bit weights."""

import keras
import pytest
from ai_edge_litert.interpreter import Interpreter
from support.tiny_export import LABELS, SIZE, seeded, tiny

from zoo import export
from zoo.errors import InputError, ParityError
from zoo.export.proof.parity import synthetic_image
from zoo.layers.activations import HardSwish
from zoo.layers.resize import SegmentationLogits

PHOTOS = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
SETTINGS = {"input_size": SIZE, "quantize": "int16x8", "calibration": PHOTOS}


@pytest.mark.parametrize("head", ["logits", "small_logits", "mask", "small_mask"])
def test_activations_have_sixteen_bits_and_weights_eight(head, tmp_path):
    path = tmp_path / "m.tflite"
    report = export.to_tflite(tiny(), path, head=head, **SETTINGS)
    assert report.parity.passed and report.parity.inner_agreement > 0.999
    assert report.quantization.kind == "int16x8" and report.quantization.float_operations == ()
    assert report.inputs[0].dtype == "float32"
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    details = {d["index"]: d for d in interpreter.get_tensor_details()}
    convolutions = [op for op in interpreter._get_ops_details() if "CONV_2D" in op["op_name"]]
    kinds = {tuple(details[int(n)]["dtype"].__name__ for n in op["inputs"][:2]) for op in convolutions}
    assert kinds == {("int16", "int8")}


def test_finer_than_eight_bits(tmp_path):
    errors = {}
    for kind in ("int8", "int16x8"):
        settings = {**SETTINGS, "quantize": kind}
        errors[kind] = export.to_tflite(tiny(), tmp_path / "m.tflite", **settings).parity.relative_error
    assert errors["int16x8"] < 0.8 * errors["int8"]


def test_a_bound_is_kept_or_refused(tmp_path):
    report = export.to_tflite(tiny(), tmp_path / "m.tflite", max_drop=0.05, **SETTINGS)
    assert 1 - report.quantization.score <= 0.05
    with pytest.raises(ParityError, match=r"max_drop=0 cannot be kept: .* int16x8 leaves no layer out"):
        export.to_tflite(tiny(), tmp_path / "m.tflite", max_drop=0.0, **SETTINGS)


def test_it_needs_images(tmp_path):
    with pytest.raises(InputError, match="int16x8 needs calibration images"):
        export.to_tflite(tiny(), tmp_path / "m.tflite", input_size=SIZE, quantize="int16x8")


def test_what_has_no_kernel_is_refused_before_the_long_run(tmp_path, monkeypatch):
    def never(*args):
        raise AssertionError("a file was measured that is refused")

    monkeypatch.setattr("zoo.export.tflite.quantizer.measured", never)
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Conv2D(8, 3, padding="same", strides=4, name="stem")(image)
    x = keras.layers.Conv2D(3, 1, name="classifier")(HardSwish(name="swish")(x))
    logits = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")([x, image])
    model = seeded(keras.Model(image, logits, name="swishing"))
    with pytest.raises(InputError, match=r"integers: HARD_SWISH \(swish\); .* choose int8"):
        export.to_tflite(model, tmp_path / "m.tflite", **SETTINGS)
    assert list(tmp_path.iterdir()) == []
