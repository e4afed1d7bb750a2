import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from support.compression_fixtures import NORM, SIZE, block_batches, block_images, images, tiny, tuning
from support.training_fixtures import IGNORE, pixel_loss

import zoo
from zoo import export
from zoo.compression import Distillation, prune, quantize, to_tflite
from zoo.compression.pruning import PruningConfig
from zoo.compression.quantizable import (
    left_in_float,
    quantizable,
    round_kernel,
    round_kernels,
    with_rounded_resizes,
)
from zoo.compression.quantization import _REWRITES, _Quantized
from zoo.compression.quantizers import KernelQuantizer
from zoo.errors import InputError, ParityError
from zoo.export.core.artifact_model import as_model
from zoo.export.core.deployment import prepare
from zoo.export.deploy.graph import Ref, build, read, substitute
from zoo.export.tflite import trained_ranges
from zoo.export.tflite.artifact import float_operations
from zoo.labels import named, numbered
from zoo.layers import AdaptiveAveragePooling2D, DepthToSpace, DilatedConv2D
from zoo.layers.fake_quantization import FakeQuantize
from zoo.layers.preprocessing import Normalize
from zoo.layers.resize import Resize, SegmentationLogits, label_set_of
from zoo.models.blocks import activation, conv_bn_act
from zoo.models.heads.classifier import classify
from zoo.training.checkpoints import write_model
from zoo.training.losses import SparseCrossEntropy

LABELS = numbered(3)


def batch():
    return np.stack(images(4)).astype("float32")


@pytest.fixture(scope="module")
def trained():
    """A float model that knows its task a little, so that classes are not nearly equal everywhere."""
    model = tiny(dropout=0.0)
    model.compile(keras.optimizers.Adam(0.02), SparseCrossEntropy(ignore_label=IGNORE))
    model.fit(block_batches(batch=4)(0), steps_per_epoch=60, verbose=0)
    return model


@pytest.fixture(scope="module")
def quantized(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("qat")
    return quantize(trained, tuning(3, output=folder, batches=block_batches(batch=2))), folder


@pytest.fixture(scope="module")
def written(quantized, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "m.tflite"
    return path, to_tflite(quantized[0].model, path, input_size=(SIZE, SIZE), images=block_images())


def test_nothing_is_left_in_float(quantized, written):
    path, report = written
    assert quantized[0].float_layers == {}
    assert float_operations(path.read_bytes()) == []
    assert report.quantization.float_operations == ()
    # Stem, two of the block's, four branches' and the rest; dilated ones are one operation each.
    assert report.operations["DEPTHWISE_CONV_2D"] == 3
    assert report.operations["CONV_2D"] == 10  # one of them normalizes
    assert not {"SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "DEQUANTIZE"} & set(report.operations)
    assert (report.inputs[0].dtype, report.outputs[0].dtype) == ("uint8", "uint8")


def test_file_computes_what_the_fake_quantized_model_computes(quantized, written):
    path, report = written
    artifact = export.open_artifact(path)
    same = []
    for image in block_images(6):
        want = quantized[0].model(image[None].astype("float32")).numpy()
        got = artifact.predict(image)
        same.append(got.argmax(-1) == want.argmax(-1))
        step = report.parity.max_logit / 100
        assert np.abs(got - want).max() < 8 * step
    assert np.mean(same) >= 0.99
    assert report.parity.argmax_agreement >= 0.99 and report.parity.passed
    stored = json.loads(path.with_name("m.tflite.json").read_text())
    assert stored["quantization"]["kind"] == "int8" and stored["parity"]["passed"] is True
    assert artifact.labels == LABELS.names
    assert export.verify(path, quantized[0].model, images=block_images()).passed


def test_scales_of_the_file_are_the_learned_ranges(quantized, written):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(written[0]))
    stored = {round(float(d["quantization"][0]), 7) for d in interpreter.get_tensor_details()}
    for layer in quantized[0].model.layers:
        if isinstance(layer, FakeQuantize):
            scale = float(layer.high - layer.low) / 255
            assert min(abs(scale - other) for other in stored) < 1e-3 * scale, layer.name


def test_training_moves_kernels_and_ranges(trained, quantized):
    result = quantized[0]
    name = "backbone.last.conv"
    kernel, before = (m.get_layer(name).kernel.numpy() for m in (result.model, trained))
    np.testing.assert_array_equal(round_kernel(kernel, depthwise=False), kernel)
    assert 1e-4 < np.abs(kernel - before).max() < 0.5
    fresh = quantizable(trained, [batch()]).model
    moved = [
        abs(float(layer.high - result.model.get_layer(layer.name).high))
        for layer in fresh.layers
        if isinstance(layer, FakeQuantize) and not layer.fixed
    ]
    assert max(moved) > 1e-4
    assert len(result.history.losses) == 3


def test_network_and_returned_model_round_alike(trained):
    """tf_keras with tfmot's wrappers against Keras 3 with rounded kernels."""
    student = _Quantized(quantizable(trained, [batch()]))
    x = batch()
    want = student.bridge.network(x, training=False).numpy()
    got = student.snapshot()(x, training=False).numpy()
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4 * np.abs(want).max())
    # Rounding is not nothing, and it is small.
    plain = trained(x, training=False).numpy()
    assert 1e-3 < np.abs(want - plain).max() < 0.3 * np.abs(plain).max()


def test_kernels_of_both_sides_are_int8_of_each_channel():
    kernel = np.random.default_rng(0).normal(0, 1, (3, 3, 4, 5)).astype("float32")
    kernel[..., 2] = 0
    ours = round_kernel(kernel, depthwise=False)
    theirs = KernelQuantizer()(tf.constant(kernel), True, {}).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
    scale = np.abs(kernel).max(axis=(0, 1, 2)) / 127
    steps = ours[..., [0, 1, 3, 4]] / scale[[0, 1, 3, 4]]
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
    assert np.abs(ours - kernel).max() <= scale.max() / 2 + 1e-6
    depthwise = np.transpose(kernel[:, :, :1], (0, 1, 3, 2))
    theirs = KernelQuantizer(depthwise=True)(tf.constant(depthwise), True, {}).numpy()
    np.testing.assert_allclose(round_kernel(depthwise, depthwise=True), theirs, atol=1e-6)


def test_saved_model_is_read_again(quantized, tmp_path):
    write_model(quantized[0].model, tmp_path / "q.keras")
    again = keras.models.load_model(tmp_path / "q.keras")
    np.testing.assert_array_equal(again(batch()).numpy(), quantized[0].model(batch()).numpy())


def test_zeros_of_a_pruned_kernel_stay_exact_zeros_in_eight_bits(trained):
    kernel = trained.get_layer("aspp.project.conv").kernel.numpy()
    kernel[np.abs(kernel) < np.median(np.abs(kernel))] = 0
    rounded = round_kernel(kernel, depthwise=False)
    assert (rounded == 0)[kernel == 0].all() and 0.5 <= (rounded == 0).mean() < 0.6


def head_model(body, domain="logits"):
    keras.utils.set_random_seed(7)
    image = keras.Input((None, None, 3), name="image")
    x = Normalize(mean=(120.0,) * 3, scale=(58.0,) * 3, order="bgr", name="normalize")(image)
    x = conv_bn_act(x, 8, 3, strides=2, norm=NORM, act="hard_swish", name="backbone.stem")
    x = body(x)
    x = DilatedConv2D(3, kernel_size=1, use_bias=True, name="classifier")(x)
    ends = {"label_set": LABELS, "convention": "half_pixel", "domain": domain}
    return keras.Model(image, SegmentationLogits(name="logits", **ends)([x, image]), name="head")


def gates_sums_and_cells(x):
    """What MobileNetV3 and DUC have beyond the tiny network."""
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True, name="mean")(x)
    gate = activation(conv_bn_act(gate, 8, norm=NORM, name="gate"), "hard_sigmoid", name="gate")
    x = keras.layers.Multiply(name="scaled")([x, gate])
    x = keras.layers.Add(name="sum")([conv_bn_act(x, 8, norm=NORM, name=f"term{i}") for i in range(3)])
    return DepthToSpace(cell=2, name="cells")(x)


def write_untrained(model, path):
    """The file of an untrained model, whose classes are too equal for the gate of `to_tflite`."""
    made = quantizable(model, [batch()])
    round_kernels(made.model, made.kernels)
    result = with_rounded_resizes(made.model)
    deployment = prepare(result, input_size=(SIZE, SIZE), rewrites=_REWRITES)
    done = trained_ranges.write(deployment, path, left=left_in_float(result))
    return made, result, done.float_operations


def test_gates_sums_of_three_and_cells_are_integers(tmp_path):
    _, result, _ = write_untrained(head_model(gates_sums_and_cells), tmp_path / "m.tflite")
    assert float_operations((tmp_path / "m.tflite").read_bytes()) == []
    artifact = export.open_artifact(tmp_path / "m.tflite")
    want = result(batch()).numpy()
    got = np.concatenate([artifact.predict(image) for image in images(4)])
    assert np.sqrt(((got - want) ** 2).mean()) < 0.1 * want.std()


def test_float_layers_are_listed_and_no_others_are_in_the_file(tmp_path):
    def pooled(x):
        level = AdaptiveAveragePooling2D(2, name="level")(x)
        return Resize(convention="half_pixel", name="back")([conv_bn_act(level, 8, norm=NORM, name="c"), x])

    model = head_model(pooled, domain="probabilities")
    made, _, left = write_untrained(model, tmp_path / "m.tflite")
    assert set(made.float_layers) == {"level", "logits.shift", "logits"}
    found = {(op.operation, op.layer) for op in left}
    assert {layer for _, layer in found} == set(made.float_layers)
    assert {("BATCH_MATMUL", "level"), ("ADD", "logits.shift"), ("SOFTMAX", "logits")} <= found
    assert not {"CONV_2D", "DEPTHWISE_CONV_2D", "CONCATENATION"} & {operation for operation, _ in found}
    in_file = [operation for operation, _ in float_operations((tmp_path / "m.tflite").read_bytes())]
    assert [op.operation for op in left] == in_file


def test_float_operation_without_reason_is_an_error(quantized, tmp_path):
    """A tensor that nothing rounds shows up as a float operation, and the file is not written."""
    graph = read(quantized[0].model)
    broken = build(substitute(graph, {Ref("backbone.block.add.quantized"): Ref("backbone.block.add")}))
    with pytest.raises(ParityError, match=r"ADD .*computes in float"):
        to_tflite(broken, tmp_path / "m.tflite", input_size=(SIZE, SIZE))
    assert list(tmp_path.iterdir()) == []


def test_only_quantized_models_become_integer_files(trained, tmp_path):
    with pytest.raises(InputError, match=r"model from zoo\.compression\.quantize"):
        to_tflite(trained, tmp_path / "m.tflite", input_size=(SIZE, SIZE))


def test_segment_takes_the_file(written):
    result = zoo.segment(as_model(export.open_artifact(written[0])), images(1)[0])
    assert result.mask.shape == (SIZE, SIZE)


# --- distillation -----------------------------------------------------------------------------------------


def distil(teacher, student, mask, **settings):
    made = Distillation(teacher, **settings)
    image, logits = batch()[: len(mask)], student(batch()[: len(mask)])
    options = {"loss": pixel_loss, "student_labels": LABELS, "ignore_label": IGNORE}
    return float(made(image, mask, logits, **options)), logits


def test_distillation_is_the_formula(trained):
    student = tiny(dropout=0.0)
    mask = np.random.default_rng(0).integers(0, 3, (2, SIZE, SIZE)).astype("int32")
    mask[:, :5] = IGNORE
    got, logits = distil(trained, student, mask, temperature=3.0, weight=0.7)

    def softmax(x):
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    p, q = softmax(trained(batch()[:2]).numpy() / 3.0), softmax(logits.numpy() / 3.0)
    divergence = (p * np.log(p / q)).sum(-1)[mask != IGNORE].mean()
    want = 0.3 * float(pixel_loss(mask, logits)) + 0.7 * 9.0 * divergence
    assert got == pytest.approx(want, rel=1e-4)
    assert distil(trained, student, mask, weight=0.0)[0] == pytest.approx(float(pixel_loss(mask, logits)))
    assert distil(trained, trained, mask, weight=1.0)[0] == pytest.approx(0.0, abs=1e-5)


def ended(names):
    """Scores of an image as logits of classes with these names."""
    image = keras.Input((None, None, 3), name="image")
    return keras.Model(image, classify(image, image, label_set=named(names), convention="half_pixel"))


def test_teacher_with_classes_in_another_order():
    student, teacher = ended(("a", "b", "c")), ended(("c", "a", "b"))
    for now, before in zip(teacher.weights, student.weights, strict=True):
        now.assign(before.numpy()[..., [2, 0, 1]])
    made = Distillation(teacher, weight=1.0)
    made.check(student)
    options = {"loss": pixel_loss, "student_labels": label_set_of(student), "ignore_label": None}
    mask, logits = np.zeros((1, SIZE, SIZE), "int32"), student(batch()[:1] / 255)
    assert float(made(batch()[:1] / 255, mask, logits, **options)) == pytest.approx(0.0, abs=1e-5)
    with pytest.raises(InputError, match="only the"):
        made.check(ended(("x", "y")))


def test_impossible_distillation(trained):
    with pytest.raises(InputError, match="temperature"):
        Distillation(trained, temperature=0)
    with pytest.raises(InputError, match="from 0 to 1"):
        Distillation(trained, weight=1.5)


def test_a_student_follows_its_teacher(trained):
    """Pruned under the teacher's loss alone, the network still moves towards the teacher."""
    student = tiny(dropout=0.0)
    teacher = Distillation(trained, weight=1.0, temperature=1.0)
    config = PruningConfig(sparsity=0.25, layers=["aspp.project"])
    options = {"distillation": teacher, "validate": None, "batches": block_batches(batch=2)}
    losses = prune(student, config, tuning(36, **options)).history.losses
    assert np.mean(losses[-9:]) < 0.8 * np.mean(losses[:9])
