"""What an int8 TFLite file does with an image's bytes before its first layer, and with logits at the end."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from support.tiny_export import LABELS, SIZE, seeded, tiny

from zoo import export
from zoo.export.core.deployment import prepare
from zoo.export.proof.parity import synthetic_image
from zoo.export.tflite.artifact import run_once
from zoo.export.tflite.converter import IntegerConverter
from zoo.export.tflite.ends import Affine, with_integer_ends
from zoo.layers import DilatedConv2D
from zoo.layers.preprocessing import Normalize
from zoo.layers.resize import SegmentationLogits

IMAGES = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
TORCHVISION = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


def normalized(mean, scale, order="rgb"):
    """Two layers on normalized images."""
    image = keras.Input((None, None, 3), name="image")
    x = Normalize(mean=mean, scale=scale, order=order, name="normalize")(image)
    x = DilatedConv2D(8, kernel_size=3, strides=4, padding="symmetric", name="stem")(x)
    x = DilatedConv2D(3, kernel_size=1, use_bias=True, name="classifier")(keras.layers.ReLU(name="relu")(x))
    last = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")
    return seeded(keras.Model(image, last([x, image]), name="two"), 1)


def converted(model):
    """The converter's file with float ends."""
    return IntegerConverter(prepare(model, input_size=SIZE, head="logits"), IMAGES).convert()


def opened(content):
    interpreter = Interpreter(model_content=content, num_threads=2)
    interpreter.allocate_tensors()
    return interpreter


def operations(content):
    """Name of each operation and the elements of its output."""
    model = schema.ModelT.InitFromPackedBuf(content)
    graph, names = model.subgraphs[0], {code: n for n, code in vars(schema.BuiltinOperator).items()}
    return [
        (
            names[model.operatorCodes[op.opcodeIndex].builtinCode],
            int(np.prod(graph.tensors[op.outputs[0]].shape)),
        )
        for op in graph.operators
    ]


@pytest.fixture(
    scope="module", params=[(128, 64), (128, 128), (0, 255), (100, 32), (255, 16), (100, 1)], ids=str
)
def simple(request):
    """A mean and a deviation for all channels, and the converter's file of such a network."""
    mean, scale = request.param
    return Affine(float(mean), float(scale)), converted(normalized((mean,) * 3, (scale,) * 3))


def test_one_mean_and_deviation_become_the_scale_of_the_input(simple):
    normalization, content = simple
    file = with_integer_ends(content, normalization=normalization)
    assert not {"SUB", "MUL"} & {name for name, _ in operations(file)}
    details = opened(file).get_input_details()[0]
    scale, zero_point = details["quantization"]
    assert details["dtype"] == np.uint8 and zero_point == normalization.mean
    assert scale == pytest.approx(1 / normalization.scale, rel=1e-6)


def test_the_fold_is_exact(simple):
    """The first layer reads the same integers, so that all that follows is equal."""
    normalization, content = simple
    files = [with_integer_ends(content, normalization=n) for n in (normalization, None)]
    assert {"SUB", "MUL"} & dict(operations(files[1])).keys()
    first = opened(files[0])
    for image in IMAGES:
        found = run_once(first, image[None])
        want = run_once(opened(files[1]), image[None])
        # SUB and MUL round a byte once more where the deviation is no power of two.
        step = first.get_output_details()[0]["quantization"][0]
        exact = np.log2(normalization.scale) % 1 == 0
        np.testing.assert_allclose(found, want, atol=0 if exact else 1.01 * step)


@pytest.mark.parametrize(
    ("mean", "scale"),
    [TORCHVISION, ((127.5,) * 3, (127.5,) * 3), ((128, 128, 100), (64,) * 3), ((128,) * 3, (64, 64, 32))],
    ids=["torchvision", "half a byte", "means", "deviations"],
)
def test_others_stay_operations(mean, scale, tmp_path):
    model, path = normalized(mean, scale), tmp_path / "m.tflite"
    report = export.to_tflite(model, path, input_size=SIZE, quantize="int8", calibration=IMAGES)
    assert report.operations["SUB"] == report.operations["MUL"] == 1
    assert opened(path.read_bytes()).get_input_details()[0]["quantization"] == (1.0, 0)


def test_channels_in_reverse_order_keep_their_meaning(tmp_path):
    model, path = normalized((128,) * 3, (64,) * 3, order="bgr"), tmp_path / "m.tflite"
    report = export.to_tflite(model, path, input_size=SIZE, quantize="int8", calibration=IMAGES)
    assert report.parity.passed
    logits = export.open_artifact(path).predict(IMAGES[0])[0]
    want = np.asarray(model(IMAGES[0][None].astype(np.float32)))[0]
    assert np.abs(logits - want).std() < 0.05 * want.std()


def test_types_change_at_the_size_of_the_cells():
    """And the resize comes last, from bytes to bytes."""
    content = converted(tiny())
    found = operations(with_integer_ends(content))
    pixels = int(np.prod(SIZE))
    assert found[-1] == ("RESIZE_BILINEAR", 3 * pixels)
    assert [name for name, _ in found].count("QUANTIZE") == 2
    name, size = found[-2]
    assert name == "QUANTIZE" and size < pixels / 4


def test_the_resize_of_bytes_is_that_of_integers():
    content = converted(tiny())
    before = opened(content)  # with float ends, whose resize is int8
    after = opened(with_integer_ends(content))
    step = after.get_output_details()[0]["quantization"][0]
    for image in IMAGES:
        want = run_once(before, image[None].astype(np.float32))
        np.testing.assert_allclose(run_once(after, image[None]), want, atol=1.01 * step)


def test_bytes_are_given_as_they_are_whatever_their_scale():
    content = with_integer_ends(converted(tiny()), normalization=Affine(128.0, 64.0))
    interpreter = opened(content)
    run_once(interpreter, IMAGES[0][None])
    stored = interpreter.get_tensor(interpreter.get_input_details()[0]["index"])
    np.testing.assert_array_equal(stored[0], IMAGES[0])
