"""Checkpoints, frozen graphs and archives of TensorFlow 1, which TensorFlow itself writes here."""

import io
import logging
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from goldens.seeding import image
from support.torch_parity import give_seeded, seeded_source

import zoo
from zoo.errors import FormatError, MismatchError
from zoo.labels import numbered
from zoo.layers.resize import label_set_of
from zoo.models import registry
from zoo.weights import name_maps
from zoo.weights.readers.crc32c import crc32c
from zoo.weights.readers.tf_archive import read_archive
from zoo.weights.readers.tf_checkpoint import read_checkpoint
from zoo.weights.readers.tf_graph import read_graph

NAME, MAP = "deeplabv3_aspp_mobilenet_v2", "tf_deeplab_mobilenet_v2_float"
AVERAGE = "/ExponentialMovingAverage"
STATE = {"global_step": np.int64(30_000), "learning_rate": np.float32(0.1), "beta1_power": np.float32(0.9)}


def save(folder, arrays, name="model.ckpt-30000"):
    """A checkpoint in one file of values; gives its index."""
    folder.mkdir(exist_ok=True)
    names = sorted(arrays)
    tf.raw_ops.SaveV2(
        prefix=str(folder / name),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(arrays[n]) for n in names],
    )
    return folder / f"{name}.index"


def graph_of(arrays, prefix=""):
    """A frozen graph: a constant for each variable, what reads it, and constants that are none."""
    graph = tf.compat.v1.GraphDef()
    graph.node.add(name="ImageTensor", op="Placeholder")
    for name, array in {**arrays, "pad/size": np.float32([2, 3])}.items():
        node = graph.node.add(name=f"{prefix}{name}", op="Const")
        node.attr["dtype"].type = tf.float32.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(array))
        graph.node.add(name=f"{prefix}{name}/read", op="Identity", input=[f"{prefix}{name}"])
    return graph.SerializeToString(deterministic=True)


def pack(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture(scope="module")
def trained():
    """A narrow network with drawn parameters, and these by TF-DeepLab's names."""
    build = registry.resolve(NAME).build()
    options = {"convention": "tf_deeplab_float", "output_stride": 16, "rates": (), "width": 0.25}
    model = build(label_set=numbered(5), **options)
    name_map = name_maps.resolve(MAP)
    return give_seeded(model, name_map), seeded_source(model, name_map)


def check_equal(model, wanted):
    assert label_set_of(model) == numbered(5)
    x = image(49, 66)[None]
    np.testing.assert_array_equal(model(x), wanted(x))


def test_a_checkpoint_and_a_graph_are_the_network(trained, tmp_path, caplog):
    """Any of a checkpoint's files, or what their names share; and the graph that was frozen of it."""
    wanted, arrays = trained
    slots = {f"{name}/Momentum": np.ones_like(array) for name, array in arrays.items()}
    index = save(tmp_path / "train", {**arrays, **slots, **STATE})
    (tmp_path / "train" / "frozen_inference_graph.pb").write_bytes(graph_of(arrays))
    for path in (*index.parent.iterdir(), index.with_suffix("")):
        caplog.clear()
        check_equal(zoo.load(NAME, path), wanted)
        assert "taken as usual, since" in caplog.text and "output_stride 16" in caplog.text


LAYOUTS = {
    "as published": (lambda files: files, "model.ckpt-30000.index"),
    "with ./": (lambda files: {f"./m/{n}": c for n, c in files.items()}, "m/model.ckpt-30000.index"),
    "graph alone": (
        lambda files: {n: c for n, c in files.items() if n.endswith(".pb")},
        "frozen_inference_graph.pb",
    ),
    "of macOS": (lambda files: {**{f"._{n}": b"\0" * 9 for n in files}, **files}, "model.ckpt-30000.index"),
}


@pytest.mark.parametrize("mode", ["w:gz", "w"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_archive(layout, mode, trained, tmp_path, caplog):
    arrange, chosen = LAYOUTS[layout]
    index = save(tmp_path / "train", trained[1])
    files = {path.name: path.read_bytes() for path in index.parent.iterdir()}
    files |= {"frozen_inference_graph.pb": graph_of(trained[1]), "readme.txt": b"hello"}
    path = pack(tmp_path / ("m.tar.gz" if mode == "w:gz" else "m.tar"), arrange(files), mode)
    with caplog.at_level(logging.INFO, logger="zoo"):
        found = read_archive(path)
    assert f"{path.name}: read {chosen}" in caplog.text
    assert found.keys() == trained[1].keys()
    for name, array in trained[1].items():
        np.testing.assert_array_equal(found[name], array)


def test_several_in_an_archive_are_asked_about(trained, tmp_path):
    graph = graph_of({"a/weights": np.ones((1, 1, 2, 2), np.float32)})
    path = pack(tmp_path / "m.tar.gz", {"a.pb": graph, "b.pb": graph})
    with pytest.raises(FormatError, match=r"m\.tar\.gz: holds 2 graphs \(a\.pb, b\.pb\); unpack it"):
        read_archive(path)
    with pytest.raises(FormatError, match="holds no checkpoint and no frozen graph"):
        read_archive(pack(tmp_path / "n.tgz", {"readme.txt": b"hello"}))


def test_moving_averages_stand_in_for_their_variables(trained, tmp_path, caplog):
    """TF-slim publishes both; its own evaluation, and everybody's conversion, takes the averages."""
    arrays = {name: array for name, array in trained[1].items() if name.startswith("MobilenetV2")}
    twins = {
        f"{n}{AVERAGE}": a + 1 for n, a in arrays.items() if not n.rpartition("/")[2].startswith("moving")
    }
    extra = {"MobilenetV2/Logits/Conv2d_1c_1x1/weights": np.zeros((1, 1, 8, 9), np.float32)}
    for found in (
        read_checkpoint(save(tmp_path, {**arrays, **twins, **extra, **STATE})),
        read_graph_of(tmp_path / "m.pb", graph_of({**arrays, **twins}, prefix="import/")),
    ):
        for name, array in arrays.items():
            np.testing.assert_array_equal(found[name], array + (f"{name}{AVERAGE}" in twins))
    assert f"{len(twins)} of its {len(arrays) + 1} variables are their moving averages" in caplog.text
    model = zoo.load("lraspp_mobilenet_v2", tmp_path / "model.ckpt-30000.index", classes=3)
    kernel = model.get_layer("backbone.block16.project.conv").kernel
    np.testing.assert_array_equal(kernel, arrays["MobilenetV2/expanded_conv_16/project/weights"] + 1)


def read_graph_of(path, content):
    path.write_bytes(content)
    return read_graph(path)


@pytest.mark.parametrize("kind", [np.float16, np.float64, tf.bfloat16.as_numpy_dtype])
def test_other_floats(kind, tmp_path):
    array = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4).astype(kind)
    found = read_checkpoint(save(tmp_path, {"a/weights": array, "a/name": np.array(["text"])}))
    np.testing.assert_array_equal(found["a/weights"], array.astype(np.float32))
    assert found.keys() == {"a/weights"}


def test_several_files_of_values(tmp_path):
    parts = {"a": {"a/weights": np.ones((3, 4), np.float32)}, "b": {"b/weights": np.zeros(5, np.float32)}}
    indices = [save(tmp_path, arrays, name) for name, arrays in parts.items()]
    prefixes = [str(index.with_suffix("")) for index in indices]
    tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=prefixes, destination_prefix=str(tmp_path / "m"), delete_old_dirs=False
    )
    assert (tmp_path / "m.data-00001-of-00002").is_file()
    found = read_checkpoint(tmp_path / "m.index")
    np.testing.assert_array_equal(found["a/weights"], parts["a"]["a/weights"])
    (tmp_path / "m.data-00001-of-00002").unlink()
    with pytest.raises(FormatError, match=r"in m\.data-00001-of-00002, which is not beside it|need .* bytes"):
        read_checkpoint(tmp_path / "m.index")


def test_a_constant_of_one_value(tmp_path):
    """Graphs store many equal numbers as one."""
    graph = tf.compat.v1.GraphDef()
    node = graph.node.add(name="a/BatchNorm/gamma", op="Const")
    node.attr["value"].tensor.dtype = tf.float32.as_datatype_enum
    node.attr["value"].tensor.tensor_shape.dim.add(size=960)
    node.attr["value"].tensor.float_val.append(1.0)
    found = read_graph_of(tmp_path / "m.pb", graph.SerializeToString())
    np.testing.assert_array_equal(found["a/BatchNorm/gamma"], np.ones(960))


def test_without_its_classifier(trained, tmp_path):
    arrays = {name: array for name, array in trained[1].items() if not name.startswith("logits")}
    index = save(tmp_path, arrays)
    with pytest.raises(MismatchError, match=r"has no classifier, and fits .*; classes=…"):
        zoo.load(NAME, index)
    model = zoo.load(NAME, index, classes=3)
    np.testing.assert_array_equal(model.get_layer("aspp.conv0.conv").kernel, arrays["aspp0/weights"])


@pytest.mark.parametrize("size", [0, 1, 9, 4096, 4097, 70_001])
def test_checksum(size):
    """Of RFC 3720, appendix B.4, and of any split into stretches."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    data = np.random.default_rng(size).bytes(size)
    state = 0xFFFF_FFFF
    for byte in data:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    assert crc32c(data) == state ^ 0xFFFF_FFFF
