"""WaveNet against wavenet_vocoder; whole, in blocks and step by step; codes of sound; and generation."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from goldens.seeding import draw
from goldens.wavenet_inputs import CLASSES, EVERY, LOCAL, SPEAKERS, inputs
from support.nam_files import GOLDENS

from zoo.errors import InputError
from zoo.sequence import mu_law
from zoo.sequence.sampling import WaveNetSteps, generate_codes
from zoo.sequence.wavenet import WaveNetConfig, build_wavenet, config_of, in_blocks

SIZES = {"layers": 8, "stacks": 2, "residual": 12, "gate": 20, "skip": 16}
ORIGINAL = {
    "legacy": {"convention": "vocoder", "kernel": 3},
    "plain_skips": {"convention": "vocoder_plain_skips", "kernel": 2},
}
PARTS = {
    "conv": "conv",
    "local": "conv1x1c",
    "global": "conv1x1g",
    "skip": "conv1x1_skip",
    "out": "conv1x1_out",
}
WHOLE = {"first": "first_conv", "head_conv": "last_conv_layers.1", "logits": "last_conv_layers.3"}


def name_in_original(layer):
    if layer in WHOLE:
        return WHOLE[layer]
    number, part = layer.removeprefix("layer").split("_", 1)
    return f"conv_layers.{number}.{PARTS[part]}"


def drawn(model, scale=1.0):
    """The model with parameters drawn from the original's names; returns the names that were used."""
    used = []
    for layer in model.layers:
        if layer.name == "id0":
            used.append("embed_speakers.weight")
            layer.set_weights([scale * draw(used[-1], layer.weights[0].shape)])
        elif layer.weights:
            name = name_in_original(layer.name)
            kernel = layer.weights[0].shape
            flipped = (*kernel[::-1], 1) if len(kernel) == 2 else kernel[::-1]
            found = draw(f"{name}.weight", flipped).transpose(2, 1, 0).reshape(kernel)
            layer.set_weights([scale * found, scale * draw(f"{name}.bias", (kernel[-1],))])
            used += [f"{name}.weight", f"{name}.bias"]
    return used


@pytest.fixture(scope="module")
def small():
    model = build_wavenet(WaveNetConfig(classes=32, ids=(3, 2), embedding=4, local=2, **SIZES))
    generator = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(generator.normal(0, 0.3, variable.shape))
    return model


def given(samples, batch=2):
    generator = np.random.default_rng(1)
    return {
        "codes": generator.integers(0, 32, (batch, samples)),
        "ids": np.array([[2, 1], [0, 0]])[:batch],
        "local": generator.normal(size=(batch, samples, 2)).astype(np.float32),
    }


@pytest.mark.parametrize("name", ORIGINAL)
def test_equals_the_original(name):
    config = WaveNetConfig(
        classes=CLASSES, ids=(SPEAKERS,), embedding=6, local=LOCAL, **SIZES, **ORIGINAL[name]
    )
    model = build_wavenet(config)
    used = drawn(model)
    codes, ids, local = inputs()
    found = model({"codes": codes, "ids": ids, "local": local}).numpy()
    with np.load(GOLDENS / "wavenet.npz") as goldens:
        expected, names = goldens[f"{name}/logits"], set(goldens[f"{name}/names"])
    assert np.abs(found[:, ::EVERY] - expected).max() < 1e-5 * np.abs(expected).max()
    # What follows the last layer's residual feeds nothing there, and is not built here.
    assert names - set(used) == {"conv_layers.7.conv1x1_out.weight", "conv_layers.7.conv1x1_out.bias"}
    assert set(used) <= names


@pytest.mark.parametrize("block", [1, 64, 480])
def test_blocks_equal_the_whole(small, block):
    samples = 100 if block == 1 else 1000
    words = given(samples)
    whole = small(words).numpy()
    blocks, state, found = in_blocks(small, batch=2), tf.zeros((2, config_of(small).state)), []
    for start in range(0, samples, block):
        part = {key: tf.constant(words[key][:, start : start + block]) for key in ("codes", "local")}
        logits, state = blocks({**part, "ids": tf.constant(words["ids"]), "state": state})
        found.append(logits)
    np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-5)


def test_steps_equal_the_whole(small):
    """Two thousand steps from ring buffers, which have wrapped many times."""
    words = given(2000)
    steps = WaveNetSteps(small, batch=2, ids=words["ids"])
    found = [steps.step(words["codes"][:, t], words["local"][:, t]) for t in range(2000)]
    np.testing.assert_allclose(np.stack(found, axis=1), small(words).numpy(), atol=1e-5)


def test_it_is_causal_and_sees_its_field(small):
    words, at = given(200), 120
    changed = {**words, "codes": words["codes"].copy()}
    changed["codes"][:, at] = (changed["codes"][:, at] + 7) % 32
    difference = np.abs(small(words).numpy() - small(changed).numpy()).max(axis=(0, 2))
    field = config_of(small).receptive_field
    assert field == 31
    assert not difference[:at].any()
    assert difference[at : at + field].all()
    assert not difference[at + field :].any()


def test_it_is_saved(small, tmp_path):
    small.save(tmp_path / "m.keras")
    found = keras.saving.load_model(tmp_path / "m.keras")
    assert config_of(found) == config_of(small)
    np.testing.assert_array_equal(found(given(50)), small(given(50)))


def test_it_learns_to_generate():
    """A sawtooth of eight codes, with a phase that only the past tells."""
    keras.utils.set_random_seed(0)
    model = build_wavenet(WaveNetConfig(classes=8, layers=4, stacks=1, residual=16, gate=32, skip=16))
    codes = (np.arange(65)[None] + np.arange(8)[:, None]) % 8
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    model.fit(codes[:, :-1], codes[:, 1:], epochs=40, verbose=0)
    found = generate_codes(model, 40, first=3, temperature=0)
    np.testing.assert_array_equal(found[0], (4 + np.arange(40)) % 8)


def test_draws_repeat_by_their_seed(small):
    words = {"ids": given(1)["ids"], "local": given(30)["local"]}
    first = generate_codes(small, 30, seed=1, **words)
    assert first.shape == (2, 30)
    np.testing.assert_array_equal(first, generate_codes(small, 30, seed=1, **words))
    assert (first != generate_codes(small, 30, seed=2, **words)).any()


def test_draws_have_the_odds_of_the_softmax(small):
    steps = WaveNetSteps(small, ids=np.array([[1, 1]]))
    logits = steps.step(np.array([5]), np.zeros((1, 2), np.float32))[0].astype(np.float64)
    odds = np.exp(logits - logits.max())
    words = {"ids": np.array([[1, 1]] * 4000), "local": np.zeros((4000, 1, 2), np.float32)}
    counts = np.bincount(generate_codes(small, 1, first=5, **words)[:, 0], minlength=32)
    np.testing.assert_allclose(counts / 4000, odds / odds.sum(), atol=0.03)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"layers": 7}, "7 layers are no 2 equal stacks"),
        ({"gate": 7}, "both halves, an even number from 2, not 7"),
        ({"kernel": 0}, "kernel must be a whole number from 1 to 4096, not 0"),
        ({"convention": "fast"}, "one of paper, vocoder, vocoder_plain_skips, not 'fast'"),
        ({"ids": (0,)}, r"ids\[0\] must be a whole number"),
    ],
)
def test_bad_configurations(words, message):
    with pytest.raises(InputError, match=message):
        WaveNetConfig(**words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"samples": 0}, "samples must be a whole number from 1, not 0"),
        ({"temperature": -1}, "temperature must be a number from 0"),
        ({"ids": None}, "2 global conditions; ids must give as many"),
        ({"ids": np.array([[0, 2]])}, r"below \(3, 2\), from 0"),
        ({"local": None}, "2 channels of a local condition"),
    ],
)
def test_bad_generation(words, message, small):
    usual = {"samples": 3, "ids": np.array([[0, 0]]), "local": np.zeros((1, 3, 2), np.float32)}
    usual |= words
    with pytest.raises(InputError, match=message):
        generate_codes(small, usual.pop("samples"), **usual)


@pytest.mark.parametrize(("convention", "silence"), [("rounded", 128), ("floored", 127)])
def test_mu_law(convention, silence):
    assert mu_law.encode(np.zeros(1), convention=convention)[0] == silence
    codes = np.arange(256)
    sound = mu_law.decode(codes, convention=convention)
    assert (np.diff(sound) > 0).all()
    assert (sound[0], sound[-1]) == (-1, 1)
    if convention == "rounded":
        np.testing.assert_array_equal(mu_law.encode(sound, convention=convention), codes)
    loud = np.array([-5.0, 5.0], np.float32)
    np.testing.assert_array_equal(mu_law.encode(loud, convention=convention), [0, 255])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mu_law.encode(np.array([np.nan])), "finite floats"),
        (lambda: mu_law.encode(np.array([1])), "finite floats, not int64"),
        (lambda: mu_law.decode(np.array([256])), r"integers in 0…255"),
        (lambda: mu_law.decode(np.array([1.0])), r"integers in 0…255"),
        (lambda: mu_law.encode(np.zeros(1), convention="mu"), "rounded, floored, not 'mu'"),
    ],
)
def test_bad_codes(call, message):
    with pytest.raises(InputError, match=message):
        call()
