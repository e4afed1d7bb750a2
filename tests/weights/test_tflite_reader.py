"""The weights of TFLite files, quantized or not."""

import numpy as np
import pytest
from support.tflite_files import Graph, quantized_graph

from zoo.weights.readers.tflite_file import _layer_name, read_tflite


@pytest.mark.parametrize("bias_scale", [0.125, None])
def test_quantized_convolution(lite, bias_scale):
    graph, weights = quantized_graph(bias_scale=bias_scale)
    read = read_tflite(graph.write(lite))
    assert list(read) == ["a/conv/kernel", "a/conv/bias"]
    expected = 0.25 * (weights.astype(np.float32) - 10)
    assert np.array_equal(read["a/conv/kernel"], expected.transpose(1, 2, 3, 0))
    assert np.array_equal(read["a/conv/bias"], [-0.5, 1.0])
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in read.values())


@pytest.mark.parametrize("multiplier", [2, None])
def test_depthwise_per_channel(lite, multiplier):
    graph = Graph()
    image = graph.tensor("image", (1, 5, 5, 3), type="i1", scale=0.5, zero=-1)
    weights = np.arange(-27, 27, dtype="i1").reshape(1, 3, 3, 6)
    scales = np.array([0.5, 0.25, 1.0, 2.0, 0.125, 4.0], np.float32)
    kernel = graph.tensor(
        "block/depthwise/depthwise", weights.shape, weights, scale=scales, zero=[0] * 6, axis=3
    )
    bias = graph.tensor("b", (6,), np.full(6, 3, "i4"), scale=scales * 0.5, zero=[0] * 6)
    graph.operator("DEPTHWISE_CONV_2D", [image, kernel, bias], [image], multiplier=multiplier)
    read = read_tflite(graph.write(lite))
    assert read["block/depthwise/kernel"].shape == (3, 3, 3, 2)
    assert np.array_equal(read["block/depthwise/kernel"].reshape(3, 3, 6), weights[0] * scales)
    assert np.array_equal(read["block/depthwise/bias"], 1.5 * scales)


def test_dense_float_and_half_behind_dequantize(lite):
    graph = Graph()
    image = graph.tensor("image", (1, 3))
    dense = np.arange(6, dtype="f4").reshape(2, 3)
    kernel = graph.tensor("head/MatMul", (2, 3), dense)
    graph.operator("FULLY_CONNECTED", [image, kernel, -1], [image])
    half = np.linspace(-1, 1, 24).astype("f2").reshape(2, 2, 2, 3)
    stored = graph.tensor("c/conv/Conv2D", half.shape, half)
    unpacked = graph.tensor("c/conv/Conv2D1", half.shape)
    stored_bias = graph.tensor("c/conv/BiasAdd", (2,), np.array([1, 2], "f2"))
    bias = graph.tensor("c/conv/BiasAdd1", (2,))
    graph.operator("DEQUANTIZE", [stored], [unpacked])
    graph.operator("DEQUANTIZE", [stored_bias], [bias])
    graph.operator("CONV_2D", [image, unpacked, bias], [image])
    variable = graph.tensor("computed", (2, 3))
    graph.operator("FULLY_CONNECTED", [image, variable], [image])
    read = read_tflite(graph.write(lite))
    assert list(read) == ["head/kernel", "c/conv/kernel", "c/conv/bias"]
    assert np.array_equal(read["head/kernel"], dense.T)
    assert np.array_equal(read["c/conv/kernel"], half.transpose(1, 2, 3, 0).astype(np.float32))
    assert np.array_equal(read["c/conv/bias"], [1, 2])


@pytest.mark.parametrize(
    ("tensor_name", "layer"),
    [
        ("MobilenetV2/Conv/Conv2D_Fold;MobilenetV2/Conv/weights_quant/Fake", "MobilenetV2/Conv"),
        ("M/expanded_conv_1/expand/weights_quant/FakeQuantWithMinMaxVars", "M/expanded_conv_1/expand"),
        ("M/expanded_conv/depthwise/depthwise_Fold;x", "M/expanded_conv/depthwise"),
        ("logits/semantic/Conv2D;logits/semantic/weights_quant/F", "logits/semantic"),
        ("model/conv/Conv2D/ReadVariableOp", "model/conv"),
        ("model/conv/kernel", "model/conv"),
        ("functional_1/atrous_1/convolution1", "functional_1/atrous_1"),
        ("tfl.pseudo_qconst5", "tfl.pseudo_qconst5"),
    ],
)
def test_layer_names(tensor_name, layer):
    assert _layer_name(tensor_name) == layer


@pytest.mark.parametrize(
    ("file", "layers", "classes"),
    [
        ("deeplabv3_mnv2_pascal_quant.tflite", 55, 21),
        ("deeplabv3_mnv2_dm05_pascal_quant.tflite", 55, 21),
        ("deeplab_mobilenet_edgetpu_slim_cityscapes_quant.tflite", 62, 19),
    ],
)
def test_real_files(data_dir, file, layers, classes):
    read = read_tflite(data_dir / "coral" / file)
    assert len(read) == 2 * layers
    assert read["logits/semantic/kernel"].shape[-1] == classes
    assert read["logits/semantic/bias"].shape == (classes,)
    assert {"aspp0/kernel", "image_pooling/kernel", "concat_projection/kernel"} <= set(read)


def test_real_file_matches_the_interpreter(data_dir):
    """The interpreter's own view of two constants, dequantized by hand."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path = data_dir / "coral" / "deeplabv3_mnv2_dm05_pascal_quant.tflite"
    runner = interpreter.Interpreter(str(path))
    details = {item["name"].split(";")[0]: item for item in runner.get_tensor_details()}
    read = read_tflite(path)
    for tensor_name, layer in [
        ("logits/semantic/Conv2D", "logits/semantic"),
        ("MobilenetV2/expanded_conv_3/project/Conv2D_Fold", "MobilenetV2/expanded_conv_3/project"),
    ]:
        detail = details[tensor_name]
        scale, zero = detail["quantization"]
        values = scale * (runner.get_tensor(detail["index"]).astype(np.float32) - zero)
        np.testing.assert_allclose(read[f"{layer}/kernel"], values.transpose(1, 2, 3, 0), rtol=1e-6)
