"""The table of backbones: what a row says, what an architecture needs, and who may add one."""

import inspect
import subprocess
import sys
from dataclasses import replace

import keras
import pytest
from support.small_models import build

import zoo
from zoo.errors import InputError
from zoo.labels import numbered
from zoo.models import register_backbone, registry, unregister_backbone
from zoo.models.architectures import ARCHITECTURES
from zoo.models.architectures.context_aggregation import context_aggregation
from zoo.models.architectures.deeplabv3_aspp import deeplabv3_aspp
from zoo.models.architectures.deeplabv3_plus import deeplabv3_plus
from zoo.models.architectures.duc_hdc import duc_hdc
from zoo.models.architectures.lraspp import lraspp
from zoo.models.architectures.pspnet import pspnet
from zoo.models.backbones import BACKBONES, backbones, resolve
from zoo.models.conventions import CONVENTIONS
from zoo.models.conventions import resolve as resolve_convention
from zoo.weights import name_maps

LABELS = numbered(3)
SHARED = {"label_set", "input_shape", "convention", "output_stride", "name"}


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("row", BACKBONES.values(), ids=lambda row: row.name)
def test_features_are_what_the_row_says(row):
    sides = (1024, 512)
    image = keras.Input((*(side + 2 * row.margin for side in sides), 3))
    front = {"output_stride": 32, "width": 1 / 32} if row.margin else {}
    common = {"convention": resolve_convention(row.conventions[0]), "output_stride": 32}
    features = row.function()(image, **front) if front else row.build(image, **common)
    assert set(features) == set(row.features)
    assert set(row.conventions) <= set(CONVENTIONS)
    for name, stride in row.features.items():
        if not row.margin or name == row.last:  # nothing pads ahead of the last one
            assert features[name].shape[1:3] == tuple(side // stride for side in sides), name


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize("row", [row for row in BACKBONES.values() if row.blocks], ids=lambda row: row.name)
def test_every_dilated_block_takes_its_rate(row):
    kernels = row.kernels()
    rates = {f: tuple(range(2 + 50 * i, 2 + 50 * i + len(k))) for i, (f, k) in enumerate(kernels.items())}
    image = keras.Input((64, 64, 3))
    common = {"convention": resolve_convention(row.conventions[0]), "output_stride": 8}
    model = keras.Model(image, row.build(image, **common, rates=rates))
    spatial = [layer for layer in model.layers if getattr(layer, "kernel_size", (1, 1)) != (1, 1)]
    dilated = [layer for layer in spatial if getattr(layer, "rate", 1) != 1]
    assert [layer.rate for layer in dilated] == [rate for stage in rates.values() for rate in stage]
    assert [layer.kernel_size[0] for layer in dilated] == [k for stage in kernels.values() for k in stage]
    with pytest.raises(InputError, match=r"rates of c5: got 1, it has \d blocks"):
        row.build(image, **common, rates={"c5": (2,)})
    with pytest.raises(InputError, match="rates are for the blocks of c4, c5, not of 'c2'"):
        row.build(image, **common, rates={"c2": (2,)})


def test_reading_the_tables_imports_no_tensorflow():
    code = (
        "import sys, zoo.models.registry, zoo.models.architectures as a; len(a.ARCHITECTURES);"
        "sys.exit(bool({'tensorflow', 'keras', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


@pytest.mark.parametrize("spec", registry.MODELS, ids=lambda spec: spec.name)
def test_weights_of_a_backbone_name_its_layers_in_every_architecture(spec, narrow):
    for entry in (entry for entry in spec.weights if entry.model == spec.backbone):
        model = build(spec, **entry.settings)
        found = {v.path.split("/")[0] for v in model.variables if "seed" not in v.path}
        layers = name_maps.resolve(entry.name_map).layers
        assert {layer for layer in found if layer.startswith("backbone.")} == set(layers)


def test_the_registry_is_the_product_of_both_tables():
    wanted = {f"{a.name}_{b.name}" for a in ARCHITECTURES.values() for b in BACKBONES.values() if a.fits(b)}
    assert {spec.name for spec in registry.MODELS} == wanted
    assert all(spec.backbone in BACKBONES and spec.architecture in ARCHITECTURES for spec in registry.MODELS)


@pytest.mark.parametrize("spec", registry.MODELS, ids=lambda spec: spec.name)
def test_a_signature_has_the_settings_of_its_model_only(spec):
    known = set(inspect.signature(spec.build()).parameters)
    backbone = BACKBONES[spec.backbone]
    assert known >= SHARED and "backbone" not in known
    assert ("width" in known) == ("width" in backbone.can)
    if spec.architecture in ("deeplabv3_aspp", "deeplabv3_plus", "pspnet"):
        assert "auxiliary" in known
    if spec.architecture in ("deeplabv3_aspp", "deeplabv3_plus"):
        assert ("multi_grid" in known) == ("multi_grid" in backbone.can)
    if spec.architecture == "context_aggregation":
        assert {"variant", "dropout", "tiled", "module"} & known == (
            {"variant", "dropout", "tiled"} if backbone.margin else {"module"}
        )


@pytest.mark.parametrize(
    "builder, options, message",
    [
        (
            deeplabv3_aspp,
            {"backbone": "resnet50", "width": 0.5},
            "'resnet50' has no width, got 0.5; its options",
        ),
        (
            deeplabv3_aspp,
            {"backbone": "mobilenet_v3_large", "multi_grid": (1, 2, 4)},
            r"got \(1, 2, 4\); its options are: width, rates; backbones with multi_grid: mobilenet_v2, ",
        ),
        (deeplabv3_aspp, {"backbone": "resnet50", "multi_grid": "best"}, "multi_grid must be 'paper', None"),
        (deeplabv3_aspp, {"backbone": "vgg16"}, "needs padding of a backbone, which 'vgg16' does not have"),
        (pspnet, {"backbone": "vgg16"}, "it stands on mobilenet_v2, mobilenet_v3_large, resnet50"),
        (
            lraspp,
            {"backbone": "resnet50"},
            "lraspp needs light of a backbone, .* on mobilenet_v2, mobilenet_v3",
        ),
        (deeplabv3_plus, {"backbone": "vgg16"}, "deeplabv3_plus needs padding of a backbone"),
        (duc_hdc, {"backbone": "vgg16"}, "duc_hdc needs padding, rates of a backbone"),
        (
            context_aggregation,
            {"backbone": "vgg16", "module": "large"},
            "has no module, got 'large'; it has variant",
        ),
        (
            context_aggregation,
            {"backbone": "resnet50", "tiled": True},
            "has no tiled, got True; it has module",
        ),
        (
            context_aggregation,
            {"backbone": "vgg"},
            "backbone must be one of mobilenet_v2, .*, vgg16, not 'vgg'",
        ),
    ],
)
def test_what_a_pair_cannot_do_is_one_clear_line(builder, options, message):
    with pytest.raises(InputError, match=message) as caught:
        builder(label_set=LABELS, **options)
    assert "\n" not in str(caught.value)


def test_early_features_are_found_by_their_stride():
    """The last of a stride is what decoders read; MobileNetV3-Large has two features of stride 8."""
    large = BACKBONES["mobilenet_v3_large"]
    assert large.early_feature(8) == "c3" and large.early_feature(8, first=True) == "c3_first"
    assert large.early_feature(4) == BACKBONES["resnet50"].early_feature(4) == "c2"
    with pytest.raises(InputError, match=r"'resnet50' has the features .*'c5': 32\}, none of 32 ahead of c5"):
        BACKBONES["resnet50"].early_feature(32)
    coarse = replace(BACKBONES["resnet50"], name="coarse", features={"c3": 8, "c4": 16, "c5": 32})
    with pytest.raises(InputError, match="deeplabv3_plus needs stride 4 of a backbone, which 'coarse'"):
        deeplabv3_plus(backbone=coarse, label_set=LABELS)


def test_a_setting_that_the_backbone_lacks_is_no_setting_of_the_model():
    with pytest.raises(InputError, match="deeplabv3_aspp_resnet50 has no setting width"):
        zoo.load("deeplabv3_aspp_resnet50", weights=None, settings={"width": 0.5})


def test_names_that_are_taken_are_refused():
    with pytest.raises(InputError, match="'resnet50' is there already"):
        register_backbone(BACKBONES["resnet50"])
    mine = replace(BACKBONES["resnet50"], name="mine", auxiliary=None)
    register_backbone(mine)
    try:
        with pytest.raises(InputError, match="'mine' is there already"):
            register_backbone(mine)
        assert resolve("mine") is mine and backbones()[-1] is mine
        with pytest.raises(InputError, match="'mine' has no auxiliary feature; these have one: mobilenet_v2"):
            deeplabv3_aspp(backbone="mine", label_set=LABELS, auxiliary=True)
        with pytest.raises(InputError, match="deeplabv3_aspp_mine has no auxiliary output"):
            zoo.load("deeplabv3_aspp_mine", weights=None, auxiliary=True)
    finally:
        unregister_backbone("mine")
    assert "deeplabv3_aspp_mine" not in zoo.list_models()
    with pytest.raises(InputError, match="'resnet50' was not registered; registered: none"):
        unregister_backbone("resnet50")
    with pytest.raises(InputError, match=r"a backbone is a zoo\.models\.Backbone, not 'mine'"):
        register_backbone("mine")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"can": {"depth"}}, "can be given width, multi_grid, rates, not depth"),
        ({"last": "c6"}, "has the features .* no 'c6'"),
        ({"auxiliary": "c0"}, "no 'c0'"),
        ({"blocks": None}, "blocks exactly if it takes rates"),
        ({"conventions": ()}, "needs a convention"),
    ],
)
def test_rows_that_contradict_themselves(change, message):
    with pytest.raises(InputError, match=message):
        replace(BACKBONES["resnet50"], **change)
