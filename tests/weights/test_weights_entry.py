"""Entries of the catalog, and how light they are."""

import subprocess
import sys

import pytest
from support.file_server import entry_for

from zoo.errors import InputError


def test_entry_is_frozen_and_its_settings_are_read_only():
    entry = entry_for("https://example.org/a", settings={"output_stride": 16})
    with pytest.raises(AttributeError):
        entry.file = "other"
    with pytest.raises(TypeError):
        entry.settings["output_stride"] = 8
    assert hash(entry) == hash(entry_for("https://example.org/a", settings={}))


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "abc"},
        {"sha256": "A" * 64},
        {"file": "../net.pth"},
        {"file": "a\\b"},
        {"file": ".."},
        {"bytes": 0},
        {"score": 74.0},
        {"score": 74.0, "metric": "mIoU"},
        {"urls": ("ftp://example.org/a",)},
        {"urls": ()},
        {"sha256": None, "sha256_start": "d234d4e"},
        {"sha256": None, "sha256_start": "D234D4EA"},
        {"sha256": "a" * 64, "sha256_start": "a" * 8},
    ],
)
def test_entry_refuses(changes):
    with pytest.raises(InputError):
        entry_for("https://example.org/a", **changes)


def test_nothing_here_imports_a_framework():
    code = (
        "import sys, zoo.weights.entry, zoo.weights.fetch, zoo.weights.cache, zoo.cli.weights,"
        "zoo.weights.catalog, zoo.weights.checkpoint, zoo.weights.containers, zoo.weights.npz,"
        "zoo.weights.readers.torch_file, zoo.weights.readers.tflite_file\n"
        "print({'tensorflow', 'keras', 'torch', 'jax'} & set(sys.modules))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "set()", result.stderr
