"""Files that a release wrote, kept so that later ones still read them.

``python tests/goldens/make_saved.py`` writes to ``tests/goldens/saved``: one small ``.keras`` file of every
architecture on every family of backbones, one that was trained (compiled, with a loss and a schedule of the
zoo) and one that was trained for 8 bits; the logits of each for one image; of one exported ONNX and TFLite
file the logits, and the SHA-256 of their arg-max (that of the logits themselves would change with the
processor); and the folder of a training run, stopped after 6 steps, with the weights that it has after 12.
The archives are compressed afterwards, their members are as they were saved. It was run once, by version
0.1.0, and is kept to say how the files came about; running it again would test nothing.

``python tests/goldens/make_saved.py --add NAME …`` adds files of models that came after it (`LATER`), each
once, by the version that brings the model.
"""

import hashlib
import json
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path

import keras
import numpy as np
from seeding import draw, image

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.compression_fixtures import tiny, tuning
from support.training_fixtures import (
    make_batches,
    pixel_accuracy,
    pixel_loss,
    tiny_model,
    tiny_settings,
    weights_of,
)

from zoo import export
from zoo.compression import quantize
from zoo.labels import numbered
from zoo.models import registry
from zoo.models.backbones import mobilenet_v2, resnet
from zoo.training.engine import fit
from zoo.training.losses import Dice, SparseCrossEntropy, WeightedSum
from zoo.training.schedule import Poly

FOLDER = Path(__file__).parent / "saved"
FAMILIES = (
    "deeplabv3_aspp_mobilenet_v2",
    "deeplabv3_aspp_mobilenet_v3_large",
    "deeplabv3_aspp_resnet50",
    "pspnet_mobilenet_v2",
    "pspnet_resnet50",
    "duc_hdc_mobilenet_v2",
    "duc_hdc_resnet50",
    "context_aggregation_mobilenet_v2",
    "context_aggregation_vgg16",
)
LATER = (
    "pspnet_mobilenet_v3_large",
    "duc_hdc_mobilenet_v3_large",
    "context_aggregation_mobilenet_v3_large",
    "context_aggregation_resnet50",
    "deeplabv3_plus_mobilenet_v2",
    "deeplabv3_plus_mobilenet_v3_large",
    "deeplabv3_plus_resnet50",
    "lraspp_mobilenet_v2",
    "lraspp_mobilenet_v3_large",
)
WIDTHS = {"mobilenet": {"width": 0.1}, "resnet": {}, "vgg": {"width": 0.01}}
HEADS = {
    "deeplabv3_aspp": {"aspp_channels": 8},
    "deeplabv3_plus": {"aspp_channels": 8, "decoder_channels": 8, "low_level_channels": 6},
    "lraspp": {"channels": 8},
    "pspnet": {"channels": 8},
}
SIZE = (41, 57)
EXPORTED = "duc_hdc_resnet50"  # three classes, and no pixel is near a border
# Narrow networks lose a signal on the way that wide ones keep.
GAIN = np.float32(1.5)


def small(name: str, *, fresh: tuple[str, ...] = ()) -> keras.Model:
    """A narrow model of the registry, its variables drawn from their paths but for the `fresh` layers'."""
    spec = registry.resolve(name)
    settings = {**spec.settings, **next(v for key, v in WIDTHS.items() if key in spec.backbone)}
    settings |= HEADS.get(spec.architecture, {})
    if spec.architecture == "duc_hdc":
        settings |= {"rates": "uniform", "allow_gridding": True}
    return seeded(spec.build()(label_set=numbered(3), name=name, **settings), fresh=fresh)


def seeded(model: keras.Model, *, fresh: tuple[str, ...] = ()) -> keras.Model:
    """The model with its variables drawn from their paths, but for those that begin with one of `fresh`."""
    for variable in model.variables:
        if "seed_generator" not in variable.path and not variable.path.startswith(fresh):
            variable.assign(drawn(variable.path, tuple(variable.shape)))
    return model


def drawn(path: str, shape: tuple[int, ...]) -> np.ndarray:
    """Values by `draw`, which takes kernels with the outputs first and calls a variance ``var``."""
    if len(shape) > 1:
        return np.moveaxis(GAIN * draw(path, (shape[-1], *shape[:-1])), 0, -1)
    return draw(path.replace("variance", "var").replace("/", "."), shape)


def trained() -> keras.Model:
    """Compiled and fitted for a step, as a user would save it."""
    model = tiny(dropout=0.1)
    loss = WeightedSum([SparseCrossEntropy(ignore_label=255), Dice(ignore_label=255)], [1.0, 0.5])
    model.compile(keras.optimizers.AdamW(Poly(learning_rate=1e-3, steps=10, warmup=2)), loss)
    model.fit(image(*SIZE)[None], np.ones((1, *SIZE), np.int32), verbose=0)
    return model


def shrink() -> None:
    """Few blocks a stage, and few channels in every ResNet."""
    resnet.WIDTHS = (4, 8, 12, 16)
    for depth in resnet.DEPTHS:
        resnet.DEPTHS[depth] = (1, 1, 2, 3)
    stages = tuple(stage._replace(repeats=min(stage.repeats, 2)) for stage in mobilenet_v2.STAGES)
    mobilenet_v2.STAGES = stages


def add(names: list[str]) -> None:
    """Files of some models beside those that there are."""
    with np.load(FOLDER / "logits.npz") as there:
        logits = dict(there)
    for name in names:
        if name not in LATER or name in logits:
            raise SystemExit(f"{name} is there already, or not among {', '.join(LATER)}")
        # Random layers of the module pass nothing on; fresh ones do, from scores around 10.
        fresh = ("classifier.context", "classifier/", "classifier.front/bias")
        model = small(name, fresh=fresh if name.startswith("context_aggregation") else ())
        model.save(FOLDER / f"{name}.keras")
        compress(FOLDER / f"{name}.keras")
        logits[name] = np.asarray(model(image(*SIZE)[None]))
        spread = logits[name].std(axis=(0, 1, 2)).max()
        print(f"{name}: logits to {np.abs(logits[name]).max():.2f}, over pixels {spread:.1e}")
    np.savez_compressed(FOLDER / "logits.npz", **logits)


def main() -> None:
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    shrink()
    FOLDER.mkdir(exist_ok=True)
    if sys.argv[1:2] == ["--add"]:
        add(sys.argv[2:])
        return
    models = {name: small(name) for name in FAMILIES}
    models["trained"] = trained()
    models["quantized"] = quantize(tiny(dropout=0.0), tuning(2)).model
    picture, logits = image(*SIZE), {}
    for name, model in models.items():
        model.save(FOLDER / f"{name}.keras")
        compress(FOLDER / f"{name}.keras")
        logits[name] = np.asarray(model(picture[None]))
    with tempfile.TemporaryDirectory() as folder:
        for suffix, write in (("onnx", export.to_onnx), ("tflite", export.to_tflite)):
            path = Path(folder) / f"m.{suffix}"
            write(models[EXPORTED], path, input_size=SIZE)
            logits[suffix] = export.open_artifact(path).predict(picture[None])
    np.savez_compressed(FOLDER / "logits.npz", **logits)
    run(FOLDER / "run", steps=6)
    with tempfile.TemporaryDirectory() as folder:
        np.savez_compressed(FOLDER / "run.npz", **run(Path(folder), steps=12))
    digests = {name: digest(logits[name]) for name in ("onnx", "tflite")}
    (FOLDER / "digests.json").write_text(json.dumps(digests, indent=1) + "\n")
    for name, values in logits.items():
        top = np.sort(values, axis=-1)
        margin = (top[..., -1] - top[..., -2]).min()
        spread = values.std(axis=(0, 1, 2)).max()
        print(f"{name}: logits to {np.abs(values).max():.2f}, over pixels {spread:.1e}, margin {margin:.1e}")


def run(folder: Path, *, steps: int) -> dict[str, np.ndarray]:
    """The weights after a run of so many steps, whose folder is left as it is."""
    model = tiny_model()
    settings = tiny_settings(steps, average=0.9, accumulate=2)
    options = {"loss": pixel_loss, "validate": pixel_accuracy, "output": folder}
    fit(model, make_batches(), settings=settings, **options)
    shutil.rmtree(folder / "events")
    return weights_of(model)


def digest(logits: np.ndarray) -> str:
    """SHA-256 of the class of every pixel, as bytes."""
    return hashlib.sha256(logits.argmax(-1).astype(np.uint8).tobytes()).hexdigest()


def compress(path: Path) -> None:
    """The same archive, deflated: the members of a ``.keras`` file are stored as they are."""
    with zipfile.ZipFile(path) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED, 9)


if __name__ == "__main__":
    main()
