"""TFLite: frozen, static, builtin operations only, with named ends and the metadata inside."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo.export.core.deployment import Deployment
from zoo.export.core.metadata import INPUT_NAME, KEY, SIGNATURE, Metadata
from zoo.export.core.quantization import Plan, Quantization
from zoo.export.core.staging import writing
from zoo.export.tflite import public_metadata as tflite_metadata
from zoo.export.tflite.converter import float_converter
from zoo.export.tflite.public_metadata import licence_of
from zoo.export.tflite.quantizer import quantize_integers, quantize_weights, quantize_wide

_IDENTIFIER = b"TFL3"
# What the schema asks for (`force_align`), so that kernels may map weights in place.
_ALIGNMENT = 16


class _AlignedBuffer(schema.BufferT):
    """A buffer whose bytes start at a multiple of 16; the generated code packs them anywhere."""

    def Pack(self, builder):
        """Pad first, so that the vector that follows ends, and thus starts, aligned."""
        if self.data is not None:
            builder.Prep(_ALIGNMENT, len(self.data))
        return super().Pack(builder)


class _SharingBuilder(flatbuffers.Builder):
    """Stores equal vectors of 64-bit integers once.

    Every quantized kernel and bias has a zero point for each of its channels, 8 bytes each and all of them
    0: a tenth of an int8 file.
    """

    def __init__(self, size: int):
        super().__init__(size)
        self._vectors: dict[bytes, int] = {}

    def CreateNumpyVector(self, x):
        """Offset of the vector, which may be one that other tables refer to as well."""
        if x.dtype != np.int64:
            return super().CreateNumpyVector(x)
        key = x.tobytes()
        if key not in self._vectors:
            self._vectors[key] = super().CreateNumpyVector(x)
        return self._vectors[key]


def _name_ends(model: schema.ModelT, output_name: str) -> None:
    """Name the input and output, and offer them as a signature."""
    graph = model.subgraphs[0]
    maps = []
    for name, indices in ((INPUT_NAME, graph.inputs), (output_name, graph.outputs)):
        graph.tensors[indices[0]].name = name
        entry = schema.TensorMapT(name=name, tensorIndex=int(indices[0]))
        maps.append([entry])
    model.signatureDefs = [schema.SignatureDefT(inputs=maps[0], outputs=maps[1], signatureKey=SIGNATURE)]


def annotate(content: bytes, metadata: Metadata) -> bytes:
    """A TFLite file with named input and output, aligned weights, and its description inside.

    The description stands there twice: `metadata` as JSON, and as TFLite Metadata for other software, whose
    label and colour files follow as a zip archive.
    """
    model = schema.ModelT.InitFromPackedBuf(content)
    _name_ends(model, metadata.output_name)
    model.description = f"{metadata.model}: {len(metadata.label_set)} classes"
    graph = model.subgraphs[0]
    size = tuple(int(n) for n in graph.tensors[graph.outputs[0]].shape[1:3])
    public = tflite_metadata.describe(metadata, output_size=size, licence=licence_of(metadata))
    added = {KEY: metadata.to_json().encode(), tflite_metadata.KEY: public}
    buffers = [buffer.data for buffer in model.buffers]
    model.metadata = list(model.metadata or [])
    for name, text in added.items():
        model.metadata.append(schema.MetadataT(name=name, buffer=len(buffers)))
        buffers.append(np.frombuffer(text, np.uint8))
    model.buffers = [_AlignedBuffer(data=item) for item in buffers]
    builder = _SharingBuilder(len(content) + sum(map(len, added.values())) + 4096)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return tflite_metadata.attach_files(bytes(builder.Output()), metadata)


def write(deployment: Deployment, path: Path, *, plan: Plan | None = None) -> Quantization | None:
    """Write the file `path`; what was done where it is quantized."""
    content, done = _convert(deployment, plan)
    content = annotate(content, deployment.metadata)
    with writing(path):
        path.write_bytes(content)
    return done


def _convert(deployment: Deployment, plan: Plan | None) -> tuple[bytes, Quantization | None]:
    if plan is None:
        return bytes(float_converter(deployment).convert()), None
    if plan.kind == "int16x8":
        return quantize_wide(deployment, plan)
    if plan.kind == "int8":
        return quantize_integers(deployment, plan)
    return quantize_weights(deployment, plan)
