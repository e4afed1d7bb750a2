"""Torch files that are damaged, or would run code, are refused."""

import collections
import copyreg
import pickle
import random
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.damaged import attempt, refusal
from support.torch_files import (
    ORDERED,
    Call,
    Name,
    Storage,
    pickled,
    simple,
    tensor,
    write_legacy,
    write_zip,
)

from zoo.weights.readers.torch_file import read_torch

CONTAINERS = pytest.mark.parametrize("write", [write_zip, write_legacy])


def message_of(path):
    return refusal(read_torch, path)


def evil_pickles(marker):
    command = f"touch {marker}"
    text = pickle.BINUNICODE + struct.pack("<I", len(command)) + command.encode()
    run = b"cos\nsystem\n" + text + b"\x85R"
    system = Name("os", "system")
    yield "GLOBAL", b"\x80\x02" + run + b"."
    yield "STACK_GLOBAL", pickled(Call(system, command), protocol=4)
    yield "nested", pickled({"state_dict": {"w": [(Call(system, command),)]}})
    yield (
        "in the arguments",
        pickled(Call(Name("torch._utils", "_rebuild_tensor_v2"), Call(system, command), 0, (), ())),
    )
    yield "INST", b"\x80\x02(" + text + b"ios\nsystem\n."
    yield "OBJ", b"\x80\x02(cos\nsystem\n" + text + b"o."
    yield "NEWOBJ", b"\x80\x02cos\nsystem\n" + text + b"\x85\x81."
    yield "EXT", b"\x80\x02\x82\x01" + text + b"\x85R."
    yield "BUILD", pickled(Call(ORDERED, state=Call(system, command)))
    yield "dotted name", pickled(Call(Name("torch._utils", "os.system"), command), protocol=4)
    yield "eval", pickled(Call(Name("builtins", "eval"), f"open({str(marker)!r}, 'w')"))
    loader = Name("torch.storage", "_load_from_bytes")
    yield "nested file", pickled(Call(loader, b"\x80\x02" + run + b"."))


@CONTAINERS
@pytest.mark.parametrize("index", range(12))
def test_code_is_refused_and_not_executed(path, tmp_path, write, index):
    marker = tmp_path / "executed"
    name, data = list(evil_pickles(marker))[index]
    copyreg.add_extension("os", "system", 1)
    try:
        message = message_of(write(path, data, []))
    finally:
        copyreg.remove_extension("os", "system", 1)
    assert "refused" in message, name
    if name not in ("INST", "EXT", "eval", "nested file"):
        assert "os.system" in message or "torch._utils.os.system" in message
    assert not marker.exists()
    if name == "GLOBAL":  # the marker would appear if the pickle ran
        pickle.loads(data)
        assert marker.exists()


@CONTAINERS
def test_build_cannot_set_attributes(path, write):
    weight, storage = simple("0", np.arange(4, dtype="f4"))
    weight.state = {"storage": None, "__class__": None}
    assert "tensor in place of dict" in message_of(write(path, {"w": weight}, [storage])).lower()


@CONTAINERS
@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [
        (1, (4,), (1,)),
        (0, (5,), (1,)),
        (0, (2, 2), (3, 1)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (3, (2,), (-1,)),
        (0, (1 << 40,), (0,)),
        (0, (1 << 61, 1 << 61, 0), (1, 1, 1)),
        (0, (True,), (1,)),
        (0, (2,), (1, 1)),
        (0, ("2",), (1,)),
        (1 << 70, (1,), (1,)),
    ],
)
def test_nothing_reads_outside_its_storage(path, write, offset, shape, strides):
    storage = Storage("0", "f4", np.arange(4, dtype="f4").tobytes())
    message_of(write(path, {"w": tensor(storage, offset, shape, strides)}, [storage]))


@CONTAINERS
def test_memory_bombs(path, write):
    storage = Storage("0", "f4", np.arange(1000, dtype="f4").tobytes())
    views = {f"v{i}": tensor(storage, i % 9, (990 - i,), (1,)) for i in range(90)}
    assert "larger than the file" in message_of(write(path, views, [storage]))
    storage.count = 1 << 40
    message_of(write(path, {"w": tensor(storage, 0, (1 << 40,), (1,))}, [storage]))
    message_of(write(path, b"\x80\x02" + b"}" * 2_100_000 + b".", []))
    message_of(write(path, b"\x80\x02\x8e" + struct.pack("<Q", 1 << 60) + b".", []))
    message_of(write(path, b"\x80\x02Nr\xff\xff\xff\xff0.", []))


@CONTAINERS
@pytest.mark.parametrize(
    "root",
    [
        {},
        [],
        3,
        None,
        {"w": 3},
        {"epoch": 1, "state_dict": {}},
        {"state_dict": {"w": [1]}},
        {(1,): 2},
        Call(ORDERED, 3),
        Call(ORDERED, [[1]]),
        Call(Name("torch", "FloatStorage"), 3),
        Name("collections", "OrderedDict"),
        Name("torch.storage", "UntypedStorage"),
        Name("numpy", "dtype"),
        collections.Counter("aab"),
    ],
)
def test_other_objects(path, write, root):
    message_of(write(path, root, []))


@CONTAINERS
def test_persistent_ids_of_another_form(path, write):
    for identity in [("storage",), ("module", 1, "0", "cpu", 4), "storage", ("storage", "f", 1, 2, 3)]:
        message_of(write(path, pickled(identity)[:-1] + b"Q.", []))


@CONTAINERS
def test_missing_storage(path, write):
    weight, _ = simple("0", np.arange(4, dtype="f4"))
    assert "storage" in message_of(write(path, {"w": weight}, []))


def test_legacy_counts(path):
    weight, storage = simple("0", np.arange(4, dtype="f4"))
    for count in (-1, 3, 1 << 60):
        message_of(write_legacy(path, {"w": weight}, [storage], counts={"0": count}))
    message_of(write_legacy(path, {"w": weight}, [storage, storage]))


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_archives_that_are_refused(path):
    weight, storage = simple("0", np.arange(4, dtype="f4"))
    root = {"w": weight}
    for kind in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):  # deflated ones are read: test_torch_archives.py
        assert "packed in an unusual way" in message_of(write_zip(path, root, [storage], compression=kind))
    for name in ("../evil", "/etc/evil", "archive/../evil", "a\\b", "archive//x"):
        assert "refused" in message_of(write_zip(path, root, [storage], extra=[(name, b"")]))
    assert "two members" in message_of(write_zip(path, root, [storage, storage]))
    assert "data.pkl" in message_of(write_zip(path, root, [], extra=[("b/data.pkl", b"")]))
    assert "byte order" in message_of(write_zip(path, root, [storage], order=b"middle"))
    assert read_torch(write_zip(path, root, [storage], order=b""))["w"].size == 4


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04", b"\x80"])
def test_other_files(path, content):
    path.write_bytes(content)
    message_of(path)


def test_absent_file(path):
    message_of(path)


def two_layers():
    first, second = np.arange(60, dtype="f4").reshape(3, 4, 5), np.arange(7)
    weight, one = simple("10", first)
    counter, two = simple("11", second)
    root = Call(ORDERED, [["w", weight], ["n", counter]], state={"_metadata": Call(ORDERED)})
    return root, [one, two]


@CONTAINERS
def test_every_truncation_is_an_error(path, write):
    content = write(path, *two_layers()).read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        message_of(path)


@CONTAINERS
def test_flipped_bytes_give_an_error_or_arrays(path, write):
    content = write(path, *two_layers()).read_bytes()
    generator = random.Random(1)
    for position in range(len(content)):
        value = generator.choice([content[position] ^ 1 << generator.randrange(8), 0, 255])
        path.write_bytes(content[:position] + bytes([value]) + content[position + 1 :])
        attempt(read_torch, path)


@settings(max_examples=150, deadline=None, database=None)
@given(st.binary(max_size=60))
def test_random_pickles(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "random.pth"
    write_zip(path, b"\x80\x02" + data + b".", [])
    attempt(read_torch, path)
