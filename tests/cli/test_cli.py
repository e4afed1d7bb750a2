import json
import os
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
from PIL import Image

import zoo.models.loading
from zoo import cli
from zoo.cli import main
from zoo.errors import InputError
from zoo.images import read_image, read_mask
from zoo.inference import segment
from zoo.labels import VOC21
from zoo.layers.resize import set_source
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp

RNG = np.random.default_rng(2)


def run_python(code: str, **options) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, **options
    )


# --- main ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["segment", "--help"], []])
def test_light_commands_import_nothing_heavy(arguments):
    code = f"""
import sys
from zoo.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
heavy = {{"tensorflow", "keras", "matplotlib", "PIL", "onnx", "h5py"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    done = run_python(code)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_help_lists_every_command(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["--help"])
    assert exit_.value.code == 0
    out = capsys.readouterr().out
    assert all(f"    {name} " in out for name in cli._MODULE_OF)


@pytest.mark.parametrize("command", sorted(cli._MODULE_OF))
def test_every_command_has_help_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command, "--help"])
    assert exit_.value.code == 0
    assert f"zoo {command}" in capsys.readouterr().out.split("example", 1)[1]


def test_version_and_no_command(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"zoo {zoo.__version__}\n"
    assert main([]) == 2
    assert "usage: zoo" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["bogus", "models"])
def test_an_unknown_command_names_the_known_ones(command, capsys):
    with pytest.raises(SystemExit) as exit_:
        main([command])
    assert exit_.value.code == 2
    assert "segment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (InputError("two\n lines"), 2, "zoo: error: two lines\n"),
        (KeyboardInterrupt(), 130, "zoo: error: interrupted\n"),
        (OSError(28, "No space left on device"), 2, "zoo: error: No space left on device\n"),
        (PermissionError(13, "Permission denied", "x"), 2, "zoo: error: x: Permission denied\n"),
        (BrokenPipeError(32, "Broken pipe"), 0, ""),
    ],
)
def test_errors_are_one_line_and_a_status(error, status, line, monkeypatch, capsys):
    def run(args):
        raise error

    module = types.SimpleNamespace(add_parser=lambda s: s.add_parser("list").set_defaults(run=run))
    monkeypatch.setitem(sys.modules, "zoo.cli.models", module)
    monkeypatch.setattr(cli, "_abandon_stdout", lambda: None)
    assert main(["list"]) == status
    assert capsys.readouterr().err == line


def test_an_error_of_the_program_is_not_hidden(monkeypatch):
    def run(args):
        raise ZeroDivisionError

    module = types.SimpleNamespace(add_parser=lambda s: s.add_parser("list").set_defaults(run=run))
    monkeypatch.setitem(sys.modules, "zoo.cli.models", module)
    with pytest.raises(ZeroDivisionError):
        main(["list"])


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_closed_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)
    process = subprocess.run(
        [sys.executable, "-m", "zoo", "list"], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (process.returncode, process.stderr) == (0, "")


def test_tensorflow_is_imported_without_chatter():
    code = "from zoo.cli import import_tensorflow as f; f(); import sys; sys.stderr.write('heard')"
    done = run_python(code, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert (done.returncode, done.stderr) == (0, "heard")


# --- segment ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = deeplabv3_aspp(backbone="mobilenet_v2", label_set=VOC21, width=0.35, rates=())
    set_source(model, name="deeplabv3_aspp_mobilenet_v2", weights="random")
    return model


@pytest.fixture
def folder(tmp_path, monkeypatch, model):
    """A working folder with images of the same name in two sub-folders, and a `load` that needs no file."""
    monkeypatch.chdir(tmp_path)
    loaded = []

    def load(name, weights="default", *, allow_unverified=False):
        loaded.append((name, weights))
        return model

    monkeypatch.setattr(zoo.models.loading, "load", load)
    for number, name in enumerate(("a/x.png", "b/x.png", "b/y.png")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pixels = RNG.integers(0, 256, (33 + number, 65, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
    return types.SimpleNamespace(path=tmp_path, loaded=loaded)


def files(path) -> list[str]:
    return sorted(os.listdir(path))


def test_segment_writes_overlay_and_mask_and_prints_shares(folder, model, capsys):
    assert main(["segment", "m", "a/x.png", "--output", "o/p", "--weights", "voc2012"]) == 0
    assert folder.loaded == [("m", "voc2012")]
    assert files("o/p") == ["x_mask.png", "x_overlay.png"]
    result = segment(model, "a/x.png")
    np.testing.assert_array_equal(read_mask("o/p/x_mask.png"), result.mask)
    np.testing.assert_array_equal(read_image("o/p/x_overlay.png"), result.overlay())
    out = capsys.readouterr().out
    assert "a/x.png  65x33" in out
    for name, share in result.shares():
        line = next(line for line in out.splitlines() if line.split()[:1] == [name.split()[0]])
        assert float(line.split()[-2]) == pytest.approx(100 * share, abs=0.051)


def test_segment_options_reach_the_model(folder, model):
    options = ["--scales", "0.5,1", "--flip", "--tile", "32x48", "--no-legend", "--opacity", "0.2"]
    assert main(["segment", "m", "b/y.png", *options]) == 0
    result = segment(model, "b/y.png", scales=(0.5, 1), flip=True, tile=(32, 48))
    np.testing.assert_array_equal(read_mask("out/y_mask.png"), result.mask)
    shown = read_image("out/y_overlay.png")
    np.testing.assert_array_equal(shown, result.overlay(opacity=0.2, legend=False))


def test_segment_json_is_one_document(folder, model, capsys):
    assert main(["segment", "m", "a", "b", "--json", "-", "--flip", "--tile", "64"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["model"] == "deeplabv3_aspp_mobilenet_v2"
    assert document["weights"] == "random"
    assert document["labels"] == "voc21"
    assert (document["scales"], document["flip"], document["tile"]) == ([1.0], True, [64, 64])
    assert document["failed"] == []
    rows = document["images"]
    assert [row["path"] for row in rows] == [
        os.path.join(*n) for n in ("ax", "bx", "by") for n in [(n[0], f"{n[1]}.png")]
    ]
    assert [(row["height"], row["width"]) for row in rows] == [(33, 65), (34, 65), (35, 65)]
    for row in rows:
        assert sum(row["shares"].values()) == pytest.approx(1)
        assert os.path.isfile(row["overlay"])
        assert read_mask(row["mask"]).shape == (row["height"], row["width"])
    assert len({row["mask"] for row in rows}) == 3


def test_same_names_get_distinct_files(folder):
    assert main(["segment", "m", "a/x.png", "b/*.png", "a/x.png"]) == 0
    assert files("out") == [
        f"{name}_{kind}.png" for name in ("x-2", "x", "y") for kind in ("mask", "overlay")
    ]
    assert read_mask("out/x_mask.png").shape == (33, 65)
    assert read_mask("out/x-2_mask.png").shape == (34, 65)


def test_an_input_is_never_replaced(folder):
    os.rename("b/y.png", "b/x_mask.png")
    before = (folder.path / "b/x_mask.png").read_bytes()
    assert main(["segment", "m", "b", "--output", "b"]) == 0
    assert (folder.path / "b/x_mask.png").read_bytes() == before
    assert os.path.isfile("b/x-2_mask.png")


def test_a_bad_image_does_not_stop_the_others(folder, capsys):
    (folder.path / "a/bad.png").write_bytes(b"")
    assert main(["segment", "m", "a", "nope.jpg", "b/y.png", "--json", "-"]) == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert [os.path.basename(row["path"]) for row in document["images"]] == ["x.png", "y.png"]
    assert [os.path.basename(row["path"]) for row in document["failed"]] == ["nope.jpg", "bad.png"]
    lines = captured.err.splitlines()
    assert all(line.startswith("zoo: error: ") for line in lines)
    assert len(lines) == 2


def test_all_images_bad(folder, capsys):
    (folder.path / "a/x.png").write_bytes(b"text")
    assert main(["segment", "m", "a"]) == 2
    assert "x.png" in capsys.readouterr().err
    assert main(["segment", "m", "nope.jpg"]) == 2
    assert capsys.readouterr().err == "zoo: error: nope.jpg: no such file or folder\n"
    assert folder.loaded == [("m", "default")]  # nothing is loaded for nothing


def test_an_output_that_cannot_be_written_stops_at_once(folder, capsys):
    (folder.path / "taken").write_bytes(b"")
    assert main(["segment", "m", "b", "--output", "taken"]) == 2
    err = capsys.readouterr().err
    assert "taken" in err
    assert err.count("\n") == 1
    (folder.path / "out" / "x_overlay.png").mkdir(parents=True)
    assert main(["segment", "m", "b"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert files("out") == ["x_overlay.png"]


@pytest.mark.parametrize(
    "option",
    [
        ["--scales", "0"],
        ["--scales", "a,1"],
        ["--scales", "inf"],
        ["--tile", "0x3"],
        ["--tile", "1x2x3"],
        ["--tile", "x"],
        ["--opacity", "2"],
        ["--opacity", "nan"],
    ],
)
def test_bad_options_are_refused_before_anything_is_done(folder, option, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["segment", "m", "a", *option])
    assert exit_.value.code == 2
    assert option[0] in capsys.readouterr().err
    assert folder.loaded == []


@pytest.mark.parametrize("name", ["best.keras", "mine.pth"])
def test_a_file_of_weights_in_place_of_a_model_is_told_where_it_goes(tmp_path, name, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(b"weights")
    Image.new("RGB", (8, 8)).save("a.png")
    assert main(["segment", name, "a.png", "--output", "out"]) == 2
    error = capsys.readouterr().err
    assert f"unknown model '{name}'" in error and f"MODEL --weights {name}" in error
    assert error.count("\n") == 1 and not (tmp_path / "out").exists()
