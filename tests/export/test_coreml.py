"""What stands in a Core ML package, and the interpreter that reads it back."""

import itertools
import json

import keras
import numpy as np
import pytest
from support.tiny_export import LABELS, SIZE, seeded, tiny

from zoo import export
from zoo.cli.export import _summary
from zoo.errors import FormatError, InputError, ParityError
from zoo.export.coreml import kernels
from zoo.export.coreml.artifact import CoreMLArtifact
from zoo.export.coreml.interpreter import Interpreter
from zoo.export.coreml.names import decoded, encoded
from zoo.export.coreml.palettes import packed, palette
from zoo.export.proof.parity import synthetic_image
from zoo.labels import named
from zoo.layers import DilatedConv2D, DilatedDepthwiseConv2D
from zoo.layers.resize import SegmentationLogits, set_source

IMAGE = synthetic_image(*SIZE, seed=5)
VALUES = np.linspace(-0.3, 0.3, 16, dtype=np.float32)


def package(model, folder, **settings):
    path = folder / "m.mlpackage"
    return path, export.to_coreml(model, path, input_size=SIZE, images=[IMAGE], **settings)


def wide(channels=64):
    """Two large kernels of sixteen values each, one of them with a batch norm behind it."""
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(channels, kernel_size=3, strides=4, padding="symmetric", name="stem")(image)
    x = DilatedConv2D(channels, kernel_size=3, rate=2, name="block.conv")(x)
    x = keras.layers.BatchNormalization(name="block.bn")(x)
    x = keras.layers.ReLU(name="block.relu")(x)
    x = DilatedDepthwiseConv2D(kernel_size=3, rate=2, name="depthwise")(x)
    x = DilatedConv2D(channels, kernel_size=3, name="last.conv")(x)
    x = DilatedConv2D(3, kernel_size=1, use_bias=True, name="classifier")(x)
    last = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")
    model = seeded(keras.Model(image, last([x, image]), name="wide"))
    for seed, name in enumerate(("block.conv", "last.conv")):
        kernel = model.get_layer(name).kernel
        kernel.assign(VALUES[np.random.default_rng(seed).integers(0, 16, kernel.shape)])
    return model


# --- what the package tells -------------------------------------------------------------------------------


def test_the_package_tells_xcode_and_apps_what_it_is(tmp_path):
    model = set_source(tiny(), name="deeplabv3_aspp_mobilenet_v2", weights="camvid")
    path, report = package(model, tmp_path, quantize="float16")
    description = Interpreter(path).package.description
    told = description.metadata.userDefined
    assert told["com.apple.coreml.model.preview.type"] == "imageSegmenter"
    shown = json.loads(told["com.apple.coreml.model.preview.parameters"])
    assert shown["labels"] == list(LABELS.names)
    assert shown["colors"] == ["#{:02X}{:02X}{:02X}".format(*colour) for colour in LABELS.palette]
    assert told["classes"] == ",".join(LABELS.names)
    assert told["proof"] == report.proof == "interpreted, not run on Apple hardware"
    assert "interpreted, not run on Apple hardware" in _summary(report)
    assert json.loads((tmp_path / "m.mlpackage.json").read_text())["proof"] == report.proof
    assert "Apache" in description.metadata.license
    (image,), (logits,) = description.input, description.output
    picture = image.type.imageType
    assert (picture.height, picture.width, picture.colorSpace) == (*SIZE, picture.RGB)
    assert list(logits.type.multiArrayType.shape) == [1, 3, *SIZE]


def test_heads(tmp_path):
    model = tiny()
    outputs = {}
    for head in ("logits", "small_logits", "mask", "small_mask"):
        path, report = package(model, tmp_path, head=head)
        assert report.parity.passed and export.verify(path, model, images=[IMAGE]).passed
        outputs[head] = export.open_artifact(path).predict(IMAGE)
    assert outputs["small_logits"].shape[1:3] == (9, 12)
    assert outputs["mask"].dtype == np.uint8
    assert (outputs["mask"] == outputs["logits"].argmax(-1)).mean() > 0.999


def test_two_packages_of_a_model_are_equal(tmp_path):
    digests = {package(tiny(), tmp_path)[1].sha256 for _ in range(2)}
    assert len(digests) == 1


def test_names_of_layers_can_be_told():
    for name in ("wide_1/block.conv_1/Conv2D", "m/stem/Relu6"):
        assert encoded(name).replace("_", "").isalnum()
        assert decoded(encoded(name) + "_cast_fp16") == name


def test_a_difference_is_traced_to_its_layer(tmp_path):
    model = wide()
    path, _ = package(model, tmp_path)
    kernel = model.get_layer("last.conv").kernel
    kernel.assign(kernel * 2)
    assert not export.verify(path, model, images=[IMAGE]).passed
    assert export.find_difference(path, model, images=[IMAGE]).layer == "last.conv"


# --- precisions -------------------------------------------------------------------------------------------


def test_half_precision_rounds_between_operations(tmp_path):
    path, _ = package(tiny(), tmp_path, quantize="float16")
    artifact = CoreMLArtifact(path, threads=1)
    values = dict(artifact.interpreter.values(artifact.as_input(IMAGE[None])))
    kinds = {value.dtype.name for name, value in values.items() if name.endswith("_fp16")}
    assert kinds == {"float16"} and values["logits"].dtype == np.float32


def test_logarithms_of_probabilities_keep_full_precision(tmp_path):
    model = tiny(domain="probabilities")
    model.get_layer("classifier").bias.assign([0, -60, -60])
    path, _ = package(model, tmp_path, quantize="float16")
    found, want = export.open_artifact(path).predict(IMAGE), model(IMAGE[None].astype("float32")).numpy()
    assert want.min() < np.log(np.finfo(np.float16).smallest_subnormal) - 5
    assert np.abs(found - want).max() < 0.2


def test_a_clustered_model_keeps_its_values_in_a_third_of_the_bytes(tmp_path):
    model = wide(channels=128)
    sizes = {kind: package(model, tmp_path, quantize=kind)[1].bytes for kind in ("float16", "palette")}
    assert sizes["palette"] < 0.35 * sizes["float16"]
    interpreter = Interpreter(tmp_path / "m.mlpackage")
    tables = [op for op in interpreter.package.operations if op.type == "constexpr_lut_to_dense"]
    constants = [interpreter.package.constant(op.attributes["lut"]) for op in tables]
    assert sum(np.array_equal(np.unique(x), VALUES.astype(np.float16)) for x in constants) == 2


def test_weights_of_eight_bits(tmp_path):
    model = wide()
    sizes = {kind: package(model, tmp_path, quantize=kind)[1] for kind in ("float16", "weights8")}
    assert sizes["weights8"].bytes < 0.62 * sizes["float16"].bytes
    assert sizes["float16"].parity.relative_error < sizes["weights8"].parity.relative_error < 0.05


def test_a_bound_is_kept_or_refused(tmp_path):
    photos = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
    settings = {"input_size": SIZE, "quantize": "palette", "palette_bits": 1, "calibration": photos}
    with pytest.raises(ParityError, match=r"max_drop=0 cannot be kept: .* palette leaves no layer out"):
        export.to_coreml(wide(), tmp_path / "m.mlpackage", max_drop=0, **settings)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"palette_bits": 5, "quantize": "palette"}, "palette_bits must be one of 1, 2, 4, 6, 8, not 5"),
        ({"palette_bits": 4}, "palette_bits is of palettes: quantize to palette"),
        ({"quantize": "int8"}, "is quantized to float16, weights8, palette, not int8"),
        ({"input_size": None}, "a coreml artifact has a static size"),
    ],
)
def test_settings_that_do_not_go_together(settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        export.to_coreml(tiny(), tmp_path / "m.mlpackage", **{"input_size": SIZE, **settings})


# --- tables and kernels by themselves ---------------------------------------------------------------------


@pytest.mark.parametrize("count, width", [(2, 1), (3, 2), (16, 4), (17, 6), (64, 6), (65, 8), (256, 8)])
def test_few_values_are_their_own_table(count, width):
    rng = np.random.default_rng(1)
    values = rng.permutation(rng.normal(size=count).astype(np.float32)[np.arange(5000) % count])
    table, indices, found = palette(values, bits=8)
    assert found == width and len(table) == 1 << width
    assert np.array_equal(table[indices], values)
    bits = np.unpackbits(packed(indices, width=width), bitorder="little")[: 5000 * width].reshape(5000, width)
    assert np.array_equal((bits << np.arange(width)).sum(1), indices)


def test_many_values_are_gathered_around_means():
    values = np.random.default_rng(1).normal(size=20_000).astype(np.float32)
    errors = []
    for bits in (2, 4, 6, 8):
        table, indices, _ = palette(values, bits=bits)
        errors.append(float(np.abs(table[indices] - values).std()))
    assert all(finer < coarser / 2 for coarser, finer in itertools.pairwise(errors))


@pytest.mark.parametrize("mode", ["UNALIGN_CORNERS", "STRICT_ALIGN_CORNERS", "DEFAULT"])
def test_resizing_by_its_definition(mode):
    x = np.random.default_rng(0).normal(size=(1, 2, 3, 4)).astype(np.float32)
    settings = {"target_size_height": 7, "target_size_width": 9, "sampling_mode": mode}
    found = kernels.resize_bilinear({"x": x, **settings})
    for row, column in ((0, 0), (3, 5), (6, 8)):
        places = []
        for index, cells, pixels in ((row, 3, 7), (column, 4, 9)):
            place = {
                "UNALIGN_CORNERS": (index + 0.5) * cells / pixels - 0.5,
                "STRICT_ALIGN_CORNERS": index * (cells - 1) / (pixels - 1),
                "DEFAULT": index * cells / pixels,
            }[mode]
            places.append(min(max(place, 0), cells - 1))
        want = sum(
            x[0, :, i, j] * max(0, 1 - abs(places[0] - i)) * max(0, 1 - abs(places[1] - j))
            for i in range(3)
            for j in range(4)
        )
        assert np.allclose(found[0, :, row, column], want, atol=1e-6)


# --- files from outside -----------------------------------------------------------------------------------


def _manifest(path, text):
    (path / "Manifest.json").write_text(text)


def _climbs(path):
    content = json.loads((path / "Manifest.json").read_text())
    content["itemInfoEntries"][content["rootModelIdentifier"]]["path"] = "../../outside"
    (path.parent / "outside").write_bytes(b"")
    _manifest(path, json.dumps(content))


def _cut_weights(path):
    file = path / "Data/com.apple.CoreML/weights/weight.bin"
    file.write_bytes(file.read_bytes()[:-200])


def _cut_program(path):
    file = path / "Data/com.apple.CoreML/model.mlmodel"
    file.write_bytes(file.read_bytes()[:500])


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: _manifest(path, "{}"),
        lambda path: _manifest(path, "[" * 100_000),
        lambda path: _manifest(path, "null"),
        _climbs,
        _cut_weights,
        _cut_program,
        lambda path: (path / "Data/com.apple.CoreML/weights/weight.bin").unlink(),
    ],
    ids=["empty", "deep", "null", "climbs", "weights", "program", "no weights"],
)
def test_damaged_packages_are_refused_in_one_line(damage, tmp_path):
    path, _ = package(tiny(), tmp_path)
    damage(path)
    with pytest.raises(FormatError, match=r"m\.mlpackage") as caught:
        export.open_artifact(path)
    assert "\n" not in str(caught.value)


def test_labels_with_commas_stay_apart(tmp_path):
    labels = named(("road, wet", "sky", "tree"))
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(3, kernel_size=3, strides=4, padding="symmetric", name="stem")(image)
    last = SegmentationLogits(convention="align_corners", label_set=labels, name="logits")
    path, _ = package(seeded(keras.Model(image, last([x, image]), name="m")), tmp_path)
    assert Interpreter(path).package.description.metadata.userDefined["classes"] == "road wet,sky,tree"
    assert export.open_artifact(path).labels == labels.names
