import collections
import copyreg
import os
import pickle
import random
import struct
import zipfile

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from support.torch_files import (
    KINDS,
    Call,
    Name,
    Storage,
    pickled,
    simple,
    tensor,
    write_legacy,
    write_zip,
)

from zoo.errors import FormatError
from zoo.weights.readers.tflite_file import _layer_name, read_tflite
from zoo.weights.readers.torch_file import read_torch

# --- writing torch files without torch -----------------------------------------------------------


CONTAINERS = pytest.mark.parametrize("write", [write_zip, write_legacy])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "net.pth"


def message_of(path):
    with pytest.raises(FormatError) as caught:
        read_torch(path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    return str(caught.value)


# --- torch: what is read -------------------------------------------------------------------------


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
    assert "state_dict" in message_of(write(path, both, [storage]))


ORDERED = Name("collections", "OrderedDict")


def test_real_checkpoint(data_dir):
    read = read_torch(data_dir / "weights" / "mobilenet_v2-b0353104.pth")
    assert len(read) == 314
    assert sum(array.size for name, array in read.items() if "num_batches" not in name) == 3538984
    assert read["features.0.0.weight"].shape == (32, 3, 3, 3)
    assert read["classifier.1.weight"].shape == (1000, 1280)
    assert read["features.0.1.num_batches_tracked"].dtype == np.int64
    assert all((read[name] > 0).all() for name in read if name.endswith("running_var"))


# --- torch: what is refused ----------------------------------------------------------------------


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
    compressed = write_zip(path, root, [storage], compression=zipfile.ZIP_DEFLATED)
    assert "compressed" in message_of(compressed)
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


def attempt(read, path):
    try:
        arrays = read(path)
    except FormatError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in arrays.values())


@settings(max_examples=150, deadline=None, database=None)
@given(st.binary(max_size=60))
def test_random_pickles(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "random.pth"
    write_zip(path, b"\x80\x02" + data + b".", [])
    attempt(read_torch, path)


# --- writing TFLite files ------------------------------------------------------------------------


class Graph:
    """Builds a model of one subgraph with the schema's object interface."""

    def __init__(self):
        self.model, self.graph = schema.ModelT(), schema.SubGraphT()
        self.model.version, self.model.buffers = 3, [schema.BufferT()]
        self.model.subgraphs, self.model.operatorCodes = [self.graph], []
        self.graph.tensors, self.graph.operators = [], []
        self.graph.inputs, self.graph.outputs = [0], [0]

    def tensor(self, name, shape, array=None, *, scale=None, zero=None, axis=0, type=None):
        tensor = schema.TensorT()
        types = {"f4": "FLOAT32", "f2": "FLOAT16", "u1": "UINT8", "i1": "INT8", "i4": "INT32"}
        types |= {"i8": "INT64", "c8": "COMPLEX64"}
        kind = type or (array.dtype.str[1:] if array is not None else "f4")
        tensor.name, tensor.shape = name, list(shape)
        tensor.type = getattr(schema.TensorType, types[kind])
        if array is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(array.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = list(np.atleast_1d(scale))
            tensor.quantization.zeroPoint = list(np.atleast_1d(0 if zero is None else zero))
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(self, name, inputs, outputs, *, multiplier=None):
        code, operator = schema.OperatorCodeT(), schema.OperatorT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        self.model.operatorCodes.append(code)
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = inputs, outputs
        if multiplier is not None:
            operator.builtinOptionsType = schema.BuiltinOptions.DepthwiseConv2DOptions
            operator.builtinOptions = schema.DepthwiseConv2DOptionsT()
            operator.builtinOptions.depthMultiplier = multiplier
        self.graph.operators.append(operator)

    def write(self, path):
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path


def quantized_graph(*, bias_scale=0.125, weight_name="a/conv/Conv2D_Fold;a/conv/weights_quant/X"):
    graph = Graph()
    image = graph.tensor("image", (1, 5, 5, 3), type="u1", scale=0.5, zero=128)
    weights = np.arange(2 * 3 * 3 * 3, dtype="u1").reshape(2, 3, 3, 3)
    kernel = graph.tensor(weight_name, weights.shape, weights, scale=0.25, zero=10)
    bias = graph.tensor("a/conv/bias", (2,), np.array([-4, 8], "i4"), scale=bias_scale)
    output = graph.tensor("out", (1, 5, 5, 2), type="u1", scale=1.0)
    graph.operator("CONV_2D", [image, kernel, bias], [output])
    return graph, weights


# --- TFLite: what is read ------------------------------------------------------------------------


@pytest.fixture
def lite(tmp_path):
    return tmp_path / "net.tflite"


def lite_message(path):
    with pytest.raises(FormatError) as caught:
        read_tflite(path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("bias_scale", [0.125, None])
def test_quantized_convolution(lite, bias_scale):
    graph, weights = quantized_graph(bias_scale=bias_scale)
    read = read_tflite(graph.write(lite))
    assert list(read) == ["a/conv/kernel", "a/conv/bias"]
    expected = 0.25 * (weights.astype(np.float32) - 10)
    assert np.array_equal(read["a/conv/kernel"], expected.transpose(1, 2, 3, 0))
    assert np.array_equal(read["a/conv/bias"], [-0.5, 1.0])
    assert all(array.dtype == np.float32 and array.flags.c_contiguous for array in read.values())


@pytest.mark.parametrize("multiplier", [2, None])
def test_depthwise_per_channel(lite, multiplier):
    graph = Graph()
    image = graph.tensor("image", (1, 5, 5, 3), type="i1", scale=0.5, zero=-1)
    weights = np.arange(-27, 27, dtype="i1").reshape(1, 3, 3, 6)
    scales = np.array([0.5, 0.25, 1.0, 2.0, 0.125, 4.0], np.float32)
    kernel = graph.tensor(
        "block/depthwise/depthwise", weights.shape, weights, scale=scales, zero=[0] * 6, axis=3
    )
    bias = graph.tensor("b", (6,), np.full(6, 3, "i4"), scale=scales * 0.5, zero=[0] * 6)
    graph.operator("DEPTHWISE_CONV_2D", [image, kernel, bias], [image], multiplier=multiplier)
    read = read_tflite(graph.write(lite))
    assert read["block/depthwise/kernel"].shape == (3, 3, 3, 2)
    assert np.array_equal(read["block/depthwise/kernel"].reshape(3, 3, 6), weights[0] * scales)
    assert np.array_equal(read["block/depthwise/bias"], 1.5 * scales)


def test_dense_float_and_half_behind_dequantize(lite):
    graph = Graph()
    image = graph.tensor("image", (1, 3))
    dense = np.arange(6, dtype="f4").reshape(2, 3)
    kernel = graph.tensor("head/MatMul", (2, 3), dense)
    graph.operator("FULLY_CONNECTED", [image, kernel, -1], [image])
    half = np.linspace(-1, 1, 24).astype("f2").reshape(2, 2, 2, 3)
    stored = graph.tensor("c/conv/Conv2D", half.shape, half)
    unpacked = graph.tensor("c/conv/Conv2D1", half.shape)
    stored_bias = graph.tensor("c/conv/BiasAdd", (2,), np.array([1, 2], "f2"))
    bias = graph.tensor("c/conv/BiasAdd1", (2,))
    graph.operator("DEQUANTIZE", [stored], [unpacked])
    graph.operator("DEQUANTIZE", [stored_bias], [bias])
    graph.operator("CONV_2D", [image, unpacked, bias], [image])
    variable = graph.tensor("computed", (2, 3))
    graph.operator("FULLY_CONNECTED", [image, variable], [image])
    read = read_tflite(graph.write(lite))
    assert list(read) == ["head/kernel", "c/conv/kernel", "c/conv/bias"]
    assert np.array_equal(read["head/kernel"], dense.T)
    assert np.array_equal(read["c/conv/kernel"], half.transpose(1, 2, 3, 0).astype(np.float32))
    assert np.array_equal(read["c/conv/bias"], [1, 2])


@pytest.mark.parametrize(
    ("tensor_name", "layer"),
    [
        ("MobilenetV2/Conv/Conv2D_Fold;MobilenetV2/Conv/weights_quant/Fake", "MobilenetV2/Conv"),
        ("M/expanded_conv_1/expand/weights_quant/FakeQuantWithMinMaxVars", "M/expanded_conv_1/expand"),
        ("M/expanded_conv/depthwise/depthwise_Fold;x", "M/expanded_conv/depthwise"),
        ("logits/semantic/Conv2D;logits/semantic/weights_quant/F", "logits/semantic"),
        ("model/conv/Conv2D/ReadVariableOp", "model/conv"),
        ("model/conv/kernel", "model/conv"),
        ("functional_1/atrous_1/convolution1", "functional_1/atrous_1"),
        ("tfl.pseudo_qconst5", "tfl.pseudo_qconst5"),
    ],
)
def test_layer_names(tensor_name, layer):
    assert _layer_name(tensor_name) == layer


@pytest.mark.parametrize(
    ("file", "layers", "classes"),
    [
        ("deeplabv3_mnv2_pascal_quant.tflite", 55, 21),
        ("deeplabv3_mnv2_dm05_pascal_quant.tflite", 55, 21),
        ("deeplab_mobilenet_edgetpu_slim_cityscapes_quant.tflite", 62, 19),
    ],
)
def test_real_files(data_dir, file, layers, classes):
    read = read_tflite(data_dir / "coral" / file)
    assert len(read) == 2 * layers
    assert read["logits/semantic/kernel"].shape[-1] == classes
    assert read["logits/semantic/bias"].shape == (classes,)
    assert {"aspp0/kernel", "image_pooling/kernel", "concat_projection/kernel"} <= set(read)


def test_real_file_matches_the_interpreter(data_dir):
    """The interpreter's own view of two constants, dequantized by hand."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    path = data_dir / "coral" / "deeplabv3_mnv2_dm05_pascal_quant.tflite"
    runner = interpreter.Interpreter(str(path))
    details = {item["name"].split(";")[0]: item for item in runner.get_tensor_details()}
    read = read_tflite(path)
    for tensor_name, layer in [
        ("logits/semantic/Conv2D", "logits/semantic"),
        ("MobilenetV2/expanded_conv_3/project/Conv2D_Fold", "MobilenetV2/expanded_conv_3/project"),
    ]:
        detail = details[tensor_name]
        scale, zero = detail["quantization"]
        values = scale * (runner.get_tensor(detail["index"]).astype(np.float32) - zero)
        np.testing.assert_allclose(read[f"{layer}/kernel"], values.transpose(1, 2, 3, 0), rtol=1e-6)


# --- TFLite: what is refused ---------------------------------------------------------------------


def test_bias_scale_that_contradicts_its_layer(lite):
    graph, _ = quantized_graph(bias_scale=0.2)
    assert "bias scale" in lite_message(graph.write(lite))


def test_two_layers_of_one_name(lite):
    graph, weights = quantized_graph()
    again = graph.tensor("a/conv/Conv2D", weights.shape, weights, scale=0.25, zero=10)
    graph.operator("CONV_2D", [0, again, 2], [3])
    assert "two layers are called 'a/conv'" in lite_message(graph.write(lite))


def test_one_layer_used_twice(lite):
    graph, _ = quantized_graph()
    graph.operator("CONV_2D", [0, 1, 2], [3])
    assert len(read_tflite(graph.write(lite))) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [2, 3, 3, 4]},
        {"shape": [2, 3, 3, -3]},
        {"shape": [54]},
        {"buffer": 99},
        {"type": schema.TensorType.INT4},
        {"type": schema.TensorType.COMPLEX64},
        {"quantization": None},
    ],
    ids=str,
)
def test_damaged_tensors(lite, change):
    graph, _ = quantized_graph()
    vars(graph.graph.tensors[1]).update(change)
    lite_message(graph.write(lite))


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\x1c\0\0\0TFL3", b"\xff\xff\xff\xffTFL3" * 9])
def test_not_tflite(lite, content):
    lite.write_bytes(content)
    lite_message(lite)


def test_absent_tflite(lite):
    lite_message(lite)


def test_truncated_tflite_gives_an_error_or_arrays(lite):
    content = quantized_graph()[0].write(lite).read_bytes()
    for length in range(len(content)):
        lite.write_bytes(content[:length])
        attempt(read_tflite, lite)


def test_flipped_bytes_of_tflite(lite):
    content = quantized_graph()[0].write(lite).read_bytes()
    generator = random.Random(2)
    for position in range(len(content)):
        for value in (content[position] ^ 1 << generator.randrange(8), 255):
            lite.write_bytes(content[:position] + bytes([value]) + content[position + 1 :])
            attempt(read_tflite, lite)


def test_flipped_bytes_of_a_real_file(data_dir, lite):
    name = "deeplabv3_mnv2_dm05_pascal_quant.tflite"
    content = bytearray((data_dir / "coral" / name).read_bytes())
    generator = random.Random(os.environ.get("ZOO_TEST_SEED", 3))
    for _ in range(25):
        damaged = bytearray(content)
        for _ in range(20):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        lite.write_bytes(damaged)
        attempt(read_tflite, lite)
