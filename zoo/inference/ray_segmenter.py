"""Segmentation as a step of a Ray Data pipeline."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.errors import InputError, ZooError
from zoo.inference.batches import segment_batch
from zoo.inference.jobs.items import Item, item_of
from zoo.inference.jobs.model_source import ModelSource
from zoo.inference.jobs.sources import Reader, address_item, is_address
from zoo.inference.jobs.work import mask_image
from zoo.inference.segmentation import Segmentation
from zoo.inference.viewing import viewer_of

_COLUMNS = ("bytes", "image", "path")


class RaySegmenter:
    """Segments the batches of a data set of Ray Data, by a model that each process opens once.

    For `map_batches`, as in::

        images = ray.data.read_parquet("images/")  # or read_binary_files(…, include_paths=True), from_items
        found = images.map_batches(
            RaySegmenter,
            fn_constructor_kwargs={"model": "m.tflite"},
            compute=ray.data.ActorPoolStrategy(size=2),
            batch_size=16,
        )
        found.write_parquet("shares/")

    Ray itself is not needed to make or to call one. Images of one size in a batch are seen at once.

    Args:
        model: Name of the zoo, ``"hf://…"``, or path of an exported file.
        weights: As for `zoo.load`; `None` for the default ones.
        column: Of encoded images (bytes, or structures with ``bytes``), of arrays ``(height, width, 3)``, or
            of paths and addresses; `None`: the first of ``bytes``, ``image`` and ``path``.
        masks: Whether there is a column of masks.
        scales: As for `zoo.segment`.
        flip: As for `zoo.segment`.
        tile: As for `zoo.segment`.
        max_pixels: As for `zoo.segment`.
        threads: Of the model, in each process.

    Raises:
        InputError: No such model or file, or another argument.
    """

    def __init__(
        self,
        model: str | os.PathLike,
        *,
        weights: str | None = None,
        column: str | None = None,
        masks: bool = True,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        tile: int | tuple[int, int] | None = None,
        max_pixels: int | None = None,
        threads: int = 1,
    ):
        self._column, self._masks = column, masks
        self._how = {"scales": scales, "flip": flip, "tile": tile}
        self._reader = Reader(reading={"max_pixels": max_pixels})
        self._model = ModelSource(name=os.fspath(model), weights=weights).opened(threads=threads)
        self._names = viewer_of(self._model).labels.names

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        """What was found in a batch, row by row.

        Args:
            batch: Columns by name, in Ray's format ``"numpy"``.

        Returns:
            The other columns of the batch, with ``mask`` (PNG, bytes), ``height``, ``width``, ``error`` and
            ``share:NAME`` for each class. Where ``error`` is not empty, it says why there is no result.

        Raises:
            InputError: A batch without the column.
        """
        column = self._column_of(batch)
        results: list[Segmentation | ZooError] = [InputError("not seen")] * len(batch[column])
        images, places = [], []
        for place, value in enumerate(batch[column]):
            try:
                images.append(self._pixels(value))
                places.append(place)
            except ZooError as error:
                results[place] = error
        for index, found in segment_batch(self._model, images, **self._how):
            results[places[index]] = found
        # Paths are short and say which image it was; bytes and pixels have done their work.
        kept = {name: batch[name] for name in batch if name != column or isinstance(batch[name][0], str)}
        return {**kept, **self._columns(results)}

    def _column_of(self, batch: Mapping[str, Any]) -> str:
        names = _COLUMNS if self._column is None else (self._column,)
        for name in names:
            if name in batch:
                return name
        raise InputError(f"a batch has a column {' or '.join(names)}, not {', '.join(batch) or 'none'}")

    def _pixels(self, value: object) -> np.ndarray:
        if isinstance(value, Mapping):
            value = value.get("bytes") or value.get("path")
        if isinstance(value, np.ndarray):
            if value.ndim != 3 or value.shape[-1] != 3 or value.dtype != np.uint8 or not value.size:
                raise InputError(f"an image is (height, width, 3) uint8, not {value.shape} {value.dtype}")
            return value
        if isinstance(value, str):
            return self._reader.pixels(_item_of(value))
        if not isinstance(value, bytes) or not value:
            raise InputError(f"an image is bytes, an array or a path, not {type(value).__name__}")
        return self._reader.decoded(value, shown="image")

    def _columns(self, results: Sequence[Segmentation | ZooError]) -> dict[str, Any]:
        shares = [dict(found.shares()) if isinstance(found, Segmentation) else {} for found in results]
        sizes = [found.mask.shape if isinstance(found, Segmentation) else (0, 0) for found in results]
        columns: dict[str, Any] = {
            "height": np.array([height for height, _ in sizes], np.int32),
            "width": np.array([width for _, width in sizes], np.int32),
            "error": np.array([_text(found) for found in results], object),
            **{f"share:{name}": np.array([row.get(name, 0.0) for row in shares]) for name in self._names},
        }
        if self._masks:
            columns["mask"] = np.array([_png(found) for found in results], object)
        return columns


def _item_of(text: str) -> Item:
    return address_item(text) if is_address(text) else item_of(Path(text))


def _text(found: Segmentation | ZooError) -> str:
    return " ".join(str(found).split()) if isinstance(found, ZooError) else ""


def _png(found: Segmentation | ZooError) -> bytes:
    """The mask as a file; nothing where there is none."""
    if isinstance(found, ZooError):
        return b""
    stream, image = io.BytesIO(), mask_image(found)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, format="PNG")
    return stream.getvalue()
