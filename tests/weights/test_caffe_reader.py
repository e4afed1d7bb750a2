"""The caffemodel reader on files written here by hand: new, old, packed in pieces, and damaged ones."""

import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import zoo
from zoo.errors import FormatError, InputError
from zoo.labels import numbered
from zoo.layers.resize import label_set_of
from zoo.models import registry
from zoo.weights import name_maps
from zoo.weights.name_maps.conversion import convert
from zoo.weights.readers.caffe_file import read_caffe


def varint(value):
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def field(number, payload):
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def number(index, value):
    return varint(index << 3) + varint(value)


def values(count, seed=0):
    return np.random.default_rng(seed).normal(size=count).astype("<f4")


def blob(array, shape=None, *, packed_shape=True):
    shape = array.shape if shape is None else shape
    dims = field(1, b"".join(map(varint, shape))) if packed_shape else b"".join(number(1, n) for n in shape)
    return field(7, dims) + field(5, array.astype("<f4").tobytes())


def layer(name, *blobs):
    return field(
        100, field(1, name.encode()) + field(2, b"Convolution") + b"".join(field(7, b) for b in blobs)
    )


def write(tmp_path, *parts):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("packed_shape", [True, False])
def test_new_layers(tmp_path, packed_shape):
    kernel, bias = values(24).reshape(2, 3, 2, 2), values(2, 1)
    blobs = (blob(kernel, packed_shape=packed_shape), blob(bias, packed_shape=packed_shape))
    path = write(tmp_path, field(1, b"net"), layer("conv", *blobs), layer("relu"))
    arrays = read_caffe(path)
    assert list(arrays) == ["conv/0", "conv/1"]
    np.testing.assert_array_equal(arrays["conv/0"], kernel)
    np.testing.assert_array_equal(arrays["conv/1"], bias)
    assert arrays["conv/0"].dtype == np.float32


def old_blob(shape, array):
    return b"".join(number(i, n) for i, n in enumerate(shape, start=1)) + field(5, array.tobytes())


def test_old_layers_with_sizes_of_four_numbers(tmp_path):
    kernel, dense, bias = values(18), values(20, 1), values(4, 2)
    convolution = field(6, old_blob((1, 2, 3, 3), kernel)) + field(6, old_blob((1, 1, 1, 1), bias[:1]))
    fully = field(6, old_blob((1, 1, 4, 5), dense)) + field(6, old_blob((1, 1, 1, 4), bias))
    path = write(tmp_path, field(2, field(4, b"conv") + convolution), field(2, field(4, b"fc") + fully))
    arrays = read_caffe(path)
    assert {n: a.shape for n, a in arrays.items()} == {
        "conv/0": (1, 2, 3, 3),
        "conv/1": (1,),
        "fc/0": (4, 5),
        "fc/1": (4,),
    }
    np.testing.assert_array_equal(arrays["fc/0"].ravel(), dense)


def test_what_is_unknown_is_skipped(tmp_path):
    """Every wire type, at all three levels; 143 and 144 are fields of the authors' fork."""
    unknown = (
        number(900, 7)
        + field(901, b"x" * 9)
        + varint(902 << 3 | 5)
        + b"abcd"
        + varint(903 << 3 | 1)
        + b"8" * 8
    )
    inner = blob(values(3)) + unknown
    fork = field(143, b"\x08\x01") + field(144, b"\x08\x02")
    content = field(1, b"a") + unknown + fork + field(7, inner) + fork
    path = write(tmp_path, unknown, field(100, content), unknown)
    np.testing.assert_array_equal(read_caffe(path)["a/0"], values(3))


def test_values_in_pieces_and_in_double_precision(tmp_path):
    data = values(6)
    pieces = field(7, field(1, b"\x02\x03")) + field(5, data[:4].tobytes()) + field(5, data[4:].tobytes())
    doubles = field(7, field(1, b"\x06")) + field(8, data.astype("<f8").tobytes())
    arrays = read_caffe(write(tmp_path, layer("a", pieces), layer("b", doubles)))
    np.testing.assert_array_equal(arrays["a/0"].ravel(), data)
    np.testing.assert_array_equal(arrays["b/0"], data)
    assert arrays["b/0"].dtype == np.float32


def test_truncation_at_any_byte_is_an_error(tmp_path):
    whole = layer("first", blob(values(3))) + layer("second", blob(values(5)))
    first = len(layer("first", blob(values(3))))
    for length in range(len(whole)):
        path = write(tmp_path, whole[:length])
        if length == first:
            assert list(read_caffe(path)) == ["first/0"]  # a whole network of one layer
            continue
        with pytest.raises(FormatError, match=r"net\.caffemodel: "):
            read_caffe(path)


@pytest.mark.parametrize(
    "content, message",
    [
        (layer("a", blob(values(3), (4,))), "blob 'a/0' is declared 4 but holds 3 values"),
        (layer("a", blob(values(3), (1 << 40, 1 << 40))), "declared 1099511627776×1099511627776"),
        (layer("a", blob(values(1), (2**64 - 1,))), "is declared -1"),
        (layer("a", field(7, b"") + field(5, b"abc")), "holds 0 values"),
        (field(100, varint(7 << 3 | 2) + varint(1 << 40)), "damaged"),
        (varint(100 << 3 | 2) + varint(1 << 50), "1125899906842624 bytes declared"),
        (layer("a", blob(values(1))) + layer("a", blob(values(1))), "two layers are called 'a'"),
        (b"name: 'text, not binary'\n" * 9, "not a caffemodel"),
        (field(1, b"net") + layer("relu"), "without weights"),
        (b"\xff" * 40, "not a caffemodel"),
        (b"", "not a caffemodel"),
    ],
    ids=lambda value: value if isinstance(value, str) else "file",
)
def test_damaged_files(tmp_path, content, message):
    with pytest.raises(FormatError, match=message) as caught:
        read_caffe(write(tmp_path, content))
    assert "\n" not in str(caught.value)


def test_random_damage_never_escapes_as_another_error(tmp_path):
    whole = bytearray(layer("first", blob(values(3))) + layer("second", blob(values(5))))
    generator = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[generator.integers(len(damaged))] = generator.integers(256)
        path = write(tmp_path, bytes(damaged))
        try:
            arrays = read_caffe(path)
        except FormatError:
            continue
        assert all(a.dtype == np.float32 for a in arrays.values())


def test_kernels_and_biases_of_an_authors_layer():
    name_map = name_maps.resolve("caffe_dilation_kitti")
    source = {}
    for index, prefix in enumerate(name_map.layers.values()):
        source[f"{prefix}/0"] = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2) + 100 * index
        source[f"{prefix}/1"] = np.full(2, index, np.float32)
    arrays = convert(source, name_map)
    first = arrays["backbone.stage1.conv1.conv/kernel"]
    assert first.shape == (2, 2, 3, 2)
    assert first[0, 1, 2, 1] == source["conv1_1/0"][1, 2, 0, 1]
    assert len(arrays) == len(source)
    assert arrays["classifier/bias"][0] == list(name_map.layers.values()).index("ctx_final")


# --- a file of the published size ----------------------------------------------------------------------

# Linux' own account of the process: getrusage would report the peak of the process that started this one.
READ = """
import sys, time
from zoo.weights.readers.caffe_file import read_caffe
def peak():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")) * 1024
before, start = peak(), time.process_time()
arrays = read_caffe(sys.argv[1])
print(sum(a.nbytes for a in arrays.values()), time.process_time() - start, peak() - before)
"""


@pytest.fixture(scope="module")
def kitti_file(tmp_path_factory):
    """The KITTI network of a user with 7 classes, whose scores prefer class 3 everywhere; 537 MB."""
    name_map = name_maps.resolve("caffe_dilation_kitti")
    model = registry.resolve("context_aggregation_vgg16").build()(
        label_set=numbered(7), variant="kitti", convention="caffe_dilation_kitti"
    )
    path = tmp_path_factory.mktemp("caffe") / "mine.caffemodel"
    with path.open("wb") as file:
        for ours, theirs in name_map.layers.items():
            rows, columns, inputs, outputs = model.get_layer(ours).kernel.shape
            bias = np.float32(np.arange(7) == 3) if ours == "classifier" else np.zeros(outputs, np.float32)
            kernel = np.zeros((outputs, inputs, rows, columns), np.float32)
            file.write(layer(theirs, blob(kernel), blob(bias)))
    yield path
    path.unlink()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak of memory from Linux")
def test_large_file_takes_seconds_and_little_memory(kitti_file):
    """In a process of its own, so that the peak is the reader's."""
    run = subprocess.run([sys.executable, "-c", READ, kitti_file], capture_output=True, text=True, check=True)
    size, seconds, peak = map(float, run.stdout.split())
    assert 536e6 < size < 538e6
    assert seconds < 30
    assert size < peak < 2.5 * size


def test_a_users_network_by_what_is_in_its_file(kitti_file):
    """Variant and class count are found in the file."""
    model = zoo.load("context_aggregation_vgg16", weights=kitti_file, input_shape=(16, 24, 3))
    assert label_set_of(model) == numbered(7)
    names = {layer.name for layer in model.layers}
    assert "classifier.context.layer6.conv" in names and "classifier.context.layer7.conv" not in names
    logits = model(np.zeros((1, 16, 24, 3), "float32"))
    assert (np.argmax(logits, -1) == 3).all()
    with pytest.raises(InputError, match=r"has no conversion from \.caffemodel files"):
        zoo.load("context_aggregation_mobilenet_v2", weights=kitti_file)


@pytest.mark.parametrize(
    "content",
    [
        number(3, 0) * 10_000_000,
        field(100, b"") * 5_000_000,
        field(100, field(1, b"a") + field(7, b"") * 5_000_000),
        field(100, field(1, b"a") + number(9, 0) * 5_000_000),
    ],
    ids=["numbers", "layers", "blobs", "numbers in a layer"],
)
def test_a_million_tiny_fields_take_neither_time_nor_memory(tmp_path, content):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(content)
    began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FormatError, match="fields in a row"):
        read_caffe(path)
    assert time.process_time() - began < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000
