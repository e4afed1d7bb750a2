"""ONNX files: names, properties, layouts, operator sets, sizes, and all architectures."""

import json

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from support.networks import NETWORKS
from support.tiny_export import LABELS, SIZE, seeded, tiny

from zoo import export
from zoo.errors import InputError
from zoo.export.core.deployment import prepare
from zoo.export.core.metadata import Metadata
from zoo.export.onnx import names as onnx_names
from zoo.export.onnx.properties import properties
from zoo.export.onnx.source import Source
from zoo.export.proof.parity import synthetic_image
from zoo.layers import DilatedConv2D
from zoo.layers.resize import SegmentationLogits
from zoo.weights import catalog

# An even, an odd and a non-square size.
SIZES = ((48, 48), (49, 49), (33, 65))


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def files(model, tmp_path_factory):
    """The tiny model for one size in both layouts, with the reports."""
    folder = tmp_path_factory.mktemp("onnx")
    paths = {layout: folder / f"{layout}.onnx" for layout in ("nhwc", "nchw")}
    reports = {k: export.to_onnx(model, p, input_size=SIZE, layout=k) for k, p in paths.items()}
    return {layout: (onnx.load(path), reports[layout]) for layout, path in paths.items()}


# --- names ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_nodes_and_constants_are_named_after_layers(files, layout):
    graph = files[layout][0].graph
    working = [node.name for node in graph.node if node.op_type != "Transpose"]
    assert working == ["normalize/sub", "normalize/mul", "stem", "depthwise", "relu", "classifier", "logits"]
    constants = {tensor.name for tensor in graph.initializer}
    assert {"stem/kernel", "depthwise/kernel", "depthwise/bias", "classifier/bias"} <= constants
    assert all(name.split("/")[0] in {"normalize", *working} for name in constants)
    tensors = {node.name: node.output[0] for node in graph.node}
    assert tensors["relu"] == "relu"
    assert graph.output[0].name == "logits"
    assert graph.input[0].name == "image"


def test_names_are_unique_and_ends_keep_theirs():
    """A layer that became three nodes, one without any name, and a constant that two nodes read."""
    make = onnx.helper.make_node
    nodes = [
        make("Add", ["image", "six"], ["m_1/act_1/a:0"], "m_1/act_1/a"),
        make("Add", ["m_1/act_1/a:0", "six"], ["m_1/act_1/b:0"], "m_1/act_1/b"),
        make("Relu", ["m_1/act_1/b:0"], ["Relu__7:0"], "Relu__7"),
        make("Mul", ["Relu__7:0", "w"], ["logits"], "m_1/last_1_1/mul"),
    ]
    ends = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [2]) for n in ("image", "logits")]
    constants = [
        onnx.numpy_helper.from_array(np.full(n, 6, "float32"), name) for n, name in ((1, "six"), (2, "w"))
    ]
    graph = onnx.helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)])
    onnx_names.rename(model, layers={"act", "last_1"})
    assert [node.name for node in model.graph.node] == ["act/add", "act/add_2", "last_1/relu", "last_1/mul"]
    assert [list(node.input) for node in model.graph.node] == [
        ["image", "constant_6"],
        ["act/add", "constant_6"],
        ["act/add_2"],
        ["last_1/relu", "last_1/mul/constant"],
    ]
    assert model.graph.node[-1].output[0] == "logits"
    onnx.checker.check_model(model, full_check=True)


# --- properties -------------------------------------------------------------------------------------------


def test_properties_tell_what_a_stranger_needs(files):
    for layout, (model, _) in files.items():
        found = {entry.key: entry.value for entry in model.metadata_props}
        assert found["labels"].split("\n") == list(LABELS.names)
        assert json.loads(found["palette"]) == [list(color) for color in LABELS.palette]
        assert found["ignore_label"] == "255"
        assert (found["color_order"], found["value_range"]) == ("RGB", "0..255")
        assert found["normalization"] == "none: it is part of the graph"
        assert (found["layout"], found["head"], found["model"]) == (layout.upper(), "logits", "tiny")
        assert not {"licence", "weights_sha256", "weights"} & set(found)  # random weights have none
        assert model.doc_string == f"tiny: float RGB images in 0..255 ({layout}) to logits of 3 classes"


def test_origin_of_catalog_weights():
    entry = catalog.find("deeplabv3_aspp_mobilenet_v2", "camvid")
    metadata = Metadata(
        model="deeplabv3_aspp_mobilenet_v2",
        source={"model": "deeplabv3_aspp_mobilenet_v2", "weights": "camvid"},
        label_set=LABELS,
        head="logits",
        layout="nhwc",
        input_size=None,
        fingerprint="f",
        producer="atrous-zoo 0",
    )
    found = properties(metadata)
    assert found["weights"] == "camvid"
    assert found["weights_sha256"] == entry.sha256
    assert found["licence"] == entry.licence
    assert found["weights_source"] == entry.source


# --- layouts, operator sets, sizes ------------------------------------------------------------------------


def test_transpositions_only_at_nhwc_ends(files):
    assert files["nhwc"][1].operations["Transpose"] == 2
    assert "Transpose" not in files["nchw"][1].operations


@pytest.mark.parametrize("opset", [18, 19, 20, 21, 22])
def test_operator_sets(model, opset, tmp_path):
    path = tmp_path / "m.onnx"
    report = export.to_onnx(model, path, input_size=SIZE, layout="nchw", opset=opset)
    file = onnx.load(path)
    onnx.checker.check_model(file, full_check=True)
    assert report.opset == opset
    assert [(entry.domain, entry.version) for entry in file.opset_import] == [("", opset)]
    assert report.parity.max_error < 1e-4
    dilated = [n for n in file.graph.node if n.op_type == "Conv" and n.name in ("depthwise", "classifier")]
    rates = [{a.name: onnx.helper.get_attribute_value(a) for a in n.attribute}["dilations"] for n in dilated]
    assert rates == [[2, 2], [3, 3]]


def test_any_batch_and_size_in_nchw(model, tmp_path):
    path = tmp_path / "m.onnx"
    report = export.to_onnx(model, path, layout="nchw")
    assert report.inputs[0].shape == ("batch", 3, "height", "width")
    assert report.outputs[0].shape == ("batch", 3, "height", "width")
    assert "Transpose" not in report.operations
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for size in ((1, 1), (20, 64), (51, 34)):
        images = np.stack([synthetic_image(*size, seed=seed) for seed in range(3)]).astype("float32")
        (got,) = session.run(["logits"], {"image": images.transpose(0, 3, 1, 2)})
        np.testing.assert_allclose(got.transpose(0, 2, 3, 1), model(images).numpy(), atol=1e-4)


# --- architectures ----------------------------------------------------------------------------------------

BUILT = [
    "deeplabv3_aspp_mobilenet_v2",
    "deeplabv3_aspp_mobilenet_v3_large",
    "deeplabv3_aspp_resnet",
    "pspnet_mobilenet_v2",
    "pspnet_resnet caffe",
    "duc_hdc_mobilenet_v2",
]


@pytest.mark.parametrize("name", BUILT)
def test_architectures_at_any_size(name, narrow_resnets, tmp_path):
    model = seeded(NETWORKS[name]())
    if model.get_layer("normalize").scale == (1.0,) * 3:
        # Where images stay at ±128, random weights give logits of hundreds, with float32's error of those.
        first = next(weight for weight in model.weights if weight.path.endswith("kernel"))
        first.assign(first / 64)
    path, images = tmp_path / "m.onnx", [synthetic_image(*size) for size in SIZES]
    report = export.to_onnx(model, path, layout="nchw", images=images)
    assert report.parity.sizes == SIZES
    assert report.parity.max_error < 1e-4
    assert report.inputs[0].shape == ("batch", 3, "height", "width")
    if not name.startswith("deeplabv3"):
        return  # padding and pooling by amounts that depend on the size stay as TensorFlow lays them out
    assert "Transpose" not in report.operations
    names = [node.name for node in onnx.load(path).graph.node]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "__" in name or name.split("/")[0] in ("conv", "transpose", "add")]


# --- what is converted --------------------------------------------------------------------------------------


def wide(*, twice=False):
    """A model whose middle convolution has a kernel of 0.6 MB, called once or twice."""
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(128, kernel_size=3, strides=2, padding="symmetric", name="stem")(image)
    middle = DilatedConv2D(128, kernel_size=3, rate=2, name="middle")
    x = middle(middle(x)) if twice else middle(x)
    x = DilatedConv2D(3, kernel_size=1, use_bias=True, name="classifier")(x)
    last = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")
    return seeded(keras.Model(image, last([x, image]), name="wide"), 0)


@pytest.mark.parametrize("twice", [False, True])
def test_large_kernels_stay_out_of_the_conversion(twice, tmp_path):
    """tf2onnx copies what it converts some 25 times over; the file has the kernels all the same."""
    model = wide(twice=twice)
    source = Source(prepare(model))
    kernel = np.asarray(model.get_layer("middle").kernel)
    assert len(source.kernels) == 1 + twice
    assert all(np.array_equal(value, kernel) for value in source.kernels.values())
    assert source.graph.ByteSize() < kernel.nbytes / 4
    report = export.to_onnx(model, tmp_path / "wide.onnx")
    assert report.parity.max_error < 1e-4 * report.parity.max_logit
    graph = onnx.load(tmp_path / "wide.onnx").graph
    assert [value.name for value in graph.input] == ["image"]


class Lookup(keras.layers.Layer):
    """Adds the first row of a table that it reads without reading the table."""

    def build(self, shape):
        self.table = self.add_weight(shape=(4, shape[-1]), name="table")

    def call(self, x):
        return x + tf.gather(self.table.value, 0)


def test_a_weight_that_is_not_read_as_a_whole_is_named(tmp_path):
    image = keras.Input((None, None, 3), name="image")
    x = DilatedConv2D(3, kernel_size=1, name="classifier")(Lookup(name="lookup")(image))
    last = SegmentationLogits(convention="half_pixel", label_set=LABELS, name="logits")
    model = keras.Model(image, last([x, image]), name="table")
    with pytest.raises(InputError, match=r"/lookup.*ResourceGather"):
        export.to_onnx(model, tmp_path / "table.onnx")
    assert not list(tmp_path.iterdir())
