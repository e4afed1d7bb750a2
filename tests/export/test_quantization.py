import json

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, strategies
from PIL import Image
from support.tiny_export import LABELS, SIZE, tiny

from zoo import export
from zoo.datasets import open_dataset
from zoo.errors import ParityError
from zoo.export.core.calibration import read_calibration
from zoo.export.core.deployment import prepare
from zoo.export.core.float_layers import fewest
from zoo.export.proof.parity import synthetic_image
from zoo.export.tflite.converter import IntegerConverter
from zoo.export.tflite.ends import with_integer_ends
from zoo.layers.resize import set_source

IMAGES = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]


@pytest.fixture(scope="module")
def model():
    model = tiny()
    set_source(model, name="tiny", weights="seeded")
    return model


@pytest.fixture(scope="module")
def int8(model, photos, tmp_path_factory):
    """The model as an int8 file, and its report."""
    path = tmp_path_factory.mktemp("int8") / "m.tflite"
    return path, export.to_tflite(model, path, input_size=SIZE, quantize="int8", calibration=photos)


# --- int8 -------------------------------------------------------------------------------------------------


def test_int8_file_computes_in_integers_only(int8):
    path, report = int8
    graph = schema.ModelT.InitFromPackedBuf(path.read_bytes()).subgraphs[0]
    types = {tensor.type for tensor in graph.tensors}
    assert types <= {schema.TensorType.UINT8, schema.TensorType.INT8, schema.TensorType.INT32}
    assert report.quantization.float_operations == ()
    assert report.operations["CONV_2D"] == 2  # a dilated one among them
    assert report.operations["DEPTHWISE_CONV_2D"] == 1
    assert set(report.operations) <= {
        *("QUANTIZE", "SUB", "MUL", "PAD", "CONV_2D", "DEPTHWISE_CONV_2D", "RESIZE_BILINEAR")
    }


def test_int8_weights_have_a_scale_for_each_channel(int8):
    model = schema.ModelT.InitFromPackedBuf(int8[0].read_bytes())
    graph = model.subgraphs[0]
    channels = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
    seen = []
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex].builtinCode
        for name, axis in channels.items():
            if code == getattr(schema.BuiltinOperator, name):
                kernel = graph.tensors[op.inputs[1]]
                seen.append((len(kernel.quantization.scale), kernel.shape[axis]))
    assert seen == [(8, 8), (8, 8), (3, 3)]


def test_input_is_a_byte_whatever_the_calibration_images_hold(int8):
    path, report = int8
    (image,) = Interpreter(model_path=str(path)).get_input_details()
    assert image["dtype"] == np.uint8
    # The network's normalization, (image - 128) / 64, of bytes that are the values of the image.
    assert image["quantization"] == (1 / 64, 128)
    assert (report.inputs[0].dtype, report.outputs[0].dtype) == ("uint8", "uint8")


def test_predict_takes_pixels_and_gives_logits(int8, model, photos):
    path, _ = int8
    image = read_calibration(photos, size=SIZE, labels=LABELS).images[0]
    logits = export.open_artifact(path).predict(image)
    assert (logits.dtype, logits.shape) == (np.float32, (1, *SIZE, 3))
    runner = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
    raw = runner(image=image[None])["logits"]
    scale, zero_point = runner.get_output_details()["logits"]["quantization"]
    assert raw.dtype == np.uint8
    np.testing.assert_allclose(logits, scale * (raw.astype("float32") - zero_point), rtol=1e-6)
    want = model(image[None].astype("float32")).numpy()
    assert np.abs(logits - want).max() < 0.1 * np.abs(want).max()
    # Values between two bytes and beyond them are rounded and cut off, not wrapped.
    far = np.where(image > 127, image + 200.0, image + 0.3)
    near = np.where(image > 127, np.minimum(image.astype(int) + 200, 255), image)
    artifact = export.open_artifact(path)
    np.testing.assert_array_equal(artifact.predict(far), artifact.predict(near))


def test_report_and_metadata_tell_the_quantization(int8):
    path, report = int8
    stored = json.loads(path.with_name("m.tflite.json").read_text())
    assert stored == json.loads(report.to_json())
    assert stored["quantization"]["kind"] == "int8"
    assert stored["quantization"]["calibration_images"] == 8
    assert stored["quantization"]["score"] == stored["parity"]["argmax_agreement"]
    parity = stored["parity"]
    assert parity["passed"] is True
    assert parity["limits"] == {"relative_error": 0.5, "agreement": 0.75}
    assert 0 < parity["border_pixels"] < parity["pixels"]
    assert parity["border_agreement"] <= parity["argmax_agreement"] <= parity["inner_agreement"]
    assert 0 < parity["mean_error"] < parity["max_error"]
    metadata = export.open_artifact(path).metadata
    assert metadata.quantization == {"kind": "int8", "max_drop": None}
    assert "uint8 RGB" in metadata.to_json()
    assert export.open_artifact(path).labels == LABELS.names


def test_verify_tells_rounding_from_damage(int8, model):
    path, _ = int8
    assert export.verify(path, model).passed
    assert not export.verify(path, tiny(seed=1)).passed


def test_probabilities_are_resized_in_float(photos, tmp_path):
    path = tmp_path / "m.tflite"
    report = export.to_tflite(
        tiny(domain="probabilities"), path, input_size=SIZE, quantize="int8", calibration=photos
    )
    left = report.quantization.float_operations
    assert [op.operation for op in left] == ["SOFTMAX", "RESIZE_BILINEAR", "MAXIMUM", "LOG"]
    assert {op.reason for op in left} == {"probabilities"}
    assert report.outputs[0].dtype == "float32"
    assert report.parity.relative_error < 0.1


# --- other kinds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "limit"), [("float16", 1e-3), ("dynamic", 0.05)])
def test_weights_alone(kind, limit, tmp_path):
    model = tiny(channels=256)
    full = export.to_tflite(model, tmp_path / "full.tflite", input_size=SIZE)
    report = export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE, quantize=kind)
    assert report.bytes < 0.8 * full.bytes
    assert report.inputs[0].dtype == "float32"
    assert 0 < report.parity.relative_error < limit
    assert set(report.operations) <= {*full.operations, "DEQUANTIZE"}
    assert report.quantization.calibration_images == 0
    assert json.loads((tmp_path / "m.tflite.json").read_text())["quantization"]["kind"] == kind


# --- layers left in float ---------------------------------------------------------------------------------


def test_max_drop_leaves_the_worst_layers_in_float(model, tmp_path):
    path = tmp_path / "m.tflite"
    report = export.to_tflite(
        model, path, input_size=SIZE, quantize="int8", calibration=IMAGES, max_drop=0.005
    )
    done = report.quantization
    assert done.integer_score < 0.995 <= done.score
    assert done.conversions > 2
    left = [op for op in done.float_operations if op.reason == "max_drop"]
    assert left
    assert done.float_operations == tuple(left)
    assert report.parity.max_drop == 0.005
    assert report.parity.argmax_agreement >= 0.995
    assert report.inputs[0].dtype == "uint8"
    # On other images the bound says nothing: verifying only tells damage.
    assert export.verify(path, model, images=[synthetic_image(*SIZE, seed=9)]).max_drop is None
    # The errors that were measured decide: no layer that stayed in integers has a larger one.
    deployment = prepare(model, input_size=SIZE)
    errors = IntegerConverter(deployment, IMAGES).errors()
    assert {op.tensor for op in left} == set(list(errors)[: len(left)])


def test_bound_that_no_file_keeps_leaves_nothing(tmp_path):
    with pytest.raises(ParityError, match=r"max_drop=0 cannot be kept: argmax_agreement is 1\.0000"):
        export.to_tflite(
            tiny(domain="probabilities"),
            tmp_path / "m.tflite",
            input_size=SIZE,
            quantize="int8",
            calibration=IMAGES,
            max_drop=0,
        )
    assert list(tmp_path.iterdir()) == []


def test_first_layer_in_float_still_takes_bytes(model):
    converter = IntegerConverter(prepare(model, input_size=SIZE), IMAGES)
    content = with_integer_ends(converter.convert(converter.layers[:1]))
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (image,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert image["dtype"] == np.uint8
    interpreter.set_tensor(image["index"], IMAGES[0][None])
    interpreter.invoke()
    scale, zero_point = logits["quantization"]
    got = scale * (interpreter.get_tensor(logits["index"]).astype("float32") - zero_point)
    want = model(IMAGES[0][None].astype("float32")).numpy()
    assert np.abs(got - want).max() < 0.1 * np.abs(want).max()


def test_true_masks_bound_the_mean_iou(model, tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for index, image in enumerate(IMAGES):
        mask = model(image[None].astype("float32")).numpy()[0].argmax(-1).astype("uint8")
        mask[:4] = 255
        Image.fromarray(image).save(tmp_path / "images" / f"{index}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{index}.png")
    data = open_dataset("folder", tmp_path, split="all", classes=LABELS)
    report = export.to_tflite(
        model,
        tmp_path / "m.tflite",
        input_size=SIZE,
        quantize="int8",
        calibration=data,
        max_drop=0.2,
    )
    done = report.quantization
    assert done.metric == "mean_iou"
    assert done.float_score == 1
    assert 0.8 <= done.score < 1
    assert report.parity.max_drop is None  # the bound is not one of the agreement


@given(strategies.integers(0, 40), strategies.integers(0, 60))
def test_fewest_finds_the_threshold_in_few_steps(count, threshold):
    asked = []

    def holds(number):
        asked.append(number)
        return number >= threshold

    assert fewest(count, holds) == (threshold if threshold <= count else None)
    assert len(asked) <= 2 + 2 * max(1, count).bit_length()
