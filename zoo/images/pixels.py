"""What the numbers of an image file mean: bands, depth, sign; and the questions that a file leaves open."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, TiffImagePlugin

from zoo.errors import FormatError, InputError

ALPHA = ("white", "ignore")
EXIF = ("apply", "raw")
_BITS, _PHOTOMETRIC, _SAMPLES, _SAMPLE_FORMAT = 258, 262, 277, 339
_WHITE_IS_ZERO, _SIGNED = 0, 2
_KINDS = {1: "unsigned", 2: "signed", 3: "floating-point", 4: "untyped", 5: "complex integer", 6: "complex"}
# Transparency is mostly all or nothing; a fourth measured band, such as infrared, hardly ever.
_LEAST_PLAIN, _FEW_LEVELS = 0.5, 16
_TWELVE_BITS = 4096
_MEASURED = ("RGBA", "RGBa", "LA", "La")  # modes with a band that may be measured
ROWS = 256  # that are worked on at once


def check_alpha(alpha: str | None) -> None:
    """Raise an `InputError` unless it is one of `ALPHA`, or `None`."""
    if alpha is not None and alpha not in ALPHA:
        raise InputError(f"alpha must be one of {', '.join(ALPHA)}, not {alpha!r}")


def check_bits(bits: int | None) -> None:
    """Raise an `InputError` unless it is a depth from 8 to 16 bits, or `None`."""
    if bits is not None and (isinstance(bits, bool) or not isinstance(bits, int) or not 8 <= bits <= 16):
        raise InputError(f"bits must be a depth from 8 to 16, not {bits!r}")


def check_exif(exif: str) -> None:
    """Raise an `InputError` unless it is one of `EXIF`."""
    if exif not in EXIF:
        raise InputError(f"exif must be one of {', '.join(EXIF)}, not {exif!r}")


def depth_of(image: Image.Image) -> int:
    """Bits of a sample in the file, as far as that is known; 8 else. Ask before the pixels are decoded."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(image.tag_v2.get(_BITS, (8,)))
    return 16 if ";16" in str(_png_layout(image)) else 8


def _png_layout(image: Image.Image) -> object:
    """Pillow's name for how the pixels of a PNG are stored, before they are decoded; `None` elsewhere."""
    tile = getattr(image, "tile", None)
    return tile[0][3] if image.format == "PNG" and tile else None


def to_rgb(
    image: Image.Image, *, alpha: str | None = None, bits: int | None = None, depth: int = 8
) -> Image.Image:
    """Any Pillow image as 8-bit RGB: alpha onto white, 16-bit grey scaled. Orientation is left alone.

    Args:
        image: Decoded.
        alpha: ``"white"``: what a fourth (or second) band makes transparent becomes white; ``"ignore"``: that
            band is no transparency and is dropped; `None`: white where the band looks like transparency.
        bits: Of the values in a file of 16 bits, from 8 to 16; `None`: 16 where a value needs them.
        depth: Bits of a sample in the file that was decoded.

    Raises:
        FormatError: Values without a known range (32-bit numbers), or a question that `alpha` or `bits` has
            to answer.
    """
    if _is_deep_grey(image):
        return _scaled_grey(image, bits).convert("RGB")
    color = _without_alpha(image, alpha)
    if depth == 16:
        _check_depth(np.asarray(color), bits)
    return color


def rgb_array(
    image: Image.Image, *, alpha: str | None = None, bits: int | None = None, depth: int = 8
) -> np.ndarray:
    """`to_rgb` as ``(height, width, 3)`` uint8, some rows at a time: 3 bytes a pixel beside the image.

    What the image leaves open is answered by all of its pixels.
    """
    alpha, bits = _settled(image, alpha, bits)
    found = np.empty((image.height, image.width, 3), np.uint8)
    for start in range(0, image.height, ROWS):
        stop = min(image.height, start + ROWS)
        found[start:stop] = np.asarray(
            to_rgb(image.crop((0, start, image.width, stop)), alpha=alpha, bits=bits)
        )
    if depth == 16 and not _is_deep_grey(image):
        _check_depth(found, bits)
    return found


def _settled(image: Image.Image, alpha: str | None, bits: int | None) -> tuple[str | None, int | None]:
    if _is_deep_grey(image):
        extremes = np.ravel(image.getextrema()) if image.mode != "F" else [0]
        largest = int(extremes[-1])
        if bits is None:
            check_range(largest)
        else:
            _check_fits(largest, bits)
        return alpha, bits or 16
    if alpha is None and image.has_transparency_data and image.mode in _MEASURED:
        check_transparency(np.array(image.getchannel("A").histogram()))
        alpha = "white"
    return alpha, bits


def _is_deep_grey(image: Image.Image) -> bool:
    return image.mode == "F" or image.mode.startswith("I")


def scale_transparency(image: Image.Image) -> None:
    """Give the transparent grey level of a PNG of 2 or 4 bits in 8 bits, as Pillow gives the pixels."""
    layout = _png_layout(image)
    step = {"L;2": 85, "L;4": 17}.get(layout) if isinstance(layout, str) else None
    if step and isinstance(image.info.get("transparency"), int):
        image.info["transparency"] *= step


def _without_alpha(image: Image.Image, alpha: str | None) -> Image.Image:
    if image.has_transparency_data:
        return _composited(image, alpha)
    return image if image.mode == "RGB" else image.convert("RGB")


def _composited(image: Image.Image, alpha: str | None) -> Image.Image:
    measured = image.mode in _MEASURED
    image = image.convert("RGBA")
    if alpha == "ignore" and measured:
        return image.convert("RGB")
    if alpha is None and measured:
        check_transparency(np.array(image.getchannel("A").histogram()))
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def check_transparency(counts: np.ndarray) -> None:
    """Raise a `FormatError` where a band of alpha, by its histogram ``(256,)``, looks like a measured one."""
    plain = counts[0] + counts[255]
    if plain < _LEAST_PLAIN * counts.sum() and np.count_nonzero(counts) > _FEW_LEVELS:
        raise FormatError(
            "the band that stands for transparency looks like a measured one, such as infrared: "
            "--alpha ignore drops it, --alpha white composites onto white"
        )


def _check_depth(upper: np.ndarray, bits: int | None) -> None:
    # Of 16-bit colour Pillow gives the upper byte.
    largest = int(upper.max())
    if bits is None and 0 < largest < _TWELVE_BITS >> 8:
        raise FormatError(
            "its 16 bits hold 12 or fewer, which would come out nearly black: save it with 8 bits, or say "
            "--bits 12 (or another depth), or --bits 16 where it is as dark as that"
        )


def _scaled_grey(image: Image.Image, bits: int | None) -> Image.Image:
    # Pillow's own conversion of these modes clips at 255: almost every pixel would become white.
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise FormatError("pixels are 32-bit numbers without a known range; save it with 8 or 16 bits")
    largest = int(values.max())
    if bits is None:
        check_range(largest)
        bits = 16
    found = scaled(values, bits)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        found[values == transparent] = 255  # on white
    return Image.fromarray(found)


def scaled(values: np.ndarray, bits: int) -> np.ndarray:
    """Numbers of so many bits as uint8.

    Raises:
        FormatError: A number that needs more.
    """
    top = (1 << bits) - 1
    _check_fits(int(values.max()), bits)
    return ((values.astype(np.uint32) * 255 + top // 2) // top).astype(np.uint8)


def _check_fits(largest: int, bits: int) -> None:
    if largest >> bits:
        raise FormatError(f"the value {largest} does not fit {bits} bits")


def check_range(largest: int) -> None:
    """Raise a `FormatError` for 16 bits that hold 12 or fewer, by the largest value."""
    if 0 < largest < _TWELVE_BITS:
        raise FormatError(
            f"16 bits whose largest value is {largest}: say --bits 12 (or another depth), or --bits 16 "
            "where it is as dark as that"
        )


def check_mask_kind(image: Image.Image) -> None:
    """Raise a `FormatError` for a mask file whose stored numbers are not plainly the labels."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return
    if image.tag_v2.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        raise FormatError(
            "a TIFF where 0 is white (WhiteIsZero), whose values can be read in two ways; "
            "save the mask with 0 as black, or as PNG"
        )


def is_signed(image: Image.Image) -> bool:
    """Whether a file says that its numbers are signed; Pillow reads 8-bit ones as if they were not."""
    tiff = isinstance(image, TiffImagePlugin.TiffImageFile)
    return tiff and _SIGNED in image.tag_v2.get(_SAMPLE_FORMAT, (1,))


def grey_of(image: Image.Image) -> Image.Image:
    """The one channel of an opaque picture whose colour channels are all alike; else the picture itself."""
    if image.mode in ("LA", "RGBA") and np.asarray(image.getchannel("A")).min(initial=255) < 255:
        return image
    if image.mode not in ("LA", "RGB", "RGBA"):
        return image
    bands = [np.asarray(image.getchannel(band)) for band in image.getbands() if band != "A"]
    return Image.fromarray(bands[0]) if all(np.array_equal(bands[0], band) for band in bands[1:]) else image


def mask_values(image: Image.Image, *, signed: bool) -> np.ndarray:
    """``(height, width)`` uint8 class indices of a decoded mask of one channel."""
    values = np.asarray(image)
    if signed and values.dtype == np.uint8:
        values = values.view(np.int8)
    if values.size and values.max() > 255:
        raise FormatError(f"class indices go up to 255, this mask has {values.max()}")
    if values.size and values.min() < 0:
        raise FormatError(f"class indices are 0 or more, this mask has {values.min()}")
    return values.astype(np.uint8)


def kind_of(bands: int, depth: int, sample_format: int) -> str:
    """``5 bands of 16-bit unsigned numbers``."""
    kind = _KINDS.get(sample_format, "unknown")
    return f"{bands} band{'s' if bands != 1 else ''} of {depth}-bit {kind} numbers"


def tiff_kind(path: Path) -> str | None:
    """``5 bands of 16-bit unsigned numbers`` of a TIFF file; `None` for another or a damaged file."""
    try:
        with path.open("rb") as file:
            header = file.read(8)
            if header[:4] not in (b"II*\0", b"MM\0*"):
                return None
            directory = TiffImagePlugin.ImageFileDirectory_v2(header)
            file.seek(directory.next)
            directory.load(file)
        bands, depth = directory.get(_SAMPLES, 1), max(directory.get(_BITS, (1,)))
        kind = kind_of(bands, depth, max(directory.get(_SAMPLE_FORMAT, (1,))))
    except Exception:  # whatever a damaged header makes Pillow raise, it says nothing about bands
        return None
    return kind
