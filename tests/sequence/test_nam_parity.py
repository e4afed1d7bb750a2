"""Amplifier models against neural-amp-modeler, whole, and block by block."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from goldens.nam_documents import documents, sound
from support.nam_files import GOLDENS, write_nam

import zoo
from zoo.errors import InputError
from zoo.sequence import in_blocks, initial_state, process

DATA = Path(os.environ.get("ZOO_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"), "sequence")
FILES = ("wavenet", "wavenet_a1_standard", "wavenet_condition_dsp", "slimmable_wavenet", "A2")
DRAWN = tuple(documents())
SAMPLES = 12_000
TOLERANCE = 1e-5  # of the loudest sample


@pytest.fixture(scope="module")
def goldens():
    with np.load(GOLDENS / "nam.npz") as file:
        return dict(file)


def loaded(name, folder):
    if name in DRAWN:
        return zoo.load("wavenet_nam", write_nam(folder / f"{name}.nam", documents()[name]))
    path = DATA / f"{name}.nam"
    if not path.is_file():
        pytest.skip(f"no published amplifier model at {path}: set ZOO_TEST_DATA")
    return zoo.load("wavenet_nam", path)


def key(name):
    return f"{'drawn' if name in DRAWN else 'file'}/{name}"


@pytest.mark.parametrize("name", [*DRAWN, *FILES])
def test_equals_the_original(name, goldens, tmp_path):
    model = loaded(name, tmp_path)
    found = model(sound(SAMPLES)[None, :, None]).numpy()[0, :, 0]
    first, every = goldens[f"{key(name)}/first"], goldens[f"{key(name)}/every"]
    loudest = np.abs(every).max()
    assert found.shape == (SAMPLES,)
    assert np.abs(found[: len(first)] - first).max() < TOLERANCE * loudest
    assert np.abs(found[::40] - every).max() < TOLERANCE * loudest


@pytest.mark.parametrize("block", [1, 64, 480])
@pytest.mark.parametrize("name", DRAWN)
def test_blocks_equal_the_whole(name, block, tmp_path):
    """Thousands of samples on, with the state handed from block to block."""
    model = loaded(name, tmp_path)
    samples = sound(960 if block == 1 else 4800)
    whole = model(samples[None, :, None]).numpy()[0, :, 0]
    found = process(model, samples, block=block)
    assert np.abs(found - whole).max() < 1e-5 * np.abs(whole).max()


def test_a_block_may_be_cut_anywhere(tmp_path):
    """Blocks of changing lengths, and of two streams at once."""
    model = loaded("two_arrays", tmp_path)
    blocks = in_blocks(model, batch=2)
    samples = np.stack([sound(700), sound(700)[::-1]])[..., None]
    state, found, start = np.repeat(initial_state(model), 2, axis=0), [], 0
    for length in (1, 7, 300, 2, 390):
        output, state = blocks([tf.constant(samples[:, start : start + length]), tf.constant(state)])
        found.append(output)
        start += length
    np.testing.assert_allclose(np.concatenate(found, axis=1), model(samples), atol=1e-6)


def test_the_first_samples_follow_silence(tmp_path):
    """A state of zeros is not that of silence: biases have been at work."""
    model = loaded("two_arrays", tmp_path)
    silence = np.zeros((1, 100, 1), np.float32)
    after = model(silence).numpy()
    assert np.ptp(after) < 1e-6
    blocks, cold = in_blocks(model), np.zeros_like(initial_state(model))
    assert np.abs(blocks([silence, cold])[0] - after).max() > 1e-3


def test_the_weights_are_those_of_the_whole_model(tmp_path):
    """What is trained on in the one is heard in the other, and trained it can be."""
    model = loaded("gated", tmp_path)
    before = process(model, sound(200))
    model.compile(keras.optimizers.SGD(0.01), "mse")
    x = sound(256)[None, :, None]
    model.fit(x, 0.5 * x, epochs=2, verbose=0)
    assert np.abs(process(model, sound(200)) - before).max() > 1e-4
    whole = model(sound(200)[None, :, None]).numpy()[0, :, 0]
    np.testing.assert_allclose(process(model, sound(200), block=64), whole, atol=1e-6)


def test_it_is_saved_and_loaded(tmp_path):
    model = loaded("new_words", tmp_path)
    model.save(tmp_path / "amp.keras")
    for found in (
        zoo.load("wavenet_nam", tmp_path / "amp.keras"),
        keras.models.load_model(tmp_path / "amp.keras"),
    ):
        np.testing.assert_array_equal(process(found, sound(300)), process(model, sound(300)))


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (np.zeros((2, 5), np.float32), r"\(samples,\) of floats, one channel, not \(2, 5\) float32"),
        (np.zeros(0, np.float32), "one channel, not"),
        (np.zeros(9, np.int16), "int16"),
        (np.full(9, np.nan), "not finite"),
        (np.full(9, 32767.0), "goes to 32767; full scale is 1"),
    ],
)
def test_what_is_no_sound_is_refused(sound, message, tmp_path):
    with pytest.raises(InputError, match=message):
        process(loaded("gated", tmp_path), sound)


def test_other_models_and_blocks_are_refused(tmp_path):
    model = loaded("gated", tmp_path)
    with pytest.raises(InputError, match="no amplifier model"):
        process(zoo.load("lraspp", weights=None), np.zeros(9, np.float32))
    with pytest.raises(InputError, match="takes a model of sound, not str"):
        process("amp.nam", np.zeros(9, np.float32))
    with pytest.raises(InputError, match="block must be a whole number of samples from 1"):
        process(model, np.zeros(9, np.float32), block=0)
