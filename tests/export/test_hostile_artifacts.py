"""Artifacts whose metadata or values are not what an exporter writes: one line, before anything is run."""

import json

import flatbuffers
import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

from zoo.errors import FormatError
from zoo.export import open_artifact
from zoo.export.core.metadata import KEY, Metadata

LABELS = {"key": "two", "names": ["a", "b"], "palette": [[0, 0, 0], [1, 1, 1]], "ignore_label": 255}
GOOD = {
    "schema": 1,
    "model": "m",
    "source": None,
    "head": "logits",
    "layout": "nhwc",
    "producer": "p",
    "label_set": LABELS,
    "input_size": [65, 65],
    "fingerprint": "f",
}


def test_good_metadata_is_read():
    assert Metadata.from_json(json.dumps(GOOD), path="m").input_size == (65, 65)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[]",
        "1",
        "\ud800",
        b"\xff\xfe",
        "{}",
        json.dumps({**GOOD, "input_size": [1e400, 1]}),
        json.dumps({**GOOD, "input_size": [-5, 65]}),
        json.dumps({**GOOD, "input_size": [65]}),
        json.dumps({**GOOD, "input_size": [65, 65, 3]}),
        json.dumps({**GOOD, "input_size": "65"}),
        json.dumps({**GOOD, "head": "other"}),
        json.dumps({**GOOD, "head": ["logits"]}),
        json.dumps({**GOOD, "layout": "nwhc"}),
        json.dumps({**GOOD, "model": 3}),
        json.dumps({**GOOD, "quantization": {"kind": "int3"}}),
        json.dumps({**GOOD, "quantization": []}),
        json.dumps({**GOOD, "label_set": None}),
        json.dumps({**GOOD, "label_set": {**LABELS, "names": "ab"}}),
        json.dumps({**GOOD, "label_set": {**LABELS, "names": [1, 2]}}),
        json.dumps({**GOOD, "label_set": {**LABELS, "palette": [[0, 0], [1, 1]]}}),
        json.dumps({**GOOD, "label_set": {**LABELS, "palette": [[0, 0, 1e400], [1, 1, 1]]}}),
    ],
    ids=range(22),
)
def test_metadata_that_no_exporter_writes(text):
    with pytest.raises(FormatError, match=r"^m: damaged atrous_zoo metadata") as caught:
        Metadata.from_json(text, path="m")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


# --- ONNX -----------------------------------------------------------------------------------------


def outside(name="secret"):
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[4])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="secret.bin")
    return tensor


def in_a_branch(value):
    info = [helper.make_tensor_value_info("v", TensorProto.FLOAT, [4])]
    graph = helper.make_graph([helper.make_node("Constant", [], ["v"], value=value)], "g", [], info)
    return helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)


def model(nodes, initializers):
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=initializers)
    found = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found.metadata_props.add(key=KEY, value=json.dumps(GOOD))
    return found


@pytest.mark.parametrize("place", ["initializer", "constant", "branch", "sparse", "function"])
def test_onnx_with_values_in_another_file(tmp_path, monkeypatch, place):
    """The other file is there, and is the one that ONNX Runtime would find."""
    np.arange(4, dtype=np.float32).tofile(tmp_path / "secret.bin")
    monkeypatch.chdir(tmp_path)
    add = helper.make_node("Add", ["x", "secret"], ["y"])
    if place == "initializer":
        made = model([add], [outside()])
    elif place == "constant":
        made = model([helper.make_node("Constant", [], ["secret"], value=outside()), add], [])
    elif place == "branch":
        condition = helper.make_tensor("c", TensorProto.BOOL, [], [True])
        made = model([in_a_branch(outside())], [condition])
    else:
        made = model([helper.make_node("Relu", ["x"], ["y"])], [])
        if place == "sparse":
            made.graph.sparse_initializer.add().values.CopyFrom(outside())
        else:
            node = helper.make_node("Constant", [], ["v"], value=outside())
            made.functions.add(name="f", domain="d").node.append(node)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(FormatError, match=r"'secret' lies outside the file, which is refused") as caught:
        open_artifact(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value)


def test_onnx_that_the_runtime_refuses_is_one_line(tmp_path):
    made = model([helper.make_node("Unheard", ["x"], ["y"], domain="nowhere")], [])
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(FormatError, match=r"m\.onnx cannot be loaded") as caught:
        open_artifact(tmp_path / "m.onnx")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert onnx.load(tmp_path / "m.onnx")  # as a message it is sound


# --- TFLite ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("buffer", [0, 1, 99, 2**31])
def test_tflite_whose_metadata_lies_nowhere(tmp_path, buffer):
    model, graph, tensor = schema.ModelT(), schema.SubGraphT(), schema.TensorT()
    tensor.name, tensor.shape = "x", [1, 4]
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [tensor], [], [0], [0]
    entry = schema.MetadataT()
    entry.name, entry.buffer = KEY, buffer
    model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT(), schema.BufferT()], []
    model.subgraphs, model.metadata = [graph], [entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    (tmp_path / "m.tflite").write_bytes(bytes(builder.Output()))
    with pytest.raises(FormatError, match=r"m\.tflite") as caught:
        open_artifact(tmp_path / "m.tflite")
    assert "\n" not in str(caught.value)
