"""A container of somebody's own, added through the public table, works wherever a path to weights does."""

import base64
import json

import numpy as np
import pytest

import zoo
from zoo.errors import FormatError, InputError
from zoo.models.loading import arrays_of
from zoo.weights import CONTAINERS, Container, register_container, unregister_container

MODEL = "deeplabv3_aspp_mobilenet_v2"
SMALL = {"width": 0.25, "separable": True}


def write_toy(path, arrays):
    packed = {n: [a.shape, base64.b64encode(a.tobytes()).decode()] for n, a in arrays.items()}
    path.write_text(json.dumps(packed))


def read_toy(path):
    try:
        packed = json.loads(path.read_text()).items()
        return {n: np.frombuffer(base64.b64decode(d), "f4").reshape(shape) for n, (shape, d) in packed}
    except (ValueError, AttributeError) as error:
        raise FormatError(f"{path.name}: not a toy file: {error}") from error


@pytest.fixture
def toy():
    row = Container(name="toy", suffixes=(".toy",), layouts=("zoo",), reader=read_toy)
    register_container(row)
    yield row
    unregister_container("toy")


def test_a_toy_container_is_loaded_by_path(toy, tmp_path):
    model = zoo.load(MODEL, weights=None, classes=4, settings=SMALL)
    write_toy(tmp_path / "x.toy", arrays_of(model))
    again = zoo.load(MODEL, str(tmp_path / "x.toy"), settings=SMALL)
    image = np.random.default_rng(0).uniform(0, 255, (1, 33, 33, 3)).astype(np.float32)
    np.testing.assert_array_equal(again(image), model(image))
    with pytest.raises(InputError, match=r"named 'toy' is there already"):
        register_container(toy)
    with pytest.raises(InputError, match=r"\.pt is the suffix of a container already"):
        register_container(Container(name="other", suffixes=(".pt",), layouts=("zoo",), reader=read_toy))


def test_without_its_row_the_file_is_of_an_unknown_kind(tmp_path):
    write_toy(tmp_path / "x.toy", {})
    with pytest.raises(InputError, match=r"x\.toy: unknown kind of weights file; allowed: \.keras"):
        zoo.load(MODEL, tmp_path / "x.toy")
    with pytest.raises(InputError, match="'toy' was not registered; registered: none"):
        unregister_container("toy")
    assert "toy" not in CONTAINERS
