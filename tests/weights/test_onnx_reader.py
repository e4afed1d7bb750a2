"""The ONNX reader: every way to store a tensor, the facts of the nodes, and what it refuses."""

import resource

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from support.onnx_parts import EMPTY_PARTS, million_parts

from zoo.errors import FormatError
from zoo.weights.readers.onnx_file import read_onnx

KERNEL = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2) / 7


def serialized(*, initializers=(), nodes=()):
    nodes = [helper.make_node("Relu", ["x"], ["y"]), *nodes]
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph(nodes, "g", info[:1], info[1:], initializer=list(initializers))
    return helper.make_model(graph).SerializeToString()


def read(tmp_path, **parts):
    path = tmp_path / "m.onnx"
    path.write_bytes(serialized(**parts))
    return read_onnx(path)


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    "kind, tolerance", [("FLOAT", 0), ("DOUBLE", 0), ("FLOAT16", 2e-3), ("BFLOAT16", 2e-2)]
)
def test_every_way_to_store_floats(tmp_path, raw, kind, tolerance):
    data_type = getattr(TensorProto, kind)
    if raw:
        stored = helper.tensor_dtype_to_np_dtype(data_type)
        tensor = helper.make_tensor("w", data_type, KERNEL.shape, KERNEL.astype(stored).tobytes(), raw=True)
    else:
        tensor = helper.make_tensor("w", data_type, KERNEL.shape, KERNEL.ravel())
    found = read(tmp_path, initializers=[tensor])
    assert list(found) == ["w"]
    assert found["w"].dtype == (np.float64 if kind == "DOUBLE" else np.float32)
    np.testing.assert_allclose(found["w"], KERNEL, atol=tolerance * KERNEL.max())


def test_constants_of_nodes_are_weights_too(tmp_path):
    node = helper.make_node("Constant", [], ["w"], value=numpy_helper.from_array(KERNEL, "ignored"))
    np.testing.assert_array_equal(read(tmp_path, nodes=[node])["w"], KERNEL)


def test_epsilon_of_each_batch_norm(tmp_path):
    names = [[f"{kind}{i}" for kind in ("x", "gamma", "beta", "mean", "var")] for i in (1, 2)]
    nodes = [
        helper.make_node("BatchNormalization", names[0], ["a"], epsilon=1e-6),
        helper.make_node("BatchNormalization", names[1], ["b"]),
    ]
    found = read(tmp_path, nodes=nodes)
    assert found == {"gamma1:epsilon": np.float32(1e-6), "gamma2:epsilon": np.float32(1e-5)}


def test_shapes_of_reshapes_and_nothing_else_of_integers(tmp_path):
    shape = numpy_helper.from_array(np.array([0, 19, -1], np.int64), "shape")
    other = numpy_helper.from_array(np.array([3], np.int32), "axes")
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["a"]),
        helper.make_node("Reshape", ["x"], ["b"], shape=[2, -1]),  # before opset 5
        helper.make_node("Reshape", ["x", "computed"], ["c"]),
    ]
    found = read(tmp_path, initializers=[shape, other], nodes=nodes)
    assert {name: value.tolist() for name, value in found.items()} == {
        "a:shape": [0, 19, -1],
        "b:shape": [2, -1],
    }


def external():
    tensor = numpy_helper.from_array(KERNEL, "w")
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    return tensor


def altered(**fields):
    tensor = numpy_helper.from_array(KERNEL, "w")
    for name, value in fields.items():
        if name == "dims":
            tensor.dims[:] = value
        else:
            setattr(tensor, name, value)
    return tensor


def empty():
    tensor = numpy_helper.from_array(KERNEL, "w")
    tensor.ClearField("raw_data")
    return tensor


@pytest.mark.parametrize(
    "tensors, message",
    [
        ([external()], "'w' lies outside the file, which is refused"),
        ([altered(dims=[2, 3, 2, 3])], r"damaged: tensor 'w' \(2, 3, 2, 3\) has 96 bytes"),
        ([altered(dims=[2**40, 2**40])], "damaged: tensor 'w'"),
        ([altered(dims=[-2, -12])], "damaged: tensor 'w' has shape"),
        ([altered(dims=[1] * 9)], "damaged: tensor 'w' has shape"),
        ([altered(raw_data=b"")], "has 0 bytes"),
        ([empty()], "has 0 values"),
        ([altered(data_type=TensorProto.STRING)], "unsupported type 8"),
        ([altered(), altered()], "tensor 'w' is there twice"),
    ],
)
def test_what_is_refused(tmp_path, tensors, message):
    with pytest.raises(FormatError, match=message) as caught:
        read(tmp_path, initializers=tensors)
    assert str(caught.value).startswith("m.onnx: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"junk" * 100, b"\x08\x07", serialized()[:-9]])
def test_files_that_are_no_models(tmp_path, content):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"m\.onnx: not an ONNX model, or truncated"):
        read_onnx(path)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(FormatError, match="cannot be read"):
        read_onnx(tmp_path)


@settings(max_examples=300, deadline=None)
@given(cut=st.integers(0, 400), at=st.integers(0, 400), bits=st.integers(1, 255))
def test_damage_gives_a_result_or_one_clear_error(tmp_path_factory, cut, at, bits):
    """Any truncation and any flipped byte: never another exception."""
    shape = numpy_helper.from_array(np.array([0, 19, -1], np.int64), "shape")
    whole = serialized(
        initializers=[numpy_helper.from_array(KERNEL, "w"), shape],
        nodes=[
            helper.make_node("BatchNormalization", ["x", "g", "b", "m", "v"], ["a"], epsilon=1e-6),
            helper.make_node("Reshape", ["x", "shape"], ["c"]),
        ],
    )
    content = bytearray(whole[: max(1, len(whole) - cut)])
    content[at % len(content)] ^= bits
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    path.write_bytes(content)
    try:
        found = read_onnx(path)
    except FormatError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(value, np.ndarray | np.generic) for value in found.values())


@pytest.mark.parametrize("part", [b"\x0a\x00", b"\x2a\x00"], ids=["nodes", "tensors"])
def test_a_million_empty_parts_are_refused(tmp_path, part):
    graph = part * 1_000_000 + b"\x0a\x06\x22\x04Relu"
    size = len(graph)
    varint = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14 & 0x7F | 0x80, size >> 21])
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x08\x3a" + varint + graph)
    with pytest.raises(FormatError, match="parts; 100,000 are allowed"):
        read_onnx(path)


@pytest.mark.parametrize("spread", [1, 100])
@pytest.mark.parametrize("kind", EMPTY_PARTS)
def test_a_million_empty_parts_within_nodes_are_refused(tmp_path, kind, spread):
    path = tmp_path / "m.onnx"
    path.write_bytes(million_parts(kind, spread=spread))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FormatError, match=r"^m.onnx: damaged: too many parts; \d00,000 are allowed[^\n]*$"):
        read_onnx(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000


def test_bytes_that_look_like_parts_are_no_parts(tmp_path):
    values = np.frombuffer(b"\x0a\x00\x00\x00" * 300_000, np.float32)
    found = read(tmp_path, initializers=[numpy_helper.from_array(values, "w")])
    np.testing.assert_array_equal(found["w"], values)
