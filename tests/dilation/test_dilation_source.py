"""Coverage on a map inside the network, where gridding shows, and `zoo dilation plot --uniform`."""

import argparse
import json

import keras
import numpy as np
import pytest
from PIL import Image

from zoo.cli.dilation import add_parser
from zoo.dilation import analyse, coverage, dilation_input
from zoo.errors import InputError

layers = keras.layers


def conv(rate=1, **options):
    return layers.Conv2D(1, 3, padding="same", dilation_rate=rate, **options)


@pytest.fixture(scope="module")
def residual():
    """An undilated block, then two dilated ones with shortcuts."""
    x = inputs = keras.Input((64, 64, 1))
    x = conv(strides=2, name="stem")(x)
    x = conv(name="entry")(x)
    for index, rate in enumerate((2, 4)):
        x = layers.Add(name=f"add{index}")([x, conv(rate, name=f"dilated{index}")(x)])
    return keras.Model(inputs, layers.UpSampling2D(2)(x), name="some_model")


def run(*words):
    parser = argparse.ArgumentParser(prog="zoo")
    add_parser(parser.add_subparsers())
    args = parser.parse_args(["dilation", *map(str, words)])
    return args.run(args)


def test_holes_show_on_the_map_that_enters_and_not_from_the_image(residual):
    assert len(analyse(residual).holes) == 0
    found = analyse(residual, source="entry")
    assert found.source == "entry"
    assert found.receptive_field == (13, 13)
    assert found.output_stride == (1, 1)
    assert found.rates == ((2, 4),)
    assert np.array_equal(found.counts == 0, coverage([2, 4]) == 0)
    assert found.reached == (49, 169)


def test_the_map_that_enters_is_found(residual):
    assert dilation_input(residual) == "entry"
    assert dilation_input(residual, layer="dilated1") == "entry"


def test_a_shortcut_around_a_layer_is_no_way_in(residual):
    """The dilated convolution's own input would do in a chain; here the shortcut passes it by."""
    assert analyse(residual, layer="dilated0", source="stem").receptive_field == (7, 7)
    with pytest.raises(InputError, match="layer 'add1' reads the image past layer 'dilated0' as well"):
        analyse(residual, source="dilated0")


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"source": "nothing"}, "no layer 'nothing'"),
        (
            {"layer": "entry", "source": "add1"},
            "reads layer 'add1' through pooled context only, or not at all",
        ),
    ],
)
def test_sources_that_are_refused(residual, arguments, message):
    with pytest.raises(InputError, match=message):
        analyse(residual, **arguments)


def test_networks_without_dilation_have_no_such_map(residual):
    with pytest.raises(InputError, match="no layer of 'some_model' before 'entry' is dilated"):
        dilation_input(residual, layer="entry")


def test_uniform_rates_beside_hybrid_ones(tmp_path, capsys):
    picture = tmp_path / "gridding.png"
    assert run("plot", "--model", "duc_hdc", "--uniform", "--output", picture, "--json", "-") == 0
    facts = json.loads(capsys.readouterr().out)
    # Rates 2, 2-5-9-1, 2-5, 5-9-17-1 and the widest branch, 24; against 2 (×7), 4 (×4) and 24.
    assert facts["receptive_field"] == [165, 165]
    assert facts["holes"] == 0
    assert facts["uniform"]["receptive_field"] == [109, 109]
    assert facts["uniform"]["holes"] == 109**2 - 55**2
    assert facts["source"] == facts["uniform"]["source"] == "backbone.block6.expand.relu6"
    pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
    orange = np.abs(pixels - (230, 159, 0)).max(-1) < 8
    top, left = pixels.shape[0] // 2, 45 * pixels.shape[1] // 100  # the first panel ends there
    assert orange[:top, :left].sum() < 100 < 10_000 < orange[:top, left:].sum()


@pytest.mark.parametrize(
    "words, message",
    [
        (("--model", "deeplabv3_aspp", "--uniform"), "deeplabv3_aspp_mobilenet_v2 has no hybrid rates"),
        (("2", "2", "--uniform"), "belong to --model"),
        (("2", "2", "--source", "x"), "belong to --model"),
    ],
)
def test_bad_combinations(tmp_path, words, message):
    with pytest.raises(InputError, match=message):
        run("plot", *words, "--output", tmp_path / "x.png")
