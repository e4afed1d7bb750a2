"""Kinds of quantized files, as data: what each needs, and what tells its rounding from damage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What tells rounding from damage; how much rounding may cost is the user's to say, by ``max_drop``.

    Trained networks stay far within; the room is for untrained ones, whose classes are nearly equal
    everywhere.

    Attributes:
        relative_error: Root mean square of the logits' errors over the logits' standard deviation, at most.
            That of a file with other weights, or with a wrong scale, is about 1 or more.
        agreement: Share of the pixels off the borders with the same winning class, at least.
    """

    relative_error: float
    agreement: float


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of quantization, whatever the format.

    Attributes:
        name: As in ``quantize=``.
        help: What is stored in which type, for the command line.
        limits: That hold such a file to its model.
        integers: Whether layers compute in integers with fixed ranges: such a file needs calibration images
            and a static size, and may leave layers in float.
        image: Type of the images that it takes.
        keeps_values: Whether kernels of few different values keep them, so that nothing may be folded into
            them.
    """

    name: str
    help: str
    limits: Limits
    integers: bool = False
    image: str = "float32"
    keeps_values: bool = False


_KINDS = (
    Kind(name="float16", help="weights", limits=Limits(relative_error=0.02, agreement=0.99)),
    Kind(name="dynamic", help="8-bit weights", limits=Limits(relative_error=0.5, agreement=0.75)),
    Kind(
        name="int8",
        help="integers throughout",
        limits=Limits(relative_error=0.5, agreement=0.75),
        integers=True,
        image="uint8",
    ),
    Kind(
        name="int16x8",
        help="16-bit activations, 8-bit weights, float32 ends",
        limits=Limits(relative_error=0.1, agreement=0.9),
        integers=True,
    ),
    Kind(
        name="weights8",
        help="8-bit weights that are computed with in float16",
        limits=Limits(relative_error=0.5, agreement=0.75),
    ),
    Kind(
        name="palette",
        help="weights from a table of at most 256 values per kernel, those of a clustered model kept",
        limits=Limits(relative_error=0.5, agreement=0.75),
        keeps_values=True,
    ),
)
KINDS: Mapping[str, Kind] = MappingProxyType({kind.name: kind for kind in _KINDS})
