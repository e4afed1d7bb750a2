"""What the entries of one publisher have in common: addresses, licences, protocols, settings."""

from __future__ import annotations

from zoo.weights.entry import WeightsEntry

TORCHVISION = "https://download.pytorch.org/models"
_DILATION = "http://dl.yf.io/dilation/models"
_DILATION_SOURCE = "https://github.com/fyu/dilation"
_CORAL_COMMIT = "104342d2d3480b3e66203073dac24f4e2dbb4c41"
CORAL = f"https://raw.githubusercontent.com/google-coral/test_data/{_CORAL_COMMIT}"
CORAL_MIRROR = f"https://github.com/google-coral/test_data/raw/{_CORAL_COMMIT}"
CORAL_SOURCE = f"https://github.com/google-coral/test_data/tree/{_CORAL_COMMIT}"

# TF-DeepLab's mobile head has no 3×3 branches; its batch norm was folded when it was quantized.
TF_MOBILE = {"convention": "tf_deeplab_folded", "output_stride": 16, "rates": ()}

_DUC = (
    "https://huggingface.co/onnxmodelzoo/legacy_models/resolve/main/validated/vision/"
    "object_detection_segmentation/duc/model"
)


def duc(tag: str, file: str, size: int, sha256: str) -> WeightsEntry:
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
TORCHVISION_RESNET = {
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
TORCHVISION_MOBILE = {
    **_TORCHVISION_HEAD,
    "convention": "torchvision_mobilenet_v3_dilated",
    "output_stride": 16,
    "rates_at_16": (12, 24, 36),
}


def imagenet(
    model: str, file: str, *, size: int | None, sha256: str, score: float, convention: str
) -> WeightsEntry:
    """An ImageNet backbone of torchvision."""
    return WeightsEntry(
        model=model,
        tag="imagenet",
        file=file,
        urls=(f"{TORCHVISION}/{file}",),
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


def coco(backbone: str, file: str, *, size: int, sha256: str, score: float, settings: dict) -> WeightsEntry:
    """A DeepLabv3 of torchvision, trained on the COCO images that hold classes of VOC."""
    return WeightsEntry(
        model=f"deeplabv3_aspp_{backbone}",
        tag="coco",
        file=file,
        urls=(f"{TORCHVISION}/{file}",),
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


def lraspp(file: str, *, sha256_start: str, score: float, pixel_accuracy: float) -> WeightsEntry:
    """LR-ASPP of torchvision; it publishes the first digits of its digest, in the file's name."""
    return WeightsEntry(
        model="lraspp_mobilenet_v3_large",
        tag="coco",
        file=file,
        urls=(f"{TORCHVISION}/{file}",),
        sha256_start=sha256_start,
        licence="BSD-3-Clause (torchvision); trained on COCO and ImageNet-1k, whose terms may apply",
        source="https://github.com/pytorch/vision",
        labels="voc21",
        metric="mIoU",
        score=score,
        protocol=f"{_COCO_PROTOCOL}, with a pixel accuracy of {pixel_accuracy}",
        name_map="torchvision_lraspp_mobilenet_v3_large",
        settings={"convention": "torchvision_mobilenet_v3_dilated", "output_stride": 16},
    )


def camvid(
    model: str,
    *,
    size: int,
    sha256: str,
    score: float,
    settings: dict,
    start: str = "ImageNet-1k weights",
) -> WeightsEntry:
    """A bundled file, trained by this project; MODEL_CARD.md says how."""
    return WeightsEntry(
        model=model,
        tag="camvid",
        file=f"{model}_camvid.npz",
        bytes=size,
        sha256=sha256,
        licence=f"Apache-2.0; trained on CamVid, which is for research use, from {start}",
        source="trained by this project, see MODEL_CARD.md",
        labels="camvid11",
        metric="mIoU",
        score=score,
        protocol="camvid11 val 360x480 single-scale",
        name_map="zoo",
        settings=settings,
        bundled=True,
    )


def dilation(tag: str, variant: str, file: str, *, labels: str, score: float, protocol: str) -> WeightsEntry:
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
