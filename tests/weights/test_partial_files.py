"""Files that hold a part of a network, and what is told of files that fit nothing."""

import numpy as np
import pytest
from support.torch_files import save_state
from support.torch_parity import give_seeded, seeded_source

import zoo
from zoo.errors import MismatchError
from zoo.labels import VOC21
from zoo.models import registry
from zoo.models.assignment import variables_of
from zoo.weights import catalog, name_maps
from zoo.weights.containers import CONTAINERS
from zoo.weights.fitting import fits_of

NAME, MAP = "deeplabv3_aspp_mobilenet_v3_large", "torchvision_deeplabv3_mobilenet_v3_large"
BACKBONE, AUXILIARY = "backbone.", "aux_classifier."


@pytest.fixture(scope="module")
def trained():
    """The network of torchvision's file with its auxiliary head, and its tensors."""
    spec = registry.resolve(NAME)
    settings = {**spec.settings, **catalog.find(NAME, "coco").settings}
    model = spec.build()(label_set=VOC21, auxiliary=True, **settings)
    name_map = name_maps.resolve(MAP)
    return give_seeded(model, name_map), seeded_source(model, name_map)


def kept(model, trained):
    """The layers whose variables are those of the file."""
    theirs = variables_of(trained)
    other = {
        path.split("/")[0]
        for path, v in variables_of(model).items()
        if v.shape != theirs[path].shape or not np.array_equal(v, theirs[path])
    }
    return layers(model) - other


def layers(model):
    return {path.split("/")[0] for path in variables_of(model)}


def parts(names):
    return {layer.split(".")[0] for layer in names}


CUTS = {
    "no classifier": (lambda n: n.startswith("classifier.4"), "classifier", {"classifier"}),
    "no head": (lambda n: n.startswith("classifier"), "head", {"aspp", "head", "classifier"}),
    "backbone only": (lambda n: not n.startswith(BACKBONE), "head", {"aspp", "head", "classifier"}),
    "no classifiers": (
        lambda n: n.startswith(("classifier.4", "aux_classifier.4")),
        "classifier and no whole auxiliary head",
        {"classifier"},
    ),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_part_loads_with_classes(cut, trained, tmp_path, caplog):
    drop, lacking, fresh = CUTS[cut]
    model, tensors = trained
    path = save_state(tmp_path / "mine.pth", {n: a for n, a in tensors.items() if not drop(n)})
    with pytest.raises(MismatchError, match=rf"mine\.pth: has no {lacking}, and fits .*'{MAP}'.*; classes=…"):
        zoo.load(NAME, path)
    caplog.clear()
    loaded = zoo.load(NAME, path, classes=4)
    assert loaded.output_shape[-1] == 4
    assert parts(layers(loaded) - kept(loaded, model)) == fresh
    ((told),) = [r.message for r in caplog.records if "fresh:" in r.message]
    assert set(told.split("fresh: ")[1].split(", ")) == fresh


def test_a_part_of_the_auxiliary_head(trained, tmp_path, caplog):
    """Its convolution is there, its classifier is not: the rest of the file is whole."""
    model, tensors = trained
    path = save_state(tmp_path / "m.pth", {n: a for n, a in tensors.items() if "aux_classifier.4" not in n})
    with pytest.raises(MismatchError, match=r"m\.pth: has no whole auxiliary head, .*; classes=…"):
        zoo.load(NAME, path)
    loaded = zoo.load(NAME, path, classes=21, auxiliary=True)
    assert {"classifier", "auxiliary.reduce.conv", "auxiliary.reduce.bn"} <= kept(loaded, model)
    assert "fresh: auxiliary.classifier" in caplog.text
    caplog.clear()
    loaded = zoo.load(NAME, path, classes=21)
    assert "classifier" in kept(loaded, model) and "fresh:" not in caplog.text


def test_without_auxiliary(trained, tmp_path, caplog):
    """A file without any of it is whole; what a second output needs is fresh."""
    model, tensors = trained
    path = save_state(tmp_path / "m.pth", {n: a for n, a in tensors.items() if not n.startswith(AUXILIARY)})
    zoo.load(NAME, path)
    assert "fresh:" not in caplog.text
    assert "classifier" in kept(zoo.load(NAME, path, auxiliary=True), model)
    assert "fresh: auxiliary" in caplog.text


@pytest.mark.parametrize("name", ["backbone.0.0.weight", "classifier.1.weight", "classifier.4.weight"])
def test_a_hole_is_no_part(name, trained, tmp_path):
    """One tensor that is missing is a damaged file, whatever classes are asked for."""
    tensors = {n: a for n, a in trained[1].items() if n != name}
    path = save_state(tmp_path / "m.pth", tensors)
    with pytest.raises(MismatchError, match=rf"'{MAP}': missing in the file \(1\): {name}"):
        zoo.load(NAME, path, classes=3)


def test_a_kept_classifier_must_be_there(trained, tmp_path):
    path = save_state(tmp_path / "m.pth", {n: a for n, a in trained[1].items() if "classifier.4" not in n})
    with pytest.raises(MismatchError, match="has no classifier"):
        zoo.load(NAME, path, classes=21, fresh_classifier=False)


def names_of(key):
    """Tensors of the names of a map."""
    layers = name_maps.resolve(key).layers
    names = {f"{theirs}.weight": np.zeros((2, 2, 1, 1)) for theirs in layers.values()}
    norms = [theirs for ours, theirs in layers.items() if ours.endswith(".bn")]
    return names | {f"{t}.{n}": np.zeros(2) for t in norms for n in ("bias", "running_mean", "running_var")}


def told(tensors, *keys):
    maps = tuple(map(name_maps.resolve, keys))
    with pytest.raises(MismatchError) as caught:
        fits_of(tensors, maps, CONTAINERS["torch"], file="m.pth")
    return str(caught.value)


@pytest.mark.parametrize("prefix", ["", "module.", "model.net."])
def test_the_nearest_map_is_that_of_its_names(prefix):
    """With a word ahead of all names, too: an ImageNet file is compared with ImageNet's names."""
    tensors = {f"{prefix}{name}": array for name, array in names_of("torchvision_resnet50").items()}
    del tensors[f"{prefix}layer3.2.conv2.weight"]
    message = told(tensors, "torchvision_deeplabv3_resnet50", "torchvision_resnet50")
    assert "'torchvision_resnet50': missing in the file (1): layer3.2.conv2.weight" in message
    assert ("all its names begin with" in message) == bool(prefix)
    assert "nearer" not in message


def test_another_models_file_is_told_so():
    message = told(
        names_of("torchvision_resnet101"), "torchvision_resnet50", "torchvision_deeplabv3_resnet50"
    )
    assert "'torchvision_resnet50': unknown in the file" in message
    assert message.endswith("its names are nearer to name map 'torchvision_resnet101', of resnet101")


def test_a_file_of_unknown_names_shows_some():
    message = told({"a.b": np.zeros(2), "c": np.zeros(2)}, "torchvision_resnet50")
    assert message == (
        "m.pth: no name map knows any of its tensors ('a.b', 'c'); tried: torchvision_resnet50"
    )
