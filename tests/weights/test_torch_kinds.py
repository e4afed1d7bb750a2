"""Tensors of every kind that torch saves: types without a storage of their own, sparse ones, arrays."""

import io
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
from support.damaged import refusal
from support.torch_files import (
    ORDERED,
    Call,
    Name,
    Raw,
    Storage,
    pickled,
    simple,
    tensor,
    write_legacy,
    write_zip,
)

from zoo.weights.readers.torch_file import read_torch, read_torch_sets

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def untyped(array, dtype, *, metadata=None, offset=0):
    """As torch describes types that have no storage of their own."""
    storage = Storage("0", "u1", array.tobytes())
    steps = tuple(s // array.itemsize for s in array.strides)
    rest = (False, Call(ORDERED), Name("torch", dtype), *([] if metadata is None else [metadata]))
    build = Name("torch._utils", "_rebuild_tensor_v3")
    return Call(build, storage, offset, array.shape, steps, *rest), storage


@pytest.mark.parametrize("kind", ["uint16", "uint32", "uint64"])
def test_unsigned_integers(path, kind):
    array = np.array([[0, 1], [2, np.iinfo(kind).max]], kind)
    value, storage = untyped(array, kind)
    read = read_torch(write_zip(path, {"w": value}, [storage]))["w"]
    assert read.dtype == array.dtype and np.array_equal(read, array)


def test_float8_by_hand(path):
    value, storage = untyped(np.array([0x38, 0xB8, 0x01, 0x7E], np.uint8), "float8_e4m3fn")
    read = read_torch(write_zip(path, {"w": value}, [storage]))["w"]
    assert read.dtype == np.float32 and read.tolist() == [1, -1, 2**-9, 448]


def test_a_type_beyond_its_storage(path):
    value, storage = untyped(np.zeros(4, np.uint16), "uint16", offset=1)
    assert "outside its storage" in refusal(read_torch, write_zip(path, {"w": value}, [storage]))


def test_a_negative_view_is_negated(path):
    weight, storage = simple("0", ARRAY)
    weight.arguments = (*weight.arguments, {"neg": True})
    read = read_torch(write_zip(path, {"w": weight}, [storage]))["w"]
    np.testing.assert_array_equal(read, -ARRAY)


def sparse(layout, shape, *parts):
    records = [simple(str(index), np.asarray(part)) for index, part in enumerate(parts)]
    name = Call(Name("torch.serialization", "_get_layout"), f"torch.sparse_{layout}")
    data = (*(record for record, _ in records), Call(Name("torch", "Size"), shape))
    value = Call(Name("torch._utils", "_rebuild_sparse_tensor"), name, data)
    return {"w": value}, [storage for _, storage in records]


@pytest.mark.parametrize(
    "layout, indices", [("csr", ([0, 1, 3], [2, 0, 1])), ("csc", ([0, 1, 2, 3], [1, 1, 0]))]
)
def test_compressed_sparse_tensors(path, layout, indices):
    values = np.array([1, 2, 3] if layout == "csr" else [2, 3, 1], np.float32)
    root, storages = sparse(layout, (2, 3), *indices, values)
    read = read_torch(write_zip(path, root, storages))["w"]
    np.testing.assert_array_equal(read, [[0, 0, 1], [2, 3, 0]])


@pytest.mark.parametrize(
    "shape, indices, values",
    [
        ((2, 3), [[0, 2], [0, 1]], [1, 2]),
        ((2, 3), [[0, -1], [0, 1]], [1, 2]),
        ((2, 3), [[0, 1], [0, 1]], [1, 2, 3]),
        ((2, 3), [0, 1], [1, 2]),
        ((1 << 20, 1 << 20), [[0, 1], [0, 1]], [1, 2]),
    ],
)
def test_sparse_tensors_that_contradict_themselves(path, shape, indices, values):
    root, storages = sparse("coo", shape, np.array(indices), np.array(values, np.float32))
    assert "sparse tensor 'w'" in refusal(read_torch, write_zip(path, root, storages))


def test_complex_tensors_are_refused(path):
    storage = Storage("0", "f8", np.ones(2, np.complex64).tobytes())
    value = tensor(storage, 0, (2,), (1,))
    raw = pickled({"w": value}).replace(b"DoubleStorage", b"ComplexFloatStorage")
    message = refusal(read_torch, write_zip(path, raw, [storage]))
    assert "'w' is complex" in message


def test_an_array_of_another_length_is_refused(path):
    content = pickle.dumps({"w": np.arange(6.0)}, protocol=2).replace(b"K\x06\x85", b"K\x07\x85")
    path.write_bytes(content)
    assert "has 48 bytes" in refusal(read_torch, path)
    stream = io.BytesIO()
    pickle.dump({"w": np.arange(6.0)[::-1], "object": np.array([None])}, stream)
    path.write_bytes(stream.getvalue())
    assert read_torch(path)["w"].tolist() == [5, 4, 3, 2, 1, 0]


def test_a_pickle_of_several_dictionaries_is_joined(path):
    weight, storage = simple("0", ARRAY)
    found = read_torch_sets(write_zip(path, {"a": {"w": weight}, "b": {"w": weight}}, [storage]))
    assert [(s.key, list(s.tensors)) for s in found] == [("", ["a.w", "b.w"]), ("a", ["w"]), ("b", ["w"])]


def test_raw_instructions_are_as_written():
    assert pickled({"a": Raw(b"K\x07")}) == pickled({"a": 7})


@pytest.mark.parametrize("write", [write_zip, write_legacy])
@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"])
def test_types_of_8_bits_in_both_containers(path, write, kind):
    values = np.array([[1, -2, 0.5], [0, 16, -0.25]], np.float32)
    value, storage = untyped(values.astype(getattr(ml_dtypes, kind)), kind)
    read = read_torch(write(path, {"w": value}, [storage]))["w"]
    assert read.dtype == np.float32 and np.array_equal(read, values)


def test_the_same_bytes_in_two_types(path):
    """Both are 8 bits and at the same place."""
    one, storage = untyped(np.array([0x38, 0x40], np.uint8), "float8_e4m3fn")
    other = Call(one.function, *one.arguments[:6], Name("torch", "float8_e5m2fnuz"))
    one.arguments = (storage, *one.arguments[1:])
    other.arguments = (storage, *other.arguments[1:])
    read = read_torch(write_zip(path, {"a": one, "b": other}, [storage]))
    assert read["a"].tolist() == [1, 2] and read["b"].tolist() == [0.25, 1]


def test_zip64(path):
    weight, storage = simple("0", ARRAY)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("data.pkl", pickled({"w": weight})), ("data/0", storage.data)):
            with archive.open(f"archive/{name}", "w", force_zip64=True) as member:
                member.write(content)
    np.testing.assert_array_equal(read_torch(path)["w"], ARRAY)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_arrays_of_numpy_in_plain_pickles(path, protocol):
    arrays = {"f": ARRAY, "turned": np.asfortranarray(ARRAY), "big": ARRAY.astype(">f4"), "n": np.arange(3)}
    path.write_bytes(pickle.dumps({"model": arrays, "words": np.array(["a"])}, protocol=protocol))
    read = read_torch(path)
    assert set(read) == set(arrays)
    for name, array in arrays.items():
        assert np.array_equal(read[name], array) and read[name].dtype.isnative


def test_tensors_in_a_plain_pickle(path):
    """``pickle.dump`` of a tensor holds a file of ``torch.save`` for each storage."""
    storage = Storage("7", "f4", ARRAY.tobytes())
    inner = write_legacy(path, storage, [storage]).read_bytes()
    held = Call(Name("torch.storage", "_load_from_bytes"), inner)
    value = Call(Name("torch._utils", "_rebuild_tensor_v2"), held, 0, (3, 2), (1, 3), False, Call(ORDERED))
    path.write_bytes(pickled({"w": value, "half": held}, protocol=2))
    np.testing.assert_array_equal(read_torch(path)["w"], ARRAY.T)
    path.write_bytes(pickled({"w": Call(held.function, inner[:-1])}, protocol=2))
    assert "truncated" in refusal(read_torch, path)


def test_quantized_by_hand(path):
    integers = Storage("0", "i1", np.array([[-3, 0], [5, 127]], np.int8).tobytes())
    scale, one = simple("1", np.array([0.5, 2.0]))
    zero, two = simple("2", np.array([1, -1]))
    by_channel = (Name("torch", "per_channel_affine"), scale, zero, 0)
    affine = (Name("torch", "per_tensor_affine"), 0.5, 1)
    root = {
        name: Call(Name("torch._utils", "_rebuild_qtensor"), integers, 0, (2, 2), (2, 1), how, False, None)
        for name, how in (("a", affine), ("b", by_channel))
    }
    raw = pickled(root).replace(b"CharStorage", b"QInt8Storage")
    read = read_torch(write_zip(path, raw, [integers, one, two]))
    assert read["a"].tolist() == [[-2, -0.5], [2, 63]] and read["a"].dtype == np.float32
    assert read["b"].tolist() == [[-2, -0.5], [12, 256]]
