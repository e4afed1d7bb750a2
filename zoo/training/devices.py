"""Devices and the links between them, as `zoo.training.plan` asks for them: of data sheets, or measured.

The peaks, memories and bandwidths are NVIDIA's data sheets of V100 (SXM2, 32 GB), A100 (SXM4, 80 GB) and H100
(SXM5, 80 GB), dense, a multiply-add as two operations; between machines one InfiniBand port per GPU of 100,
200 and 400 Gbit/s. What share of the peak a convolutional network reaches, and how long a message takes, are
assumptions, stated here: measure yours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zoo.errors import InputError

_SHARE = 0.3  # of the peak
_NEAR, _FAR = 5e-6, 15e-6  # seconds per message within a machine and between machines
_PER_MACHINE = 8
_OVERHEAD = 5e-3  # seconds of a step that no image causes


@dataclass(frozen=True)
class Link:
    """What one message costs: `alpha` seconds, and a second for each `beta` bytes."""

    alpha: float
    beta: float


@dataclass(frozen=True)
class Device:
    """One kind of device.

    Attributes:
        name: For people.
        rate: Multiply-adds per second that training reaches.
        near: Link between devices of one machine.
        far: Link between machines.
        memory: Bytes, or `None` where it is not known.
        overhead: Seconds of a step that no image causes.
        per_machine: Devices of one machine.
        cores: Where the devices are processes that share them: how many there are. `core_rate` and
            `core_overhead` are then multiply-adds per second of computing time, and seconds of it.
        core_rate: See `cores`.
        core_overhead: See `cores`.
    """

    name: str
    rate: float
    near: Link
    far: Link
    memory: int | None = None
    overhead: float = _OVERHEAD
    per_machine: int = _PER_MACHINE
    cores: int | None = None
    core_rate: float = 1.0
    core_overhead: float = 0.0

    def link(self, workers: int) -> Link:
        """The slowest link of a ring of so many devices."""
        return self.near if workers <= self.per_machine else self.far


@dataclass(frozen=True)
class _Sheet:
    name: str
    peak: float  # multiply-adds per second in float32 (of A100 and H100 TF32)
    peak_16: float
    memory: int
    near: float  # bytes per second in one direction
    far: float


_SHEETS: Mapping[str, _Sheet] = {
    "v100": _Sheet("V100", 7.8e12, 62e12, 32 << 30, 150e9, 12.5e9),
    "a100": _Sheet("A100", 78e12, 156e12, 80 << 30, 300e9, 25e9),
    "h100": _Sheet("H100", 247e12, 494e12, 80 << 30, 450e9, 50e9),
}
DEVICES = tuple(_SHEETS)


def known_device(name: str, *, precision: str) -> Device:
    """A device by its data sheet.

    Args:
        name: One of `DEVICES`.
        precision: ``"float32"`` or one of 16 bits.

    Raises:
        InputError: An unknown name.
    """
    if name not in _SHEETS:
        raise InputError(f"a plan is for one of {', '.join(DEVICES)}, not {name!r}")
    sheet = _SHEETS[name]
    peak = sheet.peak if precision == "float32" else sheet.peak_16
    links = Link(_NEAR, sheet.near), Link(_FAR, sheet.far)
    return Device(sheet.name, _SHARE * peak, *links, memory=sheet.memory)
