"""What a quantizer may be given to calibrate on."""

import itertools

import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import numpy_helper
from support.tiny_export import LABELS, SIZE, tiny

from zoo import export
from zoo.errors import InputError
from zoo.export.core.calibration import MAX_IMAGES, read_calibration
from zoo.export.proof.parity import synthetic_image

IMAGES = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
MASK = np.zeros(SIZE, np.uint8)


def read(source):
    return read_calibration(source, size=SIZE, labels=LABELS).images


def representative():
    for image in IMAGES:
        yield [image[None].astype(np.float32)]


SOURCES = {
    "list": lambda: IMAGES,
    "batch": lambda: np.stack(IMAGES),
    "list of batches": lambda: [np.stack(IMAGES[:4]), np.stack(IMAGES[4:])],
    "generator": lambda: (image for image in IMAGES),
    "pairs": lambda: [(image, MASK) for image in IMAGES],
    "pairs of batches": lambda: [(np.stack(IMAGES), np.stack([MASK] * 8)[..., None])],
    "representative dataset": lambda: representative,
    "mappings": lambda: ({"image": image[None]} for image in IMAGES),
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices(np.stack(IMAGES)),
    "batches of tf.data": lambda: tf.data.Dataset.from_tensor_slices(
        (np.stack(IMAGES), np.stack([MASK] * 8))
    ).batch(3),
}


@pytest.mark.parametrize("name", SOURCES)
def test_sources(name):
    found = read(SOURCES[name]())
    assert len(found) == len(IMAGES)
    for got, want in zip(found, IMAGES, strict=True):
        assert np.array_equal(got, want)


def test_a_source_without_an_end():
    given = itertools.count()

    def endless():
        for index in given:
            yield np.stack(IMAGES[:4]), index * np.ones((4, *SIZE))

    assert len(read(endless())) == MAX_IMAGES
    assert next(given) <= MAX_IMAGES // 4 + 1
    data = tf.data.Dataset.from_tensor_slices(np.stack(IMAGES)).repeat()
    assert len(read(data)) == MAX_IMAGES


def test_a_list_is_taken_whole():
    assert len(read([IMAGES[0]] * (MAX_IMAGES + 1))) == MAX_IMAGES + 1


@pytest.mark.parametrize(
    "first, message",
    [
        ((IMAGES[0], IMAGES[1]), "item 0 holds several arrays of three channels"),
        (np.zeros((33, 47)), "image 0 must be"),
        (3, "image 0 must be"),
        (np.ones((2, *SIZE, 3), np.float32), "multiply it by 255"),
        (np.full((*SIZE, 3), -1), "image 0 must hold values"),
    ],
)
def test_what_is_wrong_is_named_at_the_first_item(first, message):
    def items():
        yield first
        pytest.fail("a second item was asked for")

    with pytest.raises(InputError, match=message):
        read(items())


def test_a_function_that_gives_no_items():
    with pytest.raises(InputError, match="calibration takes"):
        read(lambda: 3)
    with pytest.raises(InputError, match="at least 8 images"):
        read(lambda: iter(IMAGES[:3]))


def zero_points(path):
    graph = onnx.load(path).graph
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    kinds = ("QuantizeLinear", "DequantizeLinear")
    return [constants[n.input[2]] for n in graph.node if n.op_type in kinds and len(n.input) > 2]


def test_symmetric_onnx(tmp_path):
    options = {"input_size": SIZE, "quantize": "int8", "calibration": representative}
    report = export.to_onnx(tiny(), tmp_path / "s.onnx", symmetric=True, **options)
    assert report.parity.passed
    points = zero_points(tmp_path / "s.onnx")
    assert len(points) > 5
    assert {str(p.dtype) for p in points} <= {"int8", "int32"}
    assert not any(p.any() for p in points)
    export.to_onnx(tiny(), tmp_path / "a.onnx", **options)
    assert any(p.any() for p in zero_points(tmp_path / "a.onnx"))


def test_symmetric_is_of_int8(tmp_path):
    with pytest.raises(InputError, match="symmetric is a kind of int8"):
        export.to_onnx(tiny(), tmp_path / "s.onnx", symmetric=True)
    with pytest.raises(InputError, match="symmetric must be True or False, not 1"):
        export.to_onnx(tiny(), tmp_path / "s.onnx", symmetric=1)
