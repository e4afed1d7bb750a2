"""Writes the block form of a causal model as TFLite or ONNX."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import flatbuffers
import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from ai_edge_litert import schema_py_generated as schema
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from zoo.export.onnx import names as onnx_names
from zoo.export.onnx import passes as onnx_passes
from zoo.layers.operations import forward_only

# Inputs of a model in its own order, one after another.
Calibration = Callable[[], Iterator[list[np.ndarray]]]
OPSET = 18
_HELPERS = {"Reshape", "Unsqueeze", "Squeeze", "Transpose", "Slice", "Concat"}


@dataclass(frozen=True)
class End:
    """One input or output."""

    shape: tuple[int, ...]
    dtype: str = "float32"


@dataclass(frozen=True)
class Ends:
    """The inputs and outputs of a model in blocks.

    Attributes:
        taken: The inputs by name, in the order of the file.
        given: The outputs by name, in the order of the model's own.
        as_mapping: Whether the model takes its inputs by name, not in a list.
    """

    taken: Mapping[str, End]
    given: Mapping[str, End]
    as_mapping: bool = False

    def arranged(self, values: Sequence) -> dict | list:
        """Inputs as the model takes them."""
        return dict(zip(self.taken, values, strict=True)) if self.as_mapping else list(values)


@dataclass(frozen=True)
class Told:
    """What a file says of itself.

    Attributes:
        key: Of the entry in the file.
        text: JSON.
        title: One line for people.
    """

    key: str
    text: str
    title: str


def frozen(blocks: keras.Model, ends: Ends):
    """The graph of a model in blocks, its weights as constants."""

    def run(*values):
        with forward_only():
            found = blocks(ends.arranged(values))
        # Names of the ends, which converters keep.
        return {name: tf.identity(value, name) for name, value in zip(ends.given, found, strict=True)}

    specs = [tf.TensorSpec(end.shape, end.dtype, name=name) for name, end in ends.taken.items()]
    return convert_variables_to_constants_v2(tf.function(run, autograph=False).get_concrete_function(*specs))


def to_tflite(
    blocks: keras.Model,
    ends: Ends,
    told: Told,
    *,
    quantize: str | None = None,
    calibration: Calibration | None = None,
) -> bytes:
    """A ``.tflite`` file of builtin operations, with named ends and its description inside.

    `quantize` is a key of `zoo.export.blocks.quantizing.KINDS`, and `calibration` gives inputs for it.
    """
    graph = frozen(blocks, ends)

    def converter() -> tf.lite.TFLiteConverter:
        found = tf.lite.TFLiteConverter.from_concrete_functions([graph], trackable_obj=tf.Module())
        found.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return found

    chosen = converter()
    if quantize is not None:
        chosen.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        chosen.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        sets = tf.lite.OpsSet
        wide = sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        chosen.target_spec.supported_ops = [wide if quantize == "int16x8" else sets.TFLITE_BUILTINS_INT8]
        chosen.representative_dataset = _arranged(calibration, converter().convert(), ends)
    return finished(chosen.convert(), ends, told)


def _arranged(calibration: Calibration, content: bytes, ends: Ends) -> Calibration:
    """Inputs in the order of the file, which the converter chooses and the calibration has to follow."""
    model = schema.ModelT.InitFromPackedBuf(bytes(content))
    names = [name for name, _ in _named(model.subgraphs[0], ends.taken, model.subgraphs[0].inputs)]
    order = [list(ends.taken).index(name) for name in names]

    def give() -> Iterator[list[np.ndarray]]:
        for values in calibration():
            yield [values[index] for index in order]

    return give


def finished(content: bytes, ends: Ends, told: Told) -> bytes:
    """A converted file with its names and description."""
    model = schema.ModelT.InitFromPackedBuf(bytes(content))
    _name_ends(model, ends)
    _describe(model, told)
    builder = flatbuffers.Builder(2**20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def to_onnx(blocks: keras.Model, ends: Ends, told: Told) -> bytes:
    """An ``.onnx`` file with named ends and its description inside."""
    function = frozen(blocks, ends)
    # In the order of the structure: a dictionary's keys are sorted.
    given = dict(zip(sorted(ends.given), (tensor.name for tensor in function.outputs), strict=True))
    taken = dict(zip(ends.taken, (tensor.name for tensor in function.inputs), strict=True))
    model, _ = tf2onnx.convert.from_graph_def(
        function.graph.as_graph_def(),
        input_names=list(taken.values()),
        output_names=[given[name] for name in ends.given],
        tensors_to_rename={tensor: name for name, tensor in (*taken.items(), *given.items())},
        opset=OPSET,
    )
    onnx_passes.simplify(model)
    onnx_names.rename(model, layers={layer.name for layer in blocks.layers})
    number_helpers(model.graph)
    for values, known in ((model.graph.input, ends.taken), (model.graph.output, ends.given)):
        for value in values:
            end = known[value.name]
            kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(end.dtype))
            value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, end.shape))
    entry = model.metadata_props.add()
    entry.key, entry.value = told.key, told.text
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)


def _name_ends(model: schema.ModelT, ends: Ends) -> None:
    """Names and a signature: the converter numbers the ends of a frozen graph, outputs in its own order."""
    graph = model.subgraphs[0]
    maps = []
    for known, indices in ((ends.taken, graph.inputs), (ends.given, graph.outputs)):
        entries = []
        for name, index in list(_named(graph, known, indices)):
            graph.tensors[index].name = name
            entries.append(schema.TensorMapT(name=name, tensorIndex=index))
        maps.append(entries)
    model.signatureDefs = [
        schema.SignatureDefT(inputs=maps[0], outputs=maps[1], signatureKey="serving_default")
    ]


def _named(graph: schema.SubGraphT, known: Mapping[str, End], indices) -> Iterator[tuple[str, int]]:
    """Names of tensors by their shapes."""
    left = dict(known)
    for index in map(int, indices):
        shape = tuple(map(int, graph.tensors[index].shape))
        name = next(name for name, end in left.items() if end.shape == shape)
        del left[name]
        yield name, index


def _describe(model: schema.ModelT, told: Told) -> None:
    model.description = told.title
    model.metadata = list(model.metadata or [])
    model.metadata.append(schema.MetadataT(name=told.key, buffer=len(model.buffers)))
    content = np.frombuffer(told.text.encode(), np.uint8)
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
