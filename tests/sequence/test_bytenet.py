"""ByteNet against sequence-models; masks, both blocks, unfolding, and the decoder step by step."""

import keras
import numpy as np
import pytest
from goldens.bytenet_inputs import (
    BLOCKS,
    EMBEDDING,
    HIDDEN,
    KERNEL,
    LAYERS,
    LENGTHS,
    NETWORKS,
    PADDING,
    SPAN,
    TOKENS,
    WIDTH,
    columns,
    tokens,
)
from goldens.seeding import draw
from support.carp_files import shapes
from support.nam_files import GOLDENS

from zoo.errors import InputError
from zoo.sequence.arrays import assign_layers
from zoo.sequence.beam_search import decoded
from zoo.sequence.bytenet import ByteNetConfig, build_bytenet, config_of, encoder_of
from zoo.sequence.bytenet_blocks import BlockConfig, residual_block
from zoo.sequence.bytenet_steps import ByteNetSteps
from zoo.sequence.bytenet_tokens import TokenNetConfig, build_token_net, token_net_of
from zoo.sequence.carp.names import arrays_of_file
from zoo.sequence.streaming import Padded
from zoo.sequence.symbols import END

PARTS = {
    "in_norm": "sequence1.0",
    "in": "sequence1.2.conv",
    "conv_norm": "sequence1.3",
    "conv": "conv",
    "out_norm": "sequence2.0",
    "out": "sequence2.2.conv",
}


def fresh(name, kind, /, **words):
    return kind(**words, name=name)


def drawn_block(model, prefix, *, causal):
    """Parameters drawn from the names that the original has for them."""
    for ours, theirs in PARTS.items():
        layer = model.get_layer(f"block_{ours}")
        name = f"{prefix}.{theirs}" + (".conv" if causal and ours == "conv" else "")
        kernel = tuple(layer.weights[0].shape)
        weight = draw(f"{name}.weight", kernel[::-1])
        layer.set_weights([weight.transpose(*range(weight.ndim)[::-1]), draw(f"{name}.bias", kernel[-1:])])


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_equals_the_original(name):
    kernel, rate, causal, activation = BLOCKS[name]
    config = BlockConfig(width=WIDTH, hidden=HIDDEN, kernel=kernel, activation=activation)
    x, mask = keras.Input((None, WIDTH)), keras.Input((None, 1))
    past = Padded() if causal else None
    out = residual_block(x, mask, config=config, rate=rate, name="block", make=fresh, past=past)
    model = keras.Model([x, mask], out)
    drawn_block(model, name, causal=causal)
    features, real = columns()
    with np.load(GOLDENS / "bytenet.npz") as goldens:
        expected = goldens[f"{name}/output"]
    difference = np.abs(model([features, real]).numpy() * real - expected).max()
    assert difference < 1e-5 * np.abs(expected).max()


def drawn_network(name):
    causal, slim, normalized, activation = NETWORKS[name]
    hidden = WIDTH // 2 if slim else WIDTH
    blocks = BlockConfig(width=WIDTH, hidden=hidden, kernel=KERNEL, activation=activation)
    cycle = SPAN.bit_length()
    config = TokenNetConfig(
        tokens=TOKENS,
        padding=PADDING,
        embedding=EMBEDDING,
        blocks=blocks,
        rates=tuple(2 ** (n % cycle) for n in range(LAYERS)),
        causal=causal,
        last_norm=normalized,
    )
    return build_token_net(config), config


def drawn_tensors(names, config):
    """Drawn from the original's names, under those of published files: causal layers have a `conv` more."""
    sizes = {"width": config.blocks.width, "hidden": config.blocks.hidden}
    found, used = {}, set()
    for name, shape in shapes(**sizes, layers=LAYERS, kernel=KERNEL).items():
        is_dilated = config.causal and ".layers." in name and "sequence" not in name
        theirs = name.replace(".conv.", ".conv.conv.") if is_dilated else name
        found[name] = draw(theirs, shape)
        used.add(theirs)
    assert used == set(names)
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_equals_the_original(name):
    model, config = drawn_network(name)
    with np.load(GOLDENS / "bytenet.npz") as goldens:
        names = goldens[f"{name}/names"]
        expected = {key: goldens[f"{name}/{key}"] for key in ("logits", "representations")}
    assign_layers(model, arrays_of_file(drawn_tensors(names, config), config, file="drawn"), file="drawn")
    found, real = model(tokens()), (tokens() != PADDING)[..., None]
    for key, values in expected.items():
        difference = np.abs(found[key].numpy() * real - values).max()
        assert difference < 1e-5 * np.abs(values).max(), key
    assert token_net_of(model) == config


def small(unit="activation", **words):
    keras.utils.set_random_seed(3)
    config = ByteNetConfig(
        source=9,
        target=8,
        blocks=BlockConfig(width=16, hidden=8, kernel=3, unit=unit, **words),
        encoder_rates=(1, 2, 4),
        decoder_rates=(1, 2, 1),
        slope=1.5,
        offset=2,
    )
    model, generator = build_bytenet(config), np.random.default_rng(0)
    for variable in model.weights:
        if "norm" not in variable.path:
            variable.assign(generator.normal(0, 0.4, variable.shape))
    return model


def given(lengths=(9, 4, 6), positions=14):
    generator = np.random.default_rng(1)
    source = generator.integers(1, 9, (len(lengths), max(lengths)))
    source[np.arange(max(lengths)) >= np.array(lengths)[:, None]] = 0
    target = generator.integers(2, 8, (len(lengths), positions))
    target[:, 0] = 0
    return source, target


@pytest.mark.parametrize("unit", ["activation", "multiplicative"])
def test_padding_never_reaches_a_word(unit):
    model, (source, target) = small(unit), given()
    together = model({"source": source, "target": target}).numpy()
    for row, length in enumerate((9, 4, 6)):
        alone = model({"source": source[row : row + 1, :length], "target": target[row : row + 1]}).numpy()
        np.testing.assert_allclose(alone[0], together[row], atol=1e-5)


def test_padding_never_reaches_a_protein():
    model, _ = drawn_network("carp")
    together = model(tokens())["logits"].numpy()
    for row, length in enumerate(LENGTHS):
        alone = model(tokens()[row : row + 1, :length])["logits"].numpy()
        np.testing.assert_allclose(alone[0], together[row, :length], atol=1e-4)


@pytest.mark.parametrize("unit", ["activation", "multiplicative"])
def test_the_decoder_is_causal_and_the_encoder_is_not(unit):
    model, (source, target) = small(unit), given(lengths=(9,))
    base, changed = model({"source": source, "target": target}).numpy(), target.copy()
    changed[0, 7] = 2 + (changed[0, 7] - 1) % 6
    difference = np.abs(model({"source": source, "target": changed}).numpy() - base).max(axis=(0, 2))
    assert not difference[:7].any() and difference[7] > 0
    other = source.copy()
    other[0, 7] = 1 + other[0, 7] % 8
    difference = np.abs(model({"source": other, "target": target}).numpy() - base).max(axis=(0, 2))
    assert difference[0] > 0


def test_columns_beyond_the_source_are_zeros():
    model, (source, target) = small(), given()
    columns = encoder_of(model)(source).numpy()
    assert (columns[1, :4] != 0).any() and not columns[1, 4:].any() and not columns[2, 6:].any()
    padded = np.pad(source, ((0, 0), (0, 5)))
    whole = model({"source": source, "target": target}).numpy()
    np.testing.assert_allclose(model({"source": padded, "target": target}).numpy(), whole, atol=1e-5)


def test_the_multiplicative_block_by_numpy():
    """Its units after the paper's equations, from the layers' own products."""
    x = keras.Input((None, 16))
    config = BlockConfig(width=16, hidden=8, kernel=2, unit="multiplicative")
    out = residual_block(x, None, config=config, rate=2, name="b", make=fresh, past=Padded())
    model = keras.Model(x, out)
    value = np.random.default_rng(0).normal(size=(1, 6, 16)).astype(np.float32)

    def layer(name, h):
        return model.get_layer(name)(h).numpy()

    def unit(h, gates):
        g1, g2, g3 = (1 / (1 + np.exp(-g)) for g in np.split(gates, 4, axis=-1)[:3])
        return g1 * np.tanh(g2 * h + g3 * np.tanh(gates[..., 24:]))

    h = layer("b_in", np.maximum(layer("b_in_norm", value), 0))
    h = layer("b_conv_norm", h)
    kernel, bias = (np.asarray(w) for w in model.get_layer("b_conv").weights)
    past = np.pad(h, ((0, 0), (2, 0), (0, 0)))
    h = unit(h, past[:, :-2] @ kernel[0] + past[:, 2:] @ kernel[1] + bias)
    h = layer("b_inner_norm", h)
    h = layer("b_out", unit(h, layer("b_inner", h)))
    np.testing.assert_allclose(model(value).numpy(), value + h, atol=1e-5)


def test_steps_equal_the_whole_decoder():
    """Two hundred positions, over which the rings have wrapped many times."""
    model, (source, target) = small(), given(positions=200)
    decoding = ByteNetSteps(model).begin(source)
    found = np.stack([decoding.step(target[:, t]) for t in range(200)], axis=1)
    np.testing.assert_allclose(found, model({"source": source, "target": target}).numpy(), atol=1e-5)


def test_steps_go_on_from_other_hypotheses():
    model, (source, target) = small(), given(positions=12)
    decoding = ByteNetSteps(model).begin(source)
    for t in range(6):
        decoding.step(target[:, t])
    parents = np.array([2, 2, 0, 1])
    mixed = np.concatenate([target[parents, :6], target[[0, 1, 2, 0], 6:]], axis=1)
    found = [decoding.step(mixed[:, 6], parents)] + [decoding.step(mixed[:, t]) for t in range(7, 12)]
    whole = model({"source": source[parents], "target": mixed}).numpy()
    np.testing.assert_allclose(np.stack(found, axis=1), whole[:, 6:], atol=1e-5)


def brute(model, source, positions):
    """The likeliest target, out of all there are up to a length."""
    best, config = (-np.inf, []), config_of(model)
    level = [(0.0, [0])]
    for _ in range(positions):
        logits = model(
            {"source": np.repeat(source, len(level), 0), "target": np.array([t for _, t in level])}
        )
        logs = np.asarray(keras.ops.log_softmax(logits[:, -1]))
        grown = []
        for (score, symbols), row in zip(level, logs, strict=True):
            best = max(best, (score + row[END], symbols[1:]))
            grown += [(score + row[s], [*symbols, s]) for s in range(2, config.target)]
        level = grown
    return max(best, max((score, symbols[1:]) for score, symbols in level))


def test_a_wide_beam_finds_the_likeliest_target():
    model, (source, _) = small(), given(lengths=(1,))
    steps = ByteNetSteps(model)
    expected = brute(model, source, config_of(model).longest(1))
    assert config_of(model).longest(1) == 3
    assert decoded(steps, source.tolist(), beam=40) == [expected[1]]


def test_greedy_takes_the_likeliest_symbol_and_ends_at_the_bound():
    model, (source, _) = small(), given()
    sources = [row[row > 0].tolist() for row in source]
    found = decoded(ByteNetSteps(model), sources)
    for symbols, own in zip(sources, found, strict=True):
        target, limit = [0], config_of(model).longest(len(symbols))
        while len(target) <= limit:
            logits = model({"source": np.array([symbols]), "target": np.array([target])}).numpy()[0, -1]
            logits[0] = -np.inf
            target.append(int(logits.argmax()))
            if target[-1] == END:
                break
        assert own == [s for s in target[1:] if s != END]
    assert decoded(ByteNetSteps(model), sources[1:2]) == found[1:2]


def test_it_is_saved(tmp_path):
    model, (source, target) = small("multiplicative", activation="gelu", dropout=0.1), given()
    model.save(tmp_path / "m.keras")
    found = keras.saving.load_model(tmp_path / "m.keras")
    assert config_of(found) == config_of(model)
    inputs = {"source": source, "target": target}
    np.testing.assert_array_equal(found(inputs), model(inputs))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"kernel": 0}, "kernel must be a whole number from 1 to 65536, not 0"),
        ({"unit": "lstm"}, "unit must be activation or multiplicative, not 'lstm'"),
        ({"activation": "tanh"}, "activation must be relu or gelu, not 'tanh'"),
        ({"dropout": 1.0}, "dropout must be from 0 to below 1"),
    ],
)
def test_bad_blocks(words, message):
    with pytest.raises(InputError, match=message):
        BlockConfig(**{"width": 4, "hidden": 2, "kernel": 3, **words})


def test_bad_networks():
    blocks = BlockConfig(width=4, hidden=2, kernel=2)
    with pytest.raises(InputError, match="a symmetric stack has an odd kernel, not 2"):
        TokenNetConfig(tokens=5, padding=0, embedding=2, blocks=blocks, rates=(1,))
    with pytest.raises(InputError, match="a symmetric stack has an odd kernel, not 2"):
        ByteNetConfig(source=5, target=5, blocks=blocks, encoder_rates=(1,), decoder_rates=(1,))
    with pytest.raises(InputError, match="decoder_rates must be whole numbers"):
        odd = BlockConfig(width=4, hidden=2, kernel=3)
        ByteNetConfig(source=5, target=5, blocks=odd, encoder_rates=(1,), decoder_rates=())
    with pytest.raises(InputError, match="is no ByteNet of two sequences"):
        ByteNetSteps(keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(InputError, match="steps are of these alone"):
        ByteNetSteps(small("multiplicative"))
