"""ONNX: one native Conv for each dilated convolution, sizes stated, labels inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from onnx import version_converter
from tf2onnx import constants as tf2onnx_constants

from zoo.errors import InputError
from zoo.export.core.deployment import Deployment
from zoo.export.core.mask_head import SCOPE
from zoo.export.core.metadata import INPUT_NAME
from zoo.export.core.quantization import Plan, Quantization
from zoo.export.core.staging import writing
from zoo.export.onnx import names as onnx_names
from zoo.export.onnx import passes as onnx_passes
from zoo.export.onnx import properties as onnx_properties
from zoo.export.onnx.quantizer import quantize
from zoo.export.onnx.source import Source, give_back

MIN_OPSET, OPSET = 13, 18
# The first with 16-bit QuantizeLinear and DequantizeLinear.
_WIDE_OPSET = 21
_NHWC_TO_NCHW = [0, 3, 1, 2]
_NCHW_TO_NHWC = [0, 2, 3, 1]
# TensorFlow's flags in ONNX's words; with neither, the first pixels' centres coincide ("asymmetric").
_CENTERS = {"align_corners": "align_corners", "half_pixel_centers": "half_pixel"}


def _resize_bilinear(context, node, name, args) -> None:
    """Convert ResizeBilinear to a Resize by target size.

    tf2onnx states a static resize by its scale, and 7.4615383 times 13 is 96.99999: shape inference and
    other runtimes then drop the last row or column.
    """
    image, size = node.input
    shape, dtype = context.get_shape(image), context.get_dtype(image)
    centers = next((n for a, n in _CENTERS.items() if node.get_attr_value(a)), "asymmetric")
    static = node.inputs[1].is_const() and -1 not in shape
    nchw = context.make_node("Transpose", [image], attr={"perm": _NHWC_TO_NCHW}).output[0]
    if static:
        target = [shape[0], shape[3], *node.inputs[1].get_tensor_value()]
        sizes = context.make_const(f"{name}_sizes", _int64(target)).output[0]
    else:
        sizes = _dynamic_sizes(context, nchw=nchw, size=size, name=name)
    output, out_shape = node.output[0], context.get_shape(node.output[0])
    context.remove_node(node.name)
    attributes = {"mode": "linear", "coordinate_transformation_mode": centers}
    resized = context.make_node(
        "Resize", [nchw, "", "", sizes], attr=attributes, name=f"{name}/resize"
    ).output[0]
    context.make_node(
        "Transpose",
        [resized],
        attr={"perm": _NCHW_TO_NHWC},
        name=name,
        outputs=[output],
        shapes=[out_shape],
        dtypes=[dtype],
    )


def _int64(values) -> np.ndarray:
    return np.asarray(values, np.int64)


def _dynamic_sizes(context, *, nchw: str, size: str, name: str) -> str:
    """[batch, channels, *size] as an int64 tensor."""

    def node(kind: str, inputs: list[str], **attributes) -> str:
        part = f"{name}/{kind.lower()}"
        return context.make_node(kind, inputs, attr=attributes, name=part).output[0]

    shape = node("Shape", [nchw])
    bounds = [context.make_const(f"{nchw}_{i}", _int64([i])).output[0] for i in (0, 2)]
    kept = node("Slice", [shape, *bounds])
    size = node("Cast", [size], to=onnx.TensorProto.INT64)
    return node("Concat", [kept, size], axis=0)


def _floor_mod(context, node, name, args) -> None:
    """Convert the remainder with the sign of the divisor; tf2onnx truncates, as if -9 mod 8 were -1."""
    inputs, outputs = list(node.input), list(node.output)
    shapes, dtypes = node.output_shapes, node.output_dtypes
    context.remove_node(node.name)
    context.make_node("Mod", inputs, name=name, outputs=outputs, shapes=shapes, dtypes=dtypes)


def _floor_div(context, node, name, args) -> None:
    """Convert the quotient rounded down; ONNX divides integers towards zero.

    Models round a size up as ``-(-size // step)``, and padded and pooled by wrong amounts otherwise.
    """
    (x, y), outputs = node.input, list(node.output)
    shapes, dtypes = node.output_shapes, node.output_dtypes
    context.remove_node(node.name)
    remainder = context.make_node("Mod", [x, y], shapes=shapes, dtypes=dtypes).output[0]
    multiple = context.make_node("Sub", [x, remainder], shapes=shapes, dtypes=dtypes).output[0]
    context.make_node("Div", [multiple, y], name=name, outputs=outputs, shapes=shapes, dtypes=dtypes)


# Where the converters of tf2onnx give another number.
_HANDLERS = {
    "ResizeBilinear": (_resize_bilinear, []),
    "FloorMod": (_floor_mod, []),
    "FloorDiv": (_floor_div, []),
}


def check_opset(opset: int | None = None, *, wide: bool = False) -> int:
    """The operator set: `opset`, or where that is `None` 18, and 21 for 16-bit activations (`wide`).

    Raises:
        InputError: Outside of the range that the installed packages can write, or too old for `wide`.
    """
    if opset is None:
        return _WIDE_OPSET if wide else OPSET
    newest = onnx.defs.onnx_opset_version()
    if not isinstance(opset, int) or not MIN_OPSET <= opset <= newest:
        raise InputError(f"opset must be between {MIN_OPSET} and {newest}, not {opset!r}")
    if wide and opset < _WIDE_OPSET:
        raise InputError(f"16-bit activations need opset {_WIDE_OPSET} or later, not {opset}")
    return opset


def check_options(opset: int | None = None, symmetric: bool = False) -> None:
    """Raise an `InputError` for settings that cannot be used."""
    check_opset(opset)
    if not isinstance(symmetric, bool):
        raise InputError(f"symmetric must be True or False, not {symmetric!r}")


def _widen_scalars(graph: tf.compat.v1.GraphDef) -> None:
    """Give sums with a scalar constant (hard swish) one of shape [1], which broadcasts alike.

    tf2onnx 1.17 takes a constant that is added behind a convolution for a bias, stumbles over a scalar, and
    then leaves the transpositions around every single convolution of the graph.
    """
    constants = {node.name: node for node in graph.node if node.op == "Const"}
    for node in [n for n in graph.node if n.op in ("Add", "AddV2")]:
        for index, name in enumerate(node.input):
            constant = constants.get(name.removesuffix(":0"))
            if constant is None or constant.attr["dtype"].type != tf.float32.as_datatype_enum:
                continue
            value = tf.make_ndarray(constant.attr["value"].tensor)
            if value.ndim == 0:
                wide = graph.node.add(name=f"{node.name}/constant_{index}", op="Const")
                wide.attr["dtype"].type = tf.float32.as_datatype_enum
                wide.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value.reshape(1)))
                node.input[index] = wide.name


def _state_sums(graph: tf.compat.v1.GraphDef) -> None:
    """Call a BiasAdd whose bias is computed what it is, a sum.

    Keras adds a map of one cell as a bias. tf2onnx moves any bias into the convolution before it, also into
    one that has a bias already.
    """
    constants = {node.name for node in graph.node if node.op == "Const"}
    for node in [n for n in graph.node if n.op == "BiasAdd"]:
        if node.input[1].removesuffix(":0") not in constants:
            node.op = "AddV2"
            del node.attr["data_format"]


def _convert(deployment: Deployment, *, opset: int) -> onnx.ModelProto:
    source = Source(deployment)
    _widen_scalars(source.graph)
    _state_sums(source.graph)
    metadata = deployment.metadata
    channels_first = metadata.layout == "nchw"
    model, _ = tf2onnx.convert.from_graph_def(
        source.graph,
        input_names=[source.input, *source.kernels],
        output_names=[source.output],
        inputs_as_nchw=[source.input] if channels_first else None,
        outputs_as_nchw=[source.output] if channels_first and not metadata.gives_mask else None,
        tensors_to_rename={source.input: INPUT_NAME, source.output: metadata.output_name},
        custom_op_handlers=dict(_HANDLERS),
        opset=min(opset, max(tf2onnx_constants.OPSET_TO_IR_VERSION)),
    )
    give_back(model, source.kernels)
    return model


def _dimensions(deployment: Deployment) -> tuple[list, list]:
    """Declared axes of the input and the output, NHWC: sizes, or symbols that the two share."""
    metadata = deployment.metadata
    if metadata.gives_mask:
        shape = ["batch", "height", "width"] if metadata.input_size is None else [1, *metadata.input_size]
        return [*shape, 3], shape
    classes = deployment.network.output_shape[-1]
    if metadata.input_size is not None:
        output = deployment.network.compute_output_shape((1, *metadata.input_size, 3))
        return [1, *metadata.input_size, 3], [1, *output[1:3], classes]
    size = ["height", "width"] if metadata.head == "logits" else ["rows", "columns"]
    return ["batch", "height", "width", 3], ["batch", *size, classes]


def _declare(model: onnx.ModelProto, deployment: Deployment) -> None:
    ends = ((model.graph.input[0], 0), (model.graph.output[0], 1))
    dimensions = _dimensions(deployment)
    for value, index in ends:
        axes = dimensions[index]
        if deployment.metadata.layout == "nchw" and len(axes) == 4:
            axes = [axes[i] for i in _NHWC_TO_NCHW]
        kind = value.type.tensor_type.elem_type
        value.CopyFrom(onnx.helper.make_tensor_value_info(value.name, kind, axes))


def float_model(deployment: Deployment, *, opset: int) -> onnx.ModelProto:
    """The graph in float32, with its names and declared sizes, not described yet."""
    model = _convert(deployment, opset=opset)
    onnx_passes.simplify(model)
    _declare(model, deployment)
    onnx_names.rename(model, layers={SCOPE, *(layer.name for layer in deployment.network.layers)})
    if opset > max(tf2onnx_constants.OPSET_TO_IR_VERSION):
        model = version_converter.convert_version(model, opset)
    return model


def write(
    deployment: Deployment,
    path: Path,
    *,
    opset: int | None = None,
    symmetric: bool = False,
    plan: Plan | None = None,
) -> Quantization | None:
    """Write the file `path`, checked with full shape inference; what was done where it is quantized.

    `symmetric` is of quantized files: signed integers and zero points of 0, also for activations.

    Raises:
        InputError: `symmetric` without a quantization, or a failure to write.
    """
    if symmetric and plan is None:
        raise InputError("symmetric is a kind of int8: quantize with it")
    wide = plan is not None and plan.kind == "int16x8"
    model, done = float_model(deployment, opset=check_opset(opset, wide=wide)), None
    if plan is not None:
        model, done = quantize(model, deployment, plan, symmetric=symmetric)
        onnx_passes.order_constants(model.graph)
    model.ir_version = onnx.helper.find_min_ir_version_for(model.opset_import)
    onnx_properties.describe(model, deployment.metadata)
    onnx.checker.check_model(model, full_check=True)
    with writing(path):
        onnx.save(model, path)
    return done
