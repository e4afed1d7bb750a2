"""TFLite files that are damaged or contradict themselves are refused."""

import os
import random

import pytest
from ai_edge_litert import schema_py_generated as schema
from support.damaged import attempt, refusal
from support.tflite_files import quantized_graph

from zoo.weights.readers.tflite_file import read_tflite


def lite_message(path):
    return refusal(read_tflite, path)


def test_bias_scale_that_contradicts_its_layer(lite):
    graph, _ = quantized_graph(bias_scale=0.2)
    assert "bias scale" in lite_message(graph.write(lite))


def test_two_layers_of_one_name(lite):
    graph, weights = quantized_graph()
    again = graph.tensor("a/conv/Conv2D", weights.shape, weights, scale=0.25, zero=10)
    graph.operator("CONV_2D", [0, again, 2], [3])
    assert "two layers are called 'a/conv'" in lite_message(graph.write(lite))


def test_one_layer_used_twice(lite):
    graph, _ = quantized_graph()
    graph.operator("CONV_2D", [0, 1, 2], [3])
    assert len(read_tflite(graph.write(lite))) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2, 3, 3, 4]},
        {"shape": [2, 3, 3, -3]},
        {"shape": [54]},
        {"buffer": 99},
        {"type": schema.TensorType.INT4},
        {"type": schema.TensorType.COMPLEX64},
        {"quantization": None},
    ],
    ids=str,
)
def test_damaged_tensors(lite, change):
    graph, _ = quantized_graph()
    vars(graph.graph.tensors[1]).update(change)
    lite_message(graph.write(lite))


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x1c\0\0\0TFL3", b"\xff\xff\xff\xffTFL3" * 9])
def test_not_tflite(lite, content):
    lite.write_bytes(content)
    lite_message(lite)


def test_absent_tflite(lite):
    lite_message(lite)


def test_truncated_tflite_gives_an_error_or_arrays(lite):
    content = quantized_graph()[0].write(lite).read_bytes()
    for length in range(len(content)):
        lite.write_bytes(content[:length])
        attempt(read_tflite, lite)


def test_flipped_bytes_of_tflite(lite):
    content = quantized_graph()[0].write(lite).read_bytes()
    generator = random.Random(2)
    for position in range(len(content)):
        for value in (content[position] ^ 1 << generator.randrange(8), 255):
            lite.write_bytes(content[:position] + bytes([value]) + content[position + 1 :])
            attempt(read_tflite, lite)


def test_flipped_bytes_of_a_real_file(data_dir, lite):
    name = "deeplabv3_mnv2_dm05_pascal_quant.tflite"
    content = bytearray((data_dir / "coral" / name).read_bytes())
    generator = random.Random(os.environ.get("ZOO_TEST_SEED", 3))
    for _ in range(25):
        damaged = bytearray(content)
        for _ in range(20):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        lite.write_bytes(damaged)
        attempt(read_tflite, lite)
