"""Publishing an artifact of any format: write under a temporary name, run, compare, then rename."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from zoo.errors import InputError, ZooError
from zoo.export.core.deployment import Deployment
from zoo.export.core.quantization import Plan, Quantization
from zoo.export.core.staging import report_path, staged, writing
from zoo.export.opening import Artifact, open_artifact
from zoo.export.proof import quantized_parity
from zoo.export.proof.first_difference import explain_export
from zoo.export.proof.parity import Parity, compare, default_images, require
from zoo.export.proof.quantized_parity import QuantizedParity
from zoo.export.report import ExportReport, describe

Images = Iterable[np.ndarray] | None
Rewrites = Iterable[str] | None
# Of a converter's reason; some tell thousands of lines.
_LONGEST = 300
Write = Callable[[Deployment, Path], Quantization | None]


def publish_planned(
    deployment: Deployment, target: Path, *, write: Callable, plan: Plan | None, images: Images
) -> ExportReport:
    """Publish what `write` writes by the plan; without one, a float artifact."""
    if plan is None:
        return publish(deployment, target, write=write, images=images)
    bound = None
    if images is None and plan.calibration is not None:
        # On other images the bound says nothing.
        images, bound = plan.calibration.images, plan.max_disagreement
    write = functools.partial(write, plan=plan)
    return publish(deployment, target, write=write, images=images, stored=plan.stored(), bound=bound)


def publish(
    deployment: Deployment,
    target: Path,
    *,
    write: Write,
    images: Images,
    stored: dict | None = None,
    bound: float | None = None,
) -> ExportReport:
    """Write, run, prove, report, and only then move to `target`.

    Args:
        deployment: What is written.
        target: A path that `zoo.export.formats.check_target` gave.
        write: Writes a deployment to a path, and tells what it quantized.
        images: For the comparison, RGB ``(height, width, 3)`` in 0…255; `None` for synthetic ones.
        stored: What the artifact tells of its quantization; `None` for float32.
        bound: Share of the pixels that may have another class than the model's in a quantized file; `None`
            for the limits of its kind.

    Raises:
        InputError: No images, or a failure to write.
        ParityError: The artifact differs from its model; nothing is left.
    """
    if stored is not None:
        described = dataclasses.replace(deployment.metadata, quantization=stored)
        deployment = dataclasses.replace(deployment, metadata=described)
    with staged(target) as work, _told(target):
        quantization = write(deployment, work)
        artifact = open_artifact(work)
        images = _given(images, artifact)
        parity = measure(artifact, deployment, images, bound=bound)
        require(parity, what=target.name, where=lambda: _place(artifact, deployment, images, parity, write))
        done = {"rewrites": deployment.rewrites, "quantization": quantization}
        if deployment.metadata.head == "small_mask":
            done["mask_agreement"] = compare(
                artifact.predict, deployment.mask, images, domain="mask"
            ).argmax_agreement
        report = describe(artifact, path=target, parity=parity, **done)
        with writing(report_path(target)):
            report_path(work).write_text(report.to_json(), encoding="utf-8")
    return report


@contextlib.contextmanager
def _told(target: Path) -> Iterator[None]:
    """Turn what a converter or a runtime raises into one line; each has a family of errors of its own."""
    try:
        yield
    except (ZooError, MemoryError):
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        what = f"{type(error).__module__.partition('.')[0]}'s {type(error).__name__}"
        reason = f": {lines[0][:_LONGEST]}" if lines else ""
        raise InputError(f"{target.name} cannot be made of this model, by {what}{reason}") from error


def _given(images: Images, artifact: Artifact) -> list[np.ndarray]:
    return default_images(artifact.input_size) if images is None else list(images)


def _place(
    artifact: Artifact, deployment: Deployment, images, parity: Parity | QuantizedParity, write: Write
) -> str:
    """Where a file that fails its gate goes wrong, as far as it can be told."""
    folder = artifact.path.parent / "parts"
    return explain_export(artifact, deployment, images[0], parity=parity, write=write, folder=folder)


def measure(
    artifact: Artifact, deployment: Deployment, images: Images, *, bound: float | None = None
) -> Parity | QuantizedParity:
    """How far an artifact is from its model; arguments and errors as in `publish`."""
    images = _given(images, artifact)
    if not images:
        raise InputError("the comparison needs at least one image")
    pair, domain = (artifact.predict, deployment.reference), deployment.domain
    quantization = artifact.metadata.quantization
    if quantization is None:
        return compare(*pair, images, domain=domain)
    settings = {"quantization": quantization["kind"], "max_drop": bound}
    return quantized_parity.compare(*pair, images, domain=domain, **settings)
