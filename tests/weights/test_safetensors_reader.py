"""Safetensors files, their shards, and damaged ones."""

import json
import struct

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save
from support.damaged import attempt, refusal
from support.torch_files import save_state

from zoo.weights.containers import CONTAINERS, recognize
from zoo.weights.readers.safetensors_file import read_safetensors, read_shards

KINDS = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1")


def tensors_of(path, read=read_safetensors):
    (found,) = read(path)
    return {name: found.tensors[name] for name in found.tensors}


def written(path, header, content=b""):
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path


@pytest.fixture
def file(tmp_path):
    return tmp_path / "model"


def test_every_type(file):
    arrays = {kind: np.arange(6).reshape(2, 3).astype(kind) for kind in KINDS}
    arrays |= {"?": np.arange(6).reshape(2, 3) % 2 == 0, "scalar": np.array(2.5), "empty": np.zeros((0, 3))}
    file.write_bytes(save(arrays, metadata={"format": "pt"}))
    read = tensors_of(file)
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype and np.array_equal(read[name], array)
        assert read[name].flags.writeable


@pytest.mark.parametrize(
    "kind, dtype, values",
    [
        ("BF16", ml_dtypes.bfloat16, [1, -2.5, 3.140625]),
        ("F8_E4M3", ml_dtypes.float8_e4m3fn, [1, -2.5, 448]),
        ("F8_E5M2", ml_dtypes.float8_e5m2, [1, -2.5, 57344]),
    ],
)
def test_types_of_few_bits_become_float32(file, kind, dtype, values):
    content = np.array(values).astype(dtype).tobytes()
    facts = {"dtype": kind, "shape": [3], "data_offsets": [0, len(content)]}
    read = tensors_of(written(file, {"w": facts}, content))
    assert read["w"].dtype == np.float32 and read["w"].tolist() == values


def test_it_is_known_by_its_content(tmp_path):
    for name in ("model.safetensors", "model.bin", "model", "MODEL.SAFETENSORS", "x.onnx"):
        (tmp_path / name).write_bytes(save({"w": np.ones(3)}))
        assert recognize(tmp_path / name) is CONTAINERS["safetensors"]


@pytest.mark.parametrize(
    "facts",
    [
        {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        {"dtype": "F32", "shape": [1 << 62], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "F99", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]},
        {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]},
        {"dtype": "F32"},
        [],
    ],
)
def test_headers_that_lie(file, facts):
    refusal(tensors_of, written(file, {"w": facts}, bytes(8)))


@pytest.mark.parametrize("content", [b"", b"\0" * 7, b"\xff" * 40, struct.pack("<Q", 1 << 60) + b"{}"])
def test_other_files(file, content):
    file.write_bytes(content)
    assert refusal(tensors_of, file).startswith("model: not a readable safetensors file: ")


def test_every_truncation_and_every_flipped_byte(file):
    content = save({"w": np.arange(6, dtype="f4").reshape(2, 3), "b": np.ones(3, "f2")})
    for length in range(len(content)):
        file.write_bytes(content[:length])
        refusal(tensors_of, file)
    for place in range(len(content)):
        file.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        attempt(tensors_of, file)


# --- shards ---------------------------------------------------------------------------------------


def index(folder, places, name="model.bin.index.json"):
    (folder / name).write_text(json.dumps({"metadata": {"total_size": 3}, "weight_map": places}))
    return folder / name


def test_parts_of_both_kinds(tmp_path):
    save_state(tmp_path / "one.bin", {"a": np.ones(2, "f4"), "b": np.zeros(3, "f4")})
    (tmp_path / "two.safetensors").write_bytes(save({"c": np.ones(4)}))
    path = index(tmp_path, {"c": "two.safetensors", "a": "one.bin", "b": "one.bin"})
    assert recognize(path) is CONTAINERS["shards"]
    assert {n: a.shape for n, a in tensors_of(path, read_shards).items()} == {"c": (4,), "a": (2,), "b": (3,)}


@pytest.mark.parametrize("place", ["../one.bin", "/etc/passwd", "a/one.bin", "a\\one.bin", "..", ""])
def test_parts_elsewhere_are_refused(tmp_path, place):
    (tmp_path.parent / "one.bin").write_bytes(save({"a": np.ones(2)}))
    message = refusal(read_shards, index(tmp_path, {"a": place, "b": "one.bin"}))
    assert "refused" in message or "not beside it" in message


def test_parts_that_are_something_else(tmp_path):
    (tmp_path / "one.bin").write_bytes(b"<html>")
    assert "no safetensors or torch file" in refusal(read_shards, index(tmp_path, {"a": "one.bin"}))
    (tmp_path / "one.bin").write_bytes(save({"a": np.ones(2)}))
    assert "one.bin has no tensor 'b'" in refusal(read_shards, index(tmp_path, {"b": "one.bin"}))
    keras = {"a": ["m_0.weights.h5"], "b": "m_1.weights.h5"}
    for other in ({}, {"a": 3, "b": "one.bin"}, {"a": None}, keras, {"b": "m_1.weights.h5"}):
        path = index(tmp_path, other)
        assert "not an index of shards" in refusal(read_shards, path)
    (tmp_path / "x.index.json").write_text("[]")
    assert "weight_map" in refusal(read_shards, tmp_path / "x.index.json")
    path = index(tmp_path, {"a": "x.index.json"})  # an index as a part, and of itself
    assert "no safetensors or torch file" in refusal(read_shards, path)
