"""ONNX files from outside are counted before objects are made of their parts, by all that opens them."""

import resource

import pytest
from support.onnx_parts import million_parts

from zoo.errors import FormatError
from zoo.export import open_artifact
from zoo.export.blocks.artifact import open_blocks
from zoo.export.lint.verdicts import lint


def linted(path):
    return lint(path, accelerators=["ort-wasm"])


@pytest.mark.parametrize("opened", [open_artifact, open_blocks, linted])
@pytest.mark.parametrize("kind", ["tensors", "graphs"])
def test_a_million_empty_parts_are_refused(tmp_path, opened, kind):
    path = tmp_path / "m.onnx"
    path.write_bytes(b"")
    with pytest.raises(FormatError):  # with all that is imported late
        opened(path)
    path.write_bytes(million_parts(kind, spread=100))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(
        FormatError, match=r"m.onnx cannot be loaded as an ONNX file: [^\n]*500,000 are allowed"
    ):
        opened(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
