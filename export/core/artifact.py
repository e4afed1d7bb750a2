"""What artifacts of all formats share: their description, and one way to run them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.errors import InputError
from zoo.export.core.metadata import Metadata
from zoo.labels import LabelSet


@dataclass(frozen=True)
class Port:
    """An input or output: its name, shape (an integer, a symbol or `None` for each axis) and type."""

    name: str
    shape: tuple[int | str | None, ...]
    dtype: str


class Artifact:
    """An exported model that is ready to run.

    Attributes:
        format: Its name in `zoo.export.formats`.
        path: Where it was opened.
        metadata: Its self-description.
        inputs: Names, shapes and types of its inputs.
        outputs: The same of its outputs.
        opset: Of an ONNX file, else `None`.
    """

    format: str
    path: Path
    metadata: Metadata
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    opset: int | None = None

    @property
    def label_set(self) -> LabelSet:
        """Names and colours of the classes."""
        return self.metadata.label_set

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the logits' channels, or of a mask's values."""
        return self.label_set.names

    @property
    def input_size(self) -> tuple[int, int] | None:
        """(height, width) of the images, or `None` when any size is taken."""
        return self.metadata.input_size

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Logits of one image or a batch, or masks where the artifact gives these.

        Args:
            images: RGB in 0…255, ``(height, width, 3)`` or ``(batch, height, width, 3)``, integers or floats.

        Returns:
            float32 logits ``(batch, height, width, classes)``, also where the artifact itself is NCHW; a
            single image is a batch of one. At the network's stride for ``head="small_logits"``. For the heads
            ``"mask"`` and ``"small_mask"`` class indices ``(batch, height, width)``, uint8, or uint16 of more
            than 256 classes. Threads may share an artifact.

        Raises:
            InputError: Another rank, type, number of channels or size.
        """
        batch = self._batch(images)
        return np.asarray(
            self._run(batch), self.metadata.mask_type if self.metadata.gives_mask else np.float32
        )

    def stored(self, batch: np.ndarray) -> np.ndarray:
        """Images ``(batch, height, width, 3)`` in 0…255 as the graph takes them: its type and layout."""
        raise NotImplementedError

    def real(self, output: np.ndarray) -> np.ndarray:
        """What the graph gives as real values in NHWC, or class indices as they are."""
        raise NotImplementedError

    def operations(self) -> dict[str, int]:
        """How often each operation stands in the artifact, most frequent first."""
        raise NotImplementedError

    def _run(self, batch: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def _batch(self, images: np.ndarray) -> np.ndarray:
        images = np.asarray(images)
        if images.ndim not in (3, 4) or images.shape[-1] != 3 or 0 in images.shape:
            raise InputError(
                f"images must be (height, width, 3) or (batch, height, width, 3), not {images.shape}"
            )
        if images.dtype.kind not in "uif":
            raise InputError(f"images must be integers or floats in 0..255, not {images.dtype}")
        batch = images if images.ndim == 4 else images[None]
        if self.input_size not in (None, batch.shape[1:3]):
            raise InputError(
                f"{self.path.name} takes images of {self.input_size[0]}x{self.input_size[1]},"
                f" not {batch.shape[1]}x{batch.shape[2]}"
            )
        return np.ascontiguousarray(batch, np.float32)
