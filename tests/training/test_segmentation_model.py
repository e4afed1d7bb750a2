"""The models' class trains as `keras.Model` does, to the bit, and is what loading gives."""

import keras
import numpy as np
import pytest
from goldens.seeding import image
from support.torch_parity import GOLDENS
from support.training_fixtures import tiny_model

import zoo
from zoo.errors import InputError
from zoo.models.segmentation_model import SegmentationModel
from zoo.models.surgery import without_auxiliary
from zoo.training.losses import SparseCrossEntropy

RNG = np.random.default_rng(0)
IMAGES = RNG.uniform(0, 255, (8, 16, 16, 3)).astype("float32")
MASKS = RNG.integers(0, 3, (8, 16, 16)).astype("uint8")


def trained(kind, *, policy="float32", optimizer=None, **options) -> list[np.ndarray]:
    """History, scores and weights after an epoch of `fit`, and after `train_on_batch`."""
    keras.config.set_dtype_policy(policy)
    try:
        plain = tiny_model(dropout=0.5)
    finally:
        keras.config.set_dtype_policy("float32")
    model = kind(plain.input, plain.output, name="tiny")
    options = {"metrics": ["accuracy"], "jit_compile": False, **options}
    model.compile(keras.optimizers.AdamW(0.01, **(optimizer or {})), SparseCrossEntropy(), **options)
    seen = model.fit(
        IMAGES, MASKS, batch_size=2, epochs=2, shuffle=False, verbose=0, validation_data=(IMAGES, MASKS)
    )
    last = model.train_on_batch(IMAGES[:2], MASKS[:2])
    return [*(np.array(values) for values in seen.history.values()), np.array(last), *model.get_weights()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"steps_per_execution": 2},
        {"run_eagerly": True},
        {"policy": "mixed_float16"},
        {"optimizer": {"use_ema": True, "clipnorm": 0.1}},
        {"optimizer": {"gradient_accumulation_steps": 2}},
    ],
)
def test_it_trains_as_keras_does(options):
    for ours, theirs in zip(
        trained(SegmentationModel, **options), trained(keras.Model, **options), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_class_weight_of_keras_is_refused(method):
    plain = tiny_model()
    model = SegmentationModel(plain.input, plain.output)
    model.compile("sgd", SparseCrossEntropy())
    with pytest.raises(InputError, match=r"^class_weight .*SparseCrossEntropy\(class_weights=\[[^\n]*$"):
        getattr(model, method)(IMAGES, MASKS, class_weight={0: 1.0, 1: 2.0, 2: 1.0})
    with pytest.raises(TypeError, match="class_wight"):
        getattr(model, method)(IMAGES, MASKS, class_wight={0: 1.0})
    getattr(model, method)(IMAGES, MASKS, class_weight=None)


def test_what_is_built_saved_and_loaded_is_of_it(tmp_path):
    model = zoo.load("lraspp_mobilenet_v2", weights=None, classes=3)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    older = zoo.load("deeplabv3_aspp_mobilenet_v2", GOLDENS / "saved" / "deeplabv3_aspp_mobilenet_v2.keras")
    auxiliary = zoo.load("pspnet_mobilenet_v2", weights=None, classes=3, auxiliary=True)
    for found in (model, again, older, auxiliary, without_auxiliary(auxiliary)):
        assert isinstance(found, SegmentationModel) and isinstance(found, keras.Model)
    pixels = image(33, 41)[None]
    np.testing.assert_array_equal(again(pixels), model(pixels))
