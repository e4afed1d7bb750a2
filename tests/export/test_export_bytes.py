"""What is written: the same bytes everywhere, nothing of the machine, and names that lines can hold."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from support.tiny_export import FORMATS, LABELS, NAMES, SIZE, seeded, tiny, write

from zoo import export
from zoo.export.proof.parity import synthetic_image
from zoo.labels import named
from zoo.layers import DepthToSpace, DilatedConv2D
from zoo.layers.resize import SegmentationLogits

_WRITE = """
import sys, pathlib
sys.path.insert(0, sys.argv[1])
from support.tiny_export import FORMATS, ROWS, SIZE, deeplab, tiny, write
from zoo.export.proof.parity import synthetic_image
folder = pathlib.Path(sys.argv[2])
images = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
for name, model, options in (
    ("float", tiny(), {}),
    ("mask", tiny(), {"head": "mask"}),
    ("int8", tiny(), {"input_size": SIZE, "quantize": "int8", "calibration": images}),
):
    (folder / name).mkdir(parents=True)
    for format in FORMATS:
        if name != "int8" or "int8" in ROWS[format].quantizations:
            write(format, model, folder / name, **options)
(folder / "wide").mkdir()
write("onnx", deeplab("torchvision", 8), folder / "wide", input_size=SIZE)
"""


# Core ML has no small integers as outputs.
STORED = {"coreml": "int32"}


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_two_processes_write_the_same_bytes_and_no_path(tmp_path):
    tests = str(Path(__file__).parents[1])
    for seed in ("1", "2"):
        command = [sys.executable, "-c", _WRITE, tests, str(tmp_path / f"somewhere{seed}")]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run(command, env=environment, check=True, capture_output=True)
    first, second = (files(tmp_path / f"somewhere{seed}") for seed in ("1", "2"))
    assert len(first) == len(second) > 20
    assert [name for name in first if first[name] != second[name]] == []
    for name, content in first.items():
        assert str(tmp_path).encode() not in content, name
        assert b"somewhere" not in content, name


@pytest.mark.parametrize("format", FORMATS)
def test_a_folder_with_the_characters_of_a_pattern(format, tmp_path):
    folder = tmp_path / "run[1] q?*"
    folder.mkdir()
    model = tiny()
    assert write(format, model, folder).parity.passed
    image = synthetic_image(*SIZE)
    got = export.open_artifact(folder / NAMES[format]).predict(image)
    np.testing.assert_allclose(got, model(image[None].astype("float32")).numpy(), atol=1e-4)
    assert export.verify(folder / NAMES[format], model).passed


@pytest.mark.parametrize("format", FORMATS)
def test_threads_share_an_artifact(format, tmp_path):
    model = tiny()
    write(format, model, tmp_path)
    artifact = export.open_artifact(tmp_path / NAMES[format])
    images = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
    wanted = [artifact.predict(image) for image in images]
    wrong = []

    def work(index):
        try:
            for _ in range(25):
                if not np.array_equal(artifact.predict(images[index]), wanted[index]):
                    wrong.append(index)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def labelled(names):
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(len(names), kernel_size=3, strides=4, padding="symmetric", name="stem")(image)
    last = SegmentationLogits(convention="half_pixel", label_set=named(names), name="logits")
    return keras.Model(image, last([x, image]), name="labelled")


def test_a_name_of_two_lines_is_one_line_of_every_list(tmp_path):
    model = labelled(("road", "traffic\nlight", "sky "))
    for format in FORMATS:
        write(format, model, tmp_path)
        assert export.open_artifact(tmp_path / NAMES[format]).labels == ("road", "traffic\nlight", "sky ")
    lines = ["road", "traffic light", "sky"]
    properties = {p.key: p.value for p in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert properties["labels"].split("\n") == lines
    text = (tmp_path / "m" / "assets" / "labels.txt").read_text(encoding="utf-8")
    assert text.splitlines() == lines
    assert "\n".join(lines).encode() in (tmp_path / "m.tflite").read_bytes()


@pytest.mark.parametrize("head", ["mask", "small_mask"])
@pytest.mark.parametrize("format", FORMATS)
def test_masks_of_many_classes(format, head, tmp_path):
    keras.utils.set_random_seed(3)
    model = labelled([f"class {index}" for index in range(300)])
    report = write(format, model, tmp_path, head=head)
    assert report.outputs[0].dtype == STORED.get(format, "uint16")
    image = synthetic_image(*SIZE)
    mask = export.open_artifact(tmp_path / NAMES[format]).predict(image)
    assert mask.dtype == np.uint16
    assert mask.max() > 255
    if head == "mask":
        want = model(image[None].astype("float32")).numpy().argmax(-1)
        assert (mask == want).mean() > 0.999


@pytest.mark.parametrize("format", FORMATS)
def test_masks_of_many_classes_laid_out_in_space(format, tmp_path):
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(4 * 300, kernel_size=3, strides=2, padding="symmetric", name="stem")(image)
    x = DepthToSpace(cell=2, name="spread")(x)
    labels = named([f"class {index}" for index in range(300)])
    last = SegmentationLogits(convention="half_pixel", factor=1, label_set=labels, name="logits")
    model = seeded(keras.Model(image, last([x, image]), name="spread"))
    report = write(format, model, tmp_path, head="mask", input_size=(32, 48))
    assert report.outputs[0].dtype == STORED.get(format, "uint16")
    assert report.parity.passed


def test_the_report_tells_the_name_alone(tmp_path):
    report = write("onnx", tiny(), tmp_path)
    stored = json.loads((tmp_path / "m.onnx.json").read_text())
    assert stored["path"] == "m.onnx"
    assert report.path == str(tmp_path / "m.onnx")
    assert report.labels == LABELS.names
