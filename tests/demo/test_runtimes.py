"""The runtimes of the page: from a folder, from a `node_modules` at hand, or fetched; the pinned ones."""

import json
from pathlib import Path

import pytest

from zoo.demo import runtimes
from zoo.errors import DownloadError, FormatError, InputError


def content_of(format_, folder=None):
    return dict(runtimes.files(format_, folder=folder))


def test_a_folder_of_packages_with_or_without_node_modules(pinned):
    want = content_of("tflite", pinned)
    assert len(want) == 6 and content_of("tflite", pinned / "node_modules") == want


def test_packages_at_hand_are_used(pinned, monkeypatch):
    inner = pinned / "project" / "src"
    inner.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(inner)
    assert content_of("onnx") == content_of("onnx", pinned)


def test_archives_are_fetched_once_and_verified(pinned, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    with pytest.raises(DownloadError, match=r"pass --runtime DIR"):
        content_of("tflite")
    monkeypatch.setenv("ZOO_MIRROR", str(pinned / "archives"))
    want = content_of("tflite", pinned)
    assert content_of("tflite") == want
    monkeypatch.delenv("ZOO_MIRROR")
    assert content_of("tflite") == want


def test_an_archive_with_other_files_is_refused(pinned, monkeypatch, tmp_path):
    lock = json.loads((pinned / "lock.json").read_text())
    lock["onnxruntime-web"]["files"]["dist/ort.wasm.min.mjs"]["sha256"] = "0" * 64
    (tmp_path / "lock.json").write_text(json.dumps(lock))
    monkeypatch.setattr(runtimes, "LOCK", tmp_path / "lock.json")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_MIRROR", str(pinned / "archives"))
    with pytest.raises(FormatError, match="is not the pinned one"):
        content_of("onnx")
    with pytest.raises(InputError, match="by its SHA-256"):
        content_of("onnx", pinned)


def test_another_version_at_hand_is_passed_over_and_one_that_is_named_refused(pinned, monkeypatch, tmp_path):
    path = tmp_path / "node_modules" / "onnxruntime-web" / "dist" / "ort.wasm.min.mjs"
    path.parent.mkdir(parents=True)
    path.write_text("another version")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_MIRROR", str(pinned / "archives"))
    assert content_of("onnx") == content_of("onnx", pinned)
    with pytest.raises(InputError, match=r"onnxruntime-web@1\.30\.0"):
        content_of("onnx", tmp_path)
    with pytest.raises(
        InputError, match=r"holds no onnxruntime-web: run npm install onnxruntime-web@1\.30\.0"
    ):
        content_of("onnx", tmp_path / "cache")


def test_the_lock_is_that_of_the_npm_packages(node_folder):
    """The files that npm installs by its own lock file are those that the page pins."""
    for format_ in runtimes.PACKAGES:
        assert len(content_of(format_, Path(node_folder))) == 6
