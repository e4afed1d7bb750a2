"""The public names in use, as a type checker sees them in an installed package. It is checked and never run.

A name that is public and not used here fails `tests/test_public_surface.py`.
"""

from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from typing_extensions import assert_type

import zoo
from zoo import (
    ablation,
    datasets,
    dilation,
    errors,
    evaluation,
    export,
    files,
    hub,
    images,
    inference,
    labels,
    layers,
    metrics,
    sequence,
)
from zoo.ablation import Budget, Comparison, Cost, Difference, Run, Scores, Statistic, Summary, Variant
from zoo.datasets import Augmentation, Dataset, DatasetReport, Layout, Listing, Problem, Shrunk, SplitReport
from zoo.datasets.convert import FORMATS, Conversion, convert
from zoo.datasets.records import Packed, pack, verify
from zoo.evaluation import Evaluation, ImageScore
from zoo.hub import Score
from zoo.inference import ImageLike, RasterSegmentation, Segmentation
from zoo.labels import LabelSet

PHOTO: ImageLike = "street.jpg"


def models() -> keras.Model:
    names = zoo.list_models("deeplabv3_aspp")
    assert_type(names, list[str])
    told = zoo.info(names[0])
    assert_type(told, zoo.ModelInfo)
    assert_type(told.parameters, int)
    assert_type(zoo.__version__, str)
    model = zoo.load("deeplabv3_aspp", "camvid", classes=4, output_stride=16)
    assert_type(model, keras.Model)
    assert_type(layers.label_set_of(model), LabelSet)
    return model


def pushed(model: keras.Model) -> str:
    score = Score(metric="mIoU", value=75.1, protocol="camvid11 val 360x480 single-scale")
    address = hub.push(model, "hf://me/mine", licence="MIT", scores=[score], sample=PHOTO)
    assert_type(address, str)
    assert_type(zoo.load(address), keras.Model)
    return address


def segmented(model: keras.Model) -> Path:
    found = zoo.segment(model, PHOTO, scales=(0.75, 1.0), flip=True, tile=(512, 512))
    assert_type(found, Segmentation)
    assert_type(zoo.segment(zoo.export.open_artifact("m.tflite"), PHOTO), Segmentation)
    assert_type(inference.segment("duc_hdc", Path("street.jpg")), Segmentation)
    assert_type(
        inference.segment_raster("duc_hdc", "town.tif", "mask.tif", tile=512, overlay=Path("o.tif")),
        RasterSegmentation,
    )
    inference.forget_models()
    by_ray = inference.RaySegmenter("m.tflite", column="path", scales=(1.0,), masks=False, threads=2)
    by_ray({"path": np.array(["street.jpg"], object)})
    raster = inference.segment_raster(model, "town.tif", "mask.tif", tile=1024, overlay="overlay.tif")
    assert_type(raster, inference.RasterSegmentation)
    assert_type(found.mask, np.ndarray)
    assert_type(found.probabilities, np.ndarray)
    assert_type(found.labels, LabelSet)
    assert_type(found.shares(), list[tuple[str, float]])
    return images.write_png("overlay.png", found.overlay(opacity=0.5))


def sounds(samples: np.ndarray) -> np.ndarray:
    for spec in sequence.SEQUENCE_MODELS.values():
        assert_type(spec, sequence.SequenceSpec)
    amplifier = zoo.load("wavenet_nam", "amp.nam")
    assert_type(sequence.read_nam("amp.nam", submodel=0), sequence.NamModel)
    assert_type(sequence.in_blocks(amplifier, block=64), keras.Model)
    assert_type(sequence.initial_state(amplifier), np.ndarray)
    network = sequence.build_wavenet(sequence.WaveNetConfig(layers=8, stacks=2, ids=(10, 6)))
    ids = np.array([[7, 0]])
    assert_type(sequence.generate_codes(network, 8000, ids=ids, temperature=0.8), np.ndarray)
    assert_type(sequence.WaveNetSteps(network, ids=ids).step(np.array([128])), np.ndarray)
    report = export.to_blocks(amplifier, "amp.tflite", block=64)
    assert_type(report, export.BlockReport)
    artifact = export.open_blocks("amp.tflite")
    assert_type(artifact, export.BlockArtifact)
    zoo.process(artifact, samples)
    export.to_blocks(amplifier, "amp.tflite", quantize="int16x8", calibration=samples)
    spoken = zoo.generate("wavenet_digits", digit=7, speaker=sequence.SPEAKERS[0], temperature=0.9, seed=1)
    assert_type(spoken, sequence.Generated)
    assert_type((spoken.samples, spoken.rate), tuple[np.ndarray, int])
    assert_type(export.to_speaker(network, "a.onnx"), export.SpeakerReport)
    speaker = export.open_speaker("a.onnx")
    assert_type(speaker, export.SpeakerArtifact)
    zoo.generate(speaker, digit=7, speaker="theo")
    zoo.process(sequence.KerasStream(amplifier, block=64), samples)
    keras.Sequential([sequence.DilatedConv1D(4, kernel_size=2, rate=8)])
    return sequence.process(amplifier, samples, block=480)


def spellings() -> list[str]:
    network = zoo.load("bytenet_g2p")
    assert_type(zoo.transcribe("segmentation", beam=4), list[str])
    assert_type(sequence.transcribe(["a", "b"], model=network), list[list[str]])
    steps = sequence.ByteNetSteps(network)
    assert_type(steps.config, sequence.ByteNetConfig)
    report = export.to_transcriber(network, "g2p.tflite")
    assert_type(report, export.TranscriberReport)
    artifact = export.open_transcriber("g2p.tflite")
    assert_type(artifact, export.Transcriber)
    blocks = sequence.BlockConfig(width=32, hidden=16, kernel=3, unit="multiplicative")
    config = sequence.ByteNetConfig(
        source=10, target=12, blocks=blocks, encoder_rates=(1, 2), decoder_rates=(1, 2)
    )
    assert_type(sequence.build_bytenet(config), keras.Model)
    tokens = sequence.TokenNetConfig(tokens=30, padding=27, embedding=8, blocks=blocks, rates=(1, 2))
    assert_type(sequence.build_token_net(tokens), keras.Model)
    carp = zoo.load("bytenet_carp", "carp_600k")
    assert_type(sequence.embed_proteins(carp, ["MKTAYIAK"]), list[sequence.Protein])
    return zoo.transcribe("segmentation", model=artifact)


def pictures(mask: np.ndarray, label_set: LabelSet) -> np.ndarray:
    assert_type(images.SUFFIXES, tuple[str, ...])
    paths = images.find_images(["photos"])
    photo = images.read_image(paths[0])
    assert_type(images.class_shares(images.read_mask("mask.png"), label_set), list[tuple[str, float]])
    images.palette_image(mask, label_set).save("mask.png")
    images.to_rgb(images.palette_image(mask, label_set))
    return images.overlay(photo, mask, label_set, legend=False, min_share=0.01)


def named() -> LabelSet:
    assert_type(labels.resolve("voc21"), LabelSet)
    own = labels.named(["road", "sky"], key="own")
    assert_type(LabelSet.from_config(own.to_config()), LabelSet)
    assert_type(labels.class_order(own, labels.numbered(2)), np.ndarray)
    return own


def data(own: LabelSet) -> Dataset:
    training = datasets.open_dataset("folder", "data", split="train", classes=own)
    assert_type(training, Dataset)
    assert_type(training.reading, datasets.Reading)
    image, mask = training.read(0)
    assert_type(image, np.ndarray)
    assert_type(mask, np.ndarray)
    changes = Augmentation(scale=(0.5, 2.0), flip=True)
    datasets.batches(training, batch_size=4, crop=(257, 257), augment=changes)
    assert_type(datasets.shrink(training, (240, 320)), Shrunk)
    report = datasets.check("data", kind="folder")
    assert_type(report, DatasetReport)
    assert_type(report.splits[0], SplitReport)
    assert_type(report.splits[0].problems[0], Problem)
    assert_type(datasets.KINDS, tuple[str, ...])
    layout = datasets.LAYOUTS["camvid"]
    assert_type(layout, Layout)
    assert_type(layout.list_split(Path("data"), "train"), Listing)
    assert_type(convert(next(iter(FORMATS)), "labels", "data", overlap="smallest"), Conversion)
    assert_type(pack(training, "records", shards=8, workers=2), Packed)
    assert_type(verify(Path("records"), "train"), tuple[Problem, ...])
    return training


def scores(model: keras.Model, held_out: Dataset) -> float:
    found = zoo.evaluate(model, held_out, keep_worst=3, flip=True)
    assert_type(found, Evaluation)
    assert_type(evaluation.evaluate("model.tflite", held_out), Evaluation)
    assert_type(found.worst(3), list[ImageScore])
    assert_type(found.iou, dict[str, float])
    matrix = metrics.ConfusionMatrix(4, ignore_label=255)
    matrix.update(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
    metrics.confusion_matrix(np.zeros(4, np.int32), np.zeros(4, np.int32), classes=4)
    assert_type(metrics.Reliability(255, bins=10).expected_calibration_error, float)
    assert_type(metrics.boundary_band(np.zeros((9, 9), np.uint8), distance=3), np.ndarray)
    assert_type(matrix.iou, np.ndarray)
    return found.mean_iou


def dilated(model: keras.Model) -> Path:
    report = dilation.check((1, 2, 5), kernel=3)
    assert_type(report, dilation.Report)
    assert_type(report.passes, bool)
    assert_type(dilation.suggest((2, 4, 8)), tuple[int, ...])
    sequence = dilation.check_sequence((1, 2, 4), kernel=2)
    assert_type(sequence, dilation.SequenceReport)
    assert_type(sequence.milliseconds(8000), float)
    assert_type(dilation.sequence_coverage((1, 2), kernel=3), np.ndarray)
    assert_type(dilation.plot_sequence([(1, 2)], path="a.png"), Path)
    stack = [dilation.Layer(kernel=3, rate=2)]
    assert_type(dilation.coverage(stack), np.ndarray)
    assert_type(dilation.holes(stack), np.ndarray)
    assert_type(dilation.covers(stack), bool)
    assert_type(dilation.reached(stack), tuple[int, int])
    assert_type(dilation.receptive_field(stack), int)
    found = dilation.analyse(model, layer=dilation.dilation_input(model))
    assert_type(found, dilation.ModelCoverage)
    dilation.plot_model(model, path=dilation.check_path("coverage.png"))
    return dilation.plot((2, 2, 2), path="gridding.png")


def compared(budget: Budget, run: Run, summary: Summary, scores: Scores, cost: Cost) -> Variant:
    comparison = ablation.COMPARISONS["hdc"]
    assert_type(comparison, Comparison)
    assert_type(summary.differences, tuple[Difference, ...])
    assert_type(summary.statistic("hybrid"), Statistic | None)
    ablation.run_all(comparison, budget=budget, seeds=range(1), output=Path("out"))
    return comparison.variants[0]


def built(image: keras.KerasTensor) -> keras.KerasTensor:
    x = layers.Normalize(mean=(0, 0, 0), scale=(1, 1, 1))(image)
    x = layers.PadToMultiple(multiple=8)(x)
    x = layers.Enlarge(factor=1.5)(x)
    x = layers.ReflectionPadding2D(margin=8, tile=(64, 64))(x)
    x = layers.DilatedConv2D(8, kernel_size=3, rate=2)(x)
    x = layers.DilatedDepthwiseConv2D(kernel_size=3, rate=2)(x)
    x = layers.FusedBatchNormalization()(x)
    x = layers.HardSwish()(layers.HardSigmoid()(x))
    x = layers.JoinTiles(tile=(64, 64))([x, image])
    pooled = layers.AdaptiveAveragePooling2D(1)(x)
    x = layers.BroadcastLike()([pooled, x])
    x = layers.BilinearUpsampling2D(factor=2)(layers.DepthToSpace(cell=2)(x))
    x = layers.Scale(factor=2.0)(layers.Shift(amount=1.0)(layers.FakeQuantize()(x)))
    x = layers.Resize(convention="half_pixel")([x, image])
    return layers.SegmentationLogits(convention="half_pixel", label_set=named())([x, image])


def operations(x: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    print(layers.PACKAGE)
    with layers.forward_only():
        x = layers.dilated_conv2d(x, kernel, rate=2)
        x = layers.dilated_valid_conv2d(x, kernel, rate=2)
        x = layers.dilated_depthwise_conv2d(x, kernel, rate=2)
    return layers.resize_bilinear(x, (65, 65), convention="half_pixel")


def refused() -> Mapping[str, object]:
    try:
        zoo.load("no such model")
    except errors.InputError as error:
        assert_type(error, errors.InputError)
    with files.written_whole("a.txt") as part:
        assert_type(part, Path)
    return {"models": zoo.models, "training": zoo.training, "weights": zoo.weights}
