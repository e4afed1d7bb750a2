"""TFLite files in which thousands of references lead to one long list: work must not be their product."""

import time

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.damaged import refusal
from support.tflite_files import Graph

from zoo.weights.readers.tflite_file import read_tflite

LAYERS = 2000
LONG = 200_000


def packed_once(graph, path):
    """Write the model with its graph packed once, wherever it stands in the list."""
    builder, pack, known = flatbuffers.Builder(1 << 20), schema.SubGraphT.Pack, []

    def once(self, builder):
        if not known:
            known.append(pack(self, builder))
        return known[0]

    schema.SubGraphT.Pack = once
    try:
        builder.Finish(graph.model.Pack(builder), b"TFL3")
    finally:
        schema.SubGraphT.Pack = pack
    path.write_bytes(bytes(builder.Output()))
    return path


def timed(path):
    began = time.process_time()
    message = refusal(read_tflite, path)
    assert time.process_time() - began < 3
    return message


def test_one_list_of_scales_for_every_layer(lite):
    graph = Graph()
    image = graph.tensor("x", (1, 2, 2, 1), type="u1", scale=[0.5] * LONG, zero=0)
    for index in range(LAYERS):
        kernel = graph.tensor(f"k{index}", (1, 1, 1, 1), np.ones((1, 1, 1, 1), "u1"), scale=0.25, zero=0)
        bias = graph.tensor("b", (1,), np.zeros(1, "i4"), scale=0.125)
        graph.operator("CONV_2D", [image, kernel, bias], [image])
    assert "larger than the file" in timed(graph.write(lite))


def test_one_graph_many_times(lite):
    graph = Graph()
    image = graph.tensor("x", (1, 2, 2, 1))
    for _ in range(LAYERS // 4):
        graph.operator("RELU", [image], [image])
    graph.model.subgraphs = [graph.graph] * 2000
    assert "larger than the file" in timed(packed_once(graph, lite))


@pytest.mark.parametrize("text", ["/weights_quant" * 20_000 + "\n\n", "/" * 300_000, ";" * 300_000])
def test_a_name_that_is_a_novel(lite, text):
    graph = Graph()
    image = graph.tensor("x", (1, 2, 2, 1))
    kernel = graph.tensor(text, (1, 1, 1, 1), np.ones((1, 1, 1, 1), "f4"))
    graph.operator("CONV_2D", [image, kernel], [image])
    assert "has a name of" in timed(graph.write(lite))
