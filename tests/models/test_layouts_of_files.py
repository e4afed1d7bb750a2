"""Networks of other packages by their forward pass, and users' files of them."""

import keras
import numpy as np
import pytest
from goldens.seeding import image
from support.torch_files import save_state
from support.torch_parity import GOLDENS, SIZES, check_segmentation, give_seeded, seeded_source

import zoo
from zoo.labels import VOC21, numbered
from zoo.layers.resize import label_set_of
from zoo.models import registry
from zoo.weights import name_maps
from zoo.weights.layouts import layouts_of

RESNET = {"c2": "backbone.stage1.block2.relu", "c5": "backbone.stage4.block2.relu"}
MOBILE = {"c2": "backbone.block2.add", "c5": "backbone.block16.project.bn"}
ASPP = {"aspp": "aspp.project.relu"}
PLUS = {**ASPP, "decoder": "decoder.conv1.relu"}
WIDE_8, WIDE_16 = ("105x305", 8), ("209x601", 16)
# Golden file → model, name map, other settings, depths and the wide image.
NETWORKS = {
    "vainf_deeplabv3_plus_resnet50": (
        "deeplabv3_plus_resnet50",
        "vainf_deeplabv3_plus_resnet50",
        {},
        {**RESNET, **PLUS},
        None,
    ),
    "vainf_deeplabv3_plus_mobilenet_v2": (
        "deeplabv3_plus_mobilenet_v2",
        "vainf_deeplabv3_plus_mobilenet_v2_separable",
        {},
        {**MOBILE, **ASPP, "decoder": "decoder.conv1.pointwise.relu"},
        WIDE_16,
    ),
    "vainf_deeplabv3_aspp_resnet50": (
        "deeplabv3_aspp_resnet50",
        "vainf_deeplabv3_aspp_resnet50",
        {"output_stride": 8},
        {**RESNET, **ASPP, "head": "head.relu"},
        None,
    ),
    "vainf_deeplabv3_aspp_mobilenet_v2": (
        "deeplabv3_aspp_mobilenet_v2",
        "vainf_deeplabv3_aspp_mobilenet_v2",
        {},
        {**MOBILE, **ASPP, "head": "head.relu"},
        WIDE_16,
    ),
    "mmseg_deeplabv3_aspp_resnet50": (
        "deeplabv3_aspp_resnet50",
        "mmseg_deeplabv3_aspp_resnet50",
        {"auxiliary": True},
        {**RESNET, "fused": "aspp.project.relu"},
        WIDE_8,
    ),
    "mmseg_deeplabv3_plus_resnet50": (
        "deeplabv3_plus_resnet50",
        "mmseg_deeplabv3_plus_resnet50",
        {"auxiliary": True},
        {**RESNET, "fused": "aspp.project.relu"},
        None,
    ),
    "mmseg_pspnet_resnet50": (
        "pspnet_resnet50",
        "mmseg_pspnet_resnet50",
        {"auxiliary": True},
        {**RESNET, "fused": "pyramid.fuse.relu"},
        None,
    ),
    "mmseg_pspnet_resnet50_align_corners": (
        "pspnet_resnet50",
        "mmseg_pspnet_resnet50",
        {"auxiliary": True, "convention": "mmseg_align_corners"},
        {**RESNET, "fused": "pyramid.fuse.relu"},
        None,
    ),
    "hugging_face_mobilenet_v2": (
        "deeplabv3_aspp_mobilenet_v2",
        "hugging_face_deeplabv3_mobilenet_v2",
        {},
        {**MOBILE, "project": "aspp.project.relu"},
        None,
    ),
    "hugging_face_mobilenet_v2_w050": (
        "deeplabv3_aspp_mobilenet_v2",
        "hugging_face_deeplabv3_mobilenet_v2",
        {"width": 0.5, "output_stride": 16},
        {**MOBILE, "project": "aspp.project.relu"},
        None,
    ),
    "tf_deeplab_mobilenet_v2": (
        "deeplabv3_aspp_mobilenet_v2",
        "hugging_face_deeplabv3_mobilenet_v2",
        {"convention": "tf_deeplab_float", "output_stride": 16},
        {**MOBILE, "project": "aspp.project.relu"},
        None,
    ),
}


def built(model, key, label_set=VOC21, **settings):
    """A model as the layout of its checkpoints says, with the map of these."""
    (layout,) = [row for row in layouts_of(model) if row.name_map == key]
    made = registry.resolve(model).build()(label_set=label_set, **{**layout.settings, **settings})
    return made, name_maps.resolve(key)


@pytest.mark.parametrize("name", NETWORKS)
def test_equals_the_package(name):
    """Every parameter is drawn from its name in the package, so that a wrong name is another number."""
    model, key, settings, depths, wide = NETWORKS[name]
    made, name_map = built(model, key, **settings)
    give_seeded(made, name_map)
    with np.load(GOLDENS / f"{name}.npz") as goldens:
        made.get_layer("classifier").bias.assign(goldens["bias"])
    for size, step in [*((size, 4) for size in SIZES), *([wide] if wide else [])]:
        check_segmentation(made, f"{name}.npz", depths, size, step)


# Name map → model, settings that make it small or are in its file, and what is told of it.
FILES = {
    "vainf_deeplabv3_plus_mobilenet_v2": ("deeplabv3_plus_mobilenet_v2", {}, "output_stride 16"),
    "vainf_deeplabv3_plus_mobilenet_v2_separable": ("deeplabv3_plus_mobilenet_v2", {}, "output_stride 16"),
    "vainf_deeplabv3_aspp_mobilenet_v2": ("deeplabv3_aspp_mobilenet_v2", {}, "output_stride 16"),
    "hugging_face_deeplabv3_mobilenet_v2": (
        "deeplabv3_aspp_mobilenet_v2",
        {"width": 0.25},
        "output_stride 8",
    ),
    "mmseg_deeplabv3_aspp_resnet50_plain": (
        "deeplabv3_aspp_resnet50",
        {"aspp_channels": 16},
        "convention mmseg_plain, output_stride 8, rates (12, 24, 36)",
    ),
}


@pytest.mark.parametrize("key", FILES)
def test_a_users_file_of_a_package(key, tmp_path, caplog):
    """Its classes and widths are those of the file; what no file says is told."""
    name, settings, assumed = FILES[key]
    wanted, name_map = built(name, key, numbered(4), **settings)
    give_seeded(wanted, name_map)
    counts = {"backbone.bn1.num_batches_tracked": np.array([7], "int64")}
    path = save_state(tmp_path / "mine.pth", {**seeded_source(wanted, name_map), **counts})
    model = zoo.load(name, path)
    assert label_set_of(model) == numbered(4)
    x = image(49, 66)[None]
    np.testing.assert_array_equal(model(x), wanted(x))
    ((told),) = [r.message for r in caplog.records if "taken as usual" in r.message]
    assert told.endswith(f"does not state it: {assumed}")


def test_how_it_resizes_can_be_said(tmp_path, caplog):
    """mmsegmentation aligns the corners for Cityscapes in 769×769; its files do not say so."""
    name, key = "pspnet_resnet50", "mmseg_pspnet_resnet50"
    wanted, name_map = built(name, key, numbered(3), convention="mmseg_align_corners")
    path = save_state(tmp_path / "mine.pth", seeded_source(give_seeded(wanted, name_map), name_map))
    model = zoo.load(name, path, settings={"convention": "mmseg_align_corners"})
    x = image(41, 66)[None]
    np.testing.assert_array_equal(model(x), wanted(x))
    assert "convention mmseg" not in caplog.text


@pytest.mark.parametrize("prefix", ["mobilenet_v2.", ""])
def test_the_backbone_of_transformers(prefix, tmp_path, caplog):
    """A classifier of images, or the model without a head, gives any model its backbone."""
    key = "hugging_face_mobilenet_v2" + ("" if prefix else "_bare")
    name_map, name = name_maps.resolve(key), "lraspp_mobilenet_v2"
    made = registry.resolve(name).build()(label_set=VOC21, convention="hugging_face")
    state = seeded_source(made, name_map)
    state[f"{prefix}conv_1x1.convolution.weight"] = np.zeros((1280, 320, 1, 1), np.float32)
    if prefix:
        state["classifier.weight"] = np.zeros((1001, 1280), np.float32)
    model = zoo.load(name, save_state(tmp_path / "m.pth", state), classes=3)
    wanted = give_seeded(made, name_map)
    x = image(65, 97)[None]
    ends = [keras.Model(m.input, m.get_layer(MOBILE["c5"]).output) for m in (model, wanted)]
    np.testing.assert_array_equal(*(end(x) for end in ends))
    assert "fresh: " in caplog.text


@pytest.mark.parametrize("convention, cells", [("vainf", (31, 32, 1)), ("torchvision", (32, 33, 2))])
def test_a_stem_without_padding(convention, cells):
    """VainF's MobileNetV2 does not pad the image, and pads each block's input instead."""
    build = registry.resolve("deeplabv3_aspp_mobilenet_v2").build()
    made = build(label_set=VOC21, convention=convention)
    stem = keras.Model(made.input, made.get_layer("backbone.stem.conv").output)
    assert tuple(stem(image(side, side)[None]).shape[1] for side in (64, 65, 3)) == cells
    assert made(image(3, 5)[None]).shape == (1, 3, 5, 21)
