import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.networks import NETWORKS, images
from support.tflite_tables import metadata_of
from support.tiny_export import EXPORTS, FORMATS, NAMES, SIZE, seeded, tiny

import zoo
from zoo import export
from zoo.cli import main
from zoo.cli.export import _summary
from zoo.errors import InputError, ParityError
from zoo.export.core import mask_head
from zoo.export.core.artifact_model import as_model
from zoo.export.core.deployment import prepare
from zoo.export.proof.parity import synthetic_image
from zoo.export.tflite import writer as tflite_writer
from zoo.labels import named
from zoo.layers import DepthToSpace, DilatedConv2D
from zoo.layers.resize import CONVENTIONS, SegmentationLogits, set_source

DTYPES = {"coreml": "int32"}
IMAGE = synthetic_image(*SIZE, seed=5)
PHOTOS = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]


@pytest.fixture(scope="module")
def model():
    model = tiny()
    set_source(model, name="tiny", weights="seeded")
    return model


@pytest.fixture(scope="module")
def masks(model, tmp_path_factory):
    """The tiny model's mask in all formats (in ONNX with an NCHW input), with their reports."""
    folder = tmp_path_factory.mktemp("masks")
    options = {"saved_model": {}, "tflite": {"input_size": SIZE}, "onnx": {"layout": "nchw"}}
    options["coreml"] = options["tflite"]
    return folder, {f: EXPORTS[f](model, folder / NAMES[f], head="mask", **options[f]) for f in FORMATS}


@pytest.fixture(scope="module")
def int8(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "m.tflite"
    options = {"input_size": SIZE, "head": "mask", "quantize": "int8", "calibration": PHOTOS}
    return path, export.to_tflite(model, path, **options)


def true_mask(model, image=IMAGE):
    return model(image[None].astype("float32")).numpy().argmax(-1)


def cells(model, image=IMAGE):
    """Winners of the network's cells, ``(rows, columns)``."""
    network = keras.Model(model.input, model.get_layer("logits").input[0])
    return network(image[None].astype("float32")).numpy()[0].argmax(-1)


def duc(cell, factor, domain="logits"):
    """Scores of squares of pixels, laid out in space and enlarged for an image that was padded."""
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 64)(image)
    x = keras.layers.ZeroPadding2D(((0, 7), (0, 1)))(x)
    x = DilatedConv2D(3 * cell**2, kernel_size=5, strides=cell * factor, padding="symmetric", name="c")(x)
    x = DepthToSpace(cell=cell, name="cells")(x)
    labels = named(("road", "sky", "tree"))
    settings = {"convention": "half_pixel", "label_set": labels, "factor": factor, "domain": domain}
    last = SegmentationLogits(**settings, name="logits")
    return seeded(keras.Model(image, last([x, image]), name="duc"))


def head_of(model, *, small=False, size=None):
    """From images to a mask by the head; of any size where none is given."""
    network, head = mask_head.split(model, small=small)

    def run(products, dynamic):
        spec = [None, None, None, 3] if dynamic else [1, *(size or SIZE), 3]
        signature = [tf.TensorSpec(spec, tf.float32)]
        return tf.function(
            lambda x: head(network(x, training=False), x, products=products), input_signature=signature
        )

    return run


def agree(found, wanted):
    """At most one pixel in 10,000 differs, or a single one."""
    assert found.dtype == np.uint8
    assert found.shape == wanted.shape
    assert len(np.unique(wanted)) > 1  # one class everywhere would prove nothing
    assert (found != wanted).sum() <= max(1, wanted.size // 10_000)


# --- the head ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["logits", "probabilities"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_mask_is_the_arg_max(convention, domain):
    model = tiny(convention, domain=domain)
    run = head_of(model)
    for products in (False, True):
        for dynamic in (False, True):
            agree(run(products, dynamic)(IMAGE[None].astype("float32")).numpy(), true_mask(model))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_small_mask_is_the_class_of_the_nearest_cell(convention):
    model = tiny(convention)
    small = cells(model)
    positions = []
    for pixels, count in zip(SIZE, small.shape, strict=True):
        index = np.arange(pixels)
        source = {
            "half_pixel": (index + 0.5) * count / pixels - 0.5,
            "align_corners": index * (count - 1) / (pixels - 1),
            "asymmetric": index * count / pixels,
        }[convention]
        # Half-way between two cells the upper one counts: the first from above.
        positions.append(count - 1 - np.abs(source[:, None] - np.arange(count)[::-1]).argmin(1))
    wanted = small[np.ix_(*positions)][None]
    for dynamic in (False, True):
        found = head_of(model, small=True)(False, dynamic)(IMAGE[None].astype("float32")).numpy()
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(
    ("cell", "factor", "domain"), [(8, 1, "logits"), (4, 2, "logits"), (4, 2, "probabilities")]
)
def test_labels_are_laid_out_in_space_and_not_scores(cell, factor, domain):
    model = duc(cell, factor, domain)
    for small, last in ((False, "c" if factor == 1 else "cells"), (True, "c")):
        network, _ = mask_head.split(model, small=small)
        assert network.layers[-1].name == last
        for dynamic in (False, True):
            found = head_of(model, small=small)(True, dynamic)(IMAGE[None].astype("float32")).numpy()
            if small and factor > 1:
                wanted = cells(model).repeat(factor, 0).repeat(factor, 1)[None, : SIZE[0], : SIZE[1]]
                np.testing.assert_array_equal(found, wanted)
            else:
                agree(found, true_mask(model))


@pytest.mark.parametrize(
    "name",
    [
        "deeplabv3_aspp_mobilenet_v2 tf_deeplab",
        "pspnet_mobilenet_v2",
        "duc_hdc_mobilenet_v2",
        "duc_hdc_resnet",
        "context_aggregation_vgg16",
    ],
)
def test_networks(name, narrow_resnets):
    model, size = seeded(NETWORKS[name]()), (49, 66)
    deployment = prepare(model, input_size=size, head="mask")
    x = images(size, batch=1)
    network = deployment.network(x, training=False)
    for products in (False, True):
        agree(deployment.head(network, x, products=products).numpy(), deployment.mask(x))


# --- in artifacts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_artifacts(format, masks, model):
    folder, reports = masks
    artifact, report = export.open_artifact(folder / NAMES[format]), reports[format]
    agree(artifact.predict(IMAGE), true_mask(model))
    batch = artifact.predict(np.stack([IMAGE, IMAGE[::-1]]))
    agree(batch[1:], true_mask(model, IMAGE[::-1]))
    (output,) = report.outputs
    assert (output.name, output.dtype, len(output.shape)) == ("mask", DTYPES.get(format, "uint8"), 3)
    assert report.head == artifact.metadata.head == "mask"
    assert report.mask_agreement is None
    assert report.parity.domain == "mask"
    assert export.verify(folder / NAMES[format], model).passed
    assert not export.verify(folder / NAMES[format], tiny(seed=1)).passed


def test_sizes_that_were_not_compared(masks, model):
    folder, _ = masks
    for format in ("saved_model", "onnx"):
        for size in ((1, 1), (20, 64), (51, 34)):
            image = synthetic_image(*size)
            found = export.open_artifact(folder / NAMES[format]).predict(image)
            assert (found != true_mask(model, image)).sum() <= 1


def test_operations_of_each_runtime(masks):
    _, reports = masks
    tflite, onnx = reports["tflite"].operations, reports["onnx"].operations
    assert (tflite["RESIZE_BILINEAR"], tflite["ARG_MAX"], tflite["CAST"]) == (1, 1, 1)
    assert "BATCH_MATMUL" not in tflite
    assert (onnx["MatMul"], onnx["ArgMax"]) == (2, 1)
    assert "Resize" not in onnx
    assert reports["onnx"].inputs[0].shape == ("batch", 3, "height", "width")
    assert reports["onnx"].outputs[0].shape == ("batch", "height", "width")


def test_small_mask_tells_its_agreement(model, tmp_path):
    options = {"input_size": SIZE, "head": "small_mask", "images": [IMAGE]}
    report = export.to_tflite(model, tmp_path / "m.tflite", **options)
    found = export.open_artifact(tmp_path / "m.tflite").predict(IMAGE)
    assert report.mask_agreement == (found == true_mask(model)).mean()
    assert 0.5 < report.mask_agreement < 1
    assert report.parity.argmax_agreement == 1
    assert f"exact mask  {report.mask_agreement:.4%} of the pixels" in _summary(report)
    assert report.operations["GATHER"] == 2
    assert "RESIZE_BILINEAR" not in report.operations


def test_squares_of_pixels_in_files(tmp_path):
    for format, name in (("tflite", "DEPTH_TO_SPACE"), ("onnx", "DepthToSpace")):
        report = EXPORTS[format](duc(8, 1), tmp_path / NAMES[format], input_size=SIZE, head="mask")
        assert report.operations[name] == 1
        assert report.parity.passed


def test_int8_mask_is_decided_in_float(int8, model):
    path, report = int8
    assert {(op.operation, op.reason) for op in report.quantization.float_operations} == {
        ("RESIZE_BILINEAR", "mask")
    }
    assert (report.inputs[0].dtype, report.outputs[0].dtype) == ("uint8", "uint8")
    assert report.quantization.score == report.parity.argmax_agreement > 0.95
    found = export.open_artifact(path).predict(IMAGE)
    assert found.dtype == np.uint8
    assert (found == true_mask(model)).mean() > 0.95


def test_max_drop_bounds_masks(model, tmp_path):
    options = {"input_size": SIZE, "head": "mask", "quantize": "int8", "calibration": PHOTOS}
    report = export.to_tflite(model, tmp_path / "m.tflite", max_drop=0.001, **options)
    assert report.parity.passed
    assert 1 - report.parity.argmax_agreement <= 0.001
    assert "max_drop" in {op.reason for op in report.quantization.float_operations}


@pytest.mark.parametrize("head", ["mask", "small_mask"])
def test_float16_masks(head, model, tmp_path):
    options = {"input_size": SIZE, "head": head, "quantize": "float16"}
    report = export.to_tflite(model, tmp_path / "m.tflite", **options)
    assert report.parity.inner_agreement > 0.99
    assert report.outputs[0].dtype == "uint8"


def test_metadata_of_a_mask(masks):
    """No activation and no statement of how to normalize: MediaPipe would take class indices for scores."""
    folder, _ = masks
    metadata = metadata_of(folder / "m.tflite")
    (graph,) = metadata.children(3)
    (image,), (mask,) = graph.children(2), graph.children(3)
    assert (image._place(4), graph._place(9)) == (0, 0)
    assert mask.text(0) == "mask"
    assert mask.text(1) == "Class of each pixel, from 0 to 2."
    assert [file.text(0) for file in mask.children(6)] == ["labels.txt", "colormap.txt"]


def test_a_mask_of_another_network_is_not_written(model, tmp_path, monkeypatch):
    right, other = tflite_writer.write, prepare(tiny(seed=1), input_size=SIZE, head="mask")
    monkeypatch.setattr(tflite_writer, "write", lambda deployment, path: right(other, path))
    with pytest.raises(ParityError, match="does not compute what its model computes: arg-max agreement"):
        export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE, head="mask")
    assert list(tmp_path.iterdir()) == []


# --- in use -----------------------------------------------------------------------------------------------


def test_evaluate_and_segment(masks, model, tmp_path, capsys):
    folder, _ = masks
    path = folder / "m.tflite"
    found = zoo.segment(as_model(export.open_artifact(path)), IMAGE)
    np.testing.assert_array_equal(found.mask, export.open_artifact(path).predict(IMAGE)[0])
    assert found.probabilities.max(-1).min() > 0.999
    pairs = [(IMAGE, true_mask(model)[0])]
    assert zoo.evaluate(path, pairs).pixel_accuracy > 0.999
    Image.fromarray(IMAGE).save(tmp_path / "photo.png")
    arguments = [str(tmp_path / "photo.png"), "--output", str(tmp_path)]
    assert main(["segment", str(path), *arguments]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "photo_mask.png")), found.mask)
    assert main(["segment", str(path), *arguments, "--weights", "mine"]) == 2
    assert "weights of its own" in capsys.readouterr().err


def test_what_is_refused(tmp_path, capsys):
    path = str(tmp_path / "m.onnx")
    assert main(["export", "deeplabv3_aspp", "--format", "onnx", "--head", "arg_max", "--output", path]) == 2
    allowed = "head must be one of logits, small_logits, mask, small_mask, not 'arg_max'"
    assert allowed in capsys.readouterr().err
    image = keras.Input((8, 8, 3))
    labels = named([f"class {index}" for index in range(65537)])
    x = DilatedConv2D(65537, kernel_size=1, name="c")(image)
    many = SegmentationLogits(convention="half_pixel", label_set=labels, name="logits")([x, image])
    with pytest.raises(InputError, match="tells 65536 classes, not 65537"):
        prepare(keras.Model(image, many), head="mask")
