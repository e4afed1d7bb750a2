"""Files that version 0.1.0 wrote, and those of later models, load as they did, whatever has moved since."""

import hashlib
import json
import shutil

import keras
import numpy as np
import pytest
from goldens.seeding import image
from support.torch_parity import GOLDENS, relative_error
from support.training_fixtures import (
    make_batches,
    pixel_accuracy,
    pixel_loss,
    tiny_model,
    tiny_settings,
    weights_of,
)

import zoo
import zoo.serializable  # for keras.models.load_model, as the README says
from zoo import export
from zoo.layers.resize import label_set_of
from zoo.models import registry
from zoo.models.loading import read_keras
from zoo.training.engine import fit

SAVED = GOLDENS / "saved"
LOGITS = np.load(SAVED / "logits.npz")
MODELS = [name for name in LOGITS if (SAVED / f"{name}.keras").exists()]
SIZE = (41, 57)
EXPORTED = "duc_hdc_resnet50"


def test_there_is_a_file_of_every_architecture_and_family_of_backbones():
    named = {(s.architecture, s.backbone.rstrip("0123456789")) for s in registry.MODELS}
    saved = {(s.architecture, s.backbone.rstrip("0123456789")) for s in registry.MODELS if s.name in MODELS}
    assert saved == named
    assert {"trained", "quantized"} < {*MODELS}


@pytest.mark.parametrize("name", MODELS)
def test_a_saved_model_computes_what_it_computed(name):
    model = read_keras(SAVED / f"{name}.keras")
    assert label_set_of(model).names == ("class 0", "class 1", "class 2")
    assert relative_error(np.asarray(model(image(*SIZE)[None])), LOGITS[name]) < 1e-5


@pytest.mark.parametrize("name", [name for name in MODELS if name in zoo.list_models()])
def test_it_is_a_weights_file_of_its_model(name):
    model = zoo.load(name, SAVED / f"{name}.keras")
    assert relative_error(np.asarray(model(image(*SIZE)[None])), LOGITS[name]) < 1e-5


def test_a_compiled_model_brings_its_loss_and_schedule():
    model = keras.models.load_model(SAVED / "trained.keras")
    assert [type(loss).__name__ for loss in model.loss.losses] == ["SparseCrossEntropy", "Dice"]
    assert type(model.optimizer._learning_rate).__name__ == "Poly"
    mask = np.ones((1, *SIZE), np.int32)
    assert np.isfinite(model.fit(image(*SIZE)[None], mask, verbose=0).history["loss"][0])


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_an_export_computes_what_it_computed(kind, tmp_path):
    write = {"onnx": export.to_onnx, "tflite": export.to_tflite}[kind]
    write(read_keras(SAVED / f"{EXPORTED}.keras"), tmp_path / f"m.{kind}", input_size=SIZE)
    logits = export.open_artifact(tmp_path / f"m.{kind}").predict(image(*SIZE)[None])
    assert relative_error(logits, LOGITS[kind]) < 1e-5
    mask = logits.argmax(-1).astype(np.uint8)
    wanted = json.loads((SAVED / "digests.json").read_text())[kind]
    assert hashlib.sha256(mask.tobytes()).hexdigest() == wanted


def test_a_run_goes_on(tmp_path):
    shutil.copytree(SAVED / "run", tmp_path / "run")
    model = tiny_model()
    settings = tiny_settings(12, average=0.9, accumulate=2)
    options = {"loss": pixel_loss, "validate": pixel_accuracy, "output": tmp_path / "run"}
    history = fit(model, make_batches(), settings=settings, **options)
    assert history.step == 12 and len(history.losses) == 6
    with np.load(SAVED / "run.npz") as wanted:
        for path, value in weights_of(model).items():
            np.testing.assert_allclose(value, wanted[path], atol=1e-6, err_msg=path)
