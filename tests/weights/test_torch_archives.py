"""Torch's zip archives as other programs pack them anew, and tensors that repeat their numbers."""

import zipfile

import numpy as np
import pytest
from support.torch_files import Storage, pickled, simple, tensor, write_zip

from zoo.errors import FormatError
from zoo.weights.readers.torch_file import read_torch

VALUES = np.arange(6000, dtype="f4").reshape(60, 100)
ZEROS = np.zeros(7, "f4")


@pytest.fixture
def plain(tmp_path):
    (weight, one), (bias, other) = simple("0", VALUES), simple("1", ZEROS)
    return write_zip(tmp_path / "plain.pth", {"weight": weight, "bias": bias}, [one, other])


def repacked(plain, path, *, compression=zipfile.ZIP_DEFLATED, large=False, only=""):
    """The same members, packed in another way; `only` those with that word in their name."""
    with zipfile.ZipFile(plain) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            member = zipfile.ZipInfo(info.filename)
            member.compress_type = compression if only in info.filename else zipfile.ZIP_STORED
            with new.open(member, "w", force_zip64=large) as file:
                file.write(old.read(info))
    return path


@pytest.mark.parametrize("only", ["", "data/0", "data.pkl", "byteorder"])
@pytest.mark.parametrize("large", [False, True])
def test_members_that_are_deflated(plain, tmp_path, only, large):
    found = read_torch(repacked(plain, tmp_path / "m.pth", only=only, large=large))
    np.testing.assert_array_equal(found["weight"], VALUES)
    np.testing.assert_array_equal(found["bias"], ZEROS)


def test_extents_of_64_bits(plain, tmp_path):
    path = repacked(plain, tmp_path / "m.pth", compression=zipfile.ZIP_STORED, large=True)
    np.testing.assert_array_equal(read_torch(path)["weight"], VALUES)


def test_the_byte_order_is_that_of_the_file(tmp_path):
    storage = Storage("0", "f4", VALUES.astype(">f4").tobytes())
    root = {"weight": tensor(storage, 0, VALUES.shape, (100, 1))}
    path = write_zip(tmp_path / "m.pth", root, [storage], order=b"big", compression=zipfile.ZIP_DEFLATED)
    np.testing.assert_array_equal(read_torch(path)["weight"], VALUES)


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(plain, tmp_path, kind):
    with pytest.raises(FormatError, match=r"^m\.pth: refused: member .* packed in an unusual way"):
        read_torch(repacked(plain, tmp_path / "m.pth", compression=kind))


def test_a_small_archive_of_many_zeros(tmp_path):
    storage = Storage("0", "f4", bytes(80 << 20))
    root = {"weight": tensor(storage, 0, (20 << 20,), (1,))}
    path = write_zip(tmp_path / "m.pth", root, [storage], compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(FormatError, match=r"refused: the archive claims to unpack to 83,88\d,\d{3} bytes"):
        read_torch(path)


@pytest.mark.parametrize("cut", ["checksum", "content", "length"])
def test_damage(plain, tmp_path, cut):
    path = repacked(plain, tmp_path / "m.pth", only="data/0")
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("archive/data/0")
    data = bytearray(path.read_bytes())
    directory = data.rindex(b"PK\x01\x02", 0, data.rindex(b"archive/data/0"))
    if cut == "checksum":
        data[directory + 16] ^= 1
    elif cut == "length":
        data[directory + 24 : directory + 28] = (VALUES.nbytes + 4).to_bytes(4, "little")
    else:
        data[info.header_offset + 60 : info.header_offset + 70] = bytes(10)
    path.write_bytes(data)
    with pytest.raises(FormatError, match=r"^m\.pth: the archive is damaged at 'archive/data/0'"):
        read_torch(path)


def test_numbers_that_are_repeated(tmp_path):
    """As `torch.Tensor.expand` leaves them: an axis of stride 0."""
    storage = Storage("0", "f4", np.arange(4, dtype="f4").tobytes())
    views = {"rows": ((3, 4), (0, 1)), "columns": ((4, 3), (1, 0)), "same": ((5,), (0,))}
    root = {name: tensor(storage, 0, *view) for name, view in views.items()}
    found = read_torch(write_zip(tmp_path / "m.pth", root, [storage]))
    np.testing.assert_array_equal(found["rows"], np.tile(np.arange(4), (3, 1)))
    np.testing.assert_array_equal(found["columns"], np.tile(np.arange(4)[:, None], (1, 3)))
    np.testing.assert_array_equal(found["same"], np.zeros(5))


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 31, 1 << 31), (100_000,)])
def test_repetition_is_bounded(tmp_path, shape):
    storage = Storage("0", "f4", bytes(4))
    root = {"weight": tensor(storage, 0, shape, (0,) * len(shape))}
    with pytest.raises(FormatError, match="much larger than the file"):
        read_torch(write_zip(tmp_path / "m.pth", root, [storage]))
    assert len(pickled(root)) < 1000
