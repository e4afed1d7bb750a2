"""Make `context_aggregation_*.npz` with the authors' own networks, run by OpenCV.

Run where OpenCV 4 is installed, with the folder of the authors' deploy files (fyu/dilation, ``models/``):

    python make_context_aggregation.py FOLDER

The weights are drawn from their names (`seeding.py`) and written as a caffemodel, about 540 MB in a temporary
folder, that OpenCV reads. The image is extended by 186 reflected pixels and enlarged as the authors'
``predict.py`` and ``util.py`` do; the network's input is that of a single tile of the image's own size. One
image goes through the CamVid network at its published input of 900 × 1100 instead, more than it needs.

Kept are, for each network and size: a slice of three depths, the scores of every class at the network's own
resolution, every seventh pixel of the probabilities at full size, and the label of every pixel.
"""

import itertools
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
from seeding import draw, image

MARGIN, ZOOM = 186, 8
SIZES = ((64, 64), (65, 33), (49, 97))
# Network, deploy file, mean (BGR, of the authors' `datasets` and `predict.py`), score layers, classes.
NETWORKS = {
    "voc": ("dilation8_pascal_voc", (102.93, 111.36, 116.52), "ct_final", 21),
    "camvid": ("dilation8_camvid", (110.70313206, 108.77808759, 105.41212523), "ctx_final", 11),
    "kitti": ("dilation7_kitti", (96.19429688, 95.55136972, 91.34692262), "ctx_final", 11),
    "cityscapes": ("dilation10_cityscapes", (72.39, 82.91, 73.16), "ctx_final", 19),
}
DEPTHS = ("conv2_2", "conv4_3", "conv5_3")
CHANNELS = 2
STEP = 7
TILED = {"network": "camvid", "size": (96, 120), "input": (900, 1100)}


def varint(value):
    groups = []
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def field(number, *payload):
    """A length-delimited field."""
    return b"".join([varint(number << 3 | 2), varint(sum(map(len, payload))), *payload])


def blob(array):
    shape = field(1, *map(varint, array.shape))
    return field(7, field(7, shape), field(5, array.astype("<f4").tobytes()))


def convolutions(prototxt):
    """(name, outputs, kernel, groups, bias) of each layer with weights, in the order of the file."""
    for block in prototxt.split("layer {")[1:]:
        words = block.replace("{", " ").replace("}", " ").replace(":", " ").split()
        values = dict(itertools.pairwise(words))
        if "num_output" in values:
            name = values["name"].strip('"')
            groups, bias = int(values.get("group", 1)), values.get("bias_term") != "false"
            yield name, int(values["num_output"]), int(values["kernel_size"]), groups, bias


def tent(size):
    """One row of bilinear interpolation by a deconvolution with a stride of half its kernel."""
    return 1 - np.abs((np.arange(size) + 0.5) / (size / 2) - 1)


def write_weights(prototxt, path):
    inputs = 3
    with path.open("wb") as file:
        for name, outputs, kernel, groups, bias in convolutions(prototxt):
            if groups > 1:
                kernels = np.broadcast_to(np.outer(tent(kernel), tent(kernel)), (outputs, 1, kernel, kernel))
            else:
                kernels = draw(f"{name}/0", (outputs, inputs, kernel, kernel))
            blobs = [blob(kernels)]
            if bias:
                blobs.append(blob(draw(f"{name}/1", (outputs,))))
            file.write(field(100, field(1, name.encode()), field(2, b"Convolution"), *blobs))
            inputs = outputs


def run(net, bgr, mean, scores, *, fixed=None):
    """Named outputs for an image; `fixed` is the input that the network shall have at least."""
    reflect = cv2.BORDER_REFLECT_101
    padded = cv2.copyMakeBorder(bgr - np.float32(mean), *[MARGIN] * 4, reflect)
    if fixed:
        below, right = (want - have for want, have in zip(fixed, padded.shape[:2], strict=True))
        padded = cv2.copyMakeBorder(padded, 0, below, 0, right, reflect)
    net.setInput(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]))
    names = [*DEPTHS, scores, "prob"]
    return dict(zip(names, (out[0] for out in net.forward(names)), strict=True))


def enlarged(prob, height, width):
    """`prob` at target / 8; beyond the last cell, where the authors read past the end, it is repeated."""
    for axis, length in ((1, height), (2, width)):
        target = np.arange(length)
        low = target // ZOOM
        high = np.minimum(low + 1, prob.shape[axis] - 1)
        share = (target / ZOOM - low).reshape([-1 if a == axis else 1 for a in range(3)])
        prob = np.take(prob, low, axis) * (1 - share) + np.take(prob, high, axis) * share
    return prob


def keep(goldens, key, outputs, scores, size):
    for depth in DEPTHS:
        goldens[f"{key}/{depth}"] = outputs[depth][:CHANNELS, ::STEP, ::STEP].transpose(1, 2, 0)
    goldens[f"{key}/scores"] = outputs[scores].transpose(1, 2, 0)
    prob = outputs["prob"]
    at_full_size = prob.shape[1] >= size[0]
    prob = prob[:, : size[0], : size[1]] if at_full_size else enlarged(prob, *size)
    goldens[f"{key}/prob"] = prob[:, ::STEP, ::STEP].transpose(1, 2, 0).astype(np.float32)
    goldens[f"{key}/labels"] = prob.argmax(0).astype(np.uint8)


def save(name, goldens):
    target = Path(__file__).with_name(f"context_aggregation_{name}.npz")
    np.savez_compressed(target, **goldens)
    print(target, target.stat().st_size, flush=True)


def main(folder):
    for network, (file, mean, scores, classes) in NETWORKS.items():
        deploy = Path(folder) / f"{file}_deploy.prototxt"
        with tempfile.TemporaryDirectory() as temporary:
            weights = Path(temporary) / "seeded.caffemodel"
            write_weights(deploy.read_text(), weights)
            net = cv2.dnn.readNetFromCaffe(str(deploy), str(weights))
        goldens = {}
        for size in SIZES:
            outputs = run(net, image(*size)[..., ::-1], mean, scores)
            assert outputs[scores].shape == (classes, *(-(-n // ZOOM) for n in size))
            keep(goldens, f"{size[0]}x{size[1]}", outputs, scores, size)
        save(network, goldens)
        if network == TILED["network"]:
            size = TILED["size"]
            outputs = run(net, image(*size)[..., ::-1], mean, scores, fixed=TILED["input"])
            assert outputs[scores].shape == (classes, 66, 91)
            cells = [n // ZOOM + 2 for n in size]
            outputs[scores] = outputs[scores][:, : cells[0], : cells[1]]
            outputs["prob"] = outputs["prob"][:, : cells[0], : cells[1]]
            outputs |= {depth: outputs[depth][:, :200, :200] for depth in DEPTHS}
            goldens = {}
            keep(goldens, "tiled", outputs, scores, size)
            save("tiled", goldens)


if __name__ == "__main__":
    main(sys.argv[1])
