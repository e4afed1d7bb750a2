"""Every published checkpoint that the zoo knows: where it is, how to recognise it, what it scored.

An entry whose ``model`` is a backbone serves every model on that backbone.
"""

from __future__ import annotations

from zoo.errors import InputError
from zoo.weights.entry import WeightsEntry

_TORCHVISION = "https://download.pytorch.org/models"
_DILATION = "http://dl.yf.io/dilation/models"
_DILATION_SOURCE = "https://github.com/fyu/dilation"
_CORAL_COMMIT = "104342d2d3480b3e66203073dac24f4e2dbb4c41"
_CORAL = f"https://raw.githubusercontent.com/google-coral/test_data/{_CORAL_COMMIT}"
_CORAL_MIRROR = f"https://github.com/google-coral/test_data/raw/{_CORAL_COMMIT}"
_CORAL_SOURCE = f"https://github.com/google-coral/test_data/tree/{_CORAL_COMMIT}"

# TF-DeepLab's mobile head has no 3×3 branches; its batch norm was folded when it was quantized.
_TF_MOBILE = {"convention": "tf_deeplab_folded", "output_stride": 16, "rates": ()}

_DUC = (
    "https://huggingface.co/onnxmodelzoo/legacy_models/resolve/main/validated/vision/"
    "object_detection_segmentation/duc/model"
)


def _duc(tag: str, file: str, size: int, sha256: str) -> WeightsEntry:
    """The authors' network in one of its two exports; the epsilon is read from the file's nodes."""
    return WeightsEntry(
        model="duc_hdc_resnet101",
        tag=tag,
        file=file,
        urls=(f"{_DUC}/{file}",),
        bytes=size,
        sha256=sha256,
        licence="Apache-2.0; trained on Cityscapes, whose terms may apply",
        source="https://github.com/TuSimple/TuSimple-DUC",
        labels="cityscapes19",
        metric="mIoU",
        score=79.1,
        protocol="cityscapes test single-scale, published by the authors of the network",
        name_map="tusimple_duc_resnet101",
        settings={"convention": "tusimple_duc", "cell": 4},
    )


# What torchvision's segmentation models do beside the paper: no multi-grid, a 3×3 convolution more.
_TORCHVISION_HEAD = {"head_conv": True, "dropout": 0.5}
_TORCHVISION_RESNET = {
    **_TORCHVISION_HEAD,
    "convention": "torchvision",
    "output_stride": 8,
    "multi_grid": None,
    "rates_at_16": (6, 12, 18),  # 12, 24, 36 at stride 8
}
_COCO_PROTOCOL = (
    "coco val2017 with the 21 voc labels, shorter side 520, single-scale, trained on coco train2017 images, "
    "published by torchvision"
)
_TORCHVISION_MOBILE = {
    **_TORCHVISION_HEAD,
    "convention": "torchvision_mobilenet_v3_dilated",
    "output_stride": 16,
    "rates_at_16": (12, 24, 36),
}


def _imagenet(model: str, file: str, *, size: int | None, sha256: str, score: float, convention: str):
    """An ImageNet backbone of torchvision."""
    return WeightsEntry(
        model=model,
        tag="imagenet",
        file=file,
        urls=(f"{_TORCHVISION}/{file}",),
        bytes=size,
        sha256=sha256,
        licence="BSD-3-Clause (torchvision); trained on ImageNet-1k, whose terms may apply",
        source="https://github.com/pytorch/vision",
        labels="imagenet1k",
        metric="top-1",
        score=score,
        protocol="imagenet-1k val 224x224 centre crop, published by torchvision",
        name_map=f"torchvision_{model}",
        settings={"convention": convention},
    )


def _coco(backbone: str, file: str, *, size: int, sha256: str, score: float, settings: dict):
    """A DeepLabv3 of torchvision, trained on the COCO images that hold classes of VOC."""
    return WeightsEntry(
        model=f"deeplabv3_aspp_{backbone}",
        tag="coco",
        file=file,
        urls=(f"{_TORCHVISION}/{file}",),
        bytes=size,
        sha256=sha256,
        licence="BSD-3-Clause (torchvision); trained on COCO and ImageNet-1k, whose terms may apply",
        source="https://github.com/pytorch/vision",
        labels="voc21",
        metric="mIoU",
        score=score,
        protocol=_COCO_PROTOCOL,
        name_map=f"torchvision_deeplabv3_{backbone}",
        settings=settings,
    )


def _camvid(model: str, *, size: int, sha256: str, score: float, settings: dict):
    """A bundled file, trained by this project; MODEL_CARD.md says how."""
    return WeightsEntry(
        model=model,
        tag="camvid",
        file=f"{model}_camvid.npz",
        bytes=size,
        sha256=sha256,
        licence="Apache-2.0; trained on CamVid, which is for research use, from ImageNet-1k weights",
        source="trained by this project, see MODEL_CARD.md",
        labels="camvid11",
        metric="mIoU",
        score=score,
        protocol="camvid11 val 360x480 single-scale",
        name_map="zoo",
        settings=settings,
        bundled=True,
    )


def _dilation(tag: str, variant: str, file: str, *, labels: str, score: float, protocol: str):
    """A network of Yu & Koltun; neither size nor digest of the files was ever published."""
    return WeightsEntry(
        model="context_aggregation_vgg16",
        tag=tag,
        file=f"{file}.caffemodel",
        urls=(f"{_DILATION}/{file}.caffemodel",),
        licence="MIT; trained on the data set named, whose terms may apply",
        source=_DILATION_SOURCE,
        labels=labels,
        metric="mIoU",
        score=score,
        protocol=f"{protocol}, published by the authors",
        name_map=f"caffe_dilation_{tag.removesuffix('2012')}",
        settings={"variant": variant, "convention": f"caffe_dilation_{tag.removesuffix('2012')}"},
    )


ENTRIES: tuple[WeightsEntry, ...] = (
    WeightsEntry(
        model="mobilenet_v2",
        tag="imagenet",
        file="mobilenet_v2-b0353104.pth",
        urls=(f"{_TORCHVISION}/mobilenet_v2-b0353104.pth",),
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
    _camvid(
        "deeplabv3_aspp_mobilenet_v2",
        size=5_013_136,
        sha256="a788e23f8346c022f7c784dc2a4155ea2b8ca13520f853a56a13e7aa6cd9f81a",
        score=75.11,
        settings={"separable": True, "output_stride": 8},
    ),
    _camvid(
        "context_aggregation_mobilenet_v2",
        size=3_614_569,
        sha256="1a54367abd3c4a67dd52687ff0f0263c6cd9505401847d5f5e82eca9ee4914e8",
        score=72.25,
        settings={},
    ),
    _camvid(
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
        urls=tuple(f"{base}/deeplabv3_mnv2_pascal_quant.tflite" for base in (_CORAL, _CORAL_MIRROR)),
        bytes=2_193_224,
        sha256="350af47fd346ea6d74b58833a351f583ba860e9806ec5bd292ff8d8f1f249398",
        licence="Apache-2.0",
        source=_CORAL_SOURCE,
        labels="voc21",
        metric="mIoU",
        score=74.26,
        protocol="voc2012 val 513x513 single-scale, the quantized file, as published",
        name_map="tf_deeplab_mobilenet_v2",
        settings=_TF_MOBILE,
    ),
    WeightsEntry(
        model="deeplabv3_aspp_mobilenet_v2",
        tag="voc2012_w050",
        file="deeplabv3_mnv2_dm05_pascal_quant.tflite",
        urls=tuple(f"{base}/deeplabv3_mnv2_dm05_pascal_quant.tflite" for base in (_CORAL, _CORAL_MIRROR)),
        bytes=760_904,
        sha256="0470d2a782aa54eeeb99d32e7b6b3fb7722905c7c4f5d26bd957ec861366d48b",
        licence="Apache-2.0",
        source=_CORAL_SOURCE,
        labels="voc21",
        metric="mIoU",
        score=69.65,
        protocol="voc2012 val 513x513 single-scale, the quantized file, as published",
        name_map="tf_deeplab_mobilenet_v2",
        settings={**_TF_MOBILE, "width": 0.5},
    ),
    _imagenet(
        "resnet50",
        "resnet50-0676ba61.pth",
        size=102_530_333,
        sha256="0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
        score=76.13,
        convention="torchvision",
    ),
    _imagenet(
        "resnet101",
        "resnet101-63fe2227.pth",
        size=None,
        sha256="63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
        score=77.374,
        convention="torchvision",
    ),
    _imagenet(
        "mobilenet_v3_large",
        "mobilenet_v3_large-8738ca79.pth",
        size=22_139_423,
        sha256="8738ca797c879b547d18bbd15da5736ff2557b2036a9af72225393ca61759a04",
        score=74.042,
        convention="torchvision_mobilenet_v3",
    ),
    _coco(
        "resnet50",
        "deeplabv3_resnet50_coco-cd0a2569.pth",
        size=168_312_152,
        sha256="cd0a25694c4a0f7106b38f4938bf90a874f2f241cc410b8f63c7024399538f06",
        score=66.4,
        settings=_TORCHVISION_RESNET,
    ),
    _coco(
        "resnet101",
        "deeplabv3_resnet101_coco-586e9e4e.pth",
        size=244_545_539,
        sha256="586e9e4e203fcbf17e1ad45533d8d33ab133fc762bf03101c5dd743995c08c0d",
        score=67.4,
        settings=_TORCHVISION_RESNET,
    ),
    _coco(
        "mobilenet_v3_large",
        "deeplabv3_mobilenet_v3_large-fc3c493d.pth",
        size=44_356_159,
        sha256="fc3c493d68e89cc31ef488c803d5d7dd2f3190fb570598faa49fef69be8e5e70",
        score=60.3,
        settings=_TORCHVISION_MOBILE,
    ),
    _duc(
        "cityscapes",
        "ResNet101-DUC-7.onnx",
        260_681_709,
        "6d3b29046b6df3e993ac7fd7253a1070c8e24a0c9690604e15211f78f1efc4e4",
    ),
    _duc(
        "cityscapes_opset12",
        "ResNet101-DUC-12.onnx",
        260_671_144,
        "11ebd46b66706e8bb45e74f67a616f0f61029014e99bd8ea7e55deb74a61e9b6",
    ),
    _imagenet(
        "vgg16",
        "vgg16-397923af.pth",
        size=553_433_881,
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        score=71.592,
        convention="torchvision",
    ),
    _dilation(
        "voc2012",
        "pascal_voc",
        "dilation8_pascal_voc",
        labels="voc21",
        score=72.1,
        protocol="voc2012 val single-scale, front end and large module without CRF",
    ),
    _dilation(
        "camvid",
        "camvid",
        "dilation8_camvid",
        labels="camvid11_fyu",
        score=65.3,
        protocol="camvid11 test 480x640 single-scale, trained on train only",
    ),
    _dilation(
        "kitti",
        "kitti",
        "dilation7_kitti",
        labels="kitti11",
        score=59.2,
        protocol="kitti11 test single-scale",
    ),
    _dilation(
        "cityscapes",
        "cityscapes",
        "dilation10_cityscapes",
        labels="cityscapes19",
        score=67.1,
        protocol="cityscapes test 1024x2048 single-scale in tiles of 1024x1024",
    ),
)


def entries_of(model: str) -> tuple[WeightsEntry, ...]:
    """Entries of a model ``<architecture>_<backbone>``: its own first, then its backbone's."""
    own = tuple(e for e in ENTRIES if e.model == model)
    return own + tuple(e for e in ENTRIES if model.endswith(f"_{e.model}"))


def find(model: str, tag: str) -> WeightsEntry:
    """The entry of a model (or backbone) with that tag; `InputError` lists the tags there are."""
    entries = entries_of(model)
    for entry in entries:
        if entry.tag == tag:
            return entry
    known = ", ".join(e.tag for e in entries) or "none"
    raise InputError(f"{model} has no weights tagged {tag!r}; available: {known}")
