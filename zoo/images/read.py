"""Reading photographs and masks, and finding them; by Pillow, without TensorFlow."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from zoo.errors import FormatError, InputError
from zoo.files import InnerFile, check_local
from zoo.images import deep
from zoo.images.limits import Hush, check_claim, check_max_pixels, check_size
from zoo.images.pixels import (
    check_alpha,
    check_bits,
    check_exif,
    check_mask_kind,
    depth_of,
    grey_of,
    is_signed,
    mask_values,
    rgb_array,
    scale_transparency,
    tiff_kind,
)

SUFFIXES: tuple[str, ...] = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")

# Named explicitly, since Pillow would otherwise also try formats that start a program (EPS runs
# Ghostscript). "JPEG" includes MPO, the JPEG with a second frame that many telephones write.
_IMAGE_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF")
_HOW_TO_LIFT = "(--max-pixels N decodes up to N pixels; a TIFF is read by windows with --tile)"
# Lossy formats turn an index into its neighbours'.
_MASK_FORMATS = ("PNG", "BMP", "TIFF")
_ORIENTATION = 274
_TURNING, _SIDEWAYS = range(2, 9), range(5, 9)


def read_image(
    path: str | os.PathLike,
    *,
    exif: str = "apply",
    alpha: str | None = None,
    bits: int | None = None,
    max_pixels: int | None = None,
) -> np.ndarray:
    """The photograph in a file, as it is meant to be seen.

    The EXIF orientation is applied, transparent pixels are composited onto white, 16-bit grey is scaled to
    8 bits, and of several frames the first one counts. Colour profiles are not applied.

    Args:
        path: JPEG, PNG, BMP, WebP, TIFF or GIF file.
        exif: ``"raw"``: as stored, whatever the EXIF orientation says.
        alpha: ``"white"`` composites onto white; ``"ignore"`` drops the fourth band; `None`: onto white where
            the band looks like transparency.
        bits: Of the values in a file of 16 bits, from 8 to 16; `None`: 16 where a value needs more than 12.
        max_pixels: The most that are decoded, instead of Pillow's 179 million and of what a photograph of so
            many bytes has. Decoding takes 7 bytes of memory per pixel, of which 3 are the result; 11 where
            EXIF turns the image or `bits` are given for colours.

    Returns:
        ``(height, width, 3)`` uint8, RGB.

    Raises:
        InputError: There is no such file, it is a folder, or another argument.
        FormatError: The file is empty, damaged, no image, or too large to be decoded safely; or it leaves
            open what its fourth band or the upper bits of its values mean.
    """
    check_exif(exif)
    check_alpha(alpha)
    check_bits(bits)
    with _opened(path, _IMAGE_FORMATS, max_pixels) as image:
        check_claim(image, check_local(path), max_pixels)
        depth = depth_of(image)
        if deep.is_deep(image, depth) and (bits not in (None, 16) or "transparency" in image.info):
            found = _deep(path, image, exif, bits, max_pixels)
            return found if found.shape[-1] == 3 else rgb_array(Image.fromarray(found), alpha=alpha)
        scale_transparency(image)
        return rgb_array(_upright(image, exif), alpha=alpha, bits=bits, depth=depth)


def _deep(
    path: str | os.PathLike, image: Image.Image, exif: str, bits: int | None, max_pixels: int | None
) -> np.ndarray:
    """Colours of which all 16 bits count, and alpha if there is any."""
    with _opened(path, _IMAGE_FORMATS, max_pixels) as again:
        is_grey = deep.give_lower(again, bits=bits or 16)
        upper, lower = _upright(image, exif), _upright(again, exif)
    return deep.put_together(upper, lower, bits=bits, is_grey=is_grey)


def read_mask(path: str | os.PathLike, *, exif: str = "apply", max_pixels: int | None = None) -> np.ndarray:
    """The class indices in a mask file: values of a grey file, palette positions of a palette file.

    Args:
        path: PNG, BMP or TIFF file with one channel, or with equal ones. A 1-bit file holds the classes 0
            and 1.
        exif: As for `read_image`.
        max_pixels: As for `read_image`.

    Returns:
        ``(height, width)`` uint8.

    Raises:
        InputError: There is no such file, or it is a folder.
        FormatError: The file is damaged, has colour channels, an index below 0 or above 255, or 0 as white.
    """
    check_exif(exif)
    with _opened(path, _MASK_FORMATS, max_pixels) as image:
        check_mask_kind(image)
        signed = is_signed(image)
        image = grey_of(_upright(image, exif))
        if image.mode not in ("1", "L", "P", "I", "I;16", "I;16B"):
            raise FormatError(
                f"a mask has one channel of class indices, this file has {image.mode} pixels; "
                "--colors FILE gives a table of colours"
            )
        return mask_values(image, signed=signed)


def read_colors(
    path: str | os.PathLike, *, exif: str = "apply", max_pixels: int | None = None
) -> tuple[np.ndarray, bool]:
    """The colours in a mask file of 8 bits, JPEG too, those of transparent pixels included.

    Returns:
        ``(height, width, 3)`` uint8 RGB, and whether the file has one channel and no palette. Errors are
        those of `read_image`.
    """
    with _opened(path, (*_MASK_FORMATS, "JPEG"), max_pixels) as image:
        check_claim(image, check_local(path), max_pixels)
        image = _upright(image, exif)
        if image.mode == "F" or image.mode.startswith("I"):
            raise FormatError(f"a colour mask has 8 bits a channel, this file has {image.mode} pixels")
        return np.asarray(image.convert("RGB")), image.mode in ("L", "LA")


@dataclass(frozen=True)
class Header:
    """What a file says of its image before any pixel is decoded.

    Attributes:
        stored: Height and width of the pixels as they are stored.
        turned: Whether its EXIF orientation turns or mirrors it.
        upright: Height and width once that is applied.
    """

    stored: tuple[int, int]
    turned: bool
    upright: tuple[int, int]


def read_header(path: str | os.PathLike, *, max_pixels: int | None = None) -> Header:
    """Size and orientation of an image or a mask.

    Raises:
        InputError: There is no such file, or it is a folder.
        FormatError: No image, or a damaged header.
    """
    with _opened(path, _IMAGE_FORMATS, max_pixels) as image:
        stored = image.height, image.width
        try:
            orientation = image.getexif().get(_ORIENTATION, 1)
        except Exception:  # damaged EXIF data turn nothing, see `_upright`
            orientation = 1
    height, width = stored
    upright = (width, height) if orientation in _SIDEWAYS else (height, width)
    return Header(stored, orientation in _TURNING, upright)


def _upright(image: Image.Image, exif: str) -> Image.Image:
    image.load()
    if exif == "raw":
        return image
    try:
        turns = image.getexif().get(_ORIENTATION, 1) in _TURNING
        return ImageOps.exif_transpose(image) if turns else image  # which it would copy
    except Exception:
        # Damaged EXIF data says nothing about the pixels, which have been decoded by now.
        return image


_HUSH = Hush()


@contextlib.contextmanager
def _opened(
    path: str | os.PathLike, formats: tuple[str, ...], max_pixels: int | None
) -> Iterator[Image.Image]:
    """The opened file; whatever goes wrong inside becomes one line that names it."""
    path, max_pixels = check_local(path), check_max_pixels(max_pixels)
    _check_file(path)
    try:
        source = path.open("rb") if isinstance(path, InnerFile) else path
        with _HUSH.limited(max_pixels), Image.open(source, formats=formats) as image:
            check_size(image.size, max_pixels)
            deep.mend_planes(image)
            yield image
    except Image.UnidentifiedImageError:
        known = ", ".join(formats)
        kind = tiff_kind(path)
        if kind is not None:
            raise FormatError(
                f"{path}: a TIFF of {kind} is not read here; save it as 8-bit RGB or grey"
            ) from None
        raise FormatError(f"{path}: not an image in a format that is read here ({known})") from None
    except Image.DecompressionBombError as error:
        raise FormatError(f"{path}: refused: {_line(error)} {_HOW_TO_LIFT}") from None
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
    path = check_local(pattern)
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
