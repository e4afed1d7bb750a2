"""A file is what it holds, whatever it is called."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from support.torch_files import save_state, simple, write_legacy

import zoo
from zoo.errors import InputError
from zoo.weights.containers import CONTAINERS, recognize
from zoo.weights.npz import write_npz

GOLDENS = Path(__file__).parents[1] / "goldens" / "saved"
CORPUS = Path(__file__).parents[1] / "fuzz" / "corpus"
NAMES = [
    "x",
    "x.bin",
    "x.ckpt",
    "x.pkl",
    "x.PTH.TAR",
    "x.PT",
    "x.KERAS",
    "x.npz",
    "x.tflite",
    "x.safetensors",
]


def made(folder, kind):
    path = folder / "made"
    if kind == "torch":
        return save_state(path, {"w": np.ones(3, "f4")})
    if kind == "torch, legacy":
        weight, storage = simple("0", np.ones(3, "f4"))
        return write_legacy(path, {"w": weight}, [storage])
    if kind == "npz":
        write_npz(path, {"a/kernel": np.ones((1, 1, 2, 3))}, classes=3)
        return path
    corpus = {
        "tflite": "tflite/plain",
        "onnx": "onnx/plain",
        "caffe": "caffe/new",
        "keras_weights": "h5/plain",
        "keras": "keras/plain",
    }
    return CORPUS / corpus[kind]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "kind", ["torch", "torch, legacy", "npz", "keras", "tflite", "onnx", "caffe", "keras_weights"]
)
def test_by_content(kind, name, tmp_path):
    shutil.copy(made(tmp_path, kind), tmp_path / name)
    assert recognize(tmp_path / name) is CONTAINERS[kind.partition(",")[0]]


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"\0" * 20, b"\x08", b"\x0a", b"\x0a\xff", b"{}", b'{"a": 1}', b"PK\x03\x04"]
)
def test_content_that_tells_nothing_is_what_it_is_called(content, tmp_path):
    for name, kind in (("x.pth", "torch"), ("x.npz", "npz"), ("x.onnx", "onnx"), ("x.keras", "keras")):
        (tmp_path / name).write_bytes(content)
        assert recognize(tmp_path / name) is CONTAINERS[kind]
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(
        InputError, match=r"x: unknown kind of weights file; allowed: \.keras, .*\.safetensors"
    ):
        recognize(tmp_path / "x")


@pytest.mark.parametrize("name", ["best.KERAS", "best"])
def test_models_and_variables_load_under_any_name(name, tmp_path, monkeypatch):
    whole = zoo.load("lraspp_mobilenet_v2", weights=None, classes=3, settings={"width": 0.25})
    whole.save(tmp_path / "a.keras")
    whole.save_weights(tmp_path / "a.weights.h5")
    image = np.random.default_rng(0).uniform(0, 255, (1, 33, 33, 3)).astype(np.float32)
    monkeypatch.chdir(tmp_path)
    for file, settings in (("a.keras", None), ("a.weights.h5", {"width": 0.25})):
        shutil.copy(tmp_path / file, tmp_path / name)
        again = zoo.load("lraspp_mobilenet_v2", name, settings=settings)  # text, not a path
        np.testing.assert_array_equal(again(image), whole(image))


def test_a_tag_is_not_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "camvid").write_bytes(b"something else")
    assert zoo.load("deeplabv3_aspp", "camvid") is not None
    with pytest.raises(InputError, match="unknown kind of weights file"):
        zoo.load("deeplabv3_aspp", "./camvid")
