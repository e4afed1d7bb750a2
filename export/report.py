"""The report that is returned by an export and stands beside its artifact."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from zoo.export import formats
from zoo.export.core.artifact import Artifact, Port
from zoo.export.core.quantization import Quantization
from zoo.export.core.staging import report_path
from zoo.export.deploy import REWRITES, Rewrite
from zoo.export.proof.parity import Parity
from zoo.export.proof.quantized_parity import QuantizedParity

# Under the names that they are imported by.
_ALWAYS = {"zoo": "atrous-zoo", "tensorflow": "tensorflow", "keras": "keras"}


@dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What was written, what it contains, and how it was proven.

    Attributes:
        format: Its name in `zoo.export.formats`.
        path: Of the artifact, as it was asked for.
        sha256: Of the file; of a folder see `digest`.
        bytes: Size of the file, or of all files of a folder.
        model: Name of the Keras model.
        source: Catalog model and weights tag that it was loaded from, or `None`.
        fingerprint: Of the model, see `zoo.export.core.deployment.fingerprint`.
        head: One of `zoo.export.core.metadata.HEADS`.
        layout: ``"nhwc"`` or ``"nchw"``.
        inputs: Name, shape and type of the inputs; a dynamic size is a name or `None`.
        outputs: The same of the outputs.
        labels: Class names in the order of the logits' channels.
        opset: Of an ONNX file, else `None`.
        operations: How often each operation stands in the artifact.
        parity: Against the Keras model as it was given; a `QuantizedParity` for a quantized file.
        rewrites: What became of each rewrite of the model before the export.
        mask_agreement: Of the head ``"small_mask"``, the share of pixels with the class that the arg-max of
            the model's full-size logits has; `None` for others, whose `parity` tells.
        quantization: How the file was quantized; `None` for float32.
        proof: What the parity was measured with where that is not the runtime of the format; else `None`.
        versions: Of the software that took part.
    """

    format: str
    path: str
    sha256: str
    bytes: int
    model: str
    source: dict | None
    fingerprint: str
    head: str
    layout: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    labels: tuple[str, ...]
    opset: int | None
    operations: dict[str, int]
    parity: Parity | QuantizedParity
    rewrites: tuple[Rewrite, ...]
    quantization: Quantization | None
    mask_agreement: float | None
    proof: str | None
    versions: dict[str, str | None]

    def to_dict(self) -> dict:
        """Plain data, as in the JSON file, which goes along with the artifact: of its path only the name."""
        return {**asdict(self), "path": Path(self.path).name, "parity": self.parity.to_dict()}

    def to_json(self) -> str:
        """The text of the JSON file."""
        return json.dumps(self.to_dict(), indent=2) + "\n"


def files_of(path: Path) -> list[Path]:
    """The file itself, or all files below a folder in the order of their relative names."""
    if not path.is_dir():
        return [path]
    files = (file for file in path.rglob("*") if file.is_file())
    return sorted(files, key=lambda file: file.relative_to(path).as_posix())


def _file_digest(path: Path) -> str:
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def digest(path: Path) -> str:
    """SHA-256 of a file; of a folder, that of the lines ``<digest>  <relative name>`` of its sorted files.

    The lines are those of ``sha256sum``, so that any shell can repeat the number.
    """
    if not path.is_dir():
        return _file_digest(path)
    lines = (f"{_file_digest(f)}  {f.relative_to(path).as_posix()}\n" for f in files_of(path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _versions() -> dict[str, str | None]:
    packages = {package: package for row in formats.rows("writer") for package in row.packages}
    return {name: formats.version(of) for name, of in (_ALWAYS | packages).items()}


def rewrites_of(path: Path) -> tuple[str, ...] | None:
    """Names of the rewrites that the report beside an artifact says were asked for; `None` without one."""
    try:
        stored = json.loads(report_path(path).read_text(encoding="utf-8"))["rewrites"]
        names = tuple(entry["name"] for entry in stored if entry["enabled"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return tuple(name for name in names if name in REWRITES)


def describe(
    artifact: Artifact,
    *,
    path: Path,
    parity: Parity | QuantizedParity,
    rewrites: tuple[Rewrite, ...],
    quantization: Quantization | None = None,
    mask_agreement: float | None = None,
) -> ExportReport:
    """The report on an opened artifact whose final place is `path`; all facts are read from the artifact."""
    metadata = artifact.metadata
    return ExportReport(
        format=artifact.format,
        path=str(path),
        sha256=digest(artifact.path),
        bytes=sum(file.stat().st_size for file in files_of(artifact.path)),
        model=metadata.model,
        source=metadata.source,
        fingerprint=metadata.fingerprint,
        head=metadata.head,
        layout=metadata.layout,
        inputs=artifact.inputs,
        outputs=artifact.outputs,
        labels=artifact.labels,
        opset=artifact.opset,
        operations=artifact.operations(),
        parity=parity,
        rewrites=rewrites,
        quantization=quantization,
        mask_agreement=mask_agreement,
        proof=formats.find(artifact.format, part="artifact").proof,
        versions=_versions(),
    )
