"""DUC-HDC against an independent description of the published network, and what its rates reach."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.networks import of_registry as build

import zoo
from zoo.errors import InputError
from zoo.labels import VOC21, numbered
from zoo.layers.resize import label_set_of
from zoo.models.architectures.duc_hdc import duc_hdc
from zoo.models.backbones.resnet import resnet
from zoo.models.conventions import resolve
from zoo.weights import name_maps
from zoo.weights.name_maps.duc_hdc import regroup, settings_of

GOLDENS = Path(__file__).parents[1] / "goldens"
LAYERS = {
    "pool": "backbone.pool",
    "stage2": "backbone.stage2.block3.relu",
    "stage4": "backbone.stage4.block2.relu",
}


@pytest.fixture(scope="module")
def script():
    """The script that made the goldens; it imports nothing of the zoo."""
    sys.path.insert(0, str(GOLDENS))
    try:
        spec = importlib.util.spec_from_file_location("make_duc_hdc", GOLDENS / "make_duc_hdc.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(GOLDENS))


@pytest.fixture(scope="module")
def published(script, tmp_path_factory):
    """The description as a file, as the authors' is one."""
    path = tmp_path_factory.mktemp("duc") / "ResNet101-DUC.onnx"
    path.write_bytes(script.model().SerializeToString())
    yield path
    path.unlink()


@pytest.fixture(scope="module")
def model(published):
    return zoo.load("duc_hdc_resnet101", weights=published)


def test_the_description_has_the_size_of_the_published_file(published):
    assert abs(published.stat().st_size / 260_681_709 - 1) < 5e-4


def test_the_file_says_what_it_is(model):
    """Its number of classes; their names belong to the very file that was published."""
    assert label_set_of(model) == numbered(19)
    assert model.get_layer("duc.cells").cell == 4
    assert model.get_layer("backbone.stem1.bn").epsilon == 1e-6
    # 65,144,192 parameters of four bytes; the rest of the official 260,681,709 bytes describes the graph.
    assert 0 < 260_681_709 - 4 * model.count_params() < 110_000


@pytest.mark.parametrize("size", ["64x64", "65x65", "49x97"])
def test_everything_equals_the_independent_description(script, model, size):
    outputs = {name: model.get_layer(layer).output for name, layer in LAYERS.items()}
    outputs |= {"scores": model.get_layer("duc.cells").output, "logits": model.output}
    height, width = map(int, size.split("x"))
    found = keras.Model(model.input, outputs)(script.image(height, width)[None])
    found = {name: value[0].numpy() for name, value in found.items()}
    with np.load(GOLDENS / "duc_hdc.npz") as goldens:
        golden = {name: goldens[f"{size}/{name}"] for name in (*LAYERS, "scores", "probabilities", "labels")}
    for name in LAYERS:
        assert_close(found[name][:, :, : script.CHANNELS], golden[name], name)
    assert_close(found["scores"][::3, ::3], golden["scores"], "scores")
    probabilities = np.exp(found["logits"])  # softmax of the logits, which sum to 1 already
    np.testing.assert_allclose(probabilities.sum(-1), 1, atol=1e-5)
    np.testing.assert_allclose(probabilities[::5, ::5], golden["probabilities"], atol=1e-3)
    assert (found["logits"].argmax(-1) == golden["labels"]).mean() >= 0.999


def assert_close(got, wanted, name):
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max(), name


def test_conversion_is_quick_and_small(published):
    """Seconds, and at most three times the file beyond what Python had before (kilobytes on Linux)."""
    code = (
        "import resource, sys, time; from pathlib import Path; import onnx;"
        "from zoo.weights import name_maps; from zoo.weights.checkpoint import convert_file;"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "before, start = peak(), time.process_time();"
        "name_map = name_maps.resolve('tusimple_duc_resnet101');"
        "arrays, settings = convert_file(Path(sys.argv[1]), name_map=name_map);"
        "print((peak() - before) * 1024, time.process_time() - start, len(arrays) + len(settings))"
    )
    out = subprocess.run([sys.executable, "-c", code, published], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    extra, seconds, count = map(float, out.stdout.split())
    assert count == 538 + 3
    assert extra <= 3 * published.stat().st_size
    assert seconds < 20


def test_another_class_count_of_published_features(published, caplog):
    model = zoo.load("duc_hdc_resnet101", weights=published, classes=5)
    assert model.output_shape[-1] == 5
    assert model.get_layer("classifier.branch3").filters == 5 * 16
    assert caplog.text.count("fresh: classifier") == 1


# --- the name map ---------------------------------------------------------------------------------------


def source_facts(channels, *, epsilons=(1e-6,), shape=None):
    source = {f"bn{i}_gamma:epsilon": np.float32(e) for i, e in enumerate(epsilons)}
    source["fc1_cityscapes_c0_bias"] = np.zeros(channels, np.float32)
    if shape is not None:
        source["cls_score_reshape:shape"] = np.array(shape)
    return source


@pytest.mark.parametrize(
    "channels, shape, classes, cell",
    [(304, (0, 19, -1), 19, 4), (304, None, 19, 4), (1344, (0, 21, -1), 21, 8), (44, (0, 11, -1), 11, 2)],
)
def test_cell_and_classes_are_found_in_the_file(channels, shape, classes, cell):
    found = settings_of(source_facts(channels, shape=shape))
    assert found == {"epsilon": 1e-6, "cell": cell, "classes": classes}


@pytest.mark.parametrize(
    "facts, message",
    [
        ({"channels": 300}, "300 channels of the classifiers are no cells of 19 classes"),
        ({"channels": 304, "epsilons": (1e-5, 1e-6)}, "state 2 epsilons"),
        ({"channels": 304, "epsilons": ()}, "state 0 epsilons"),
    ],
)
def test_files_that_say_nothing_usable(facts, message):
    with pytest.raises(zoo.errors.MismatchError, match=message):
        settings_of(source_facts(facts.pop("channels"), **facts))


def test_cells_are_laid_out_as_the_source_means_them():
    classes, cell = 3, 2
    source = np.arange(classes * cell**2, dtype=np.float32)
    ours = regroup(source, {"classes": classes, "cell": cell})
    square = tf.nn.depth_to_space(ours.reshape(1, 1, 1, -1), cell)[0].numpy()
    for label in range(classes):
        for i in range(cell):
            for j in range(cell):
                assert square[i, j, label] == source[label * cell**2 + cell * i + j]


def test_the_map_names_every_variable(model):
    layers = set(name_maps.resolve("tusimple_duc_resnet101").layers)
    assert layers == {v.path.split("/")[0] for v in model.variables}


# --- structure ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell, factor", [(8, 1), (4, 2), (2, 4)])
def test_any_cell_gives_logits_of_the_images_size(cell, factor):
    built = build(cell=cell, convention="tusimple_duc", label_set=numbered(3))
    layer = built.get_layer("logits")
    assert layer.factor == factor
    assert layer.domain == ("probabilities" if factor > 1 else "logits")
    assert built(np.zeros((1, 21, 35, 3), np.uint8)).shape == (1, 21, 35, 3)


def test_padding_is_the_mean_and_changes_no_pixel_before_it():
    """An image and the same image padded by hand, with the mean, to whole cells give the same logits."""
    built = build(label_set=numbered(3), convention="tusimple_duc")
    small = np.random.default_rng(0).integers(0, 256, (1, 21, 35, 3)).astype(np.float32)
    padded = np.broadcast_to(np.array([122.675, 116.669, 104.008], np.float32), (1, 24, 40, 3)).copy()
    padded[:, :21, :35] = small
    got, whole = built(small), built(padded)
    np.testing.assert_allclose(got, whole[:, :21, :35], atol=1e-4)
    static = build(label_set=numbered(3), convention="tusimple_duc", input_shape=(21, 35, 3))
    static.set_weights(built.get_weights())
    np.testing.assert_allclose(static(small), got, atol=1e-4)


def test_torchvisions_convention_gives_its_backbone():
    """ImageNet weights of ResNet-50 are v1.5 with a 7×7 stem; the published network is v1 with a deep one."""
    built = build("duc_hdc_resnet50", convention="torchvision", input_shape=(32, 32, 3), cell=1)
    assert built.get_layer("backbone.stem.conv").kernel_size == (7, 7)
    assert built.get_layer("backbone.stage2.block0.middle.conv").strides == 2
    own = build("duc_hdc_resnet50", input_shape=(32, 32, 3), cell=1)
    assert own.get_layer("backbone.stem3.conv").filters == 128
    assert own.get_layer("backbone.stage2.block0.reduce.conv").strides == 2


def test_a_users_own_files_with_several_classifiers(tmp_path):
    model = zoo.load("duc_hdc_mobilenet_v2", weights=None, classes=7)
    for name in ("m.keras", "m.weights.h5"):
        path = tmp_path / name
        model.save(path) if name == "m.keras" else model.save_weights(path)
        again = zoo.load("duc_hdc_mobilenet_v2", weights=path)
        x = np.random.default_rng(0).integers(0, 256, (1, 33, 40, 3)).astype(np.float32)
        np.testing.assert_array_equal(again(x), model(x))
        fresh = zoo.load("duc_hdc_mobilenet_v2", weights=path, classes=3)
        assert fresh(x).shape == (1, 33, 40, 3)
        assert label_set_of(fresh) == numbered(3)
        for kept, wanted in zip(fresh.variables, model.variables, strict=True):
            assert kept.path == wanted.path
            if not kept.path.startswith("classifier"):
                np.testing.assert_array_equal(kept, wanted)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"cell": 3}, "cell must divide the output stride 8, not 3"),
        ({"cell": 16}, "cell must divide the output stride 8, not 16"),
        ({"output_stride": 16}, "output_stride must be 8 for DUC-HDC, not 16"),
        ({"rates": "zigzag"}, "rates are 'hybrid', 'uniform' or two lists"),
        ({"rates": ((1, 2), (3, 4))}, r"rates for \(2, 2\) blocks; the dilated stages have \(7, 4\)"),
        ({"rates": ((1,) * 7, (1, 2, 3, 0))}, "each rate must be a whole number from 1 to 1024; got 0"),
        ({"branch_rates": ()}, "branch rates must be one or more positive integers"),
        ({"epsilon": 0}, "epsilon must be between 0 and 1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(InputError, match=message):
        build(**options)


def test_depth_is_checked():
    with pytest.raises(InputError, match="depth must be one of resnet50, resnet101, resnet152"):
        resnet(None, depth="resnet18", convention=resolve("torchvision"))
    with pytest.raises(
        InputError, match=r"backbone must be one of mobilenet_v2, .*resnet152.*, not 'resnet18'"
    ):
        duc_hdc(backbone="resnet18", label_set=VOC21)


def test_without_published_weights_one_line_says_so():
    with pytest.raises(InputError, match="duc_hdc_resnet152 has no published weights; weights=None"):
        zoo.load("duc_hdc_resnet152")
