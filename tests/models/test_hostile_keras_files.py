"""A ``.keras`` file whose description asks for gigabytes, in the file of a small model."""

import json
import resource
import shutil
import zipfile

import keras
import pytest

from zoo.errors import FormatError
from zoo.models.keras_files import read_keras


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A model of two convolutions in a row, saved."""
    x = keras.Input((None, None, 3), name="image")
    y = keras.layers.Conv2D(4, 1, name="a")(x)
    y = keras.layers.Dropout(0.5)(keras.layers.Conv2D(5, 3, name="b")(y))
    path = tmp_path_factory.mktemp("saved") / "small.keras"
    keras.Model(x, y).save(path)
    return path


def rewritten(small, path, change):
    with zipfile.ZipFile(small) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "config.json":
                config = json.loads(content)
                change({layer["config"]["name"]: layer["config"] for layer in config["config"]["layers"]})
                for layer in config["config"]["layers"]:
                    layer.pop("build_config", None)
                content = json.dumps(config).encode()
            target.writestr(name, content)
    return path


def test_a_small_model_is_read(small, tmp_path):
    model = read_keras(shutil.copy(small, tmp_path / "again.keras"))
    assert [v.shape for v in model.weights] == [(1, 1, 3, 4), (4,), (3, 3, 4, 5), (5,)]
    assert len(model.variables) == 5 and all(v.value is not None for v in model.variables)


@pytest.mark.parametrize(
    "sizes", [{"a": 40_000, "b": 40_000}, {"b": 2_000_000_000}, {"a": 1 << 40}], ids=["two", "one", "beyond"]
)
def test_a_description_of_gigabytes(small, tmp_path, sizes):
    def change(layers):
        for name, filters in sizes.items():
            layers[name]["filters"] = filters

    path = rewritten(small, tmp_path / "m.keras", change)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(FormatError, match=r"m\.keras: ") as caught:
        read_keras(path)
    assert "\n" not in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000
    assert keras.layers.Dense(2)(keras.ops.ones((1, 3))).shape == (1, 2)  # nothing is left to be made


def test_a_description_that_keras_cannot_follow(small, tmp_path):
    def change(layers):
        layers["a"]["filters"] = "many"

    with pytest.raises(FormatError, match=r"m\.keras: not a readable \.keras file"):
        read_keras(rewritten(small, tmp_path / "m.keras", change))
