"""Every published checkpoint that the zoo knows: where it is, how to recognise it, what it scored.

An entry whose ``model`` is a backbone serves every model on that backbone.
"""

from __future__ import annotations

from zoo.errors import InputError
from zoo.weights.entry import WeightsEntry
from zoo.weights.publishers import (
    CORAL,
    CORAL_MIRROR,
    CORAL_SOURCE,
    TF_MOBILE,
    TORCHVISION,
    TORCHVISION_MOBILE,
    TORCHVISION_RESNET,
    camvid,
    coco,
    dilation,
    duc,
    imagenet,
    lraspp,
)
from zoo.weights.sequences import SEQUENCE_ENTRIES, entries_of_sequence

# Started from TF-DeepLab's weights, so that it pads and resizes as they do. It was trained at 0.75 to 2 times
# the size of the images, in which a pole is two or three pixels wide, so it is seen better when enlarged.
_PLUS = {
    "convention": "tf_deeplab",
    "output_stride": 16,
    "aspp_channels": 256,
    "decoder_channels": 128,
    "enlarge": 1.5,
}

ENTRIES: tuple[WeightsEntry, ...] = (
    WeightsEntry(
        model="mobilenet_v2",
        tag="imagenet",
        file="mobilenet_v2-b0353104.pth",
        urls=(f"{TORCHVISION}/mobilenet_v2-b0353104.pth",),
        bytes=14_212_972,
        sha256="b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        licence="BSD-3-Clause (torchvision); trained on ImageNet-1k, whose terms may apply",
        source="https://github.com/pytorch/vision",
        labels="imagenet1k",
        metric="top-1",
        score=71.878,
        protocol="imagenet-1k val 224x224 centre crop, published by torchvision",
        name_map="torchvision_mobilenet_v2",
        settings={"convention": "torchvision"},
    ),
    camvid(
        "deeplabv3_aspp_mobilenet_v2",
        size=5_013_136,
        sha256="a788e23f8346c022f7c784dc2a4155ea2b8ca13520f853a56a13e7aa6cd9f81a",
        score=75.11,
        settings={"separable": True, "output_stride": 8},
    ),
    camvid(
        "deeplabv3_plus_mobilenet_v2",
        size=5_146_783,
        sha256="79c22dbade0c9c633d9c6e1224dda3199b35b50439b89abb847f1a68df1f51c2",
        score=78.58,
        settings=_PLUS,
        start="ImageNet-1k, COCO and PASCAL VOC 2012 weights",
    ),
    camvid(
        "context_aggregation_mobilenet_v2",
        size=3_614_569,
        sha256="1a54367abd3c4a67dd52687ff0f0263c6cd9505401847d5f5e82eca9ee4914e8",
        score=72.25,
        settings={},
    ),
    camvid(
        "duc_hdc_mobilenet_v2",
        size=5_300_892,
        sha256="398e2d54687ba557efc2a7b8f394b02994a91d2317b82adf6cf669a170f79b10",
        score=75.18,
        settings={},
    ),
    WeightsEntry(
        model="deeplabv3_aspp_mobilenet_v2",
        tag="voc2012",
        file="deeplabv3_mnv2_pascal_quant.tflite",
        urls=tuple(f"{base}/deeplabv3_mnv2_pascal_quant.tflite" for base in (CORAL, CORAL_MIRROR)),
        bytes=2_193_224,
        sha256="350af47fd346ea6d74b58833a351f583ba860e9806ec5bd292ff8d8f1f249398",
        licence="Apache-2.0",
        source=CORAL_SOURCE,
        labels="voc21",
        metric="mIoU",
        score=74.26,
        protocol="voc2012 val 513x513 single-scale, the quantized file, as published",
        name_map="tf_deeplab_mobilenet_v2",
        settings=TF_MOBILE,
    ),
    WeightsEntry(
        model="deeplabv3_aspp_mobilenet_v2",
        tag="voc2012_w050",
        file="deeplabv3_mnv2_dm05_pascal_quant.tflite",
        urls=tuple(f"{base}/deeplabv3_mnv2_dm05_pascal_quant.tflite" for base in (CORAL, CORAL_MIRROR)),
        bytes=760_904,
        sha256="0470d2a782aa54eeeb99d32e7b6b3fb7722905c7c4f5d26bd957ec861366d48b",
        licence="Apache-2.0",
        source=CORAL_SOURCE,
        labels="voc21",
        metric="mIoU",
        score=69.65,
        protocol="voc2012 val 513x513 single-scale, the quantized file, as published",
        name_map="tf_deeplab_mobilenet_v2",
        settings={**TF_MOBILE, "width": 0.5},
    ),
    imagenet(
        "resnet50",
        "resnet50-0676ba61.pth",
        size=102_530_333,
        sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        score=76.13,
        convention="torchvision",
    ),
    imagenet(
        "resnet101",
        "resnet101-63fe2227.pth",
        size=None,
        sha256="63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
        score=77.374,
        convention="torchvision",
    ),
    imagenet(
        "mobilenet_v3_large",
        "mobilenet_v3_large-8738ca79.pth",
        size=22_139_423,
        sha256="8738ca797c879b547d18bbd15da5736ff2557b2036a9af72225393ca61759a04",
        score=74.042,
        convention="torchvision_mobilenet_v3",
    ),
    coco(
        "resnet50",
        "deeplabv3_resnet50_coco-cd0a2569.pth",
        size=168_312_152,
        sha256="cd0a25694c4a0f7106b38f4938bf90a874f2f241cc410b8f63c7024399538f06",
        score=66.4,
        settings=TORCHVISION_RESNET,
    ),
    coco(
        "resnet101",
        "deeplabv3_resnet101_coco-586e9e4e.pth",
        size=244_545_539,
        sha256="586e9e4e203fcbf17e1ad45533d8d33ab133fc762bf03101c5dd743995c08c0d",
        score=67.4,
        settings=TORCHVISION_RESNET,
    ),
    coco(
        "mobilenet_v3_large",
        "deeplabv3_mobilenet_v3_large-fc3c493d.pth",
        size=44_356_159,
        sha256="fc3c493d68e89cc31ef488c803d5d7dd2f3190fb570598faa49fef69be8e5e70",
        score=60.3,
        settings=TORCHVISION_MOBILE,
    ),
    lraspp(
        "lraspp_mobilenet_v3_large-d234d4ea.pth", sha256_start="d234d4ea", score=57.9, pixel_accuracy=91.2
    ),
    duc(
        "cityscapes",
        "ResNet101-DUC-7.onnx",
        260_681_709,
        "6d3b29046b6df3e993ac7fd7253a1070c8e24a0c9690604e15211f78f1efc4e4",
    ),
    duc(
        "cityscapes_opset12",
        "ResNet101-DUC-12.onnx",
        260_671_144,
        "11ebd46b66706e8bb45e74f67a616f0f61029014e99bd8ea7e55deb74a61e9b6",
    ),
    imagenet(
        "vgg16",
        "vgg16-397923af.pth",
        size=553_433_881,
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        score=71.592,
        convention="torchvision",
    ),
    dilation(
        "voc2012",
        "pascal_voc",
        "dilation8_pascal_voc",
        labels="voc21",
        score=72.1,
        protocol="voc2012 val single-scale, front end and large module without CRF",
    ),
    dilation(
        "camvid",
        "camvid",
        "dilation8_camvid",
        labels="camvid11_fyu",
        score=65.3,
        protocol="camvid11 test 480x640 single-scale, trained on train only",
    ),
    dilation(
        "kitti",
        "kitti",
        "dilation7_kitti",
        labels="kitti11",
        score=59.2,
        protocol="kitti11 test single-scale",
    ),
    dilation(
        "cityscapes",
        "cityscapes",
        "dilation10_cityscapes",
        labels="cityscapes19",
        score=67.1,
        protocol="cityscapes test 1024x2048 single-scale in tiles of 1024x1024",
    ),
)

# Those of models of sequences, too.
EVERY = (*ENTRIES, *SEQUENCE_ENTRIES)


def entries_of(model: str) -> tuple[WeightsEntry, ...]:
    """Entries of a model ``<architecture>_<backbone>``: its own first, then its backbone's."""
    own = tuple(e for e in ENTRIES if e.model == model) or entries_of_sequence(model)
    return own + tuple(e for e in ENTRIES if model.endswith(f"_{e.model}"))


def find(model: str, tag: str) -> WeightsEntry:
    """The entry of a model (or backbone) with that tag; `InputError` lists the tags there are."""
    entries = entries_of(model)
    for entry in entries:
        if entry.tag == tag:
            return entry
    known = ", ".join(e.tag for e in entries) or "none"
    raise InputError(f"{model} has no weights tagged {tag!r}; available: {known}")
