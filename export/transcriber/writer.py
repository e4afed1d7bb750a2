"""Writes a ByteNet of letters and phones as TFLite or ONNX, for any number of words and any lengths."""

from __future__ import annotations

import flatbuffers
import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from ai_edge_litert import schema_py_generated as schema
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from zoo.export.blocks.writer import OPSET, number_helpers
from zoo.export.onnx import names as onnx_names
from zoo.export.onnx import passes as onnx_passes
from zoo.export.transcriber.description import KEY, LOGITS, SOURCE, TARGET, TranscriberDescription
from zoo.layers.operations import forward_only


def _frozen(model: keras.Model):
    """The graph of the model, its weights as constants."""

    def run(source, target):
        with forward_only():
            return {LOGITS: tf.identity(model({SOURCE: source, TARGET: target}, training=False), LOGITS)}

    specs = [tf.TensorSpec((None, None), tf.int32, name=name) for name in (SOURCE, TARGET)]
    return convert_variables_to_constants_v2(tf.function(run, autograph=False).get_concrete_function(*specs))


def to_tflite(model: keras.Model, description: TranscriberDescription) -> bytes:
    """A ``.tflite`` file of builtin operations, with named ends and its description inside."""
    converter = tf.lite.TFLiteConverter.from_concrete_functions([_frozen(model)], trackable_obj=tf.Module())
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    written = schema.ModelT.InitFromPackedBuf(bytes(converter.convert()))
    graph = written.subgraphs[0]
    maps = []
    for names, indices in (((SOURCE, TARGET), graph.inputs), ((LOGITS,), graph.outputs)):
        entries = []
        for index in map(int, indices):
            # The converter has an order of its own, and keeps the names of what goes in.
            given = graph.tensors[index].name.decode() if len(names) > 1 else names[0]
            name = next(name for name in names if name in given)
            graph.tensors[index].name = name
            entries.append(schema.TensorMapT(name=name, tensorIndex=index))
        maps.append(entries)
    signature = schema.SignatureDefT(inputs=maps[0], outputs=maps[1], signatureKey="serving_default")
    written.signatureDefs = [signature]
    written.description = f"{description.model}: spelling to sound"
    written.metadata = list(written.metadata or [])
    written.metadata.append(schema.MetadataT(name=KEY, buffer=len(written.buffers)))
    content = np.frombuffer(description.to_json().encode(), np.uint8)
    written.buffers.append(schema.BufferT(data=content))
    builder = flatbuffers.Builder(2**20)
    builder.Finish(written.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def to_onnx(model: keras.Model, description: TranscriberDescription) -> bytes:
    """An ``.onnx`` file with named ends and its description inside."""
    function = _frozen(model)
    taken = {tensor.name: name for tensor, name in zip(function.inputs, (SOURCE, TARGET), strict=True)}
    given = {function.outputs[0].name: LOGITS}
    written, _ = tf2onnx.convert.from_graph_def(
        function.graph.as_graph_def(),
        input_names=list(taken),
        output_names=list(given),
        tensors_to_rename={**taken, **given},
        opset=OPSET,
    )
    onnx_passes.simplify(written)
    onnx_names.rename(written, layers={layer.name for layer in model.layers})
    number_helpers(written.graph)
    integers, floats = onnx.TensorProto.INT32, onnx.TensorProto.FLOAT
    shapes = {
        SOURCE: (integers, ("words", "letters")),
        TARGET: (integers, ("words", "positions")),
        LOGITS: (floats, ("words", "positions", description.target)),
    }
    for values in (written.graph.input, written.graph.output):
        for value in values:
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, *shapes[value.name]))
    entry = written.metadata_props.add()
    entry.key, entry.value = KEY, description.to_json()
    onnx.checker.check_model(written, full_check=True)
    return written.SerializeToString(deterministic=True)
