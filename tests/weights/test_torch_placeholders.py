"""What is no tensor in a torch file is a placeholder: nothing of it is imported, called or set."""

import contextlib
import pickle
import struct
import sys
import zipfile

import numpy as np
import pytest
from support.canaries import SOURCE, paths
from support.damaged import refusal
from support.torch_files import (
    Call,
    Name,
    pickled,
    simple,
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
    pairs = b"](" + b"".join(b"K\x01K\x01\x86" for _ in range(10_000)) + b"e"
    yield (
        "a list copied",
        b"\x80\x02" + pairs + b"q\x000" + b"".join(ordered + b"h\x00\x85R0" for _ in range(10_000)) + b"N.",
    )
    yield (
        "a text encoded",
        b"\x80\x02"
        + text
        + b"q\x000"
        + b"".join(b"c_codecs\nencode\nh\x00\x85R0" for _ in range(10_000))
        + b"N.",
    )
    yield "tuples in tuples as a key", b"\x80\x02}" + b")" + b"\x85" * 200_000 + b"Ns."
    yield "lists in lists", b"\x80\x02" + b"]" * 200_000 + b"a" * 199_999 + b"."
    nested = b"cm\nC\n" * 50_000 + b")" + b"\x81\x85" * 49_000
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
    assert 1_000 < len(read) <= 50_000
