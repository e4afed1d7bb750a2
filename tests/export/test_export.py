import dataclasses
import hashlib
import json
import resource
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from support.tiny_export import FORMATS, LABELS, NAMES, SIZE, WRITERS, seeded, tiny, write

from zoo import export
from zoo.errors import FormatError, InputError, ParityError
from zoo.export.core.deployment import fingerprint, prepare
from zoo.export.proof.parity import compare, default_images, synthetic_image
from zoo.export.tflite import writer as tflite_writer
from zoo.images import read_image
from zoo.labels import VOC21
from zoo.layers import AdaptiveAveragePooling2D, DilatedConv2D, DilatedDepthwiseConv2D
from zoo.layers.resize import Resize, SegmentationLogits, set_source
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp


def deeplab(convention, output_stride, **settings):
    keras.utils.set_random_seed(0)
    model = deeplabv3_aspp(
        backbone="mobilenet_v2",
        label_set=VOC21,
        convention=convention,
        output_stride=output_stride,
        aspp_channels=32,
        **settings,
    )
    return seeded(model)


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def artifacts(model, tmp_path_factory):
    """The tiny model in all three formats, with their reports."""
    folder = tmp_path_factory.mktemp("artifacts")
    set_source(model, name="tiny", weights="seeded")
    reports = {format: write(format, model, folder) for format in FORMATS}
    return folder, reports


# --- the artifacts compute what the model computes ------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("convention", ["half_pixel", "align_corners", "asymmetric"])
def test_resize_conventions_agree(format, convention, tmp_path):
    report = write(format, tiny(convention), tmp_path, input_size=SIZE)
    assert report.parity.passed
    assert report.parity.max_error < 1e-4
    assert report.parity.sizes == (SIZE,)
    assert report.parity.max_logit > 0.5  # a comparison of zeros would prove nothing


def test_conventions_differ():
    image = synthetic_image(*SIZE)[None].astype("float32")
    first, second = (tiny(c)(image).numpy() for c in ("half_pixel", "align_corners"))
    assert np.abs(first - second).max() > 1e-2


@pytest.mark.parametrize("format", FORMATS)
def test_probabilities_are_compared_as_such(format, tmp_path):
    report = write(format, tiny(domain="probabilities"), tmp_path, input_size=SIZE)
    assert report.parity.domain == "probabilities"
    assert report.parity.max_error < 1e-4


@pytest.mark.parametrize("format", FORMATS)
def test_predict(format, artifacts, model):
    folder, _ = artifacts
    artifact = export.open_artifact(folder / NAMES[format])
    image = synthetic_image(*SIZE, seed=5)
    want = model(image[None].astype("float32")).numpy()
    got = artifact.predict(image)
    assert got.dtype == np.float32
    assert got.shape == (1, *SIZE, 3)
    np.testing.assert_allclose(got, want, atol=1e-4)
    batch = artifact.predict(np.stack([image, image[::-1]]).astype("float64"))
    assert batch.shape == (2, *SIZE, 3)
    np.testing.assert_allclose(batch[:1], want, atol=1e-4)
    assert artifact.labels == LABELS.names
    assert artifact.label_set == LABELS
    assert artifact.format == format
    assert artifact.input_size == (SIZE if format == "tflite" else None)


@pytest.mark.parametrize("format", ["saved_model", "onnx"])
def test_any_size(format, artifacts, model):
    folder, reports = artifacts
    artifact = export.open_artifact(folder / NAMES[format])
    assert len(reports[format].parity.sizes) == 3
    for height, width in ((1, 1), (20, 64), (51, 34)):
        image = synthetic_image(height, width)[None].astype("float32")
        np.testing.assert_allclose(artifact.predict(image), model(image).numpy(), atol=1e-4)


def test_sizes_that_are_rounded_up(tmp_path):
    """Pooling into a grid computes its borders with -(-size // bins), of which converters lose the sign."""
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(4, kernel_size=3, strides=2, padding="symmetric", name="stem")(image)
    pooled = AdaptiveAveragePooling2D(3, name="pool")(x)
    x = keras.layers.Concatenate(name="concat")([x, Resize(convention="half_pixel", name="up")([pooled, x])])
    x = DilatedConv2D(3, kernel_size=1, name="classifier")(x)
    x = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")([x, image])
    model = seeded(keras.Model(image, x, name="pooled"))
    for format in FORMATS:
        assert write(format, model, tmp_path).parity.passed


@pytest.mark.parametrize("format", FORMATS)
def test_small_logits(format, model, tmp_path):
    report = write(format, model, tmp_path, input_size=SIZE, head="small_logits")
    assert report.outputs[0].shape[1:] == (9, 12, 3)
    assert export.open_artifact(tmp_path / NAMES[format]).metadata.head == "small_logits"
    assert export.verify(tmp_path / NAMES[format], model).passed


# --- what is in them --------------------------------------------------------------------------------------


def test_deeplab_tflite_has_one_operation_for_each_convolution(tmp_path):
    model = deeplab("torchvision", 8)
    report = export.to_tflite(model, tmp_path / "m.tflite", input_size=(65, 97))
    layers = [layer for layer in model.layers if isinstance(layer, DilatedConv2D)]
    depthwise = [layer for layer in model.layers if isinstance(layer, DilatedDepthwiseConv2D)]
    assert report.operations["CONV_2D"] == len(layers) + 1  # image pooling is projected by itself
    assert report.operations["DEPTHWISE_CONV_2D"] == len(depthwise)
    rest = set(report.operations) - {"CONV_2D", "DEPTHWISE_CONV_2D"}
    assert rest == {"ADD", "SUB", "MUL", "MEAN", "CONCATENATION", "RESIZE_BILINEAR"}
    assert report.parity.passed
    assert report.inputs[0].shape == (1, 65, 97, 3)


def test_deeplab_onnx_has_native_dilation_and_symbolic_sizes(tmp_path):
    model = deeplab("torchvision", 8)
    report = export.to_onnx(model, tmp_path / "m.onnx", images=default_images((65, 97)))
    graph = onnx.load(tmp_path / "m.onnx").graph
    dilated = {}
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if node.op_type == "Conv" and max(attributes["dilations"]) > 1:
            dilated.setdefault(attributes["group"] > 1, set()).update(attributes["dilations"])
    assert dilated == {True: {2, 4}, False: {12, 24, 36}}
    convolutions = [x for x in model.layers if isinstance(x, (DilatedConv2D, DilatedDepthwiseConv2D))]
    assert report.operations["Conv"] == len(convolutions) + 1  # image pooling is projected by itself
    # Batch norm and padding are folded away; residual sums, that of image pooling, and two transpositions at
    # the ends remain.
    assert report.operations["Mul"] == 1
    assert report.operations["Add"] == 11
    assert not {"Pad", "Expand"} & set(report.operations)
    assert report.operations["Transpose"] == 2
    assert report.inputs[0].shape == ("batch", "height", "width", 3)
    assert report.outputs[0].shape == ("batch", "height", "width", 21)


def test_deeplab_align_corners_nchw(tmp_path):
    model = deeplab("tf_deeplab_folded", 16, rates=())
    path = tmp_path / "m.onnx"
    report = export.to_onnx(model, path, input_size=(65, 97), layout="nchw", opset=21)
    assert report.opset == 21
    assert report.inputs[0].shape == (1, 3, 65, 97)
    assert report.outputs[0].shape == (1, 21, 65, 97)
    assert "Transpose" not in report.operations
    (resize,) = (n for n in onnx.load(path).graph.node if n.op_type == "Resize")
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in resize.attribute}
    assert attributes["coordinate_transformation_mode"] == b"align_corners"


def test_scalar_behind_a_convolution_leaves_no_transpositions(tmp_path):
    """The x + 3 of hard swish once stopped the converter from joining transpositions."""
    image = keras.Input((None, None, 3), name="image")
    x = image
    for index in range(3):
        x = DilatedConv2D(4, kernel_size=3, rate=2, name=f"conv{index}")(x)
        x = keras.layers.Activation("hard_swish", name=f"swish{index}")(x)
    x = DilatedConv2D(3, kernel_size=1, name="classifier")(x)
    x = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")([x, image])
    report = export.to_onnx(seeded(keras.Model(image, x, name="swish")), tmp_path / "m.onnx")
    assert report.operations["Transpose"] == 2


def test_onnx_file_is_valid_and_described(artifacts):
    folder, _ = artifacts
    model = onnx.load(folder / "m.onnx")
    onnx.checker.check_model(model, full_check=True)
    assert [(e.domain, e.version) for e in model.opset_import] == [("", 18)]
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties["labels"].split("\n") == list(LABELS.names)
    assert json.loads(properties["palette"]) == [list(color) for color in LABELS.palette]
    assert properties["model"] == "tiny"
    assert "RGB" in model.doc_string


def test_tflite_file_has_signature_and_aligned_weights(artifacts):
    folder, _ = artifacts
    content = (folder / "m.tflite").read_bytes()
    runner = Interpreter(model_content=content).get_signature_runner("serving_default")
    assert list(runner.get_input_details()) == ["image"]
    assert list(runner.get_output_details()) == ["logits"]
    model = schema.Model.GetRootAs(content)
    starts = []
    for index in range(model.BuffersLength()):
        buffer = model.Buffers(index)
        if buffer.DataLength():
            starts.append(buffer._tab.Vector(buffer._tab.Offset(4)))
    assert len(starts) > 5
    assert all(start % 16 == 0 for start in starts)


def test_saved_model_holds_only_what_it_reads(artifacts, model):
    folder, reports = artifacts
    names = [name for name, _ in tf.train.list_variables(str(folder / "m" / "variables" / "variables"))]
    held = [name for name in names if name.startswith("model_variables/")]
    written = prepare(model).network.weights  # batch norm is folded
    assert len(held) == len(written)  # no seed of the dropout, no optimizer
    operations = reports["saved_model"].operations
    assert operations["ReadVariableOp"] == len(written)
    assert not {"SpaceToBatchND", "BatchToSpaceND", "StatelessRandomUniformV2"} & set(operations)


@pytest.mark.parametrize("format", FORMATS)
def test_report(format, artifacts, model):
    folder, reports = artifacts
    report, path = reports[format], folder / NAMES[format]
    stored = json.loads((folder / f"{NAMES[format]}.json").read_text())
    assert stored == json.loads(report.to_json())
    assert stored["parity"]["passed"] is True
    assert report.path == str(path)
    assert report.source == {"model": "tiny", "weights": "seeded"}
    assert report.fingerprint == fingerprint(model)
    assert report.versions["tensorflow"] == tf.__version__
    if path.is_file():
        assert report.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        assert report.bytes == path.stat().st_size


def test_digest_of_a_folder_is_that_of_sha256sum(artifacts):
    folder, reports = artifacts
    command = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    out = subprocess.run(command, shell=True, cwd=folder / "m", capture_output=True, text=True, check=True)
    assert out.stdout.split()[0] == reports["saved_model"].sha256


def test_fingerprint(tmp_path):
    model = tiny()
    model.save(tmp_path / "m.keras")
    assert fingerprint(keras.models.load_model(tmp_path / "m.keras")) == fingerprint(model)
    assert fingerprint(tiny(rate=3)) != fingerprint(model)  # same weights, another function
    assert fingerprint(tiny(seed=1)) != fingerprint(model)


# --- without Keras, without TensorFlow ------------------------------------------------------------------


def run_python(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_saved_model_runs_in_tensorflow_alone(artifacts, model, tmp_path):
    folder, _ = artifacts
    image = synthetic_image(*SIZE)[None].astype("float32")
    np.savez(tmp_path / "case.npz", image=image, logits=model(image).numpy())
    code = """
import sys
sys.modules["zoo"] = sys.modules["keras"] = sys.modules["tf_keras"] = None  # any import of them raises
import numpy as np, tensorflow as tf
case = np.load(sys.argv[2])
signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
logits = signature(image=tf.constant(case["image"]))["logits"].numpy()
np.testing.assert_allclose(logits, case["logits"], atol=1e-4)
"""
    run_python(code, folder / "m", tmp_path / "case.npz")


def test_encoded_images_run_in_tensorflow_alone(artifacts, model, tmp_path):
    folder, _ = artifacts
    export.to_saved_model(model, tmp_path / "static", input_size=SIZE)
    pixels = np.dstack([synthetic_image(60, 80), np.full((60, 80), 255, "uint8")])
    Image.fromarray(pixels[..., :3]).save(tmp_path / "photo.jpg")
    pixels[:30, :40, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    for name in ("photo.jpg", "photo.png"):
        image = read_image(tmp_path / name)[None].astype("float32")
        resized = tf.image.resize(image, SIZE, antialias=True)
        np.savez(tmp_path / f"{name}.npz", any=model(image).numpy(), static=model(resized).numpy())
    code = """
import sys
sys.modules["zoo"] = sys.modules["keras"] = sys.modules["tf_keras"] = None  # any import of them raises
import numpy as np, pathlib, tensorflow as tf
folder = pathlib.Path(sys.argv[2])
for size, path in (("any", sys.argv[1]), ("static", sys.argv[2] + "/static")):
    serve = tf.saved_model.load(path).signatures["serving_bytes"]
    for name in ("photo.jpg", "photo.png"):
        content = (folder / name).read_bytes()
        logits = serve(image_bytes=tf.constant([content, content]))["logits"].numpy()
        want = np.load(folder / f"{name}.npz")[size]
        np.testing.assert_allclose(logits, np.repeat(want, 2, 0), atol=1e-4)
    labels = pathlib.Path(path, "assets", "labels.txt").read_text(encoding="utf-8")
    assert labels.splitlines() == ["road", "sky", "naïve ☂"]
"""
    run_python(code, folder / "m", tmp_path)


def test_tflite_and_onnx_run_without_tensorflow(artifacts):
    folder, _ = artifacts
    code = f"""
import sys
import numpy as np
import zoo.export
for name in sys.argv[1:]:
    artifact = zoo.export.open_artifact(name)
    assert artifact.predict(np.zeros(({SIZE[0]}, {SIZE[1]}, 3), "uint8")).shape == (1, *{SIZE}, 3)
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    run_python(code, folder / "m.tflite", folder / "m.onnx")


# --- what fails leaves nothing -------------------------------------------------------------------------


def wrong_writer(format, monkeypatch):
    """Make the export write another model's weights."""
    right, other = WRITERS[format].write, tiny(seed=1)

    def write_other(deployment, path, **options):
        right(dataclasses.replace(deployment, network=other), path, **options)

    monkeypatch.setattr(WRITERS[format], "write", write_other)


@pytest.mark.parametrize("format", FORMATS)
def test_failed_parity_leaves_nothing(format, model, tmp_path, monkeypatch):
    wrong_writer(format, monkeypatch)
    with pytest.raises(ParityError, match=r"does not compute what its model computes: max logit error"):
        write(format, model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("format", FORMATS)
def test_failure_keeps_the_older_artifact_and_success_replaces_it(format, model, tmp_path, monkeypatch):
    first = write(format, model, tmp_path)
    before = contents(tmp_path)
    with monkeypatch.context() as patch:
        wrong_writer(format, patch)
        with pytest.raises(ParityError):
            write(format, model, tmp_path)
    assert contents(tmp_path) == before
    second = write(format, tiny(seed=2), tmp_path)
    assert second.fingerprint != first.fingerprint
    assert len(list(tmp_path.iterdir())) == 2  # the artifact and its report
    assert export.open_artifact(tmp_path / NAMES[format]).metadata.fingerprint == second.fingerprint


@pytest.mark.parametrize("format", FORMATS)
def test_full_disk_leaves_nothing(format, tmp_path):
    # A limit on the size of a file fails a write in its middle, as a full disk does.
    model = tiny(channels=4096)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, hard))
    try:
        with pytest.raises(InputError, match="cannot write"):
            write(format, model, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_interruption_leaves_nothing(model, tmp_path, monkeypatch):
    def interrupted(deployment, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(tflite_writer, "write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write("tflite", model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_paths_that_cannot_be_written(model, tmp_path):
    (tmp_path / "folder.tflite").mkdir()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    (tmp_path / "file").touch()
    cases = [
        (export.to_tflite, "m.onnx", r"must be named \*\.tflite"),
        (export.to_tflite, "folder.tflite", "is a folder"),
        (export.to_tflite, "absent/m.tflite", "there is no folder"),
        (export.to_onnx, "m.tflite", r"must be named \*\.onnx"),
        (export.to_saved_model, "m.tflite", "is a folder and cannot be named"),
        (export.to_saved_model, "photos", "something other than a SavedModel"),
        (export.to_saved_model, "file", "a file stands there"),
    ]
    for function, name, message in cases:
        with pytest.raises(InputError, match=message):
            function(model, tmp_path / name, input_size=SIZE)
    assert (tmp_path / "photos" / "a.jpg").exists()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="/proc refuses new files even to root")
def test_unwritable_folder(model):
    with pytest.raises(InputError, match=r"cannot write /proc/m\.onnx"):
        export.to_onnx(model, "/proc/m.onnx")


# --- what is refused ------------------------------------------------------------------------------------


def test_settings_that_are_refused(model, tmp_path):
    path = tmp_path / "m.onnx"
    cases = [
        ({"head": "masks"}, "head must be one of logits, small_logits, mask, small_mask, not 'masks'"),
        ({"layout": "hwc"}, "layout must be one of nhwc, nchw"),
        ({"opset": 9}, "opset must be between 13 and"),
        ({"opset": 99}, "opset must be between 13 and"),
        ({"input_size": (0, 5)}, "input_size must be"),
        ({"input_size": (5.0, 5)}, "input_size must be"),
        ({"input_size": "33x47"}, "input_size must be"),
        ({"input_size": 33}, "input_size must be"),
        ({"images": []}, "at least one image"),
    ]
    for options, message in cases:
        with pytest.raises(InputError, match=message):
            export.to_onnx(model, path, **options)
    with pytest.raises(InputError, match="static size"):
        export.to_tflite(model, tmp_path / "m.tflite", input_size=None)
    with pytest.raises(InputError, match="not a zoo model"):
        export.to_onnx(keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten()]), path)
    with pytest.raises(InputError, match=r"takes a keras\.Model"):
        export.to_onnx("model", path)
    assert list(tmp_path.iterdir()) == []


def test_size_of_a_model_that_was_built_for_one():
    fixed = deeplab("tf_deeplab_folded", 16, rates=(), input_shape=(33, 65, 3))
    assert prepare(fixed).metadata.input_size == (33, 65)
    with pytest.raises(InputError, match="does not fit"):
        prepare(fixed, input_size=(64, 64))


def test_images_that_are_refused(artifacts):
    folder, _ = artifacts
    artifact = export.open_artifact(folder / "m.tflite")
    for bad, message in (
        (np.zeros((64, 64, 3), "uint8"), "takes images of 33x47, not 64x64"),
        (np.zeros((*SIZE, 4), "uint8"), "images must be"),
        (np.zeros(SIZE, "uint8"), "images must be"),
        (np.zeros((0, *SIZE, 3), "uint8"), "images must be"),
        (np.zeros((*SIZE, 3), "complex64"), "integers or floats"),
    ):
        with pytest.raises(InputError, match=message):
            artifact.predict(bad)


def test_files_that_are_no_artifacts(artifacts, tmp_path):
    folder, _ = artifacts
    whole = (folder / "m.tflite").read_bytes()
    (tmp_path / "cut.tflite").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.tflite").write_text("no model at all")
    (tmp_path / "text.onnx").write_text("no model at all")
    (tmp_path / "empty.onnx").touch()
    bare = onnx.load(folder / "m.onnx")
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"\x00")
    damaged = ("cut.tflite", "text.tflite", "text.onnx", "empty.onnx", "bare.onnx", "folder")
    for name in damaged:
        with pytest.raises(FormatError):
            export.open_artifact(tmp_path / name)
    with pytest.raises(FormatError, match="carries no atrous_zoo metadata"):
        export.open_artifact(tmp_path / "bare.onnx")
    with pytest.raises(InputError, match="there is no artifact"):
        export.open_artifact(tmp_path / "absent.onnx")
    with pytest.raises(InputError, match=r"is no \.tflite file"):
        export.open_artifact(tmp_path)


# --- parity ---------------------------------------------------------------------------------------------


def measured(difference, scale=1.0, classes=3):
    rng = np.random.default_rng(0)
    want = scale * rng.uniform(-1, 1, (1, 200, 200, classes))
    return compare(lambda _: want + difference, lambda _: want, [np.zeros((200, 200, 3))])


def test_parity_numbers_and_gates():
    assert measured(0.0).argmax_agreement == 1
    parity = measured(np.array([0.0005, 0, 0]))
    assert parity.max_error == pytest.approx(0.0005)
    assert parity.mean_error == pytest.approx(0.0005 / 3)
    logits = np.random.default_rng(0).uniform(-1, 1, (1, 200, 200, 3))
    assert parity.relative_error == pytest.approx(0.0005 / np.sqrt(3) / logits.std())
    assert not measured(0.002).passed  # the winners agree, the logits do not
    assert measured(0.002, scale=100.0).passed
    assert not measured(np.nan).passed
    few = measured(np.array([0.0009, 0, 0]))
    assert few.max_error < few.tolerance
    assert few.differing_pixels > 4
    assert not few.passed  # the logits agree, too many winners do not
    assert few.widest_margin <= 2 * few.max_error


def test_one_pixel_on_the_fence_does_not_fail_a_small_image():
    want = np.zeros((1, 10, 10, 2))
    want[..., 0] = 1
    want[0, 0, 0] = (0.5, 0.5 - 1e-6)
    got = want.copy()
    got[0, 0, 0, 1] += 1e-5
    parity = compare(lambda _: got, lambda _: want, [np.zeros((10, 10, 3))])
    assert parity.differing_pixels == 1
    assert parity.argmax_agreement == 0.99
    assert parity.passed


def test_verify_tells_equal_from_different(artifacts, model):
    folder, _ = artifacts
    for name in NAMES.values():
        assert export.verify(folder / name, model).passed
        assert not export.verify(folder / name, tiny(seed=1)).passed


def test_verify_refuses_other_classes(artifacts):
    folder, _ = artifacts
    with pytest.raises(ParityError, match="the artifact gives"):
        export.verify(folder / "m.tflite", deeplab("tf_deeplab_folded", 16, rates=()))
