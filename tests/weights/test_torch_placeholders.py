"""What is no tensor in a torch file is a placeholder: nothing of it is imported, called or set."""

import contextlib
import io
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from support.canaries import SOURCE, paths
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

CONTAINERS = pytest.mark.parametrize("write", [write_zip, write_legacy])
ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)
WAYS = [name for name, _ in paths(None)]


@pytest.fixture
def canary(tmp_path, monkeypatch):
    """The file that a module `canary` touches when it is imported or called."""
    place = tmp_path / "sang"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "canary.py").write_text(SOURCE.format(place=str(place)))
    monkeypatch.syspath_prepend(str(tmp_path / "modules"))
    monkeypatch.delitem(sys.modules, "canary", raising=False)
    yield place
    sys.modules.pop("canary", None)


@CONTAINERS
@pytest.mark.parametrize("way", WAYS)
def test_nothing_is_imported_or_called(path, canary, write, way):
    weight, storage = simple("0", ARRAY)
    root = dict(paths({"w": weight}))[way]
    write(path, root, [storage], protocol=4)
    if way == "argument of a tensor":  # it must be a tensor
        refusal(read_torch_sets, path)
    else:
        found = {s.key: s for s in read_torch_sets(path)}
        np.testing.assert_array_equal(found["model"].tensors["w"], ARRAY)
    assert not canary.exists() and "canary" not in sys.modules


@pytest.mark.parametrize("way", [way for way in WAYS if way != "argument of a tensor"])
def test_the_same_pickle_does_run_in_python(canary, way):
    root = dict(paths(None))[way]
    with contextlib.suppress(TypeError, AttributeError, ImportError, IndexError, ValueError):
        pickle.loads(pickled(root, protocol=4))
    assert canary.exists()


@CONTAINERS
def test_names_that_run_things_are_told(path, write):
    weight, storage = simple("0", ARRAY)
    for name in (Name("os", "system"), Name("subprocess", "Popen"), Name("builtins", "exec")):
        root = {"model": {"w": weight}, "other": Call(name, "true")}
        message = refusal(read_torch, write(path, root, [storage]))
        assert "refused" in message and f"{name.module}.{name.name}" in message
    root = {"model": {"w": weight}, "other": Call(Name("__builtin__", "eval"), "1")}
    assert "builtins.eval" in refusal(read_torch, write(path, root, [storage]))


def module(parameters, buffers=(), children=(), **others):
    """A network as torch pickles it."""
    state = {"training": False, "_parameters": dict(parameters), "_buffers": dict(buffers)}
    state |= {"_modules": dict(children), "_non_persistent_buffers_set": set(), **others}
    return Call(Name("copyreg", "__newobj__"), Name("nets", "Net"), state=state)


@CONTAINERS
def test_a_network_gives_what_its_state_would(path, write):
    weight, one = simple("0", ARRAY)
    mean, two = simple("1", ARRAY[0])
    cache, three = simple("2", ARRAY[1])
    norm = module({"weight": None}, {"mean": mean, "cache": cache}, _non_persistent_buffers_set={"cache"})
    net = module({}, {}, {"conv": module({"weight": weight, "bias": None}), "norm": norm, "none": None})
    read = read_torch(write(path, net, [one, two, three]))
    assert list(read) == ["conv.weight", "norm.mean"]
    np.testing.assert_array_equal(read["conv.weight"], ARRAY)
    np.testing.assert_array_equal(read["norm.mean"], ARRAY[0])


def test_a_shared_layer_has_both_names(path):
    weight, one = simple("0", ARRAY)
    layer = module({"weight": weight})
    net = module({}, {}, {"a": layer, "b": layer})
    read = read_torch(write_zip(path, net, [one]))
    assert list(read) == ["a.weight", "b.weight"] and read["a.weight"] is read["b.weight"]


@CONTAINERS
def test_objects_without_tensors_say_how_to_save(path, write):
    net = Call(Name("copyreg", "__newobj__"), Name("my.nets", "Net"), state={"layers": 3})
    message = refusal(read_torch, write(path, net, []))
    assert "'my.nets.Net'" in message and "torch.save(model.state_dict()" in message


def test_compressed_code_of_torchscript_is_not_looked_at(path):
    weight, storage = simple("0", ARRAY)
    state = {"training": False, "weight": weight}
    root = Call(Name("copyreg", "__newobj__"), Name("__torch__", "Net"), state=state)
    write_zip(path, root, [storage])
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/code/__torch__.py", "import os\n" * 100)
        archive.writestr("archive/constants.pkl", b"cos\nsystem\n(X\x04\x00\x00\x00truetR.")
    (found,) = read_torch_sets(path)
    assert found.kind == "script" and list(found.tensors) == ["weight"]


# --- size ---------------------------------------------------------------------------------------


def bombs():
    text = pickle.BINUNICODE + struct.pack("<I", 100_000) + b"a" * 100_000
    ordered = b"ccollections\nOrderedDict\n"
    pairs = b"](" + b"".join(b"K\x01K\x01\x86" for _ in range(20_000)) + b"e"
    yield (
        "a list copied",
        b"\x80\x02" + pairs + b"q\x000" + b"".join(ordered + b"h\x00\x85R0" for _ in range(20_000)) + b"N.",
    )
    yield (
        "a text encoded",
        b"\x80\x02"
        + text
        + b"q\x000"
        + b"".join(b"c_codecs\nencode\nh\x00\x85R0" for _ in range(20_000))
        + b"N.",
    )
    yield "tuples in tuples as a key", b"\x80\x02}" + b")" + b"\x85" * 1_000_000 + b"Ns."
    yield "lists in lists", b"\x80\x02" + b"]" * 900_000 + b"a" * 899_999 + b"."
    nested = b"cm\nC\n" * 100_000 + b")" + b"\x81\x85" * 99_000
    yield "objects in objects", b"\x80\x02" + nested + b"0" * 999 + b"."
    twice = b"".join(b"}(X\x01\x00\x00\x00ah\x00X\x01\x00\x00\x00bh\x00uq\x00" for _ in range(5_000))
    yield "dictionaries of twice the same", b"\x80\x02}q\x00" + twice + b"."
    yield "a frame beyond the file", b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N."
    yield "bytes beyond the file", b"\x80\x04\x8e" + struct.pack("<Q", 1 << 62) + b"."
    yield "a number of many digits", b"\x80\x02I" + b"9" * 1_000_000 + b"\n."


@CONTAINERS
@pytest.mark.parametrize("name", [name for name, _ in bombs()])
def test_bombs_end_in_one_line(path, write, name):
    message = refusal(read_torch, write(path, dict(bombs())[name], []))
    assert len(message) < 500


def test_networks_within_themselves_end(path):
    """Each level has the one below twice: 2⁶⁰ layers, of which a bounded number is looked at."""
    weight, storage = simple("0", ARRAY)
    net = module({"weight": weight})
    for _ in range(60):
        net = module({}, {}, {"a": net, "b": net})
    read = read_torch(write_zip(path, net, [storage]))
    assert 1_000 < len(read) <= 200_000


# --- forms of tensors ---------------------------------------------------------------------------


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
