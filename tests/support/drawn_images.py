"""Images with masks, drawn for tests of training: bright squares, and striped blobs on rough ground.

Squares are for a network of two layers. Stripes make a blob one of its class: their colours, width and
direction and the outline change from one to the next. Plain dull blobs that are not of the class lie about
as well.
"""

from pathlib import Path

import numpy as np
from PIL import Image

NAMES = ("ground", "striped")


def draw_folder(folder: Path, *, count: int, size: int, seed: int) -> Path:
    """Write ``images/``, ``masks/`` and ``classes.txt``: a data set of kind folder with two classes."""
    rng = np.random.default_rng(seed)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for index in range(count):
        image, mask = draw(size, rng)
        Image.fromarray(image).save(folder / "images" / f"{index:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index:02d}.png")
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in NAMES))
    return folder


def draw_squares(folder: Path, *, count: int = 8, size: int = 40) -> Path:
    """Bright squares on dark noise, masks with the squares as class 1 and an ignored row."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    for index in range(count):
        image = rng.integers(0, 90, (size, size, 3)).astype(np.uint8)
        mask = np.zeros((size, size), np.uint8)
        top, left = rng.integers(4, size // 2, 2)
        image[top : top + 16, left : left + 16] += 150
        mask[top : top + 16, left : left + 16] = 1
        mask[0] = 255
        Image.fromarray(image).save(folder / "images" / f"{index}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{index}.png")
    return folder


def draw(size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One image ``(size, size, 3)`` uint8 and its mask ``(size, size)`` uint8."""
    image = _ground(size, rng)
    image[_blob(size, rng, radius=(0.08, 0.15), middle=(0.1, 0.9))] = _dull(rng)
    mask = _blob(size, rng, radius=(0.22, 0.34), middle=(0.35, 0.65))
    image[mask] = _stripes(size, rng)[mask]
    image += rng.normal(0, 6, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), mask.astype(np.uint8)


def _dull(rng: np.random.Generator) -> np.ndarray:
    """A colour ``(3,)`` that is nearly grey."""
    return rng.uniform(60, 195) + rng.uniform(-15, 15, 3)


def _ground(size: int, rng: np.random.Generator) -> np.ndarray:
    """A dull colour under random fields of four scales."""
    image = np.tile(_dull(rng), (size, size, 1))
    for cells in (3, 6, 12, 48):
        field = Image.fromarray(rng.integers(0, 256, (cells, cells, 3)).astype(np.uint8))
        resized = np.asarray(field.resize((size, size), Image.Resampling.BICUBIC), np.float64)
        grey = resized.mean(axis=-1, keepdims=True)
        image += (grey - 127.5) * 0.5 + (resized - grey) * 0.1
    return image


def _blob(size: int, rng: np.random.Generator, *, radius, middle) -> np.ndarray:
    """``(size, size)`` bool: a disc whose radius changes with the angle; ranges are shares of the side."""
    place = rng.uniform(*middle, (2, 1, 1))
    rows, columns = np.mgrid[:size, :size] / size - place
    angle = np.arctan2(rows, columns)
    outline = rng.uniform(*radius)
    for lobes in (2, 3):
        outline = outline + radius[0] * rng.uniform(0, 0.3) * np.cos(lobes * angle + rng.uniform(0, 7))
    return np.hypot(rows, columns) < outline


def _stripes(size: int, rng: np.random.Generator) -> np.ndarray:
    """Stripes of two colours that differ by at least 90 in one channel."""
    first = rng.uniform(0, 255, 3)
    second = rng.uniform(0, 255, 3)
    channel = rng.integers(3)
    second[channel] = (first[channel] + rng.uniform(90, 165)) % 255
    direction, width = rng.uniform(0, np.pi), rng.uniform(6, 10)
    rows, columns = np.mgrid[:size, :size]
    phase = (rows * np.sin(direction) + columns * np.cos(direction)) / width
    return np.where((phase % 1 < 0.5)[..., np.newaxis], first, second)
