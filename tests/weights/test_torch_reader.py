"""What torch wrote is read without torch, to the last bit."""

import numpy as np
import pytest
from support.damaged import refusal
from support.torch_files import (
    KINDS,
    ORDERED,
    Call,
    Name,
    Storage,
    simple,
    tensor,
    write_legacy,
    write_zip,
)

from zoo.weights.readers.torch_file import read_torch

CONTAINERS = pytest.mark.parametrize("write", [write_zip, write_legacy])


@CONTAINERS
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_dtype(path, write, protocol):
    arrays = {
        kind: (np.arange(24).reshape(2, 3, 4) % 2 if kind == "b1" else np.arange(24)).astype(kind)
        for kind in KINDS
        if kind != "bf16"
    }
    arrays["scalar"], arrays["empty"] = np.array(5, "i8"), np.zeros((0, 4), "f4")
    state, storages = {}, []
    for index, (name, array) in enumerate(arrays.items()):
        state[name], storage = simple(str(index), array)
        storages.append(storage)
    read = read_torch(write(path, state, storages, protocol=protocol))
    assert list(read) == list(arrays)
    for name, array in arrays.items():
        assert read[name].dtype == array.dtype and read[name].shape == array.shape
        assert np.array_equal(read[name], array)
        assert read[name].flags.c_contiguous and read[name].flags.writeable


@CONTAINERS
def test_bfloat16_becomes_float32(path, write):
    values = np.array([1.0, -2.5, 3.140625, np.inf], np.float32)
    storage = Storage("0", "bf16", (values.view(np.uint32) >> 16).astype("<u2").tobytes())
    whole, one = tensor(storage, 0, (4,), (1,)), tensor(storage, 2, (), ())
    read = read_torch(write(path, {"a": whole, "b": one}, [storage]))
    assert read["a"].dtype == np.float32 and np.array_equal(read["a"], values)
    assert read["b"].shape == () and read["b"].dtype == np.float32 and read["b"] == 3.140625


@CONTAINERS
def test_big_endian(path, write):
    storage = Storage("0", "f4", np.arange(6, dtype=">f4").tobytes())
    option = {"order": b"big"} if write is write_zip else {"little": False}
    read = read_torch(write(path, {"a": tensor(storage, 0, (6,), (1,))}, [storage], **option))
    assert np.array_equal(read["a"], np.arange(6)) and read["a"].dtype.isnative


@CONTAINERS
def test_strides_offsets_and_shared_storages(path, write):
    values = np.arange(30, dtype="f4")
    storage = Storage("0", "f4", values.tobytes())
    state = {
        "transposed": tensor(storage, 6, (3, 4), (1, 3)),
        "tied": tensor(storage, 6, (3, 4), (1, 3)),
        "column": tensor(storage, 4, (5,), (6,)),
    }
    read = read_torch(write(path, state, [storage]))
    assert np.array_equal(read["transposed"], values[6:18].reshape(4, 3).T)
    assert np.array_equal(read["column"], values.reshape(5, 6)[:, 4])
    assert read["tied"] is read["transposed"]


@CONTAINERS
def test_parameters_wrappers_and_metadata(path, write):
    weight, storage = simple("0", np.arange(4, dtype="f4"))
    parameter = Call(Name("torch._utils", "_rebuild_parameter"), weight, True, Call(ORDERED))
    metadata = {"_metadata": Call(ORDERED), "__class__": "nothing"}
    state = Call(ORDERED, [["w", parameter]], state=metadata)
    size = Call(Name("torch", "Size"), (1, 2))
    root = {"epoch": 3, "lr": 0.5, "state_dict": state, "args": {1: None, "size": size}}
    assert np.array_equal(read_torch(write(path, root, [storage]))["w"], np.arange(4))
    assert list(read_torch(write(path, {"model": {"w": weight}}, [storage]))) == ["w"]
    both = {"model": {"w": weight}, "state_dict": {"w": weight}}
    assert "state_dict" in refusal(read_torch, write(path, both, [storage]))


def test_real_checkpoint(data_dir):
    read = read_torch(data_dir / "weights" / "mobilenet_v2-b0353104.pth")
    assert len(read) == 314
    assert sum(array.size for name, array in read.items() if "num_batches" not in name) == 3538984
    assert read["features.0.0.weight"].shape == (32, 3, 3, 3)
    assert read["classifier.1.weight"].shape == (1000, 1280)
    assert read["features.0.1.num_batches_tracked"].dtype == np.int64
    assert all((read[name] > 0).all() for name in read if name.endswith("running_var"))
