"""Make `duc_hdc.npz`: the published DUC-HDC (ResNet-101) as an ONNX graph, run by ONNX Runtime.

    python make_duc_hdc.py

The graph restates the authors' network (TuSimple-DUC, tusimple_duc/networks/network_duc_hdc.py and resnet.py)
with their parameter names, as the published ONNX files have them; every parameter is drawn from its name
(`seeding.py`). The official files hold 260,681,709 and 260,671,144 bytes; this description gives nearly that.

For each size the file keeps slices of the features at three depths, a subsample of the scores of all cells
before the softmax, and a subsample of the probabilities after doubling with their labels at all pixels.
"""

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from seeding import draw, image

SIZES = ((64, 64), (65, 65), (49, 97))
DEPTHS = {"pool": "pool1_3x3_s2", "stage2": "res3_4_relu", "stage4": "res5_3_relu"}
CHANNELS = 6
LOGITS = "fc1_cityscapes"
LABELS, CELL = 19, 4
MEAN = np.array([122.675, 116.669, 104.008], np.float32)
EPSILON = 1e-6
# Rate of every 3x3 convolution behind stride 8, in the order of resnet.py.
RATES = {4: [2, *([2, 5, 9, 1] * 6)[:22]], 5: [5, 9, 17]}
UNITS = {2: (3, 64), 3: (4, 128), 4: (23, 256), 5: (3, 512)}


class Graph:
    """Collects nodes and drawn parameters."""

    def __init__(self, labels, cell, epsilon):
        self.nodes, self.parameters = [], []
        self.labels, self.cell, self.epsilon = labels, cell, epsilon

    def node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def parameter(self, name, shape):
        self.parameters.append(numpy_helper.from_array(draw(name, shape), name))
        return name

    def conv(self, x, name, channels, *, kernel=1, stride=1, rate=1, bias=False):
        inputs, filters = channels
        parameters = [self.parameter(f"{name}_weight", (filters, inputs, kernel, kernel))]
        if bias:
            parameters.append(self.parameter(f"{name}_bias", (filters,)))
        geometry = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "dilations": [rate] * 2}
        return self.node("Conv", [x, *parameters], name, pads=[rate * (kernel // 2)] * 4, **geometry)

    def conv_bn(self, x, name, channels, *, relu=True, **options):
        x = self.conv(x, name, channels, **options)
        kinds = ("gamma", "beta", "moving_mean", "moving_var")
        norms = [self.parameter(f"{name}/bn_{kind}", (channels[1],)) for kind in kinds]
        x = self.node("BatchNormalization", [x, *norms], f"{name}/bn", epsilon=self.epsilon)
        return self.node("Relu", [x], f"{name}/relu") if relu else x


def residual(graph, x, tag, inputs, width, *, stride, rate, project):
    shortcut = x
    outputs = 4 * width
    if project:
        options = {"stride": stride, "relu": False}
        shortcut = graph.conv_bn(x, f"conv{tag}_1x1_proj", (inputs, outputs), **options)
    x = graph.conv_bn(x, f"conv{tag}_1x1_reduce", (inputs, width), stride=stride)
    x = graph.conv_bn(x, f"conv{tag}_3x3", (width, width), kernel=3, rate=rate)
    x = graph.conv_bn(x, f"conv{tag}_1x1_increase", (width, outputs), relu=False)
    x = graph.node("Sum", [x, shortcut], f"res{tag}")
    return graph.node("Relu", [x], f"res{tag}_relu")


def network(graph):
    x = graph.conv_bn("data", "conv1_1_3x3_s2", (3, 64), kernel=3, stride=2)
    x = graph.conv_bn(x, "conv1_2_3x3", (64, 64), kernel=3)
    x = graph.conv_bn(x, "conv1_3_3x3", (64, 128), kernel=3)
    x = graph.node("MaxPool", [x], "pool1_3x3_s2", kernel_shape=[3, 3], strides=[2, 2])
    inputs = 128
    for group, (blocks, width) in UNITS.items():
        for block in range(blocks):
            stride = 2 if (group, block) == (3, 0) else 1
            rate = RATES[group][block] if group in RATES else 1
            options = {"stride": stride, "rate": rate, "project": block == 0}
            x = residual(graph, x, f"{group}_{block + 1}", inputs, width, **options)
            inputs = 4 * width
    filters = graph.labels * graph.cell**2
    branches = [
        graph.conv(x, f"fc1_cityscapes_c{i}", (inputs, filters), kernel=3, rate=6 * (i + 1), bias=True)
        for i in range(4)
    ]
    x = graph.node("Sum", branches, LOGITS)
    shape = numpy_helper.from_array(np.array([0, graph.labels, -1], np.int64), "reshape_shape")
    graph.parameters.append(shape)
    x = graph.node("Reshape", [x, shape.name], "cls_score_reshape")
    return graph.node("Softmax", [x], "seg_loss", axis=1)


def model(labels=LABELS, cell=CELL, epsilon=EPSILON):
    """The description as a ModelProto with all parameters inside."""
    graph = Graph(labels, cell, epsilon)
    output = network(graph)
    sizes = ["batch", 3, "height", "width"]
    inputs = [helper.make_tensor_value_info("data", TensorProto.FLOAT, sizes)]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", labels, "cells"])]
    made = helper.make_graph(graph.nodes, "duc_hdc", inputs, outputs, initializer=graph.parameters)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def cells(scores):
    """(labels · 16, h, w) → (4 h, 4 w, labels): channel label · 16 + 4 · i + j is row i, column j."""
    rows, columns = scores.shape[1:]
    result = np.empty((CELL * rows, CELL * columns, LABELS), np.float32)
    for label in range(LABELS):
        for i in range(CELL):
            for j in range(CELL):
                result[i::CELL, j::CELL, label] = scores[label * CELL**2 + CELL * i + j]
    return result


def doubled(x, axis):
    """Twice as long by linear interpolation between pixel centres at i + 1/2, ends repeated."""
    before = np.concatenate([x.take([0], axis), x.take(range(x.shape[axis] - 1), axis)], axis)
    after = np.concatenate([x.take(range(1, x.shape[axis]), axis), x.take([-1], axis)], axis)
    pair = np.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis + 1)
    return pair.reshape([*x.shape[:axis], -1, *x.shape[axis + 1 :]])


def published_result(session, height, width):
    """Depths and cells' scores, and the probabilities at the image's size, as the authors predict."""
    padded = [-(-side // 8) * 8 for side in (height, width)]
    x = np.zeros((*padded, 3), np.float32)
    x[:height, :width] = image(height, width) - MEAN
    wanted = [*DEPTHS.values(), LOGITS]
    results = session.run(wanted, {"data": x.transpose(2, 0, 1)[None]})
    found = {name: r[0, :CHANNELS].transpose(1, 2, 0) for name, r in zip(DEPTHS, results[:-1], strict=True)}
    scores = cells(results[-1][0])
    odds = np.exp(scores - scores.max(-1, keepdims=True))
    probabilities = odds / odds.sum(-1, keepdims=True)
    for axis in (0, 1):
        probabilities = doubled(probabilities, axis)
    return found, scores, probabilities[:height, :width]


def main():
    import onnxruntime

    described = model()
    outputs = [helper.make_empty_tensor_value_info(name) for name in (*DEPTHS.values(), LOGITS)]
    described.graph.output.extend(outputs)
    content = described.SerializeToString()
    print(f"{len(content):,} bytes")
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    goldens = {}
    for height, width in SIZES:
        found, scores, probabilities = published_result(session, height, width)
        key = f"{height}x{width}"
        goldens.update({f"{key}/{name}": array.astype(np.float32) for name, array in found.items()})
        goldens[f"{key}/scores"] = scores[::3, ::3]
        goldens[f"{key}/probabilities"] = probabilities[::5, ::5].astype(np.float32)
        goldens[f"{key}/labels"] = probabilities.argmax(-1).astype(np.uint8)
        ordered = np.sort(probabilities, -1)
        print(key, {n: float(np.abs(a).max()) for n, a in found.items()}, float(np.abs(scores).max()))
        print(
            "labels", np.bincount(goldens[f"{key}/labels"].ravel(), minlength=LABELS), ordered[..., -1].mean()
        )
    np.savez_compressed(Path(__file__).with_name("duc_hdc.npz"), **goldens)


if __name__ == "__main__":
    main()
