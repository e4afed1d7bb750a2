"""Reading photographs and masks, and finding them; by Pillow, without TensorFlow."""

from __future__ import annotations

import contextlib
import glob
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from zoo.errors import FormatError, InputError

SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")

# Named explicitly, since Pillow would otherwise also try formats that start a program (EPS runs
# Ghostscript). "JPEG" includes MPO, the JPEG with a second frame that many telephones write.
_IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
# Lossy formats turn an index into its neighbours'.
_MASK_FORMATS = ("PNG", "BMP", "TIFF")


def read_image(path: str | os.PathLike) -> np.ndarray:
    """The photograph in a file, as it is meant to be seen.

    The EXIF orientation is applied, transparent pixels are composited onto white, 16-bit grey is scaled to
    8 bits, and of several frames the first one counts. Colour profiles are not applied.

    Args:
        path: JPEG, PNG, BMP, WebP, TIFF or GIF file.

    Returns:
        ``(height, width, 3)`` uint8, RGB.

    Raises:
        InputError: There is no such file, or it is a folder.
        FormatError: The file is empty, damaged, no image, or too large to be decoded safely.
    """
    with _opened(path, _IMAGE_FORMATS) as image:
        _scale_transparency(image)
        return np.asarray(to_rgb(_upright(image)))


def read_mask(path: str | os.PathLike) -> np.ndarray:
    """The class indices in a mask file: values of a grey file, palette positions of a palette file.

    Args:
        path: PNG, BMP or TIFF file with one channel. A 1-bit file holds the classes 0 and 1.

    Returns:
        ``(height, width)`` uint8.

    Raises:
        InputError: There is no such file, or it is a folder.
        FormatError: The file is damaged, has colour channels, or an index above 255.
    """
    with _opened(path, _MASK_FORMATS) as image:
        image = _upright(image)
        if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
            raise FormatError(f"a mask has one channel of class indices, this file has {image.mode} pixels")
        mask = np.asarray(image)
        if mask.size and mask.max() > 255:
            raise FormatError(f"class indices go up to 255, this mask has {mask.max()}")
        return mask.astype(np.uint8)


def to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow image as 8-bit RGB: alpha onto white, 16-bit grey scaled. Orientation is left alone.

    Raises:
        FormatError: Values without a known range (32-bit numbers).
    """
    if image.mode == "F" or image.mode.startswith("I"):
        return _scaled_grey(image).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _scale_transparency(image: Image.Image) -> None:
    """Give the transparent grey level of a PNG of 2 or 4 bits in 8 bits, as Pillow gives the pixels."""
    layout = image.tile[0][3] if image.format == "PNG" and image.tile else None
    step = {"L;2": 85, "L;4": 17}.get(layout) if isinstance(layout, str) else None
    if step and isinstance(image.info.get("transparency"), int):
        image.info["transparency"] *= step


def _scaled_grey(image: Image.Image) -> Image.Image:
    # Pillow's own conversion of these modes clips at 255: almost every pixel would become white.
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise FormatError("pixels are 32-bit numbers without a known range; save it with 8 or 16 bits")
    scaled = (values.astype(np.uint32) + 128) // 257
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        scaled[values == transparent] = 255  # on white
    return Image.fromarray(scaled.astype(np.uint8))


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        # Damaged EXIF data says nothing about the pixels, which have been decoded by now.
        return image


@contextlib.contextmanager
def _opened(path: str | os.PathLike, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """The opened file; whatever goes wrong inside becomes one line that names it."""
    path = Path(path)
    _check_file(path)
    try:
        with warnings.catch_warnings():
            # Below Pillow's hard limit for decompression bombs a large image is only a large image, and
            # a damaged EXIF block is not worth a warning of several lines.
            warnings.simplefilter("ignore")
            with Image.open(path, formats=formats) as image:
                yield image
    except Image.UnidentifiedImageError:
        known = ", ".join(formats)
        raise FormatError(f"{path}: not an image in a format that is read here ({known})") from None
    except Image.DecompressionBombError as error:
        raise FormatError(f"{path}: refused: {_line(error)}") from None
    except PermissionError:
        raise InputError(f"{path}: permission denied") from None
    except FormatError as error:
        raise FormatError(f"{path}: {error}") from None
    except MemoryError:
        raise InputError(f"{path}: not enough memory to decode it") from None
    except Exception as error:
        # On damaged data Pillow's decoders raise OSError, SyntaxError, ValueError, EOFError, struct.error,
        # IndexError and others; there is no common base.
        raise FormatError(f"{path}: damaged image: {_line(error)}") from error


def _check_file(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        what = "no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(f"{path}: {what}") from None
    except ValueError as error:
        raise InputError(f"{str(path)!r}: {error}") from None
    if path.is_dir():
        raise InputError(f"{path}: is a folder, not an image")
    if not path.is_file():
        raise InputError(f"{path}: is not a regular file")
    if not size:
        raise FormatError(f"{path}: the file is empty")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__


# --- finding ------------------------------------------------------------------------------------


def find_images(patterns: Iterable[str | os.PathLike]) -> list[Path]:
    """Image files that the patterns name, in the order of the patterns, each file once.

    Args:
        patterns: Each one a file (any suffix), a folder (the images in it by name, not those of its
            sub-folders) or a glob such as ``photos/*.jpg`` or ``photos/**/*`` (sorted; ``**`` descends
            into sub-folders). Folders and globs give files with a suffix of `SUFFIXES` and skip hidden ones.

    Returns:
        Paths as given, relative ones stay relative.

    Raises:
        InputError: There are no patterns, or one of them finds nothing.
    """
    found: dict[Path, Path] = {}
    patterns = list(patterns)
    if not patterns:
        raise InputError("no images: give files, folders or globs")
    for pattern in patterns:
        for path in _expand(os.fspath(pattern)):
            found.setdefault(path.resolve(), path)
    return list(found.values())


def _expand(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        candidates, what = list(path.iterdir()), f"no image in the folder {pattern}"
    elif os.path.lexists(path):
        return [path]
    elif glob.has_magic(pattern):
        candidates = [Path(name) for name in glob.glob(pattern, recursive=True)]
        what = f"no image matches {pattern}"
    else:
        raise InputError(f"{pattern}: no such file or folder")
    images = sorted(candidate for candidate in candidates if _looks_like_image(candidate))
    if not images:
        raise InputError(f"{what} (looked for {' '.join(SUFFIXES)})")
    return images


def _looks_like_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir()
