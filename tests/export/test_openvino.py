"""TFLite and ONNX files in OpenVINO."""

import json
import sys

import numpy as np
import pytest
from PIL import Image
from support.tiny_export import SIZE, tiny

import zoo
from zoo import export
from zoo.cli import main
from zoo.errors import FormatError, InputError
from zoo.export.proof.parity import synthetic_image

IMAGES = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
INT8 = {"quantize": "int8", "calibration": IMAGES}
KINDS = {
    "float.tflite": {},
    "half.tflite": {"quantize": "float16"},
    "mask.tflite": {"head": "mask"},
    "int8.tflite": INT8,
    "float.onnx": {"layout": "nchw"},
    "any.onnx": {"input_size": None},
    "int8.onnx": INT8,
}
needed = pytest.mark.usefixtures("openvino")


@pytest.fixture(scope="module")
def openvino():
    return pytest.importorskip("openvino", reason="openvino is not installed (an extra)")


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for name, options in KINDS.items():
        write = export.to_tflite if name.endswith(".tflite") else export.to_onnx
        write(model, folder / name, **{"input_size": SIZE, **options})
    return folder


@needed
@pytest.mark.parametrize("name", KINDS)
def test_openvino_computes_what_the_files_own_runtime_does(name, files):
    own = export.open_artifact(files / name)
    other = export.open_artifact(files / name, engine="openvino")
    found, want = (artifact.predict(np.stack(IMAGES[:2])) for artifact in (other, own))
    assert (found.shape, found.dtype) == (want.shape, want.dtype)
    assert (other.labels, other.format, other.inputs) == (own.labels, own.format, own.inputs)
    if name.startswith("int8"):  # integers are not defined to the bit across runtimes
        assert np.sqrt(np.mean((found - want) ** 2)) < 0.1 * want.std()
    elif name.startswith("mask"):
        assert (found == want).mean() > 0.999
    else:
        np.testing.assert_allclose(found, want, atol=1e-4)
    assert other.operations() == own.operations()


@needed
def test_any_size_is_taken_where_the_file_takes_any(files, model):
    artifact = export.open_artifact(files / "any.onnx", engine="openvino")
    image = synthetic_image(41, 70, seed=1)
    np.testing.assert_allclose(zoo.segment(artifact, image).mask, zoo.segment(model, image).mask)


@needed
@pytest.mark.parametrize("name", ["float.tflite", "float.onnx"])
def test_verify_and_evaluate(name, files, model):
    artifact = export.open_artifact(files / name, engine="openvino")
    assert export.verify(artifact, model).passed
    other = tiny(seed=1)
    assert not export.verify(artifact, other).passed
    truth = zoo.segment(model, IMAGES[0]).mask
    assert zoo.evaluate(artifact, [(IMAGES[0], truth)]).pixel_accuracy > 0.999


@needed
def test_bench_runs_files_in_both(files, tmp_path):
    result = export.bench(
        [files / "float.tflite", files / "int8.onnx"], repeats=2, engine="openvino", operations=False
    )
    names = [timing.name for timing in result.timings]
    tflite, onnx = str(files / "float.tflite"), str(files / "int8.onnx")
    assert names == [tflite, f"{tflite} (openvino)", onnx, f"{onnx} (openvino)"]
    assert [timing.format for timing in result.timings] == ["tflite", "openvino", "onnx", "openvino"]
    assert result.versions["openvino"]


@needed
def test_the_commands(files, model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("zoo.cli.opening.load_model", lambda *args, **options: model)
    command = ["verify", str(files / "float.onnx"), "--model", "m", "--weights", "w"]
    assert main([*command, "--engine", "openvino"]) == 0
    assert "equal" in capsys.readouterr().out
    for kind, arrays in {
        "images": IMAGES[:2],
        "masks": [zoo.segment(model, i).mask for i in IMAGES[:2]],
    }.items():
        (tmp_path / "data" / kind).mkdir(parents=True)
        for number, array in enumerate(arrays):
            Image.fromarray(array).save(tmp_path / "data" / kind / f"{number}.png")
    names = tmp_path / "names.txt"
    names.write_text("road\nsky\nnaïve ☂\n", "utf-8")
    data = ["--dataset", "folder", "--data", str(tmp_path / "data"), "--classes", str(names)]
    command = ["evaluate", str(files / "float.tflite"), *data, "--engine", "openvino", "--json", "-"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["pixel_accuracy"] > 0.999


@needed
def test_a_file_that_openvino_cannot_load_is_one_line(files, tmp_path):
    from zoo.export.openvino.engine import compiled

    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(FormatError, match=r"m\.onnx cannot be loaded by OpenVINO"):
        compiled(tmp_path / "m.onnx", threads=1)


def test_what_is_refused(files, model, tmp_path, monkeypatch, capsys):
    with pytest.raises(InputError, match="engine must be None or one of openvino, not 'tensorrt'"):
        export.open_artifact(files / "float.tflite", engine="tensorrt")
    with pytest.raises(InputError, match="engine must be None or one of openvino"):
        export.bench([files / "float.tflite"], engine="vino")
    export.to_saved_model(model, tmp_path / "saved", serving_bytes=False)
    with pytest.raises(InputError, match=r"runs \.tflite and \.onnx files"):
        export.open_artifact(tmp_path / "saved", engine="openvino")
    with pytest.raises(InputError, match="none is given"):
        export.bench([tmp_path / "saved"], engine="openvino")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"pip install 'atrous-zoo\[openvino\]'"):
        export.open_artifact(files / "float.tflite", engine="openvino")
