"""A file's operations, whatever its format, as far as accelerators ask about them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zoo.errors import FormatError, InputError
from zoo.export.core.onnx_model import parsed


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One operation.

    Attributes:
        kind: Its name in the format.
        name: Of its first output, or its own where it has one.
        given: Type of what it is given: of the first input that is no constant.
        gives: Type of its first output.
        dilation: Of a convolution, else 1.
        align_corners: Whether it aligns corners.
        half_pixel: Whether it takes centres of pixels.
        elements: Of its first output; 0 where the size is not known.
        outputs: Names or numbers of all outputs, for the runtime's own account.
    """

    kind: str
    name: str
    given: str
    gives: str
    dilation: int = 1
    align_corners: bool = False
    half_pixel: bool = False
    elements: int = 0
    outputs: tuple[int | str, ...] = ()


def read(path: Path) -> tuple[str, tuple[Operation, ...]]:
    """Name of the format, and the operations.

    Raises:
        InputError: Nothing there, or of none of the formats that are known here.
        FormatError: A damaged file.
    """
    readers = {".tflite": ("tflite", _tflite), ".onnx": ("onnx", _onnx), ".mlpackage": ("coreml", _coreml)}
    if not path.exists():
        raise InputError(f"there is no file {str(path)!r}")
    if path.suffix not in readers:
        raise InputError(f"{path} is none of {', '.join(readers)}: export the model first")
    format, reader = readers[path.suffix]
    return format, tuple(reader(path))


def _tflite(path: Path) -> Iterator[Operation]:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    content = path.read_bytes()
    try:
        # The interpreter verifies the whole buffer, which the generated accessors trust.
        Interpreter(model_content=content)
    except (ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise FormatError(f"{path} cannot be loaded as a TFLite file: {reason}") from error
    builtins = {code: name for name, code in vars(schema.BuiltinOperator).items() if name.isupper()}
    types = {code: name.lower() for name, code in vars(schema.TensorType).items() if name.isupper()}
    model = schema.ModelT.InitFromPackedBuf(content)
    graph = model.subgraphs[0]

    def constant(index: int) -> bool:
        return model.buffers[graph.tensors[index].buffer].data is not None

    for operator in graph.operators or ():
        code = model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        kind = builtins.get(number, f"BUILTIN_{number}")
        if number == schema.BuiltinOperator.CUSTOM:
            kind = (code.customCode or b"CUSTOM").decode("utf-8", "replace")
        inputs = [int(n) for n in (operator.inputs if operator.inputs is not None else ()) if n >= 0]
        outputs = [int(n) for n in (operator.outputs if operator.outputs is not None else ())]
        real = [n for n in inputs if not constant(n)] or inputs
        # An assignment has no output.
        seen = [graph.tensors[n] for n in (outputs or real)[:1]]
        options = operator.builtinOptions
        gives = types.get(seen[0].type, "unknown") if seen else "none"
        yield Operation(
            kind=kind,
            name=_text(seen[0].name) if seen else kind,
            given=types.get(graph.tensors[real[0]].type, "unknown") if real else gives,
            gives=gives,
            dilation=int(getattr(options, "dilationHFactor", 1) or 1),
            align_corners=bool(getattr(options, "alignCorners", False)),
            half_pixel=bool(getattr(options, "halfPixelCenters", False)),
            elements=math.prod(map(int, seen[0].shape)) if seen and seen[0].shape is not None else 0,
            outputs=tuple(outputs),
        )


def _text(name: bytes | str | None) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)


def _onnx(path: Path) -> Iterator[Operation]:
    import onnx

    try:
        model = onnx.shape_inference.infer_shapes(parsed(path.read_bytes()))
        if not model.graph.node:
            raise FormatError("it has no graph")
    except Exception as error:  # protobuf's families of errors have no common base
        reason = error if isinstance(error, FormatError) else type(error).__name__
        raise FormatError(f"{path} cannot be loaded as an ONNX file: {reason}") from error
    graph = model.graph
    known = {v.name: v.type.tensor_type for v in (*graph.value_info, *graph.input, *graph.output)}
    constants = {tensor.name: tensor.data_type for tensor in graph.initializer}

    def kind_of(name: str) -> str:
        code = known[name].elem_type if name in known else constants.get(name, 0)
        name = onnx.TensorProto.DataType.Name(code).lower()
        return "float32" if name == "float" else name

    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        real = [name for name in node.input if name and name not in constants] or list(node.input)
        output = node.output[0] if node.output else ""
        mode = attributes.get("coordinate_transformation_mode", b"").decode()
        dims = known[output].shape.dim if output in known else ()
        yield Operation(
            kind=node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}.{node.op_type}",
            name=node.name or output,
            given=kind_of(real[0]) if real else kind_of(output),
            gives=kind_of(output),
            dilation=max(attributes.get("dilations", [1])),
            align_corners=mode == "align_corners",
            half_pixel=mode == "half_pixel",
            elements=math.prod(d.dim_value for d in dims) if dims else 0,
            outputs=tuple(node.output),
        )


def _coreml(path: Path) -> Iterator[Operation]:
    from zoo.export.coreml.package import Package, element_type

    kinds, constants = {}, set()
    for operation in Package(path).operations:
        output = operation.outputs[0]
        tensor = output.type.tensorType
        dtype = element_type(tensor.dataType)
        kinds[output.name] = gives = "string" if dtype is None else dtype.name
        if operation.type == "const" or operation.type.startswith("constexpr_"):
            constants.add(output.name)
            continue
        bindings = (b.name for argument in operation.inputs.values() for b in argument.arguments)
        real = next((name for name in bindings if name in kinds and name not in constants), None)
        yield Operation(
            kind=operation.type,
            name=output.name,
            given=gives if real is None else kinds[real],
            gives=gives,
            elements=math.prod(d.constant.size for d in tensor.dimensions),
            outputs=(output.name,),
        )
