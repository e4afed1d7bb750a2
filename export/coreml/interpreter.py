"""Runs ML programs on any system, as a proof of what a package holds; it is not Apple's runtime.

Every result is rounded to the type that the program states for it, so that a program in half precision
rounds between its operations. Within one, sums are kept in float32: hardware may keep them otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from zoo.errors import FormatError
from zoo.export.core.metadata import one_line
from zoo.export.coreml.kernels import KERNELS
from zoo.export.coreml.package import Package, element_type

# Elements of a tensor; a map of 64 megapixels with a class in four bytes.
_LARGEST = 1 << 28
_STORED = ("constexpr_lut_to_dense", "constexpr_affine_dequantize")


class Interpreter:
    """A package that can be run.

    Attributes:
        package: What was read.
    """

    def __init__(self, path: Path):
        """Read the package and its constants.

        Raises:
            FormatError: A damaged one, or one with operations that are not known here.
        """
        self.package = Package(path)
        self._constants: dict[str, np.ndarray | str] = {}
        self._computed = []
        for operation in self.package.operations:
            if operation.type == "const" or operation.type in _STORED:
                self._constants[operation.outputs[0].name] = self._constant(operation, path)
            elif operation.type in KERNELS:
                self._computed.append(operation)
            else:
                raise FormatError(
                    f"{path} holds the operation {operation.type[:80]!r}, which is not known here"
                )

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name."""
        values = dict(self.values(inputs, keep=self.package.outputs))
        return {name: values[name] for name in self.package.outputs}

    def values(
        self, inputs: Mapping[str, np.ndarray], *, keep: tuple[str, ...] | None = None
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Names and results of the operations, all of them or those to `keep`.

        Raises:
            FormatError: Results that do not have the shape that the program states.
        """
        values: dict[str, np.ndarray | str] = {**self._constants, **inputs}
        last = self._last_uses()
        for index, operation in enumerate(self._computed):
            output = operation.outputs[0]
            try:
                values[output.name] = _run(operation, values)
            except FormatError:
                raise
            except (ValueError, IndexError, KeyError, TypeError) as error:
                raise FormatError(
                    f"{operation.type} {output.name[:80]!r} cannot be computed: {error}"
                ) from error
            if keep is None or output.name in keep:
                yield output.name, values[output.name]
            for name in last.get(index, ()):
                values.pop(name, None)

    def _last_uses(self) -> dict[int, list[str]]:
        """Names that no operation reads behind the one of that number."""
        uses = {}
        for index, operation in enumerate(self._computed):
            for name in (*_names(operation), operation.outputs[0].name):
                uses[name] = index
        last: dict[int, list[str]] = {}
        for name, index in uses.items():
            if name not in self._constants:
                last.setdefault(index, []).append(name)
        return last

    def _constant(self, operation, path: Path) -> np.ndarray | str:
        if operation.type == "const":
            return self.package.constant(operation.attributes["val"])
        try:
            return self._expanded(operation)
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, AttributeError) as error:
            raise FormatError(
                f"{path}: the constant {operation.outputs[0].name[:80]!r} cannot be read: {one_line(error)}"
            ) from error

    def _expanded(self, operation) -> np.ndarray:
        """A weight that is stored as 8-bit numbers or as a palette."""
        stored = {
            key: self.package.constant(value) for key, value in operation.attributes.items() if key != "name"
        }
        if operation.type == "constexpr_affine_dequantize":
            data, axis = stored["quantized_data"], int(stored["axis"])
            shape = [-1 if n == axis else 1 for n in range(data.ndim)]
            scale, zero = (np.atleast_1d(stored[key]).reshape(shape) for key in ("scale", "zero_point"))
            dtype = stored["scale"].dtype
            return ((data.astype(np.float32) - zero.astype(np.float32)) * scale.astype(np.float32)).astype(
                dtype
            )
        return _looked_up(stored["indices"], stored["lut"], tuple(int(n) for n in stored["shape"]))


def _looked_up(indices: np.ndarray, table: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a table by packed indices, the least significant bits first."""
    width, count = len(table).bit_length() - 1, int(np.prod(shape))
    if len(table) != 1 << width or len(indices) != -(-width * count // 8):
        raise FormatError(f"{len(indices)} bytes of indices and a table of {len(table)} do not make {shape}")
    bits = np.unpackbits(indices, bitorder="little")[: width * count].reshape(count, width)
    return table[bits @ (1 << np.arange(width))].reshape(shape)


def _names(operation) -> Iterator[str]:
    for argument in operation.inputs.values():
        for binding in argument.arguments:
            if binding.WhichOneof("binding") == "name":
                yield binding.name


def _run(operation, values: Mapping[str, np.ndarray | str]) -> np.ndarray:
    arguments = {}
    for key, argument in operation.inputs.items():
        found = [_wide(values[binding.name]) for binding in argument.arguments]
        arguments[key] = found if key == "values" else found[0]
    tensor = operation.outputs[0].type.tensorType
    shape = tuple(d.constant.size for d in tensor.dimensions)
    if np.prod(shape, dtype=np.float64) > _LARGEST:
        raise FormatError(f"a tensor of shape {shape} is larger than this interpreter computes")
    with np.errstate(all="ignore"):
        result = np.asarray(KERNELS[operation.type](arguments)).astype(element_type(tensor.dataType))
    if result.shape != shape:
        raise FormatError(f"{operation.type} gives {result.shape}, the program states {shape}")
    return result


def _wide(value: np.ndarray | str) -> np.ndarray | str:
    return value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == np.float16 else value
