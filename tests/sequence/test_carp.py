"""CARP's checkpoints: read as data, sizes asserted, residues in and out; and its rows of the catalog."""

import keras
import numpy as np
import pytest
from goldens.bytenet_inputs import MASK, tokens
from support.carp_files import drawn, write_carp

import zoo
from zoo import cli
from zoo.errors import FormatError, InputError, MismatchError
from zoo.sequence.bytenet_tokens import token_net_of
from zoo.sequence.carp.loading import embed_proteins, read_carp
from zoo.sequence.carp.names import arrays_of_file, network_of_file
from zoo.sequence.carp.residues import ALPHABET, PADDING, tokens_of
from zoo.sequence.table import SEQUENCE_MODELS
from zoo.weights import catalog, fetch

SIZES = {"width": 24, "hidden": 12, "layers": 5, "kernel": 5}


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write_carp(tmp_path_factory.mktemp("carp") / "carp_tiny.pt")


@pytest.fixture(scope="module")
def model(file):
    return zoo.load("bytenet_carp", file)


@pytest.mark.parametrize("legacy", [False, True])
def test_both_containers_of_torch_are_read(legacy, tmp_path, model):
    found = read_carp(write_carp(tmp_path / "c.pt", legacy=legacy))
    expected = model(tokens())
    for key, value in found(tokens()).items():
        np.testing.assert_array_equal(value, expected[key])


def test_the_network_is_that_of_the_file(model):
    config = token_net_of(model)
    assert config.rates == (1, 2, 4, 1, 2)
    assert (config.blocks.activation, config.blocks.hidden, config.blocks.kernel) == ("gelu", 12, 5)
    assert config.receptive_field == 1 + 4 * sum(config.rates)
    tensors = drawn(**SIZES)
    np.testing.assert_array_equal(
        model.get_layer("embedding").weights[0], tensors["embedder.embedder.weight"]
    )
    kernel = np.asarray(model.get_layer("block3_conv").weights[0])
    np.testing.assert_array_equal(kernel[4, 2], tensors["embedder.layers.3.conv.weight"][:, 2, 4])


def test_published_sizes():
    """Parameters and fields of the four published networks, from their shapes alone."""
    sizes = {
        "carp_600k": (128, 64, 16, 607_630, 2041),
        "carp_38M": (1024, 512, 16, 37_889_294, 2041),
    }
    for tag, (width, hidden, layers, count, field) in sizes.items():
        tensors = drawn(width=width, hidden=hidden, layers=layers, kernel=5)
        facts = {"d_embed": 8, "d_model": width, "n_layers": layers, "kernel_size": 5, "slim": True, "r": 128}
        config = network_of_file(tensors, {**facts, "activation": "gelu"}, file=tag)
        assert config.receptive_field == field
        arrays = arrays_of_file(tensors, config, file=tag)
        assert sum(a.size for row in arrays.values() for a in row) == count


def test_proteins(model):
    texts = ["MKTAYIAKQRQISFVKSHFSRQ", "GG#X", "ACDEFGHIKLMNPQRSTVWY"]
    found = embed_proteins(model, texts)
    assert [p.logits.shape for p in found] == [(22, 30), (4, 30), (20, 30)]
    assert found[1].representations.shape == (4, 24)
    for text, one in zip(texts, found, strict=True):
        alone = embed_proteins(model, [text])[0]
        np.testing.assert_allclose(one.logits, alone.logits, atol=1e-4)
    assert tokens_of(["A#", "Y"]).tolist() == [[0, MASK], [ALPHABET.index("Y"), PADDING]]


@pytest.mark.parametrize(
    ("sequences", "message"),
    [
        (["MKT", "MkT"], "sequence 1 has 'k', lower case at 1; residues are ACDEFGHIKLMNPQRSTVWYBZXJOU"),
        (["MK-T"], "sequence 0 has '-' at 2"),
        (["M T"], "sequence 0 has ' ' at 1"),
        ([""], "sequence 0 must be a text of 1 to 40000 letters, not 0 letters"),
        ([b"MKT"], "not bytes"),
        ("MKT", "a list of texts, not 'MKT'"),
        ([], "a list of texts"),
    ],
)
def test_bad_sequences(sequences, message, model):
    with pytest.raises(InputError, match=message):
        embed_proteins(model, sequences)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"r": None}, "r must be a whole number up to 65536, not None"),
        ({"r": True}, "r must be a whole number"),
        ({"activation": "swish"}, "activation must be relu or gelu, not 'swish'"),
        ({"n_layers": 6}, "says n_layers 6, not 5"),
        ({"slim": False, "d_model": 48}, "says d_model 48, not 24, slim False, not True"),
    ],
)
def test_what_the_file_says_must_be_so(changed, message, tmp_path):
    with pytest.raises(FormatError, match=message):
        read_carp(write_carp(tmp_path / "c.pt", **changed))


def test_files_that_are_none(tmp_path):
    whole = drawn(**SIZES)
    less = {name: a for name, a in whole.items() if name != "last_norm.bias"}
    with pytest.raises(MismatchError, match=r"1 tensors are missing or unknown, such as last_norm\.bias"):
        read_carp(write_carp(tmp_path / "less.pt", tensors=less))
    more = {**whole, "embedder.layers.2.conv.conv.weight": np.ones((2, 2), np.float32)}
    with pytest.raises(MismatchError, match=r"conv\.conv\.weight"):
        read_carp(write_carp(tmp_path / "more.pt", tensors=more))
    wrong = {**whole, "last_norm.bias": np.ones(7, np.float32)}
    with pytest.raises(MismatchError, match="such as last_norm"):
        read_carp(write_carp(tmp_path / "wrong.pt", tensors=wrong))
    broken = {**whole, "last_norm.bias": np.full(24, np.nan, np.float32)}
    with pytest.raises(FormatError, match="last_norm has values that are not finite"):
        read_carp(write_carp(tmp_path / "nan.pt", tensors=broken))
    with pytest.raises(FormatError, match="is no checkpoint of CARP"):
        read_carp(write_carp(tmp_path / "other.pt", tensors={"weight": np.ones((3, 3), np.float32)}))
    (tmp_path / "text.pt").write_text("proteins")
    with pytest.raises(FormatError, match="not a torch checkpoint"):
        read_carp(tmp_path / "text.pt")


def test_it_is_saved(model, tmp_path):
    model.save(tmp_path / "c.keras")
    found = zoo.load("bytenet_carp", tmp_path / "c.keras")
    np.testing.assert_array_equal(found(tokens())["logits"], model(tokens())["logits"])
    with pytest.raises(InputError, match="no ByteNet of tokens"):
        keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)]).save(tmp_path / "other.keras")
        zoo.load("bytenet_carp", tmp_path / "other.keras")


def test_the_catalog_says_what_the_table_says():
    spec = SEQUENCE_MODELS["bytenet_carp"]
    entries = [catalog.find("bytenet_carp", tag) for tag in spec.weights]
    assert [e.score for e in entries] == sorted(e.score for e in entries)
    assert "the last" in entries[0].protocol
    for entry in entries:
        assert entry.sha256 and entry.urls[0].startswith("https://zenodo.org/record/6564798/files/")
        assert entry in catalog.EVERY and entry not in catalog.ENTRIES


def test_a_published_file_is_verified(tmp_path, monkeypatch, file):
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path))
    (tmp_path / "carp_600k.pt").write_bytes(file.read_bytes())
    with pytest.raises(zoo.errors.DownloadError, match="carp_600k"):
        zoo.load("bytenet_carp", "carp_600k")
    assert fetch.verify(catalog.find("bytenet_carp", "carp_600k")) == "absent"


def test_refusals(capsys):
    with pytest.raises(InputError, match="needs weights: one of carp_600k, carp_38M, carp_76M, carp_640M"):
        zoo.load("bytenet_carp")
    with pytest.raises(InputError, match="no weights 'carp_1B', and no such file is there; tags: carp_600k"):
        zoo.load("bytenet_carp", "carp_1B")
    words = ["export", "bytenet_carp", "--format", "onnx", "--output", "c.onnx"]
    assert cli.main(words) == 2
    assert "bytenet_carp is not exported" in capsys.readouterr().err
    assert cli.main(["info", "bytenet_carp"]) == 0
    assert "Spearman 0.108, ProteinGym" in capsys.readouterr().out
