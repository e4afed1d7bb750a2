"""What sources give: checkpoints, containers and the maps that fit them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import InputError, MismatchError
from zoo.labels import numbered
from zoo.weights import CONTAINERS, NAME_MAPS, Checkpoint, Container, catalog, checkpoint, containers
from zoo.weights.name_maps.base import RULES

OWN = {
    "backbone.stem.conv/kernel": np.ones((3, 3, 3, 8), np.float32),
    "classifier/kernel": np.ones((1, 1, 8, 5), np.float32),
    "classifier/bias": np.ones(5, np.float32),
}


@pytest.fixture
def counted():
    """A container of tensors by the names of several publishers; counts its readings."""
    held, readings = dict(OWN), []

    def read(path):
        readings.append(path)
        return dict(held)

    row = Container(name="counted", suffixes=(".counted",), layouts=("zoo", "torch", "tflite"), reader=read)
    containers.register_container(row)
    yield held, readings
    containers.unregister_container("counted")


def of_file(path, model="deeplabv3_aspp_mobilenet_v2"):
    return checkpoint.of_file(path, model=model, entries=catalog.entries_of(model))


def test_a_file_is_read_once_for_all_maps(counted, tmp_path):
    held, readings = counted
    (tmp_path / "x.counted").touch()
    (found,) = of_file(tmp_path / "x.counted")
    assert len(readings) == 1
    assert found.name_map.key == "zoo" and found.source == "x.counted" and found.labels == numbered(5)
    assert {path: array.shape for path, array in found.arrays.items()} == {p: a.shape for p, a in OWN.items()}
    held["stranger"] = np.ones(3, np.float32)
    with pytest.raises(MismatchError, match=r"x\.counted: the file does not fit name map"):
        of_file(tmp_path / "x.counted")
    assert len(readings) == 2


def test_forms_of_one_map_share_their_arrays(data_dir):
    first, second = of_file(data_dir / "coral" / "deeplabv3_mnv2_dm05_pascal_quant.tflite")
    assert (first.is_published, second.is_published) == (False, True)  # known by its digest
    assert first.settings["output_stride"] == 16 and "width" not in first.settings
    assert second.settings["width"] == 0.5
    assert all(first.arrays[path] is second.arrays[path] for path in first.arrays)


def test_a_checkpoint_is_read_only():
    made = Checkpoint(source="x", arrays=OWN, name_map=NAME_MAPS["zoo"], settings={"width": 0.5})
    with pytest.raises(AttributeError):
        made.labels = numbered(2)
    with pytest.raises(TypeError):
        made.settings["width"] = 1.0
    with pytest.raises(TypeError):
        made.arrays["a"] = np.ones(1)


def test_the_tables_fit_each_other():
    held = {layout for row in CONTAINERS.values() for layout in row.layouts}
    assert held == set(RULES) == {name_map.layout for name_map in NAME_MAPS.values()}
    for entry in catalog.ENTRIES:
        row = containers.recognize(Path(entry.file))
        assert NAME_MAPS[entry.name_map].layout in row.layouts
    with pytest.raises(TypeError):
        CONTAINERS["toy"] = None


def test_the_longest_suffix_decides():
    row = Container(name="packed", suffixes=(".packed.npz",), layouts=("zoo",), reader=dict)
    containers.register_container(row)
    try:
        assert containers.recognize(Path("x.PACKED.npz")) is row
        assert containers.recognize(Path("x.npz")) is CONTAINERS["npz"]
    finally:
        containers.unregister_container("packed")


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"suffixes": ("toy",)}, "with a dot first"),
        ({"suffixes": ".toy"}, "with a dot first"),
        ({"layouts": ("jax",)}, "layouts are of torch"),
        ({"layouts": ()}, "exactly if it holds tensors"),
        ({"reader": None}, "exactly if it holds tensors"),
        ({"holds": "model"}, "exactly if it holds tensors"),
        ({"holds": "graphs"}, "tensors, model or variables"),
    ],
)
def test_rows_that_contradict_themselves(changes, message):
    fields = {"name": "toy", "suffixes": (".toy",), "layouts": ("zoo",), "reader": dict}
    with pytest.raises(InputError, match=message):
        Container(**fields | changes)


def test_public_names_are_importable_and_the_package_is_light():
    code = (
        "import sys, zoo.weights as w; before = {'numpy', 'keras', 'tensorflow'} & set(sys.modules);"
        "assert all(hasattr(w, name) and name in dir(w) for name in w.__all__); print(before)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.stdout.strip() == "set()", run.stderr
