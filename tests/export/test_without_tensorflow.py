"""Exported files in processes that have their own runtime and nothing of TensorFlow or Keras."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.tiny_export import NAMES, SIZE, tiny, write

import zoo
from zoo import export
from zoo.cli import main
from zoo.cli.in_order import in_order
from zoo.errors import InputError
from zoo.export.core.artifact_model import as_model
from zoo.export.proof.parity import synthetic_image
from zoo.images import read_mask

RUNTIMES = {"tflite": "ai_edge_litert", "onnx": "onnxruntime"}
# What must not be imported, and the end of a program that tells what was.
FRAMEWORKS = ("tensorflow", "keras", "tf_keras", "h5py", "tf2onnx")
# Nor these, so that few packages are enough: those of docs/mobile.md.
UNNEEDED = ("matplotlib", "pooch", "yaml", "filelock", "urllib3", "requests", "shtab")
OF_OTHERS = {"tflite": ("onnx", "onnxruntime"), "onnx": ("ai_edge_litert",)}
TOLD = f"\nimport json, sys; print(json.dumps([m for m in {FRAMEWORKS!r} if m in sys.modules]))"
REFUSING = """
import sys
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in NAMES:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refusing())
"""
BYTES = 300e6


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """One file of each runtime, and photographs of several sizes."""
    folder = tmp_path_factory.mktemp("files")
    for format_ in RUNTIMES:
        write(format_, model, folder)
    (folder / "photos").mkdir()
    for number, size in enumerate([SIZE, (50, 60), (20, 90), SIZE, (33, 12)]):
        Image.fromarray(synthetic_image(*size, seed=number)).save(folder / "photos" / f"{number}.png")
    return folder


def run(code, **options):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, **options
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("format_", RUNTIMES)
@pytest.mark.parametrize(
    "code",
    [
        "import zoo; zoo.export.open_artifact({path!r})",
        "from zoo.export import open_artifact as o; a = o({path!r}); a.labels, a.operations(), a.metadata",
        "import zoo; zoo.segment(zoo.export.open_artifact({path!r}), {photo!r}).overlay()",
        "from zoo.cli import main; assert main(['segment', {path!r}, {photo!r}, '--output', {out!r}]) == 0",
        "from zoo.cli import main; assert main(['bench', {path!r}, '--repeats', '1', '--json', '-']) == 0",
    ],
    ids=["open", "metadata", "segment", "zoo segment", "zoo bench"],
)
def test_neither_tensorflow_nor_keras_is_imported(code, format_, files, tmp_path):
    names = {"path": files / NAMES[format_], "photo": files / "photos/0.png", "out": tmp_path}
    refused = REFUSING.replace("NAMES", repr((*FRAMEWORKS, *UNNEEDED, *OF_OTHERS[format_])))
    lines = run(refused + code.format(**{name: str(path) for name, path in names.items()}) + TOLD)
    assert json.loads(lines[-1]) == []


@pytest.mark.parametrize("other", ["jax", "torch"])
def test_the_backend_of_keras_does_not_matter_to_a_file(other, files, tmp_path):
    paths = (files / NAMES["tflite"], files / "photos/0.png", "--output", tmp_path)
    run(
        f"from zoo.cli import main; assert main({['segment', *map(str, paths)]!r}) == 0",
        env={**os.environ, "KERAS_BACKEND": other},
    )


@pytest.mark.parametrize("format_", RUNTIMES)
@pytest.mark.parametrize(
    "options",
    [{}, {"flip": True}, {"tile": SIZE}, {"tile": SIZE, "flip": True}],
    ids=["plain", "flip", "tile", "tile and flip"],
)
def test_a_file_sees_what_its_model_sees(options, format_, files, model, monkeypatch):
    # A file does not know how far its network looks, so that its windows overlap as those of such a model.
    monkeypatch.setattr("zoo.inference.network.reach_of", lambda model: (0, 0))
    artifact = export.open_artifact(files / NAMES[format_])
    for path in sorted((files / "photos").iterdir()):
        found = zoo.segment(artifact, path, **options)
        windows = {"tile": SIZE} if format_ == "tflite" else {}
        same = as_model(artifact) if format_ == "tflite" else model
        want = zoo.segment(same, path, **{**windows, **options})
        np.testing.assert_allclose(found.probabilities, want.probabilities, atol=2e-5)
        assert (found.mask == want.mask).mean() > 0.999
        assert found.mask.dtype == np.uint8 and found.labels == want.labels


def test_scales_are_those_of_tensorflow(files, model):
    artifact = export.open_artifact(files / NAMES["onnx"])
    image = synthetic_image(40, 56, seed=3)
    found, want = (zoo.segment(m, image, scales=(0.5, 1, 1.7), flip=True) for m in (artifact, model))
    np.testing.assert_allclose(found.probabilities, want.probabilities, atol=1e-4)
    with pytest.raises(InputError, match="has no scales"):
        zoo.segment(export.open_artifact(files / NAMES["tflite"]), image, scales=(0.5,))


@pytest.mark.parametrize("head", ["mask", "small_mask"])
def test_a_mask_has_all_of_the_probability(head, model, tmp_path):
    write("onnx", model, tmp_path, head=head, input_size=SIZE)
    artifact = export.open_artifact(tmp_path / NAMES["onnx"])
    image = synthetic_image(*SIZE, seed=1)
    found = zoo.segment(artifact, image)
    np.testing.assert_array_equal(found.mask, artifact.predict(image)[0])
    np.testing.assert_array_equal(found.probabilities.argmax(-1), found.mask)
    assert found.probabilities.max(-1).min() == 1
    assert zoo.segment(artifact, synthetic_image(70, 99, seed=2)).mask.shape == (70, 99)


def test_logits_at_the_stride_of_the_network_are_refused(model, tmp_path):
    write("onnx", model, tmp_path, head="small_logits", input_size=SIZE)
    with pytest.raises(InputError, match="export it with head='logits' or 'mask'"):
        zoo.segment(export.open_artifact(tmp_path / NAMES["onnx"]), synthetic_image(*SIZE, seed=1))


# --- folders ----------------------------------------------------------------------------------------------


def test_a_folder_gives_what_its_images_give_alone(files, tmp_path, capsys):
    bad = files / "photos/2b.png"
    bad.write_bytes(b"no image")
    try:
        for threads in ("1", "2", "3"):
            arguments = ["segment", str(files / NAMES["tflite"]), str(files / "photos")]
            out = tmp_path / threads
            assert main([*arguments, "--output", str(out), "--threads", threads]) == 1
            told = capsys.readouterr()
            assert [line.split()[0] for line in told.out.splitlines() if line.startswith("[")] == [
                "[1/6]",
                "[2/6]",
                "[3/6]",
                "[5/6]",
                "[6/6]",
            ]
            assert "2b.png" in told.err and told.err.count("zoo: error") == 1
    finally:
        bad.unlink()
    for path in (files / "photos").iterdir():
        masks = [read_mask(tmp_path / t / f"{path.stem}_mask.png") for t in ("1", "2", "3")]
        assert all((mask == masks[0]).all() for mask in masks)


@pytest.mark.parametrize("threads", ["0", "-1"])
def test_threads_are_at_least_one(threads, files, tmp_path, capsys):
    arguments = [str(files / NAMES["tflite"]), str(files / "photos/0.png"), "--output", str(tmp_path)]
    assert main(["segment", *arguments, "--threads", threads]) == 2
    assert f"threads must be a positive integer, not {threads}" in capsys.readouterr().err


def test_threads_are_of_no_keras_model(files, tmp_path, capsys):
    arguments = ["deeplabv3_aspp", str(files / "photos/0.png"), "--output", str(tmp_path)]
    assert main(["segment", *arguments, "--threads", "2"]) == 2
    assert "--threads is for .tflite and .onnx files" in capsys.readouterr().err


def test_results_come_in_order_and_workers_are_never_shared():
    busy, begun, lock = set(), [], threading.Lock()

    def work(worker, item):
        with lock:
            assert worker not in busy
            busy.add(worker)
            begun.append(item)
        threading.Event().wait(0.01 * (item % 3))
        with lock:
            busy.discard(worker)
        return item

    assert list(in_order(work, range(30), ["a", "b", "c"])) == list(range(30))
    assert sorted(begun) == list(range(30))


def test_an_error_ends_the_work():
    begun = []

    def work(worker, item):
        begun.append(item)
        if item == 3:
            raise InputError("disk full")
        return item

    found = in_order(work, range(1000), ["a", "b"])
    with pytest.raises(InputError, match="disk full"):
        list(found)
    assert len(begun) < 20


# --- the whole command ------------------------------------------------------------------------------------


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="resident memory is told by Linux")
def test_a_photograph_takes_little_memory(tmp_path):
    """The default network, as a whole process."""
    photo = Path(__file__).parents[2] / "examples" / "city.jpg"
    export.to_tflite(zoo.load("deeplabv3_aspp"), tmp_path / "m.tflite", input_size=(320, 480))
    code = f"""
import resource, subprocess, sys
command = [sys.executable, "-m", "zoo", "segment", {str(tmp_path / "m.tflite")!r}, {str(photo)!r},
           "--output", {str(tmp_path)!r}]
subprocess.run(command, check=True, capture_output=True)
print(1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    assert int(run(code)[-1]) < BYTES
