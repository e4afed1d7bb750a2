"""What is no number wins no pixel: models and files that give such are named."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import zoo
from zoo.errors import InputError
from zoo.inference.files import FileViewer
from zoo.labels import numbered
from zoo.models.heads.classifier import classify

IMAGE = np.full((12, 16, 3), 99, np.uint8)
LABELS = numbered(3)


def model() -> keras.Model:
    image = keras.Input((None, None, 3), name="image")
    x = keras.layers.Rescaling(1 / 255, name="scale")(image)
    return keras.Model(image, classify(x, image, label_set=LABELS, convention="half_pixel"), name="small")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("label", range(3))
def test_a_model(value, label):
    network = model()
    assert zoo.segment(network, IMAGE).mask.shape == (12, 16)
    bias = network.get_layer("classifier").bias
    bias.assign([value if index == label else 0.0 for index in range(3)])
    with pytest.raises(InputError, match="small gives values that are not finite: its weights are damaged"):
        _ = zoo.segment(network, IMAGE).mask


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_file(value):
    logits = np.zeros((1, 12, 16, 3), np.float32)
    metadata = SimpleNamespace(head="logits", model="m", gives_mask=False)
    found = {"metadata": metadata, "label_set": LABELS, "input_size": None, "path": "m.onnx"}
    viewer = FileViewer(SimpleNamespace(**found, predict=lambda pixels: logits))
    assert not viewer.winners(IMAGE).any()
    logits[0, 3, 4, 1] = value
    for see in (viewer.winners, lambda pixels: viewer.probabilities(pixels, scales=(1.0,), flip=False)):
        with pytest.raises(InputError, match=r"m\.onnx gives values that are not finite"):
            see(IMAGE)
