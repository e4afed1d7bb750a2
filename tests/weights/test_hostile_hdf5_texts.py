"""Texts in HDF5 files whose lengths are crafted: HDF5 would take memory for them, or never come to an end."""

import struct

import h5py
import numpy as np
import pytest
from support.damaged import refusal

from zoo.weights.readers.hdf5 import check_h5
from zoo.weights.readers.keras2_file import read_keras2

TEXT = "backbone.stem.conv"


@pytest.fixture(params=["earliest", "latest"])
def written(request, tmp_path):
    """A file with a text of any length among its attributes, in the older and the newer form of headers."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w", libver=request.param) as file:
        group = file.create_group("layers")
        group.attrs["name"] = TEXT
        group["0"] = np.ones(3)
    check_h5(path)
    return path


def heap_of(content):
    return content.index(b"GCOL\1\0\0\0")


def test_a_text_that_is_said_to_be_long(written):
    content = bytearray(written.read_bytes())
    place = content.index(struct.pack("<IQ", len(TEXT), heap_of(content)))
    content[place : place + 4] = struct.pack("<I", 0xF000_0000)
    written.write_bytes(content)
    message = refusal(check_h5, written)  # the newer form has a checksum, which HDF5 may look at first
    assert "claim far more" in message or "not a readable HDF5 file" in message


@pytest.mark.parametrize("size", [0, 8, 1 << 40])
def test_a_collection_that_does_not_end(size, written):
    content = bytearray(written.read_bytes())
    rest = heap_of(content) + 16 + 16 + -(-len(TEXT) // 8) * 8
    assert content[rest : rest + 2] == b"\0\0"  # what is free behind the text
    content[rest + 8 : rest + 16] = struct.pack("<Q", size)
    written.write_bytes(content)
    assert "collection of texts" in refusal(check_h5, written)
    assert "collection of texts" in refusal(read_keras2, written)


@pytest.mark.parametrize("size", [0, 15, 1 << 20, 1 << 50])
def test_a_collection_of_another_size(size, written):
    content = bytearray(written.read_bytes())
    place = heap_of(content) + 8
    content[place : place + 8] = struct.pack("<Q", size)
    written.write_bytes(content)
    assert "collection of texts" in refusal(check_h5, written)


def test_attributes_in_a_heap(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w", libver="latest") as file:
        for index in range(30):
            file.attrs[f"a{index}"] = TEXT
    assert "keeps attributes in a heap" in refusal(check_h5, tmp_path / "m.h5")


def test_arrays_of_texts(tmp_path):
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["a"] = ["text", "of", "any", "length"]
    assert "'/a' holds texts or references, not numbers" in refusal(check_h5, tmp_path / "m.h5")


def test_an_attribute_of_a_huge_shape(tmp_path):
    """The shape of an attribute is changed where it is stored."""
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = np.array([b"conv"] * 77)
    content = bytearray(path.read_bytes())
    place = content.index(struct.pack("<Q", 77))
    content[place : place + 8] = struct.pack("<Q", 1 << 33)
    path.write_bytes(content)
    refusal(check_h5, path)
