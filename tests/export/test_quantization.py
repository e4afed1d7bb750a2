import argparse
import json

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from hypothesis import given, strategies
from PIL import Image
from support.tiny_export import LABELS, SIZE, tiny

import zoo.models.loading
from zoo import export
from zoo.cli import export as cli
from zoo.cli import verify
from zoo.cli.quantization import _chosen
from zoo.datasets import open_dataset
from zoo.errors import FormatError, InputError, ParityError
from zoo.export.core.calibration import read_calibration
from zoo.export.core.deployment import prepare
from zoo.export.core.quantization import FloatOperation, Quantization, fewest, plan
from zoo.export.proof import quantized_parity
from zoo.export.proof.parity import synthetic_image
from zoo.export.tflite import writer as tflite_writer
from zoo.export.tflite.converter import IntegerConverter
from zoo.export.tflite.ends import with_integer_ends
from zoo.images import read_image
from zoo.labels import VOC21
from zoo.layers.resize import set_source

IMAGES = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]


@pytest.fixture(scope="module")
def model():
    model = tiny()
    set_source(model, name="tiny", weights="seeded")
    return model


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of eight photographs of another size, none of them with black or white in it."""
    folder = tmp_path_factory.mktemp("photos")
    for seed in range(8):
        grey = 64 + synthetic_image(50, 70, seed=seed) // 2
        Image.fromarray(grey).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def int8(model, photos, tmp_path_factory):
    """The model as an int8 file, and its report."""
    path = tmp_path_factory.mktemp("int8") / "m.tflite"
    return path, export.to_tflite(model, path, input_size=SIZE, quantize="int8", calibration=photos)


# --- int8 -------------------------------------------------------------------------------------------------


def test_int8_file_computes_in_integers_only(int8):
    path, report = int8
    graph = schema.ModelT.InitFromPackedBuf(path.read_bytes()).subgraphs[0]
    types = {tensor.type for tensor in graph.tensors}
    assert types <= {schema.TensorType.UINT8, schema.TensorType.INT8, schema.TensorType.INT32}
    assert report.quantization.float_operations == ()
    assert report.operations["CONV_2D"] == 2  # a dilated one among them
    assert report.operations["DEPTHWISE_CONV_2D"] == 1
    assert set(report.operations) <= {
        *("QUANTIZE", "SUB", "MUL", "PAD", "CONV_2D", "DEPTHWISE_CONV_2D", "RESIZE_BILINEAR")
    }


def test_int8_weights_have_a_scale_for_each_channel(int8):
    model = schema.ModelT.InitFromPackedBuf(int8[0].read_bytes())
    graph = model.subgraphs[0]
    channels = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3}
    seen = []
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex].builtinCode
        for name, axis in channels.items():
            if code == getattr(schema.BuiltinOperator, name):
                kernel = graph.tensors[op.inputs[1]]
                seen.append((len(kernel.quantization.scale), kernel.shape[axis]))
    assert seen == [(8, 8), (8, 8), (3, 3)]


def test_input_is_a_byte_whatever_the_calibration_images_hold(int8):
    path, report = int8
    (image,) = Interpreter(model_path=str(path)).get_input_details()
    assert image["dtype"] == np.uint8
    assert image["quantization"] == (1.0, 0)
    assert (report.inputs[0].dtype, report.outputs[0].dtype) == ("uint8", "uint8")


def test_predict_takes_pixels_and_gives_logits(int8, model, photos):
    path, _ = int8
    image = read_calibration(photos, size=SIZE, labels=LABELS).images[0]
    logits = export.open_artifact(path).predict(image)
    assert (logits.dtype, logits.shape) == (np.float32, (1, *SIZE, 3))
    runner = Interpreter(model_path=str(path)).get_signature_runner("serving_default")
    raw = runner(image=image[None])["logits"]
    scale, zero_point = runner.get_output_details()["logits"]["quantization"]
    assert raw.dtype == np.uint8
    np.testing.assert_allclose(logits, scale * (raw.astype("float32") - zero_point), rtol=1e-6)
    want = model(image[None].astype("float32")).numpy()
    assert np.abs(logits - want).max() < 0.1 * np.abs(want).max()
    # Values between two bytes and beyond them are rounded and cut off, not wrapped.
    far = np.where(image > 127, image + 200.0, image + 0.3)
    near = np.where(image > 127, np.minimum(image.astype(int) + 200, 255), image)
    artifact = export.open_artifact(path)
    np.testing.assert_array_equal(artifact.predict(far), artifact.predict(near))


def test_report_and_metadata_tell_the_quantization(int8):
    path, report = int8
    stored = json.loads(path.with_name("m.tflite.json").read_text())
    assert stored == json.loads(report.to_json())
    assert stored["quantization"]["kind"] == "int8"
    assert stored["quantization"]["calibration_images"] == 8
    assert stored["quantization"]["score"] == stored["parity"]["argmax_agreement"]
    parity = stored["parity"]
    assert parity["passed"] is True
    assert parity["limits"] == {"relative_error": 0.5, "agreement": 0.75}
    assert 0 < parity["border_pixels"] < parity["pixels"]
    assert parity["border_agreement"] <= parity["argmax_agreement"] <= parity["inner_agreement"]
    assert 0 < parity["mean_error"] < parity["max_error"]
    metadata = export.open_artifact(path).metadata
    assert metadata.quantization == {"kind": "int8", "max_drop": None}
    assert "uint8 RGB" in metadata.to_json()
    assert export.open_artifact(path).labels == LABELS.names


def test_verify_tells_rounding_from_damage(int8, model):
    path, _ = int8
    assert export.verify(path, model).passed
    assert not export.verify(path, tiny(seed=1)).passed


def test_probabilities_are_resized_in_float(photos, tmp_path):
    path = tmp_path / "m.tflite"
    report = export.to_tflite(
        tiny(domain="probabilities"), path, input_size=SIZE, quantize="int8", calibration=photos
    )
    left = report.quantization.float_operations
    assert [op.operation for op in left] == ["SOFTMAX", "RESIZE_BILINEAR", "MAXIMUM", "LOG"]
    assert {op.reason for op in left} == {"probabilities"}
    assert report.outputs[0].dtype == "float32"
    assert report.parity.relative_error < 0.1


# --- other kinds ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "limit"), [("float16", 1e-3), ("dynamic", 0.05)])
def test_weights_alone(kind, limit, tmp_path):
    model = tiny(channels=256)
    full = export.to_tflite(model, tmp_path / "full.tflite", input_size=SIZE)
    report = export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE, quantize=kind)
    assert report.bytes < 0.8 * full.bytes
    assert report.inputs[0].dtype == "float32"
    assert 0 < report.parity.relative_error < limit
    assert set(report.operations) <= {*full.operations, "DEQUANTIZE"}
    assert report.quantization.calibration_images == 0
    assert json.loads((tmp_path / "m.tflite.json").read_text())["quantization"]["kind"] == kind


# --- layers left in float ---------------------------------------------------------------------------------


def test_max_drop_leaves_the_worst_layers_in_float(model, tmp_path):
    path = tmp_path / "m.tflite"
    report = export.to_tflite(
        model, path, input_size=SIZE, quantize="int8", calibration=IMAGES, max_drop=0.005
    )
    done = report.quantization
    assert done.integer_score < 0.995 <= done.score
    assert done.conversions > 2
    left = [op for op in done.float_operations if op.reason == "max_drop"]
    assert left
    assert done.float_operations == tuple(left)
    assert report.parity.max_drop == 0.005
    assert report.parity.argmax_agreement >= 0.995
    assert report.inputs[0].dtype == "uint8"
    # On other images the bound says nothing: verifying only tells damage.
    assert export.verify(path, model, images=[synthetic_image(*SIZE, seed=9)]).max_drop is None
    # The errors that were measured decide: no layer that stayed in integers has a larger one.
    deployment = prepare(model, input_size=SIZE)
    errors = IntegerConverter(deployment, IMAGES).errors()
    assert {op.tensor for op in left} == set(list(errors)[: len(left)])


def test_bound_that_no_file_keeps_leaves_nothing(tmp_path):
    with pytest.raises(ParityError, match=r"max_drop=0 cannot be kept: argmax_agreement is 1\.0000"):
        export.to_tflite(
            tiny(domain="probabilities"),
            tmp_path / "m.tflite",
            input_size=SIZE,
            quantize="int8",
            calibration=IMAGES,
            max_drop=0,
        )
    assert list(tmp_path.iterdir()) == []


def test_first_layer_in_float_still_takes_bytes(model):
    converter = IntegerConverter(prepare(model, input_size=SIZE), IMAGES)
    content = with_integer_ends(converter.convert(converter.layers[:1]))
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (image,), (logits,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert image["dtype"] == np.uint8
    interpreter.set_tensor(image["index"], IMAGES[0][None])
    interpreter.invoke()
    scale, zero_point = logits["quantization"]
    got = scale * (interpreter.get_tensor(logits["index"]).astype("float32") - zero_point)
    want = model(IMAGES[0][None].astype("float32")).numpy()
    assert np.abs(got - want).max() < 0.1 * np.abs(want).max()


def test_true_masks_bound_the_mean_iou(model, tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for index, image in enumerate(IMAGES):
        mask = model(image[None].astype("float32")).numpy()[0].argmax(-1).astype("uint8")
        mask[:4] = 255
        Image.fromarray(image).save(tmp_path / "images" / f"{index}.png")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{index}.png")
    data = open_dataset("folder", tmp_path, split="all", classes=LABELS)
    report = export.to_tflite(
        model,
        tmp_path / "m.tflite",
        input_size=SIZE,
        quantize="int8",
        calibration=data,
        max_drop=0.2,
    )
    done = report.quantization
    assert done.metric == "mean_iou"
    assert done.float_score == 1
    assert 0.8 <= done.score < 1
    assert report.parity.max_drop is None  # the bound is not one of the agreement


@given(strategies.integers(0, 40), strategies.integers(0, 60))
def test_fewest_finds_the_threshold_in_few_steps(count, threshold):
    asked = []

    def holds(number):
        asked.append(number)
        return number >= threshold

    assert fewest(count, holds) == (threshold if threshold <= count else None)
    assert len(asked) <= 2 + 2 * max(1, count).bit_length()


# --- calibration images -----------------------------------------------------------------------------------


def test_calibration_images_are_resized_as_segment_does(photos):
    calibration = read_calibration(photos, size=SIZE, labels=LABELS)
    assert len(calibration.images) == 8
    assert {image.shape for image in calibration.images} == {(*SIZE, 3)}
    want = keras.ops.image.resize(read_image(photos / "0.png")[None], SIZE, antialias=True)[0]
    assert np.abs(calibration.images[0] - np.asarray(want)).max() <= 0.5 + 1e-3
    mixed = [photos / "0.png", *IMAGES[1:8]]
    again = read_calibration(mixed, size=SIZE, labels=LABELS)
    np.testing.assert_array_equal(again.images[0], calibration.images[0])
    np.testing.assert_array_equal(again.images[1], IMAGES[1])


def test_settings_that_are_refused(model, photos, tmp_path):
    nan = np.full((8, 5, 5, 3), np.nan)
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "masks").mkdir()
    for index in range(8):
        for name in ("images", "masks"):
            Image.new("L", (9, 9)).save(tmp_path / "data" / name / f"{index}.png")
    others = open_dataset("folder", tmp_path / "data", split="all", classes=["cat", "dog", "cow"])
    cases = [
        ({"quantize": "int4"}, "quantize must be one of float16, dynamic, int8"),
        ({"quantize": "int8"}, "int8 needs calibration images"),
        ({"calibration": photos}, "calibration is for a quantized file"),
        ({"max_drop": 0.1}, "max_drop is for a quantized file"),
        ({"quantize": "dynamic", "max_drop": 0.1}, "measured on the calibration images"),
        ({"quantize": "int8", "calibration": photos, "max_drop": 2}, "max_drop is a share from 0 to 1"),
        ({"quantize": "int8", "calibration": photos, "max_drop": "1"}, "max_drop is a share"),
        ({"quantize": "int8", "calibration": IMAGES[:7]}, "at least 8 images .* not 7"),
        ({"quantize": "int8", "calibration": []}, "at least 8 images"),
        ({"quantize": "int8", "calibration": 5}, "files, a folder, arrays or a data set, not int"),
        ({"quantize": "int8", "calibration": tmp_path / "absent"}, "no such file or folder"),
        ({"quantize": "int8", "calibration": photos / "0.png"}, "at least 8 images"),
        (
            {"quantize": "int8", "calibration": np.zeros((8, 5, 5))},
            r"image 0 must be \(height, width, 3\)",
        ),
        ({"quantize": "int8", "calibration": nan}, "must hold values in 0…255"),
        ({"quantize": "int8", "calibration": np.full((8, 5, 5, 3), 0.5)}, "multiply it by 255"),
        ({"quantize": "int8", "calibration": others}, "only the data has cat"),
    ]
    for options, message in cases:
        with pytest.raises(InputError, match=message):
            export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE, **options)
    assert not list(tmp_path.glob("m.tflite*"))


def test_damaged_calibration_image_is_named(model, photos, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for photo in photos.iterdir():
        (folder / photo.name).write_bytes(photo.read_bytes())
    (folder / "3.png").write_bytes(b"no picture")
    with pytest.raises(FormatError, match=r"3\.png"):
        export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE, quantize="int8", calibration=folder)
    assert not list(tmp_path.glob("m.tflite*"))


def test_true_masks_need_the_full_size(model, tmp_path):
    deployment = prepare(model, input_size=SIZE, head="small_logits")
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for index in range(8):
        for name in ("images", "masks"):
            Image.new("L", (9, 9)).save(tmp_path / name / f"{index}.png")
    data = open_dataset("folder", tmp_path, split="all", classes=LABELS)
    with pytest.raises(InputError, match="true masks compare with head='logits'"):
        plan("int8", calibration=data, max_drop=None, deployment=deployment)


# --- the gates --------------------------------------------------------------------------------------------


def measured(change, *, quantization="int8", max_drop=None):
    """Parity of a file that gives `change` of the logits of a picture with two halves and a sure model."""
    logits = np.zeros((1, 40, 40, 2))
    logits[..., :20, 0] = logits[..., 20:, 1] = 4
    logits += np.random.default_rng(0).normal(0, 0.3, logits.shape)
    pair = (lambda _: change(logits)), (lambda _: logits)
    options = {"quantization": quantization, "max_drop": max_drop}
    return quantized_parity.compare(*pair, [np.zeros((40, 40, 3))], **options)


def test_rounding_passes_and_damage_does_not():
    noise = np.random.default_rng(1).normal(0, 0.2, (1, 40, 40, 2))
    parity = measured(lambda x: x + noise)
    assert parity.passed
    assert parity.relative_error == pytest.approx(0.1, rel=0.1)
    assert parity.mean_error == pytest.approx(np.abs(noise).mean())
    assert measured(lambda x: x).argmax_agreement == 1
    for damage in (
        lambda x: x + np.nan,
        lambda x: -x,
        lambda x: x[:, ::-1, ::-1],
        lambda x: 0 * x,
        lambda x: 2 * x,  # a wrong scale changes no winner
    ):
        assert not measured(damage).passed
    assert not measured(lambda x: x + noise, quantization="float16").passed


def test_pixels_near_borders_are_counted_apart():
    def shifted(x):
        return np.roll(x, 2, axis=2)  # as if the border stood two pixels to the right

    parity = measured(shifted)
    assert parity.border_pixels == 40 * 6
    assert parity.border_agreement == pytest.approx(1 - 2 / 6)
    assert parity.inner_agreement == pytest.approx(1 - 2 / 34)  # what np.roll brings in at the left
    assert parity.argmax_agreement == pytest.approx(1 - 4 / 40)
    assert parity.mean_iou == pytest.approx(18 / 22)


def test_a_picture_that_is_all_borders_has_no_share_off_them():
    logits = np.zeros((1, 6, 6, 2))
    logits[:, :3, :, 0] = logits[:, 3:, :, 1] = 4
    parity = quantized_parity.compare(
        lambda _: logits + 0.1, lambda _: logits, [np.zeros((6, 6, 3))], quantization="int8"
    )
    assert parity.border_pixels == parity.pixels == 36
    assert parity.to_dict()["inner_agreement"] is None
    assert "off borders (no pixels)" in str(parity)
    assert parity.passed


def test_own_bound_stands_in_place_of_the_usual_limit():
    few = np.zeros((1, 40, 40, 2))
    few[:, :2, :10, 1] = 10  # 20 of 1600 pixels
    assert measured(lambda x: x + few).passed
    assert measured(lambda x: x + few, max_drop=0.02).passed
    assert not measured(lambda x: x + few, max_drop=0.01).passed
    assert "at least 99.0000% asked for" in str(measured(lambda x: x + few, max_drop=0.01))


def test_summary_names_the_first_float_operations():
    left = [
        FloatOperation(
            operation="ADD", layer=f"add{i}", tensor=f"m/add{i}/Add", relative_error=None, reason="max_drop"
        )
        for i in range(9)
    ]
    text = str(Quantization(kind="int8", calibration_images=8, float_operations=tuple(left)))
    assert text.endswith("in float: ADD add0, ADD add1, ADD add2, ADD add3, ADD add4, ADD add5, and 3 more")


def test_wrong_weights_leave_nothing(photos, model, tmp_path, monkeypatch):
    right = tflite_writer.quantize_integers
    other = prepare(tiny(seed=1), input_size=SIZE)
    monkeypatch.setattr(tflite_writer, "quantize_integers", lambda _, plan: right(other, plan))
    with pytest.raises(ParityError, match="does not compute what its model computes: int8"):
        export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE, quantize="int8", calibration=photos)
    assert list(tmp_path.iterdir()) == []


# --- the command, and a real model --------------------------------------------------------------------


def run(*arguments):
    parser = argparse.ArgumentParser(prog="zoo")
    subparsers = parser.add_subparsers(required=True)
    cli.add_parser(subparsers)
    verify.add_parser(subparsers)
    args = parser.parse_args([*map(str, arguments)])
    return args.run(args)


def test_command(photos, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(zoo.models.loading, "load", lambda *args, **options: model)
    path = tmp_path / "m.tflite"
    options = ("--format", "tflite", "--input-size", "33x47", "--output", path)
    calibration = ("--quantize", "int8", "--calibration", photos, "--max-drop", 0.5)
    assert run("export", "tiny", *options, *calibration) == 0
    printed = capsys.readouterr()
    assert "int8; calibrated on 8 images; argmax_agreement 0.9" in printed.out
    assert "in float: nothing" in printed.out
    assert "image (1, 33, 47, 3) uint8" in printed.out
    assert "fully_quantize" not in printed.err
    assert run("verify", path) == 0
    assert capsys.readouterr().out.startswith("within its limits: int8: arg-max agreement 9")


def test_command_refuses_before_anything_is_loaded(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(zoo.models.loading, "load", None)
    base = ("tiny", "--format", "tflite", "--input-size", "33x47", "--output", tmp_path / "m.tflite")
    onnx = ("tiny", "--format", "onnx", "--output", tmp_path / "m.onnx")
    folder = ("tiny", "--format", "saved_model", "--output", tmp_path / "m")
    cases = [
        ((*base, "--quantize", "int8"), "int8 needs calibration images"),
        ((*base, "--calibration", photos), "calibration is for a quantized file"),
        ((*base, "--quantize", "int8", "--calibration", tmp_path / "no"), "no such file or folder"),
        ((*base, "--quantize", "int8", "--calibration", photos, "--max-drop", 3), "max_drop is a share"),
        ((*base, "--quantize", "int8", "--dataset", "camvid"), "give its folder"),
        ((*base, "--quantize", "int8", "--calibration", photos, "--split", "val"), "name its --dataset"),
        ((*base, "--quantize", "int8", "--calibration-limit", "0"), "takes a positive number"),
        ((*onnx, "--quantize", "float16"), "an onnx file is quantized to int8, not float16"),
        ((*onnx, "--quantize", "int8", "--calibration", photos), "an int8 onnx file has a static size"),
        ((*folder, "--max-drop", 0.1), "--max-drop is for --format tflite or onnx, not saved_model"),
    ]
    for arguments, message in cases:
        with pytest.raises(InputError, match=message):
            run("export", *arguments)


def test_limit_spreads_over_all_images():
    assert _chosen(list(range(10)), 4) == [0, 2, 5, 7]
    assert _chosen(list(range(3)), 100) == [0, 1, 2]


def test_published_deeplab_keeps_its_masks_in_int8(data_dir, tmp_path):
    photo = data_dir / "coral" / "bird_segmentation.bmp"
    if not photo.is_file():
        pytest.skip(f"the photograph {photo} is absent")
    pixels = read_image(photo)
    half = [pixels[:, :400], pixels[:, -400:], pixels[:300], pixels[-300:]]
    images = [pixels, *half, *(image[:, ::-1] for image in half)]
    model = zoo.load("deeplabv3_aspp", weights=data_dir / "coral" / "deeplabv3_mnv2_pascal_quant.tflite")
    report = export.to_tflite(
        model, tmp_path / "m.tflite", input_size=(129, 161), quantize="int8", calibration=images
    )
    assert export.open_artifact(tmp_path / "m.tflite").labels == VOC21.names
    assert report.quantization.float_operations == ()
    assert not [name for name in report.operations if name.startswith(("SPACE", "BATCH", "Flex"))]
    assert report.parity.inner_agreement > 0.995
    assert report.parity.border_agreement > 0.85
    assert report.parity.mean_iou > 0.9
    whole = export.to_tflite(model, tmp_path / "float.tflite", input_size=(129, 161))
    assert report.bytes <= 0.30 * whole.bytes  # zero points of channels are stored once
