import subprocess
import sys

import pytest

from zoo.errors import InputError
from zoo.export import formats
from zoo.export.core.kinds import KINDS
from zoo.export.formats import Format, Shape, register


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
    assert formats.names() == ("tflite", "onnx", "saved_model", "new")
    registration.undo()
    assert formats.rows() == formats.FORMATS
    with pytest.raises(InputError, match="format must be one of tflite, onnx, saved_model, not 'new'"):
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


def test_packages_that_are_not_installed_are_named():
    row = Format(
        name="new",
        shape=Shape(title="", suffix=".new"),
        writer="json:dumps",
        packages=("absent-one",),
        extra="new",
    )
    with pytest.raises(InputError, match=r"new needs absent-one: pip install 'atrous-zoo\[new\]'"):
        row.load("writer")
