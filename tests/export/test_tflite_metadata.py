import zipfile

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from flatbuffers import number_types as types
from support.tflite_tables import Table, metadata_of

from zoo import export
from zoo.export.proof.parity import synthetic_image
from zoo.labels import LabelSet
from zoo.layers import DilatedConv2D
from zoo.layers.resize import SegmentationLogits, set_source
from zoo.weights import catalog

# A line break within a name would shift all later labels.
LABELS = LabelSet("test", ("road", "naïve ☂", "two\nlines"), ((1, 2, 3), (0, 0, 0), (255, 128, 64)))
SIZE = (24, 40)


def model_of(name="tiny", classes=LABELS):
    keras.utils.set_random_seed(0)
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 64)(image)
    x = DilatedConv2D(len(classes), kernel_size=3, rate=2, name="classifier")(x)
    x = SegmentationLogits(convention="half_pixel", label_set=classes, name="logits")([x, image])
    return keras.Model(image, x, name=name)


@pytest.fixture(scope="module")
def model():
    return model_of()


@pytest.fixture(scope="module")
def path(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("artifact") / "m.tflite"
    set_source(model, name="deeplabv3_aspp_mobilenet_v2", weights="voc2012")
    export.to_tflite(model, path, input_size=SIZE)
    return path


def test_model(path):
    metadata = metadata_of(path)
    assert metadata.text(0) == "tiny"
    assert metadata.text(1).startswith("Semantic segmentation into 3 classes: road, naïve ☂")
    assert metadata.text(4).startswith("atrous-zoo ")
    assert metadata.text(5) == catalog.find("deeplabv3_aspp_mobilenet_v2", "voc2012").licence
    assert metadata.text(7) == "1.5.0"


def test_input_tells_size_and_that_nothing_is_left_to_normalize(path):
    (graph,) = metadata_of(path).children(3)
    (image,) = graph.children(2)
    assert image.text(0) == "image"
    content = image.child(3)
    assert content.number(0, types.Uint8Flags) == 2  # ImageProperties
    assert content.child(1).number(0, types.Int8Flags) == 1  # RGB
    size = content.child(1).child(1)
    assert [size.number(i, types.Uint32Flags) for i in (0, 1)] == [40, 24]  # width, height
    (unit,) = image.children(4)
    assert unit.number(0, types.Uint8Flags) == 1  # NormalizationOptions
    assert unit.child(1).array(0, types.Float32Flags).tolist() == [0]
    assert unit.child(1).array(1, types.Float32Flags).tolist() == [1]
    largest, smallest = (image.child(5).array(i, types.Float32Flags).tolist() for i in (0, 1))
    assert (largest, smallest) == ([255], [0])


def test_output_names_its_files_and_its_activation(path):
    (graph,) = metadata_of(path).children(3)
    (logits,) = graph.children(3)
    assert logits.text(0) == "logits"
    files = {file.text(0): file.number(2, types.Int8Flags) for file in logits.children(6)}
    assert files == {"labels.txt": 2, "colormap.txt": 1}  # TENSOR_AXIS_LABELS, DESCRIPTIONS
    (custom,) = graph.children(9)
    assert custom.text(0) == "SEGMENTER_METADATA"
    options = custom.array(1, types.Uint8Flags).tobytes()
    assert options[4:8] == b"V001"
    assert Table(options).number(0, types.Int8Flags) == 2  # SOFTMAX of the logits


def test_files_are_an_uncompressed_archive_behind_the_model(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        labels = archive.read("labels.txt").decode().splitlines()
        colors = archive.read("colormap.txt").decode().splitlines()
    assert labels == ["road", "naïve ☂", "two lines"]
    assert colors == ["1 2 3", "0 0 0", "255 128 64"]


def test_file_still_runs_and_tells_its_own_labels(path, model):
    image = synthetic_image(*SIZE)
    interpreter = Interpreter(model_path=str(path))
    logits = interpreter.get_signature_runner("serving_default")(image=image[None].astype("float32"))[
        "logits"
    ]
    np.testing.assert_allclose(logits, model(image[None].astype("float32")), atol=1e-4)
    artifact = export.open_artifact(path)
    assert artifact.label_set == LABELS
    np.testing.assert_array_equal(artifact.predict(image), logits)


def test_same_model_gives_the_same_bytes(path, model, tmp_path):
    export.to_tflite(model, tmp_path / "again.tflite", input_size=SIZE)
    assert (tmp_path / "again.tflite").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "source",
    [None, {"model": "deeplabv3_aspp_mobilenet_v2", "weights": None}, {"model": "x", "weights": "y"}],
)
def test_no_licence_is_claimed_for_weights_of_unknown_origin(source, tmp_path):
    model = model_of()
    if source is not None:
        set_source(model, name=source["model"], weights=source["weights"])
    export.to_tflite(model, tmp_path / "m.tflite", input_size=SIZE)
    assert metadata_of(tmp_path / "m.tflite").text(5) is None
