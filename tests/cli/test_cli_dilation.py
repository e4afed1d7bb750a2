"""`zoo dilation` from its own parser: what it prints, writes and returns."""

import argparse
import json
import os
import subprocess
import sys
import xml.etree.ElementTree

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.cli.dilation import add_parser
from zoo.dilation import coverage, plot, plot_model
from zoo.errors import InputError, ZooError


def run(*words):
    parser = argparse.ArgumentParser(prog="zoo")
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["dilation", *map(str, words)])
    return args.run(args)


def test_check_of_rates_that_pass(capsys):
    assert run("check", 1, 2, 5) == 0
    out = capsys.readouterr().out
    assert "1-2-5 with kernel 3: pass" in out
    assert "M_1 = 1, M_2 = 2, M_3 = 5" in out
    assert "17 × 17" in out
    assert "0 of 289 pixels (100.0 % reached)" in out
    assert "suggestion" not in out


def test_check_of_rates_that_fail(capsys):
    assert run("check", 2, 2, 2) == 1
    out = capsys.readouterr().out
    assert "2-2-2 with kernel 3: fail" in out
    assert "because the rates share the factor 2" in out
    assert "120 of 169 pixels (29.0 % reached)" in out
    assert "saw tooth" in out
    assert "1-2-3: passes without holes, receptive field 13 × 13" in out


def test_check_uses_the_kernel(capsys):
    assert run("check", 1, 2, 9) == 1
    assert run("check", 1, 2, 9, "--kernel", 5) == 0
    assert "M_2 = 5 is larger than the kernel size 3" in capsys.readouterr().out


def test_check_as_json(capsys):
    assert run("check", 2, 4, 6, "--json", "-") == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["passes"] is False
    assert facts["rates"] == [2, 4, 6]
    assert facts["kernel"] == 3
    assert facts["m"] == [2, 4, 6]
    assert facts["m2"] == 4
    assert facts["common_factor"] == 2
    assert facts["receptive_field"] == 25
    assert facts["pixels"] == 625
    assert facts["holes"] == 625 - 13**2
    assert facts["suggestion"] == [1, 3, 8]
    assert len(facts["reasons"]) == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["check", "x"], "each rate must be a whole number; got 'x'"),
        (["check", "1.5"], "each rate must be a whole number; got '1.5'"),
        (["check", "0"], "from 1 to 1024; got 0"),
        (["check", "-2"], "from 1 to 1024; got -2"),
        (["check", "1", "--kernel", "4"], "odd, from 3 to 31; got 4"),
        (["check", "1", "--kernel", "big"], "kernel size must be a whole number; got 'big'"),
        (["plot", "--output", "a.png"], "either rates or --model"),
        (["plot", "1", "--model", "m", "--output", "a.png"], "either rates or --model"),
        (["plot", "1", "--layer", "l", "--output", "a.png"], "--layer"),
        (["plot", "--model", "m", "--kernel", "3", "--output", "a.png"], "--kernel"),
        (["plot", "1", "--output", "a.jpeg"], r"\.png, \.svg, \.pdf; got 'a.jpeg'"),
        (["plot", "1", "--output", "no/such/a.png"], "folder 'no/such'"),
    ],
)
def test_bad_input_is_one_clear_line(words, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZooError, match=message) as error:
        run(*words)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [[], ["check"], ["plot"]])
def test_help_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as status:
        run(*command, "--help")
    assert status.value.code == 0
    assert f"zoo dilation {' '.join(command)}".strip() in capsys.readouterr().out.split("examples:")[1]


def test_plot_of_rates(tmp_path, capsys):
    target = tmp_path / "gridding.png"
    assert run("plot", 2, 2, 2, "--output", target, "--json", "-") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["output"] == str(target)
    assert facts["receptive_field"] == [13, 13]
    assert [path.name for path in tmp_path.iterdir()] == ["gridding.png"]
    assert hole_pixels(target) > 10_000


def hole_pixels(path):
    """Pixels of a picture in the colour of holes, E69F00."""
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    return int((np.abs(pixels - (0xE6, 0x9F, 0x00)).max(-1) <= 2).sum())


def test_only_pictures_of_holes_have_their_colour(tmp_path):
    assert hole_pixels(plot([1, 2, 5], path=tmp_path / "full.png")) == 0
    assert hole_pixels(plot([1, 2, 9], path=tmp_path / "holes.png")) > 1000


@pytest.mark.parametrize("suffix", ["svg", "SVG", "pdf"])
def test_other_formats(suffix, tmp_path):
    path = plot([2, 3], path=tmp_path / f"a.{suffix}")
    if suffix == "pdf":
        assert path.read_bytes().startswith(b"%PDF")
    else:
        assert xml.etree.ElementTree.parse(path).getroot().tag.endswith("svg")


def test_counts_beyond_floats_can_be_drawn(tmp_path):
    rates = [1] * 350
    assert coverage(rates, dims=1).max() > 10**160
    assert plot(rates, path=tmp_path / "deep.png").exists()


def test_a_failed_write_leaves_the_old_picture_and_no_parts(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    target = tmp_path / "a.png"
    target.write_bytes(b"old")

    def fail(self, part, **_):
        part.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(InputError, match="No space left on device"):
        plot([2], path=target)
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_is_not_a_picture(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        plot([2], path=tmp_path / "a.png")


@pytest.fixture
def gridded():
    import keras

    x = inputs = keras.Input((None, None, 1))
    for rate in (2, 4):
        x = keras.layers.Conv2D(1, 3, padding="same", dilation_rate=rate, name=f"rate{rate}")(x)
    return keras.Model(inputs, x, name="gridded")


def test_plot_of_a_model(gridded, tmp_path, capsys, monkeypatch):
    asked = {}

    def load(name, **options):
        asked[name] = options
        return gridded

    monkeypatch.setattr(zoo, "load", load, raising=False)
    target = tmp_path / "model.png"
    assert run("plot", "--model", "some_model", "--output", target, "--json", "-") == 0
    facts = json.loads(capsys.readouterr().out)
    assert asked == {"some_model": {"weights": None}}
    assert facts["layer"] == "rate4"
    assert facts["receptive_field"] == [13, 13]
    assert facts["rates"] == [[2, 4]]
    assert hole_pixels(target) > 10_000
    run("plot", "--model", "some_model", "--layer", "rate2", "--output", target)
    assert "receptive field 5 × 5, 16 holes; wrote" in capsys.readouterr().out


def test_models_side_by_side(gridded, tmp_path):
    one = Image.open(plot_model(gridded, path=tmp_path / "one.png"))
    two = Image.open(plot_model(gridded, beside=gridded, path=tmp_path / "two.png"))
    assert two.width > 1.6 * one.width


def test_functions_keep_their_names_after_importing_their_modules():
    import zoo.dilation.coverage
    import zoo.dilation.plot

    assert zoo.dilation.plot is plot
    assert zoo.dilation.coverage is coverage


def test_check_imports_no_tensorflow():
    code = """
import argparse, sys
from zoo.cli.dilation import add_parser
parser = argparse.ArgumentParser()
add_parser(parser.add_subparsers())
args = parser.parse_args(["dilation", "check", "1", "2", "5"])
assert args.run(args) == 0
sys.exit(bool({"tensorflow", "keras", "matplotlib"} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
