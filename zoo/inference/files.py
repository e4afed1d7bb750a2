"""Exported files as they see images: by their own runtime and NumPy, without TensorFlow."""

from __future__ import annotations

import numpy as np
from PIL import Image

from zoo.errors import InputError
from zoo.export.core.artifact import Artifact
from zoo.inference.viewer import index_array

_SMALL = "small_logits"


class FileViewer:
    """An opened artifact, see `zoo.inference.viewer`.

    Raises:
        InputError: One with logits at the network's stride.
    """

    def __init__(self, artifact: Artifact):
        if artifact.metadata.head == _SMALL:
            raise InputError(
                f"{artifact.path} gives {_SMALL!r}, smaller than the image;"
                " export it with head='logits' or 'mask'"
            )
        self._artifact, self.name = artifact, artifact.metadata.model
        self.labels = artifact.label_set
        self.size: tuple[int | None, int | None] = artifact.input_size or (None, None)
        self.reach = 0, 0

    def probabilities(self, pixels: np.ndarray, *, scales: tuple[float, ...], flip: bool) -> np.ndarray:
        total = self._at_scale(pixels, scales[0], flip=flip)
        for scale in scales[1:]:
            total = total + self._at_scale(pixels, scale, flip=flip)
        return total / np.float32(len(scales)) if len(scales) > 1 else total

    def winners(self, pixels: np.ndarray) -> np.ndarray:
        return self.winners_of(pixels[None])[0]

    def winners_of(self, images: np.ndarray) -> np.ndarray:
        output = self._artifact.predict(images)
        return index_array(
            output if self._artifact.metadata.gives_mask else output.argmax(axis=-1), len(self.labels)
        )

    def _at_scale(self, pixels: np.ndarray, scale: float, *, flip: bool) -> np.ndarray:
        size = pixels.shape[:2]
        height, width = (max(1, round(n * scale)) for n in size)
        scaled = _resized(pixels, (height, width))
        found = self._once(scaled)
        if flip:
            found = (found + self._once(scaled[:, ::-1])[:, ::-1]) / 2
        return _resized(found, size)

    def _once(self, pixels: np.ndarray) -> np.ndarray:
        output = self._artifact.predict(pixels)[0]
        if self._artifact.metadata.gives_mask:
            # The class that a mask names has all of the probability.
            return (output[..., None] == np.arange(len(self.labels))).astype(np.float32)
        output = output - output.max(axis=-1, keepdims=True)
        np.exp(output, out=output)
        output /= output.sum(axis=-1, keepdims=True)
        return output


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear at half-pixel centres, antialiased where it shrinks, as `tf.image.resize` does."""
    if values.shape[:2] == tuple(size):
        return values
    height, width = size
    channels = np.moveaxis(values.astype(np.float32), -1, 0)
    bilinear = Image.Resampling.BILINEAR
    resized = [np.asarray(Image.fromarray(channel).resize((width, height), bilinear)) for channel in channels]
    return np.stack(resized, axis=-1)
