"""ONNX files in int8: what computes in integers, what stays in float and why, and what is refused."""

import argparse
import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.tiny_export import LABELS, SIZE, tiny

import zoo.models.loading
from zoo import export
from zoo.cli import export as cli
from zoo.errors import InputError, ParityError
from zoo.export.core.deployment import prepare
from zoo.export.onnx import writer as onnx_writer
from zoo.export.onnx.artifact import run_once, session_of
from zoo.export.onnx.quantizer import IntegerConverter
from zoo.export.proof.parity import synthetic_image

IMAGES = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
INT8 = {"quantize": "int8", "calibration": IMAGES, "input_size": SIZE}


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def int8(model, tmp_path_factory):
    """The model as an int8 file with an NCHW input, and its report."""
    path = tmp_path_factory.mktemp("int8") / "m.onnx"
    return path, export.to_onnx(model, path, layout="nchw", **INT8)


@pytest.fixture(scope="module")
def converter(model):
    deployment = prepare(model, input_size=SIZE)
    return IntegerConverter(onnx_writer.float_model(deployment, opset=18), deployment, IMAGES)


def graph_of(path):
    return onnx.load(path).graph


def constant(graph, name):
    return next(numpy_helper.to_array(t) for t in graph.initializer if t.name == name)


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def test_every_convolution_is_one_node_that_reads_and_gives_bytes(int8):
    graph = graph_of(int8[0])
    convolutions = {node.name: node for node in graph.node if node.op_type == "Conv"}
    assert list(convolutions) == ["stem", "depthwise", "classifier"]
    assert attributes(convolutions["depthwise"])["dilations"] == [2, 2]
    assert attributes(convolutions["classifier"])["dilations"] == [3, 3]
    makers = {name: node for node in graph.node for name in node.output}
    for node in convolutions.values():
        assert {makers[name].op_type for name in node.input} == {"DequantizeLinear"}
        (reader,) = (n for n in graph.node if node.output[0] in n.input)
        assert reader.op_type == "QuantizeLinear"
        assert constant(graph, reader.input[2]).dtype == np.uint8
    assert "Relu" not in int8[1].operations  # the range of its bytes begins at 0


def test_weights_have_a_scale_for_each_channel_and_leave_a_bit(int8):
    graph = graph_of(int8[0])
    for name, channels in (("stem", 8), ("depthwise", 8), ("classifier", 3)):
        kernel = constant(graph, f"{name}/kernel_quantized")
        assert kernel.dtype == np.int8
        assert constant(graph, f"{name}/kernel_scale").shape == (channels,)
        # Two products of a byte and 7 bits are below 2¹⁵, which is what some processors add them in.
        assert 32 < np.abs(kernel.astype(int)).max() <= 64


def test_report_tells_what_stays_in_float(int8):
    path, report = int8
    stored = json.loads(path.with_name("m.onnx.json").read_text())
    assert stored == json.loads(report.to_json())
    done = stored["quantization"]
    assert (done["kind"], done["calibration_images"], done["conversions"]) == ("int8", 8, 1)
    assert done["score"] == done["integer_score"] == stored["parity"]["argmax_agreement"]
    left = [(op["operation"], op["layer"], op["reason"]) for op in done["float_operations"]]
    assert left == [("Sub", "normalize", "ends"), ("Mul", "normalize", "ends"), ("Resize", "logits", "ends")]
    assert stored["parity"]["limits"] == {"relative_error": 0.5, "agreement": 0.75}
    assert "in float: Sub normalize, Mul normalize, Resize logits" in str(report.quantization)


def test_bytes_go_in_and_logits_come_out(int8, model):
    path, report = int8
    assert (report.inputs[0].shape, report.inputs[0].dtype) == ((1, 3, *SIZE), "uint8")
    assert (report.outputs[0].shape, report.outputs[0].dtype) == ((1, 3, *SIZE), "float32")
    artifact = export.open_artifact(path)
    assert artifact.metadata.quantization == {"kind": "int8", "max_drop": None}
    image = IMAGES[0]
    got, want = artifact.predict(image), model(image[None].astype("float32")).numpy()
    assert got.shape == want.shape
    assert 0 < np.abs(got - want).max() < 0.05 * np.abs(want).max()
    # Values between two bytes and beyond them are rounded and cut off, not wrapped.
    far = np.where(image > 127, image + 200.0, image + 0.3)
    near = np.where(image > 127, np.minimum(image.astype(int) + 200, 255), image)
    np.testing.assert_array_equal(artifact.predict(far), artifact.predict(near))


def test_runtime_computes_what_the_nodes_say(int8):
    """Fused integer kernels against the nodes one by one, in float."""
    content, batch = int8[0].read_bytes(), IMAGES[0][None].astype("float32")
    fused, plain = (
        run_once(session_of(content, threads=1, optimize=on), batch, channels_first=True)
        for on in (True, False)
    )
    assert (fused.argmax(-1) == plain.argmax(-1)).mean() > 0.999
    assert np.abs(fused - plain).mean() < 0.1 * np.abs(fused).mean()


def test_verify_tells_rounding_from_damage(int8, model):
    path, _ = int8
    assert export.verify(path, model).passed
    assert not export.verify(path, tiny(seed=1)).passed


def test_errors_are_those_of_rounding_one_layer(converter):
    """The last layer's error, computed by hand from the bytes that it reads and gives."""
    errors = converter.errors()
    assert list(errors) == sorted(errors, key=errors.get, reverse=True)
    assert set(errors) == set(converter.layers) == {"stem", "depthwise", "classifier"}
    assert 0.001 < min(errors.values()) <= max(errors.values()) < 0.05
    model = onnx.load_model_from_string(converter.file())
    outputs = {node.name: node.output[0] for node in model.graph.node}
    names = [outputs[f"{name}_DequantizeLinear"] for name in ("relu", "classifier")]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = session_of(model.SerializeToString(), threads=1, optimize=False)
    float_graph = converter._model.graph
    kernel, bias = (constant(float_graph, f"classifier/{part}") for part in ("kernel", "bias"))
    noise = signal = 0.0
    for image in IMAGES:
        given, rounded = session.run(names, {"image": image[None]})
        exact = dilated(given[0], kernel, rate=3) + bias[:, None, None]
        noise, signal = noise + ((rounded[0] - exact) ** 2).sum(), signal + (exact**2).sum()
    assert errors["classifier"] == pytest.approx(np.sqrt(noise / signal), rel=0.01)


def dilated(x, kernel, *, rate):
    """3x3 convolution of ``(channels, height, width)`` with zeros around it."""
    _, height, width = x.shape
    padded = np.pad(x, ((0, 0), (rate, rate), (rate, rate)))
    shifted = [
        np.einsum("oc,chw->ohw", kernel[:, :, i, j], padded[:, rate * i :, rate * j :][:, :height, :width])
        for i in range(3)
        for j in range(3)
    ]
    return np.sum(shifted, axis=0)


def test_max_drop_leaves_the_worst_layers_in_float(model, converter, tmp_path):
    report = export.to_onnx(model, tmp_path / "m.onnx", max_drop=0.007, **INT8)
    done = report.quantization
    assert done.integer_score < 0.993 <= done.score
    left = {op.tensor: op for op in done.float_operations if op.reason == "max_drop"}
    worst = list(converter.errors())[: len(left)]
    assert set(left) == set(worst)
    assert left[worst[0]].relative_error == pytest.approx(converter.errors()[worst[0]], rel=1e-3)
    assert report.parity.max_drop == 0.007
    assert report.parity.argmax_agreement >= 0.993
    assert report.inputs[0].dtype == "uint8"


def test_bound_that_no_file_keeps_leaves_nothing(model, tmp_path):
    with pytest.raises(ParityError, match=r"max_drop=0 cannot be kept: argmax_agreement is 1\.0000"):
        export.to_onnx(model, tmp_path / "m.onnx", max_drop=0, **INT8)
    assert list(tmp_path.iterdir()) == []


def test_probabilities_are_resized_in_float(tmp_path):
    report = export.to_onnx(tiny(domain="probabilities"), tmp_path / "m.onnx", **INT8)
    left = [op.operation for op in report.quantization.float_operations if op.reason == "probabilities"]
    assert left[0] == "Softmax"
    assert left[-1] == "Log"
    assert "Resize" in left
    assert report.parity.relative_error < 0.1


def test_wrong_weights_leave_nothing(model, tmp_path, monkeypatch):
    right, other = onnx_writer.float_model, prepare(tiny(seed=1), input_size=SIZE)
    monkeypatch.setattr(onnx_writer, "float_model", lambda _, **options: right(other, **options))
    with pytest.raises(ParityError, match="does not compute what its model computes"):
        export.to_onnx(model, tmp_path / "m.onnx", **INT8)
    assert list(tmp_path.iterdir()) == []


def test_settings_that_are_refused(model, tmp_path):
    cases = [
        ({"quantize": "int4"}, "quantize must be one of float16, dynamic, int8"),
        ({"quantize": "float16"}, "an onnx file is quantized to int8, int16x8, not float16"),
        ({"quantize": "int8"}, "int8 needs calibration images"),
        ({"quantize": "int8", "calibration": IMAGES, "input_size": None}, "has a static size"),
        ({"calibration": IMAGES}, "calibration is for a quantized file"),
        ({"quantize": "int8", "calibration": IMAGES, "max_drop": 2}, "max_drop is a share"),
        ({"quantize": "int8", "calibration": IMAGES[:7]}, "at least 8 images .* not 7"),
    ]
    for options, message in cases:
        with pytest.raises(InputError, match=message):
            export.to_onnx(model, tmp_path / "m.onnx", **{"input_size": SIZE, **options})
    assert list(tmp_path.iterdir()) == []


def test_command(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zoo.models.loading, "load", lambda *args, **options: model)
    (tmp_path / "photos").mkdir()
    for seed, image in enumerate(IMAGES):
        zoo.images.write_png(tmp_path / "photos" / f"{seed}.png", image)
    parser = argparse.ArgumentParser(prog="zoo")
    cli.add_parser(parser.add_subparsers(required=True))
    path = tmp_path / "m.onnx"
    arguments = ["export", "tiny", "--format", "onnx", "--input-size", "33x47", "--output", str(path)]
    calibration = ["--quantize", "int8", "--calibration", str(tmp_path / "photos"), "--max-drop", "0.5"]
    args = parser.parse_args([*arguments, *calibration])
    assert args.run(args) == 0
    printed = capsys.readouterr().out
    assert "int8; calibrated on 8 images; argmax_agreement 0.98" in printed
    assert "image (1, 33, 47, 3) uint8" in printed
    assert export.open_artifact(path).labels == LABELS.names
