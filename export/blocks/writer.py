"""Writes the block form of a causal model as TFLite or ONNX."""

from __future__ import annotations

import flatbuffers
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from ai_edge_litert import schema_py_generated as schema
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from zoo.export.blocks.description import KEY, NEXT_STATE, OUTPUT, SAMPLES, STATE, BlockDescription
from zoo.export.onnx import names as onnx_names
from zoo.export.onnx import passes as onnx_passes
from zoo.layers.operations import forward_only

OPSET = 18
_HELPERS = {"Reshape", "Unsqueeze", "Squeeze", "Transpose", "Slice", "Concat"}


def frozen(blocks):
    """The graph of a model of `zoo.sequence.nam.in_blocks`, its weights as constants."""

    def run(samples, state):
        with forward_only():
            output, following = blocks([samples, state])
        # Names of the ends, which converters keep.
        return {OUTPUT: tf.identity(output, OUTPUT), NEXT_STATE: tf.identity(following, NEXT_STATE)}

    specs = [
        tf.TensorSpec(tensor.shape, tf.float32, name=name)
        for name, tensor in zip((SAMPLES, STATE), blocks.inputs, strict=True)
    ]
    return convert_variables_to_constants_v2(tf.function(run, autograph=False).get_concrete_function(*specs))


def to_tflite(blocks, description: BlockDescription) -> bytes:
    """A ``.tflite`` file of builtin operations, with named ends and its description inside."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen(blocks)], trackable_obj=tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    model = schema.ModelT.InitFromPackedBuf(bytes(converter.convert()))
    _name_ends(model, blocks)
    _describe(model, description)
    builder = flatbuffers.Builder(2**20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def to_onnx(blocks, description: BlockDescription) -> bytes:
    """An ``.onnx`` file with named ends and its description inside."""
    function = frozen(blocks)
    # In the order of the structure: a dictionary's keys are sorted.
    given = {NEXT_STATE: function.outputs[0].name, OUTPUT: function.outputs[1].name}
    taken = dict(zip((SAMPLES, STATE), (tensor.name for tensor in function.inputs), strict=True))
    model, _ = tf2onnx.convert.from_graph_def(
        function.graph.as_graph_def(),
        input_names=list(taken.values()),
        output_names=[given[OUTPUT], given[NEXT_STATE]],
        tensors_to_rename={tensor: name for name, tensor in (*taken.items(), *given.items())},
        opset=OPSET,
    )
    onnx_passes.simplify(model)
    onnx_names.rename(model, layers={layer.name for layer in blocks.layers})
    number_helpers(model.graph)
    shapes = [tuple(tensor.shape) for tensor in blocks.inputs]
    for values in (model.graph.input, model.graph.output):
        for value, shape in zip(values, shapes, strict=True):
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, onnx.TensorProto.FLOAT, shape))
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, description.to_json()
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _name_ends(model: schema.ModelT, blocks) -> None:
    """Names by shape, and a signature: the converter numbers the ends of a frozen graph."""
    graph = model.subgraphs[0]
    shapes = {tuple(tensor.shape): i for i, tensor in enumerate(blocks.inputs)}
    maps = []
    for names, indices in (((SAMPLES, STATE), graph.inputs), ((OUTPUT, NEXT_STATE), graph.outputs)):
        entries = []
        for index in map(int, indices):
            name = names[shapes[tuple(map(int, graph.tensors[index].shape))]]
            graph.tensors[index].name = name
            entries.append(schema.TensorMapT(name=name, tensorIndex=index))
        maps.append(entries)
    model.signatureDefs = [
        schema.SignatureDefT(inputs=maps[0], outputs=maps[1], signatureKey="serving_default")
    ]


def _describe(model: schema.ModelT, description: BlockDescription) -> None:
    model.description = f"{description.model}: blocks of {description.block} samples"
    model.metadata = list(model.metadata or [])
    model.metadata.append(schema.MetadataT(name=KEY, buffer=len(model.buffers)))
    content = np.frombuffer(description.to_json().encode(), np.uint8)
    model.buffers.append(schema.BufferT(data=content))


def number_helpers(graph: onnx.GraphProto) -> None:
    """Number what only changes a layout, and its constants, in their order.

    Several layers share such nodes, and which of them gave one its name differs by process.
    """
    helpers = [node for node in graph.node if node.op_type in _HELPERS]
    constants = {tensor.name for tensor in graph.initializer}
    own = dict.fromkeys(name for node in helpers for name in node.input if name in constants)
    kept = {name for node in graph.node if node.op_type not in _HELPERS for name in node.input}
    ends = {value.name for value in graph.output}
    names = {name: f"shape_{i}" for i, name in enumerate(own) if name not in kept}
    for index, node in enumerate(helpers):
        node.name = f"{node.op_type.lower()}_{index}"
        if node.output[0] not in ends:
            names[node.output[0]] = node.name
    for node in graph.node:
        for field in (node.input, node.output):
            field[:] = [names.get(text, text) for text in field]
    for tensor in graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
