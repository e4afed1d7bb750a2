"""Core ML: an ML program of static size in a package, its image input RGB in 0…255."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import uuid
import warnings
from collections.abc import Iterator
from pathlib import Path

from zoo.errors import InputError
from zoo.export.core.deployment import Deployment
from zoo.export.core.float_layers import measured
from zoo.export.core.metadata import INPUT_NAME, Metadata
from zoo.export.core.origin import catalog_entry
from zoo.export.core.quantization import Plan, Quantization
from zoo.export.core.staging import writing
from zoo.export.coreml import description
from zoo.export.coreml.artifact import CoreMLArtifact
from zoo.export.coreml.names import encoded
from zoo.export.coreml.operations import Translator
from zoo.export.coreml.palettes import WIDTHS
from zoo.export.coreml.source import Source
from zoo.export.coreml.tools import Builder as mb
from zoo.export.coreml.tools import coremltools as ct
from zoo.export.coreml.values import Value, maps_first
from zoo.export.coreml.weights import Kernels

# Palettes and 8-bit weights came with it.
_TARGET = ct.target.iOS16
BITS = 8
# What follows it computes logarithms of probabilities, the smallest of which half precision takes for 0.
_PROBABILITIES = "Softmax"
_MANIFEST, _IDENTIFIERS = "Manifest.json", uuid.UUID("6f1c6f57-8f0b-5a07-9a43-6d1d0c2f2b11")


def check_options(palette_bits: int = BITS) -> None:
    """Raise an `InputError` for settings that cannot be used."""
    if isinstance(palette_bits, bool) or palette_bits not in WIDTHS:
        widths = ", ".join(map(str, WIDTHS))
        raise InputError(f"palette_bits must be one of {widths}, not {palette_bits!r}")


def write(
    deployment: Deployment, path: Path, *, palette_bits: int | None = None, plan: Plan | None = None
) -> Quantization | None:
    """Write the package `path`; what was done where it is not in float32.

    Raises:
        InputError: `palette_bits` without palettes, an operation that has no translation, or a failure to
            write.
        ParityError: The plan's bound is missed.
    """
    kind = plan.kind if plan else None
    if palette_bits is not None and kind != "palette":
        raise InputError("palette_bits is of palettes: quantize to palette")
    # Core ML Tools write the weights while they convert, into a folder of their own.
    with _quiet(), writing(path, RuntimeError):
        model = _model(deployment, kind=kind, bits=palette_bits or BITS)
        _describe(model, deployment.metadata)
        model.save(str(path))
        _state_identifiers(path / _MANIFEST)
        _sort_tables(path / "Data" / "com.apple.CoreML" / "model.mlmodel")
    return measured(deployment, plan, lambda: CoreMLArtifact(path, threads=1).predict) if plan else None


def _model(deployment: Deployment, *, kind: str | None, bits: int) -> ct.models.MLModel:
    source = Source(deployment)
    exact: set[str] = set()
    program = _program(source, deployment, Kernels(kind=kind, bits=bits), exact)
    precision = ct.precision.FLOAT32
    if kind:
        precision = ct.transform.FP16ComputePrecision(op_selector=lambda op: op.name not in exact)
    return ct.convert(
        program,
        source="milinternal",
        convert_to="mlprogram",
        compute_precision=precision,
        minimum_deployment_target=_TARGET,
        inputs=[_image(deployment.metadata)],
        skip_model_load=True,
    )


def _image(metadata: Metadata) -> ct.ImageType:
    return ct.ImageType(name=INPUT_NAME, shape=(1, 3, *metadata.input_size), color_layout=ct.colorlayout.RGB)


def _program(source: Source, deployment: Deployment, kernels: Kernels, exact: set[str]):
    """The program; names of what keeps float32 go to `exact`."""
    metadata = deployment.metadata
    translator = Translator(kernels)

    @mb.program(
        input_specs=[mb.TensorSpec(shape=(1, 3, *metadata.input_size))],
        opset_version=_TARGET,
    )
    def program(image):
        image.name = INPUT_NAME
        values = {source.input: Value(image, first=True)}
        delicate: set[str] = set()
        for operation in source.operations():
            inputs = [values[x] if isinstance(x, str) else x for x in operation.inputs]
            name = encoded(operation.name)
            if operation.kind == _PROBABILITIES or delicate.intersection(map(str, operation.inputs)):
                delicate.add(operation.output)
                exact.add(name)
            values[operation.output] = translator.translate(operation, inputs, name)
        return mb.identity(x=maps_first(values[source.output]), name=metadata.output_name)

    return program


def _describe(model: ct.models.MLModel, metadata: Metadata) -> None:
    model.short_description = description.short_description(metadata)
    model.author = metadata.producer
    entry = catalog_entry(metadata)
    model.license = (entry and entry.licence) or ""
    model.version = metadata.fingerprint[:12]
    model.input_description[INPUT_NAME] = description.INPUT_DESCRIPTION
    model.output_description[metadata.output_name] = description.output_description(metadata)
    spec = model.get_spec()
    properties = spec.description.metadata.userDefined
    # The day of the conversion would make two equal packages differ.
    for key in [key for key in properties if key.endswith("conversion_date")]:
        del model.user_defined_metadata[key]
    for key, text in description.user_defined(metadata).items():
        model.user_defined_metadata[key] = text


def _sort_tables(file: Path) -> None:
    """Write the tables of a program by their keys; else they have an order that differs by process."""
    spec = ct.proto.Model_pb2.Model()
    spec.ParseFromString(file.read_bytes())
    file.write_bytes(spec.SerializeToString(deterministic=True))


def _state_identifiers(manifest: Path) -> None:
    """Identifiers that follow from what they name, so that equal models make equal packages."""
    content = json.loads(manifest.read_text(encoding="utf-8"))
    renamed = {
        old: str(uuid.uuid5(_IDENTIFIERS, entry["path"])) for old, entry in content["itemInfoEntries"].items()
    }
    content["itemInfoEntries"] = dict(
        sorted((renamed[old], entry) for old, entry in content["itemInfoEntries"].items())
    )
    content["rootModelIdentifier"] = renamed[content["rootModelIdentifier"]]
    manifest.write_text(json.dumps(content, indent=4, sort_keys=True) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without progress bars, and notes about versions and about a runtime that this system does not have."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.redirect_stderr(io.StringIO()):
                yield
    finally:
        logger.setLevel(level)
