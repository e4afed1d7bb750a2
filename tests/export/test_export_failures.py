import dataclasses
import resource
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from support.tiny_export import (
    FORMATS,
    NAMES,
    SIZE,
    WRITERS,
    all_formats,
    deeplab,
    tiny,
    write,
)

from zoo import export
from zoo.errors import FormatError, InputError, ParityError
from zoo.export.core.deployment import prepare
from zoo.export.tflite import writer as tflite_writer


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def artifacts(model, tmp_path_factory):
    """The tiny model in all three formats, with their reports."""
    return all_formats(model, tmp_path_factory.mktemp("artifacts"))


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
