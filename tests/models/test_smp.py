"""DeepLabv3+, DeepLabv3 and PSPNet against segmentation_models_pytorch's own forward pass, and its files."""

import contextlib

import numpy as np
import pytest
from goldens.seeding import image
from support.torch_files import save_state
from support.torch_parity import GOLDENS, SIZES, check_segmentation, give_seeded, seeded_source

import zoo
from zoo.errors import InputError, MismatchError
from zoo.labels import VOC21, numbered
from zoo.layers.resize import label_set_of
from zoo.models import registry
from zoo.weights import name_maps
from zoo.weights.layouts import LAYOUTS
from zoo.weights.name_maps.conversion import fit

C2 = {"resnet50": "backbone.stage1.block2.relu", "mobilenet_v2": "backbone.block2.add"}
C5 = {"resnet50": "backbone.stage4.block2.relu", "mobilenet_v2": "backbone.last.relu6"}
HEADS = {
    "deeplabv3_plus": {
        "aspp": "aspp.dropout",
        "head": "head.pointwise.relu",
        "decoder": "decoder.conv1.pointwise.relu",
    },
    "deeplabv3_aspp": {"aspp": "aspp.dropout", "head": "head.relu"},
    "pspnet": {"pyramid": "pyramid.concat", "fuse": "pyramid.fuse.relu"},
}
AT_8, AT_16 = ("105x305", 8), ("209x601", 16)
# File → architecture, backbone, form, other settings, and the wide image.
NETWORKS = {
    "deeplabv3_plus_resnet50": ("deeplabv3_plus", "resnet50", 0, {}, AT_16),
    "deeplabv3_plus_mobilenet_v2": ("deeplabv3_plus", "mobilenet_v2", 0, {}, AT_16),
    "deeplabv3_plus_mobilenet_v2_at_8": (
        "deeplabv3_plus",
        "mobilenet_v2",
        1,
        {"output_stride": 8, "rates": (2, 4, 6)},
        None,
    ),
    "deeplabv3_aspp_resnet50": ("deeplabv3_aspp", "resnet50", 0, {}, AT_8),
    "deeplabv3_aspp_mobilenet_v2": ("deeplabv3_aspp", "mobilenet_v2", 0, {}, AT_8),
    "pspnet_resnet50": ("pspnet", "resnet50", 0, {}, None),
    "pspnet_mobilenet_v2": ("pspnet", "mobilenet_v2", 0, {}, None),
}


def built(model, form=0, label_set=VOC21, **settings):
    """A model as the layout of its checkpoints says, with the map of these."""
    layout = LAYOUTS[model][form]
    build = registry.resolve(model).build()
    made = build(label_set=label_set, **{**layout.settings, **settings})
    return made, name_maps.resolve(layout.name_map)


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_segmentation_models_pytorch(name):
    architecture, backbone, form, settings, wide = NETWORKS[name]
    model, name_map = built(f"{architecture}_{backbone}", form, **settings)
    give_seeded(model, name_map)
    with np.load(GOLDENS / f"smp_{name}.npz") as goldens:
        model.get_layer("classifier").bias.assign(goldens["bias"])
    deepest = {} if architecture == "pspnet" else {"c5": C5[backbone]}
    layers = {"c2": C2[backbone], **deepest, **HEADS[architecture]}
    for size, step in [*((size, 4) for size in SIZES), *([wide] if wide else [])]:
        check_segmentation(model, f"smp_{name}.npz", layers, size, step)


def states():
    """Names and shapes of the tensors of every network's state dictionary."""
    with np.load(GOLDENS / "smp_names.npz") as file:
        texts = {name: bytes(file[name]).decode() for name in file}
    return {
        name: {
            line.split(" ")[0]: tuple(int(side) for side in line.split(" ")[1].split("x") if side)
            for line in text.splitlines()
        }
        for name, text in texts.items()
    }


STATES = states()


FORMS = {"": 0, "dense": 1, "separable": 1}


@pytest.mark.parametrize("name", STATES)
def test_every_tensor_has_its_variable(name):
    """On every backbone and with either kind of ASPP: each name is used once, and by one form alone."""
    model, _, form = name.partition("/")
    source = {tensor: np.broadcast_to(np.float32(0), shape) for tensor, shape in STATES[name].items()}
    fits = {}
    for index, layout in enumerate(LAYOUTS[model]):
        with contextlib.suppress(MismatchError):
            fits[index] = fit(source, name_maps.resolve(layout.name_map))
    ((found, fitted),) = fits.items()
    assert found == FORMS[form]
    assert fitted.settings["classes"] == 21
    assert len({rule.variable for rule in fitted.rules}) == len(fitted.rules)


def saved(path, model, form=0, *, classes, extra=None, **settings):
    """A checkpoint of that form with drawn parameters, and the model that they belong to."""
    made, name_map = built(model, form, numbered(classes), **settings)
    source = seeded_source(made, name_map)
    state = {**source, "encoder.bn1.num_batches_tracked": np.array([7], "int64"), **(extra or {})}
    return save_state(path, state), give_seeded(made, name_map)


FILES = {
    "deeplabv3_plus_resnet50": {},
    "deeplabv3_plus_mobilenet_v2": {"form": 1, "aspp_channels": 24, "decoder_channels": 24},
    "deeplabv3_aspp_mobilenet_v2": {"form": 1, "aspp_channels": 32},
    "pspnet_mobilenet_v2": {"channels": 40},
}


@pytest.mark.parametrize("name", FILES)
def test_a_users_checkpoint(name, tmp_path, caplog):
    """Its classes and the widths of its decoder are those of the file; what no file says is told."""
    path, wanted = saved(tmp_path / "mine.pth", name, classes=5, **FILES[name])
    model = zoo.load(name, path)
    assert label_set_of(model) == numbered(5)
    x = image(49, 66)[None]
    np.testing.assert_array_equal(model(x), wanted(x))
    told = [r.message for r in caplog.records if "taken as usual" in r.message]
    stride = 8 if name.startswith("deeplabv3_aspp") else 16
    assumed = f"output_stride {stride}, rates (12, 24, 36)"
    line = f"{name}: taken as usual, since mine.pth does not state it: {assumed}"
    assert told == ([] if name.startswith("pspnet") else [line])


def test_what_the_file_does_not_state_can_be_given(tmp_path, caplog):
    name, given = "deeplabv3_plus_mobilenet_v2", {"rates": (2, 4, 6)}
    path, wanted = saved(tmp_path / "mine.pth", name, classes=3, output_stride=8, **given)
    model = zoo.load(name, path, output_stride=8, settings=given)
    x = image(49, 66)[None]
    np.testing.assert_array_equal(model(x), wanted(x))
    assert "taken as usual" not in caplog.text


def test_one_score_is_two_classes(tmp_path):
    """A binary network ends in one channel under a sigmoid, which is softmax over that score and 0."""
    name = "deeplabv3_plus_mobilenet_v2"
    path, wanted = saved(tmp_path / "mine.pth", name, classes=2)
    state = seeded_source(wanted, name_maps.resolve(LAYOUTS[name][0].name_map))
    head = {key: array[1:] for key, array in state.items() if key.startswith("segmentation_head")}
    model = zoo.load(name, save_state(path, {**state, **head}))
    assert label_set_of(model) == numbered(2)
    x = image(49, 66)[None]
    logits = np.asarray(model(x))
    assert (logits[..., 0] == 0).all()
    np.testing.assert_allclose(logits[..., 1], np.asarray(wanted(x))[..., 1], atol=1e-5)


def test_early_files_and_other_tensors(tmp_path):
    """DeepLabv3's decoder was a sequence once; the head for whole images is nobody's here."""
    name = "deeplabv3_aspp_mobilenet_v2"
    extra = {"classification_head.3.weight": np.zeros((4, 1280), np.float32)}
    path, wanted = saved(tmp_path / "mine.pth", name, 2, classes=4, extra=extra, aspp_channels=16)
    x = image(33, 40)[None]
    np.testing.assert_array_equal(zoo.load(name, path)(x), wanted(x))


def test_a_file_that_does_not_fit_is_told_by_the_nearest_form(tmp_path):
    name = "deeplabv3_plus_mobilenet_v2"
    path, wanted = saved(tmp_path / "mine.pth", name, classes=3, aspp_channels=8, decoder_channels=8)
    state = seeded_source(wanted, name_maps.resolve(LAYOUTS[name][0].name_map))
    del state["decoder.block1.0.weight"]
    message = r"mine\.pth: .*'smp_deeplabv3_plus_mobilenet_v2': missing in the file \(1\): decoder\.block1\.0"
    with pytest.raises(MismatchError, match=message):
        zoo.load(name, save_state(path, state))
    scalar = {**state, "decoder.block1.0.weight": np.zeros((8, 24, 1, 1), np.float32)}
    scalar["segmentation_head.0.weight"] = np.zeros((0, 8, 1, 1), np.float32)
    with pytest.raises(MismatchError, match=r"segmentation_head\.0\.weight has the shape .*no kernel"):
        zoo.load(name, save_state(path, scalar))


def test_other_classes_on_a_users_checkpoint(tmp_path):
    name = "pspnet_mobilenet_v2"
    path, wanted = saved(tmp_path / "mine.pth", name, classes=5, channels=16)
    model = zoo.load(name, path, classes=3)
    assert model.output_shape[-1] == 3
    np.testing.assert_array_equal(
        model.get_layer("pyramid.fuse.conv").kernel, wanted.get_layer("pyramid.fuse.conv").kernel
    )


def test_a_feature_that_the_backbone_lacks():
    with pytest.raises(InputError, match="feature must be one of c1, c2, c3, c4, c5, not 'c9'"):
        zoo.load("pspnet_mobilenet_v2", weights=None, settings={"feature": "c9"})
