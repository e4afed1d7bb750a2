"""What public converters make of our SavedModels and Keras models: the largest error of a logit, per model.

TFLiteConverter, tf2onnx and Core ML Tools (extra ``coreml``) run here; the program of the last is
interpreted, since Core ML runs on Apple's systems only. TensorFlow.js stands beside none of them: it gets an
environment of its own below ``--environments``, made once (some 3 GB, and Node.js).

    python benchmarks/converters.py
    python benchmarks/converters.py duc_hdc pspnet --environments ~/converters
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import numpy as np
from support import public_converters

import zoo
from zoo import export
from zoo.export.proof.parity import synthetic_image

MODELS = ("deeplabv3_aspp", "duc_hdc", "context_aggregation")
SIZE = (97, 129)
LIMIT = 1e-3
_SCRIPTS = Path(__file__).resolve().parents[1] / "tests" / "export" / "converters"
_NODE = ("tfjs-core", "tfjs-converter", "tfjs-backend-cpu")
# Imported by TensorFlow.js' converter for files that are none of ours; its builds rarely fit the others.
_UNUSED = "tensorflow_decision_forests"


def environment(folder: Path, *packages: str) -> Path:
    """Python of a virtual environment that has the packages."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def tensorflow_js(folder: Path, image: np.ndarray, environments: Path) -> np.ndarray:
    """Logits of a SavedModel in TensorFlow.js."""
    home = environments / "tensorflow_js"
    python = environment(home, "tensorflowjs")
    unused = home / "unused"
    unused.mkdir(exist_ok=True)
    (unused / f"{_UNUSED}.py").touch()
    if not (home / "node_modules").is_dir():
        packages = [f"@tensorflow/{name}" for name in _NODE]
        subprocess.run(["npm", "install", "--silent", "--prefix", home, *packages], check=True)
    script = home / "run.mjs"
    script.write_bytes((_SCRIPTS / "tensorflow_js.mjs").read_bytes())
    with tempfile.TemporaryDirectory() as work:
        converter = python.with_name("tensorflowjs_converter")
        variables = {**os.environ, "PYTHONPATH": str(unused)}
        command = [converter, "--input_format=tf_saved_model", folder, f"{work}/m"]
        subprocess.run(list(map(str, command)), check=True, capture_output=True, env=variables)
        image.tofile(f"{work}/image.f32")
        command = ["node", script, f"{work}/m", f"{work}/image.f32", *SIZE, f"{work}/logits.f32"]
        subprocess.run(list(map(str, command)), check=True, capture_output=True)
        return np.fromfile(f"{work}/logits.f32", np.float32).reshape(1, *SIZE, -1)


def measure(name: str, environments: Path | None, folder: Path) -> bool:
    """Print a line for each conversion of a model; whether all errors are within the limit."""
    model = zoo.load(name)
    image = synthetic_image(*SIZE)[None].astype("float32")
    want = model(image, training=False).numpy()
    errors, has_core_ml = [], importlib.util.find_spec("coremltools") is not None

    def tell(kind: str, what: str, convert: Callable[[], np.ndarray]) -> None:
        errors.append(float(np.abs(convert() - want).max()))
        print(f"{name:24}{kind:8}{what:20}{errors[-1]:.1e}", flush=True)

    for kind, size in (("any", None), ("static", SIZE)):
        path = folder / f"{name}_{kind}"
        export.to_saved_model(model, path, input_size=size, serving_bytes=False)
        for what, convert in public_converters.SAVED_MODEL.items():
            if what != "core_ml" or has_core_ml:
                tell(kind, what, functools.partial(convert, path, image))
        if environments:
            tell(kind, "tensorflow_js", functools.partial(tensorflow_js, path, image, environments))
    for kind, size in (("any", (None, None)), ("static", SIZE)):
        built = zoo.load(name, input_shape=(*size, 3))
        keras = dict(public_converters.KERAS)
        if kind == "any":
            keras["onnx_keras"] = public_converters.onnx_keras_any
        for what, convert in keras.items():
            tell(kind, what, functools.partial(convert, built, image))
    return max(errors) < LIMIT


def main() -> int:
    """Print the table; 1 where an error is beyond the limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=MODELS, help="names of models")
    parser.add_argument("--environments", type=Path, help="folder for TensorFlow.js")
    args = parser.parse_args()
    if args.environments:
        args.environments.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        good = [measure(name, args.environments, Path(folder)) for name in args.models]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
