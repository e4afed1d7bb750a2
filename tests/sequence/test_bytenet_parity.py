"""ByteNet's blocks and whole networks against sequence-models, plain and causal, with padding."""

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

from zoo.sequence.arrays import assign_layers
from zoo.sequence.bytenet_blocks import BlockConfig, residual_block
from zoo.sequence.bytenet_tokens import TokenNetConfig, build_token_net, token_net_of
from zoo.sequence.carp.names import arrays_of_file
from zoo.sequence.streaming import Padded

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


def test_padding_never_reaches_a_protein():
    model, _ = drawn_network("carp")
    together = model(tokens())["logits"].numpy()
    for row, length in enumerate(LENGTHS):
        alone = model(tokens()[row : row + 1, :length])["logits"].numpy()
        np.testing.assert_allclose(alone[0], together[row, :length], atol=1e-4)
