import argparse
import subprocess
import sys

import pytest
from support.tiny_export import SIZE, tiny

from zoo.cli import export as cli
from zoo.errors import InputError
from zoo.export import formats, to_format
from zoo.export.core.kinds import KINDS
from zoo.export.formats import Format, Option, Shape, register


@pytest.mark.parametrize("row", formats.FORMATS, ids=lambda row: row.name)
def test_every_part_that_a_row_names_is_there(row):
    for part in ("writer", "artifact", "runner", "probe", "check"):
        assert getattr(row, part) is None or callable(row.load(part))
    for part in ("artifact", "runner"):
        assert getattr(row, part) is None or row.load(part).format == row.name
    assert set(row.quantizations) <= set(KINDS)


def test_the_table_alone_imports_no_runtime():
    code = "import sys, zoo.export.formats; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"tensorflow", "keras", "onnx", "onnxruntime", "ai_edge_litert"} & set(done.stdout.split())


def test_taken_names_are_refused_and_a_registration_can_be_undone():
    new = Shape(title=".new file", suffix=".new")
    cases = [
        ("onnx", new, "there is a format 'onnx' already"),
        ("new", Shape(title=".onnx file", suffix=".onnx"), r"suffix '\.onnx' is that of the format 'onnx'"),
        ("new", Shape(title="folder", marker="saved_model.pb"), r"marker 'saved_model\.pb' is that of"),
    ]
    for name, shape, message in cases:
        with pytest.raises(InputError, match=message):
            register(Format(name=name, shape=shape, writer="m:write"))
    with pytest.raises(InputError, match="needs a suffix or a marker"):
        Shape(title="anything")
    registration = register(Format(name="new", shape=new, writer="m:write"))
    assert formats.names() == ("tflite", "onnx", "saved_model", "coreml", "new")
    registration.undo()
    assert formats.rows() == formats.FORMATS
    known = "tflite, onnx, saved_model, coreml"
    with pytest.raises(InputError, match=f"format must be one of {known}, not 'new'"):
        formats.find("new")


def test_folders_with_a_suffix_are_told_from_files(tmp_path):
    shape = Shape(title=".package folder", suffix=".package", marker="Manifest.json")
    path = tmp_path / "m.package"
    with register(Format(name="package", shape=shape, writer="m:write", artifact="m:Artifact")):
        assert formats.check_target(path, format="package") == path
        with pytest.raises(InputError, match=r"a package artifact must be named \*\.package"):
            formats.check_target(tmp_path / "m", format="package")
        with pytest.raises(InputError, match="a saved_model artifact is a folder and cannot be named"):
            formats.check_target(path, format="saved_model")
        path.mkdir()
        with pytest.raises(InputError, match=r"m\.package is no \.tflite file, .* or \.package folder"):
            formats.at(path)
        (path / "Manifest.json").touch()
        assert formats.at(path).name == "package"
        assert formats.check_target(path, format="package") == path


def test_what_is_not_installed_is_named():
    shape = Shape(title=".new file", suffix=".new")
    row = Format(name="new", shape=shape, writer="absent_one.writer:write", extra="new")
    with pytest.raises(InputError, match=r"new needs absent_one: pip install 'atrous-zoo\[new\]'"):
        row.load("writer")


def test_settings_that_a_format_does_not_have(tmp_path):
    cases = [
        ({"layout": "nchw"}, "a tflite artifact is nhwc, not nchw"),
        ({"options": {"opset": 18}}, "a tflite artifact has no setting 'opset'"),
    ]
    for settings, message in cases:
        with pytest.raises(InputError, match=message):
            to_format("tflite", None, tmp_path / "m.tflite", **settings)
    with pytest.raises(InputError, match="a saved_model file cannot be quantized"):
        to_format("saved_model", tiny(), tmp_path / "m", input_size=SIZE, quantize="int8")


def test_own_settings_are_options_of_the_command():
    row = Format(
        name="new",
        shape=Shape(title=".new file", suffix=".new"),
        writer="m:write",
        options=(Option(name="target_system", type=str, help="oldest system"),),
        layouts=("nchw",),
    )
    with register(row):
        parser = argparse.ArgumentParser()
        cli.add_parser(parser.add_subparsers())
        given = ["export", "m", "--format", "new", "--target-system", "9", "--output", "m.new"]
        assert parser.parse_args(given).target_system == "9"
