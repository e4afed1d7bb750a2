"""``--checkpoint-key``: where in a file the weights are, in every command that loads some."""

import argparse
import logging

import numpy as np
import pytest
from support.drawn_images import draw_squares
from support.torch_files import simple, write_zip
from support.torch_parity import seeded_source

import zoo
from zoo import cli
from zoo.cli import main
from zoo.errors import InputError, MismatchError
from zoo.labels import numbered
from zoo.models import registry
from zoo.weights import catalog, name_maps

MODEL = "lraspp_mobilenet_v3_large"


def parsers():
    def walk(parser, name):
        inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        for action in inner:
            for word, child in action.choices.items():
                yield from walk(child, f"{name} {word}".strip())
        if not inner:
            yield name, parser

    return dict(walk(cli.build_parser(["--help"]), ""))


def test_every_command_that_takes_a_file_of_weights_has_it():
    found = {}
    for name, parser in parsers().items():
        takes = [a.option_strings[0] for a in parser._actions if a.metavar == "TAG|PATH"]
        words = {word for action in parser._actions for word in action.option_strings}
        found |= {(name, option): option.replace("weights", "checkpoint-key") in words for option in takes}
    assert len(found) == 11 and all(found.values()), found


@pytest.mark.parametrize(
    "words",
    [
        "segment {model} {image} --output {out}",
        "evaluate {model} --dataset folder --data {data} --classes 2",
        "export {model} --format onnx --output {out}/m.onnx",
        "train {model} --dataset folder --data {data} --classes 2 --output {out} --batch-size 2",
        "compress {model} --method qat --batch-size 2 --dataset folder --data {data} --classes 2 "
        "--output {out}",
    ],
)
def test_it_reaches_the_file(words, tmp_path, monkeypatch, capsys):
    def load(name, weights, *, checkpoint_key, **_):
        raise InputError(f"asked for {checkpoint_key} of {weights}")

    monkeypatch.setattr("zoo.models.loading.load", load)
    data = draw_squares(tmp_path / "data")
    image = next(path for path in data.rglob("*.png"))
    given = words.format(model=MODEL, image=image, data=data, out=tmp_path)
    assert main([*given.split(), "--weights", "m.pth", "--checkpoint-key", "model_ema"]) == 2
    assert "asked for model_ema of m.pth" in capsys.readouterr().err


@pytest.fixture(scope="module")
def source():
    entry = catalog.find(MODEL, "coco")
    model = registry.resolve(MODEL).build()(label_set=numbered(3), **entry.settings)
    return seeded_source(model, name_maps.resolve(entry.name_map))


def saved(path, **states):
    root, storages = {}, []
    for key, state in states.items():
        root[key] = {}
        for name, array in state.items():
            root[key][name], storage = simple(str(len(storages)), array)
            storages.append(storage)
    return write_zip(path, root, storages)


def test_weights_and_their_average(tmp_path, source, caplog):
    half = {f"module.{n}": a / 2 if n.startswith("classifier") else a for n, a in source.items()}
    path = saved(tmp_path / "last.pth.tar", model=source, model_ema=half | {"n_averaged": np.array(3)})
    bias = source["classifier.low_classifier.bias"]
    assert np.any(bias)
    with caplog.at_level(logging.WARNING, logger="zoo"):
        model = zoo.load(MODEL, path)
    np.testing.assert_array_equal(model.get_layer("classifier.low").bias, bias)
    assert [line for line in caplog.messages if "'model_ema' would fit too" in line]
    model = zoo.load(MODEL, path, checkpoint_key="model_ema")
    np.testing.assert_array_equal(model.get_layer("classifier.low").bias, bias / 2)
    path = saved(tmp_path / "two.pth", netA=source, netB=half)
    with pytest.raises(MismatchError, match=r"two\.pth: several sets .* differ: 'netA', 'netB'"):
        zoo.load(MODEL, path)


def test_where_there_is_nothing_to_choose():
    with pytest.raises(InputError, match="weights='coco' is no file"):
        zoo.load(MODEL, "coco", checkpoint_key="model")
    with pytest.raises(InputError, match="weights=None is no file"):
        zoo.load(MODEL, None, checkpoint_key="model")


def test_a_keras_file_has_one_set(tmp_path):
    zoo.load("lraspp_mobilenet_v2", None, classes=2, settings={"width": 0.25}).save(tmp_path / "m.keras")
    with pytest.raises(InputError, match=r"m\.keras: checkpoint_key is for files of several sets"):
        zoo.load("lraspp_mobilenet_v2", tmp_path / "m.keras", checkpoint_key="model")
