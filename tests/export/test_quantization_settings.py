import argparse

import keras
import numpy as np
import pytest
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
from zoo.export.core.quantization import FloatOperation, Quantization, plan
from zoo.export.proof import quantized_parity
from zoo.export.proof.parity import synthetic_image
from zoo.export.tflite import writer as tflite_writer
from zoo.images import read_image
from zoo.labels import VOC21
from zoo.layers.resize import set_source

IMAGES = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]


@pytest.fixture(scope="module")
def model():
    model = tiny()
    set_source(model, name="tiny", weights="seeded")
    return model


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
        plan(
            "int8",
            calibration=data,
            max_drop=None,
            deployment=deployment,
            format="tflite",
            kinds=("int8",),
        )


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
        ((*onnx, "--quantize", "float16"), "an onnx file is quantized to int8, int16x8, not float16"),
        ((*onnx, "--quantize", "int8", "--calibration", photos), "an int8 onnx file has a static size"),
        ((*folder, "--max-drop", 0.1), "--max-drop is for --format tflite, onnx or coreml, not saved_model"),
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
