import hashlib
import json
import subprocess

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from support.tiny_export import (
    FORMATS,
    LABELS,
    NAMES,
    SIZE,
    all_formats,
    deeplab,
    seeded,
    tiny,
    write,
)

from zoo import export
from zoo.export.core.deployment import fingerprint, prepare
from zoo.export.proof.parity import default_images, synthetic_image
from zoo.layers import AdaptiveAveragePooling2D, DilatedConv2D, DilatedDepthwiseConv2D
from zoo.layers.resize import Resize, SegmentationLogits


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def artifacts(model, tmp_path_factory):
    """The tiny model in all three formats, with their reports."""
    return all_formats(model, tmp_path_factory.mktemp("artifacts"))


# --- the artifacts compute what the model computes ------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("convention", ["half_pixel", "align_corners", "asymmetric"])
def test_resize_conventions_agree(format, convention, tmp_path):
    report = write(format, tiny(convention), tmp_path, input_size=SIZE)
    assert report.parity.passed
    assert report.parity.max_error < 1e-4
    assert report.parity.sizes == (SIZE,)
    assert report.parity.max_logit > 0.5  # a comparison of zeros would prove nothing


def test_conventions_differ():
    image = synthetic_image(*SIZE)[None].astype("float32")
    first, second = (tiny(c)(image).numpy() for c in ("half_pixel", "align_corners"))
    assert np.abs(first - second).max() > 1e-2


@pytest.mark.parametrize("format", FORMATS)
def test_probabilities_are_compared_as_such(format, tmp_path):
    report = write(format, tiny(domain="probabilities"), tmp_path, input_size=SIZE)
    assert report.parity.domain == "probabilities"
    assert report.parity.max_error < 1e-4


@pytest.mark.parametrize("format", FORMATS)
def test_predict(format, artifacts, model):
    folder, _ = artifacts
    artifact = export.open_artifact(folder / NAMES[format])
    image = synthetic_image(*SIZE, seed=5)
    want = model(image[None].astype("float32")).numpy()
    got = artifact.predict(image)
    assert got.dtype == np.float32
    assert got.shape == (1, *SIZE, 3)
    np.testing.assert_allclose(got, want, atol=1e-4)
    batch = artifact.predict(np.stack([image, image[::-1]]).astype("float64"))
    assert batch.shape == (2, *SIZE, 3)
    np.testing.assert_allclose(batch[:1], want, atol=1e-4)
    assert artifact.labels == LABELS.names
    assert artifact.label_set == LABELS
    assert artifact.format == format
    assert artifact.input_size == (SIZE if format in ("tflite", "coreml") else None)


@pytest.mark.parametrize("format", ["saved_model", "onnx"])
def test_any_size(format, artifacts, model):
    folder, reports = artifacts
    artifact = export.open_artifact(folder / NAMES[format])
    assert len(reports[format].parity.sizes) == 3
    for height, width in ((1, 1), (20, 64), (51, 34)):
        image = synthetic_image(height, width)[None].astype("float32")
        np.testing.assert_allclose(artifact.predict(image), model(image).numpy(), atol=1e-4)


def test_sizes_that_are_rounded_up(tmp_path):
    """Pooling into a grid computes its borders with -(-size // bins), of which converters lose the sign."""
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(4, kernel_size=3, strides=2, padding="symmetric", name="stem")(image)
    pooled = AdaptiveAveragePooling2D(3, name="pool")(x)
    x = keras.layers.Concatenate(name="concat")([x, Resize(convention="half_pixel", name="up")([pooled, x])])
    x = DilatedConv2D(3, kernel_size=1, name="classifier")(x)
    x = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")([x, image])
    model = seeded(keras.Model(image, x, name="pooled"))
    for format in FORMATS:
        assert write(format, model, tmp_path).parity.passed


@pytest.mark.parametrize("format", FORMATS)
def test_small_logits(format, model, tmp_path):
    report = write(format, model, tmp_path, input_size=SIZE, head="small_logits")
    # Core ML has channels first.
    assert report.outputs[0].shape[1:] == ((3, 9, 12) if format == "coreml" else (9, 12, 3))
    assert export.open_artifact(tmp_path / NAMES[format]).metadata.head == "small_logits"
    assert export.verify(tmp_path / NAMES[format], model).passed


# --- what is in them --------------------------------------------------------------------------------------


def test_deeplab_tflite_has_one_operation_for_each_convolution(tmp_path):
    model = deeplab("torchvision", 8)
    report = export.to_tflite(model, tmp_path / "m.tflite", input_size=(65, 97))
    layers = [layer for layer in model.layers if isinstance(layer, DilatedConv2D)]
    depthwise = [layer for layer in model.layers if isinstance(layer, DilatedDepthwiseConv2D)]
    assert report.operations["CONV_2D"] == len(layers) + 1  # image pooling is projected by itself
    assert report.operations["DEPTHWISE_CONV_2D"] == len(depthwise)
    rest = set(report.operations) - {"CONV_2D", "DEPTHWISE_CONV_2D"}
    assert rest == {"ADD", "SUB", "MUL", "MEAN", "CONCATENATION", "RESIZE_BILINEAR"}
    assert report.parity.passed
    assert report.inputs[0].shape == (1, 65, 97, 3)


def test_deeplab_onnx_has_native_dilation_and_symbolic_sizes(tmp_path):
    model = deeplab("torchvision", 8)
    report = export.to_onnx(model, tmp_path / "m.onnx", images=default_images((65, 97)))
    graph = onnx.load(tmp_path / "m.onnx").graph
    dilated = {}
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Conv" and max(attributes["dilations"]) > 1:
            dilated.setdefault(attributes["group"] > 1, set()).update(attributes["dilations"])
    assert dilated == {True: {2, 4}, False: {12, 24, 36}}
    convolutions = [x for x in model.layers if isinstance(x, (DilatedConv2D, DilatedDepthwiseConv2D))]
    assert report.operations["Conv"] == len(convolutions) + 1  # image pooling is projected by itself
    # Batch norm and padding are folded away; residual sums, that of image pooling, and two transpositions at
    # the ends remain.
    assert report.operations["Mul"] == 1
    assert report.operations["Add"] == 11
    assert not {"Pad", "Expand"} & set(report.operations)
    assert report.operations["Transpose"] == 2
    assert report.inputs[0].shape == ("batch", "height", "width", 3)
    assert report.outputs[0].shape == ("batch", "height", "width", 21)


def test_deeplab_align_corners_nchw(tmp_path):
    model = deeplab("tf_deeplab_folded", 16, rates=())
    path = tmp_path / "m.onnx"
    report = export.to_onnx(model, path, input_size=(65, 97), layout="nchw", opset=21)
    assert report.opset == 21
    assert report.inputs[0].shape == (1, 3, 65, 97)
    assert report.outputs[0].shape == (1, 21, 65, 97)
    assert "Transpose" not in report.operations
    (resize,) = (n for n in onnx.load(path).graph.node if n.op_type == "Resize")
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in resize.attribute}
    assert attributes["coordinate_transformation_mode"] == b"align_corners"


def test_scalar_behind_a_convolution_leaves_no_transpositions(tmp_path):
    """The x + 3 of hard swish once stopped the converter from joining transpositions."""
    image = keras.Input((None, None, 3), name="image")
    x = image
    for index in range(3):
        x = DilatedConv2D(4, kernel_size=3, rate=2, name=f"conv{index}")(x)
        x = keras.layers.Activation("hard_swish", name=f"swish{index}")(x)
    x = DilatedConv2D(3, kernel_size=1, name="classifier")(x)
    x = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")([x, image])
    report = export.to_onnx(seeded(keras.Model(image, x, name="swish")), tmp_path / "m.onnx")
    assert report.operations["Transpose"] == 2


def test_onnx_file_is_valid_and_described(artifacts):
    folder, _ = artifacts
    model = onnx.load(folder / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(e.domain, e.version) for e in model.opset_import] == [("", 18)]
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["labels"].split("\n") == list(LABELS.names)
    assert json.loads(properties["palette"]) == [list(color) for color in LABELS.palette]
    assert properties["model"] == "tiny"
    assert "RGB" in model.doc_string


def test_tflite_file_has_signature_and_aligned_weights(artifacts):
    folder, _ = artifacts
    content = (folder / "m.tflite").read_bytes()
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    assert list(runner.get_input_details()) == ["image"]
    assert list(runner.get_output_details()) == ["logits"]
    model = schema.Model.GetRootAs(content)
    starts = []
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            starts.append(buffer._tab.Vector(buffer._tab.Offset(4)))
    assert len(starts) > 5
    assert all(start % 16 == 0 for start in starts)


def test_saved_model_holds_only_what_it_reads(artifacts, model):
    folder, reports = artifacts
    names = [name for name, _ in tf.train.list_variables(str(folder / "m" / "variables" / "variables"))]
    held = [name for name in names if name.startswith("model_variables/")]
    written = prepare(model).network.weights  # batch norm is folded
    assert len(held) == len(written)  # no seed of the dropout, no optimizer
    operations = reports["saved_model"].operations
    assert operations["ReadVariableOp"] == len(written)
    assert not {"SpaceToBatchND", "BatchToSpaceND", "StatelessRandomUniformV2"} & set(operations)


@pytest.mark.parametrize("format", FORMATS)
def test_report(format, artifacts, model):
    folder, reports = artifacts
    report, path = reports[format], folder / NAMES[format]
    stored = json.loads((folder / f"{NAMES[format]}.json").read_text())
    assert stored == json.loads(report.to_json())
    assert stored["parity"]["passed"] is True
    assert report.path == str(path)
    assert report.source == {"model": "tiny", "weights": "seeded"}
    assert report.fingerprint == fingerprint(model)
    assert report.versions["tensorflow"] == tf.__version__
    if path.is_file():
        assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert report.bytes == path.stat().st_size


def test_digest_of_a_folder_is_that_of_sha256sum(artifacts):
    folder, reports = artifacts
    command = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    out = subprocess.run(command, shell=True, cwd=folder / "m", capture_output=True, text=True, check=True)
    assert out.stdout.split()[0] == reports["saved_model"].sha256


def test_fingerprint(tmp_path):
    model = tiny()
    model.save(tmp_path / "m.keras")
    assert fingerprint(keras.models.load_model(tmp_path / "m.keras")) == fingerprint(model)
    assert fingerprint(tiny(rate=3)) != fingerprint(model)  # same weights, another function
    assert fingerprint(tiny(seed=1)) != fingerprint(model)
