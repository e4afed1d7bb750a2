"""Sound files of every form that hosts write, and damaged or hostile ones: read right, or one clear line."""

import struct
import time

import numpy as np
import pytest
from support.wav_files import (
    BYTES,
    EXTENSIBLE,
    FLOATS,
    PCM,
    UNKNOWN,
    WIDE,
    big_endian,
    chunk,
    extensible,
    fmt,
    rf64,
    riff,
)

from zoo.errors import FormatError, InputError
from zoo.sequence.sound import read_sound

READ = {
    "16 bits": riff(fmt(), chunk(b"data", PCM)),
    "8 bits": riff(fmt(bits=8), chunk(b"data", BYTES)),
    "8 bits, odd": riff(fmt(bits=8), chunk(b"data", BYTES[:3])),
    "24 bits": riff(fmt(bits=24), chunk(b"data", WIDE)),
    "floats": riff(fmt(3, bits=32), chunk(b"data", FLOATS)),
    "extensible, 16 bits": riff(fmt(EXTENSIBLE, extra=extensible(1, 16)), chunk(b"data", PCM)),
    "extensible, 24 bits": riff(fmt(EXTENSIBLE, bits=24, extra=extensible(1, 24)), chunk(b"data", WIDE)),
    "extensible, floats": riff(fmt(EXTENSIBLE, bits=32, extra=extensible(3, 32)), chunk(b"data", FLOATS)),
    "an odd chunk": riff(fmt(), chunk(b"LIST", b"abc"), chunk(b"data", PCM)),
    "bytes behind the end": riff(fmt(), chunk(b"data", PCM)) + b"\xff" * 99,
    "a stream's sizes": riff(fmt(), chunk(b"data", PCM, claimed=UNKNOWN), size=UNKNOWN),
    "a size of nothing": riff(fmt(), chunk(b"data", PCM), size=0),
    "more bytes than samples": riff(fmt(), chunk(b"data", PCM + PCM, claimed=8)),
    "half a sample more": riff(fmt(), chunk(b"data", PCM + b"\0")),
    "an alignment that lies": riff(fmt(align=7), chunk(b"data", PCM)),
    "big-endian": big_endian(),
    "RF64": rf64((80, 8, 4)),
    "RF64 with sizes that lie": rf64((1 << 62, 1 << 61, 1 << 60)),
}
REFUSED = {
    "an odd chunk without its pad": riff(fmt(), chunk(b"LIST", b"abc", padded=False), chunk(b"data", PCM)),
    "data before its format": riff(chunk(b"data", PCM), fmt()),
    "data twice": riff(fmt(), chunk(b"data", PCM), chunk(b"data", PCM)),
    "a format twice": riff(fmt(), fmt(channels=2), chunk(b"data", PCM)),
    "no data": riff(fmt()),
    "no format": riff(chunk(b"data", PCM)),
    "a format of four bytes": riff(chunk(b"fmt ", b"\1\0\1\0"), chunk(b"data", PCM)),
    "a chunk of 4 GB": riff(fmt(), chunk(b"LIST", b"ab", claimed=0xFFFFFFF0), chunk(b"data", PCM)),
    "20,000 chunks": riff(fmt(), *[chunk(b"LIST", b"")] * 20_000, chunk(b"data", PCM)),
    "RF64 without sizes": rf64(None),
    "a rate of 0": riff(fmt(rate=0), chunk(b"data", PCM)),
    "a rate of 4 GHz": riff(fmt(rate=UNKNOWN), chunk(b"data", PCM)),
    "65535 channels": riff(fmt(channels=65535, align=65534), chunk(b"data", PCM)),
    "0 bits": riff(fmt(bits=0), chunk(b"data", PCM)),
    "64 bits": riff(fmt(bits=64), chunk(b"data", PCM)),
    "an unknown extension": riff(
        fmt(EXTENSIBLE, extra=struct.pack("<HHI", 22, 16, 4) + b"\x11" * 16), chunk(b"data", PCM)
    ),
    "an extension that is missing": riff(fmt(EXTENSIBLE, extra=b"\0\0"), chunk(b"data", PCM)),
    "MP3 in WAV": riff(fmt(0x55), chunk(b"data", PCM)),
    "NaN": riff(fmt(3, bits=32), chunk(b"data", np.array([0, np.nan], "<f4").tobytes())),
    "beyond 32 bits": riff(fmt(3, bits=64), chunk(b"data", np.array([0, 1e300], "<f8").tobytes())),
}


@pytest.mark.parametrize("name", READ)
def test_it_is_read_right(name, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(READ[name])
    found = read_sound(path)
    assert found.rate == 48000
    assert found.samples.shape == (3 if "odd" in name and "8 bits" in name else 4, 1)
    expected = np.array([0, 0.5, -0.5, 1], np.float32)[: len(found.samples)]
    np.testing.assert_allclose(found.samples[:, 0], expected, atol=1e-2 if "8 bits" in name else 4e-5)


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_in_one_line(name, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(REFUSED[name])
    began = time.process_time()
    with pytest.raises((FormatError, InputError), match=r"^a\.wav ") as told:
        read_sound(path)
    assert time.process_time() - began < 2
    assert "\n" not in str(told.value)
    assert str(tmp_path) not in str(told.value)
    assert len(str(told.value)) < 200


def test_channels_are_kept_apart(tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(riff(fmt(channels=2), chunk(b"data", PCM)))
    found = read_sound(path)
    np.testing.assert_allclose(found.channel(2, name="a"), [0.5, 1], atol=4e-5)
    path.write_bytes(riff(fmt(channels=1000), chunk(b"data", PCM * 500)))
    with pytest.raises(InputError, match="1000 channels: choose one"):
        read_sound(path).channel(None, name="a")
