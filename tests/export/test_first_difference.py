import dataclasses
import json

import keras
import numpy as np
import onnx
import pytest
from support.tiny_export import FORMATS, LABELS, NAMES, SIZE, WRITERS, seeded, tiny, write

from zoo import export
from zoo.errors import ParityError
from zoo.export.deploy.graph import read
from zoo.export.proof import first_difference, intermediates
from zoo.export.proof.layer_search import bisect
from zoo.export.proof.parity import synthetic_image
from zoo.layers import DilatedConv2D
from zoo.layers.resize import SegmentationLogits


def branched(seed=0):
    """Two branches with a sum and a concatenation, as in residual blocks and ASPP."""
    image = keras.Input((None, None, 3), name="image")
    stem = DilatedConv2D(6, kernel_size=3, strides=4, padding="symmetric", name="stem")(image)
    left = DilatedConv2D(6, kernel_size=3, rate=2, name="left")(stem)
    left = keras.layers.ReLU(name="relu")(left)
    right = DilatedConv2D(6, kernel_size=1, use_bias=True, name="right")(stem)
    total = keras.layers.Add(name="add")([left, stem])
    x = keras.layers.Concatenate(name="concat")([total, right])
    x = DilatedConv2D(3, kernel_size=1, name="classifier")(x)
    last = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")
    return seeded(keras.Model(image, last([x, image]), name="branched"), seed)


@pytest.fixture(scope="module")
def model():
    return branched()


def damaging(format, layer, monkeypatch, *, factor=1.1):
    """Make the writer write that layer with other weights, wherever it stands in what is written."""
    right = WRITERS[format].write

    def write_damaged(deployment, path, **options):
        network = keras.models.clone_model(deployment.network)
        network.set_weights(deployment.network.get_weights())
        for part in network.layers:
            if part.name == layer:
                part.kernel.assign(part.kernel * factor)
        right(dataclasses.replace(deployment, network=network), path, **options)

    monkeypatch.setattr(WRITERS[format], "write", write_damaged)


# --- the search -------------------------------------------------------------------------------------------


def below(graph, broken):
    """Whether a layer is the broken one or depends on it."""
    found = set()
    for key, node in graph.walk():
        if key == broken or any(ref.node in found for ref in node.inputs):
            found.add(key)
    return found


def test_search_finds_every_layer_of_a_network_with_branches(model):
    graph = read(model)
    keys = [key for key, _ in graph.walk() if key != graph.input]
    assert len(keys) == 8
    for broken in keys:
        wrong, asked = below(graph, broken), []
        found = bisect(graph, lambda key, wrong=wrong, asked=asked: asked.append(key) or key in wrong)
        assert found == (broken, [])
        assert len(set(asked)) == len(asked) <= 5  # of 7 layers before the output


def test_search_names_what_it_cannot_see(model):
    graph = read(model)
    wrong = below(graph, "left")
    hidden = {"left"}
    found = bisect(graph, lambda key: None if key in hidden else key in wrong)
    assert found == ("relu", ["left"])


# --- while an export runs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("format", "layer"), [("tflite", "right"), ("onnx", "left"), ("saved_model", "stem")]
)
def test_failed_export_names_the_layer(format, layer, model, tmp_path, monkeypatch):
    damaging(format, layer, monkeypatch)
    with pytest.raises(ParityError) as raised:
        write(format, model, tmp_path)
    message = str(raised.value)
    assert f"first differs in layer {layer!r} (DilatedConv2D): error" in message
    assert f"the network cut behind each, written as {format} and run beside Keras" in message
    assert list(tmp_path.iterdir()) == []


def test_failed_export_of_a_mask_names_the_layer(model, tmp_path, monkeypatch):
    damaging("onnx", "classifier", monkeypatch, factor=-1)
    with pytest.raises(ParityError, match=r"first differs in layer 'classifier' \(DilatedConv2D\): error"):
        write("onnx", model, tmp_path, input_size=SIZE, head="mask")
    assert list(tmp_path.iterdir()) == []


def test_failed_export_names_the_rewrite(tmp_path, monkeypatch):
    from zoo.export.deploy import batch_norm

    right = batch_norm._factor_and_shift
    monkeypatch.setattr(batch_norm, "_factor_and_shift", lambda *args: (right(*args)[0], right(*args)[1] + 1))
    with pytest.raises(ParityError, match="the rewrite 'fold_batch_norm' changes what the network computes"):
        write("saved_model", tiny(), tmp_path, input_size=SIZE)
    assert list(tmp_path.iterdir()) == []


def test_search_that_fails_does_not_hide_the_failed_gate(model, tmp_path, monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("no search today")

    damaging("tflite", "left", monkeypatch)
    monkeypatch.setattr(first_difference, "bisect", broken)
    with pytest.raises(ParityError, match=r"max logit error .*could not be found \(RuntimeError: no search"):
        write("tflite", model, tmp_path)
    assert list(tmp_path.iterdir()) == []


# --- a finished file --------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", FORMATS)
def test_finished_file_against_a_model_with_one_other_layer(format, model, tmp_path):
    write(format, model, tmp_path, input_size=SIZE)
    path = tmp_path / NAMES[format]
    assert export.find_difference(path, model) is None
    other = branched()
    other.get_layer("right").kernel.assign(other.get_layer("right").kernel * 1.1)
    found = export.find_difference(path, other)
    assert "right" in (found.layer, *found.merged)
    assert not {"left", "relu", "stem", "add"} & {found.layer, *found.merged}
    assert found.max_error > found.limit > 0
    assert found.layers == 8
    assert json.dumps(found.to_dict())


def test_half_a_layer_is_not_blamed(model, tmp_path, monkeypatch):
    """A tensor that is named after a layer and holds something else, where all behind it is right."""
    path = tmp_path / "m"
    export.to_saved_model(model, path, input_size=SIZE)
    real = intermediates.layer_outputs

    def with_a_half(*args, **options):
        found = real(*args, **options)
        return {**found, "left": found["left"] + 1}

    monkeypatch.setattr(intermediates, "layer_outputs", with_a_half)
    other = branched()
    other.get_layer("classifier").kernel.assign(-other.get_layer("classifier").kernel)
    assert export.find_difference(path, other).layer == "classifier"


def test_tensors_of_an_nchw_file_are_turned(model, tmp_path):
    path = tmp_path / "m.onnx"
    export.to_onnx(model, path, input_size=SIZE, layout="nchw")
    other = branched()
    other.get_layer("classifier").kernel.assign(-other.get_layer("classifier").kernel)
    found = export.find_difference(path, other)
    assert "classifier" in (found.layer, *found.merged)
    assert "concat" not in (found.layer, *found.merged)


def test_finished_mask(model, tmp_path):
    path = tmp_path / "m.tflite"
    export.to_tflite(model, path, input_size=SIZE, head="mask")
    assert export.find_difference(path, model) is None
    other = branched()
    other.get_layer("right").kernel.assign(-other.get_layer("right").kernel)
    found = export.find_difference(path, other)
    assert "right" in (found.layer, *found.merged)
    assert found.max_error > found.limit > 0


def test_file_without_names_has_only_its_end(model, tmp_path):
    path = tmp_path / "m.onnx"
    export.to_onnx(model, path)
    bare = onnx.load(path)
    names = {}
    for node in bare.graph.node:
        node.name = ""
        for values in (node.input, node.output):
            for index, name in enumerate(values):
                if name in ("image", "logits", "") or any(name == t.name for t in bare.graph.initializer):
                    continue
                values[index] = names.setdefault(name, f"t{len(names)}")
    del bare.graph.value_info[:]
    onnx.save(bare, path)
    found = export.find_difference(path, branched(seed=1))
    assert found.layer == "logits"
    assert len(found.merged) == 7
    assert found.compared == 1


def test_quantized_file_names_the_layer_that_rounding_harms_most(model, tmp_path):
    harmed = branched()
    # One channel a thousand times the others: 8 bits for the whole map leave them nothing.
    kernel = harmed.get_layer("right").kernel
    kernel.assign(kernel * np.where(np.arange(6) == 0, 1000.0, 1.0))
    row = harmed.get_layer("classifier").kernel
    row.assign(row * np.where(np.arange(12) == 6, 0.0, 1.0)[:, None])
    images = [synthetic_image(*SIZE, seed=seed) for seed in range(8)]
    path = tmp_path / "m.tflite"
    with pytest.raises(ParityError, match=r"signal-to-noise ratio falls most in layer '\w+' \(\w+\): from"):
        export.to_tflite(harmed, path, input_size=SIZE, quantize="int8", calibration=images)
    assert list(tmp_path.iterdir()) == []
    export.to_tflite(model, path, input_size=SIZE, quantize="int8", calibration=images)
    other = branched()
    other.get_layer("classifier").kernel.assign(-other.get_layer("classifier").kernel)
    found = export.find_difference(path, other, images=images)
    assert found.layer == "classifier"
    assert found.before > 20 > found.after
