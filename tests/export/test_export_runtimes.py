import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.tiny_export import SIZE, all_formats, tiny

from zoo import export
from zoo.export.proof.parity import synthetic_image
from zoo.images import read_image


@pytest.fixture(scope="module")
def model():
    return tiny()


@pytest.fixture(scope="module")
def artifacts(model, tmp_path_factory):
    """The tiny model in all three formats, with their reports."""
    return all_formats(model, tmp_path_factory.mktemp("artifacts"))


def run_python(code, *arguments):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_saved_model_runs_in_tensorflow_alone(artifacts, model, tmp_path):
    folder, _ = artifacts
    image = synthetic_image(*SIZE)[None].astype("float32")
    np.savez(tmp_path / "case.npz", image=image, logits=model(image).numpy())
    code = """
import sys
sys.modules["zoo"] = sys.modules["keras"] = sys.modules["tf_keras"] = None  # any import of them raises
import numpy as np, tensorflow as tf
case = np.load(sys.argv[2])
signature = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
logits = signature(image=tf.constant(case["image"]))["logits"].numpy()
np.testing.assert_allclose(logits, case["logits"], atol=1e-4)
"""
    run_python(code, folder / "m", tmp_path / "case.npz")


def test_encoded_images_run_in_tensorflow_alone(artifacts, model, tmp_path):
    folder, _ = artifacts
    export.to_saved_model(model, tmp_path / "static", input_size=SIZE)
    pixels = np.dstack([synthetic_image(60, 80), np.full((60, 80), 255, "uint8")])
    Image.fromarray(pixels[..., :3]).save(tmp_path / "photo.jpg")
    pixels[:30, :40, 3] = 0
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    for name in ("photo.jpg", "photo.png"):
        image = read_image(tmp_path / name)[None].astype("float32")
        resized = tf.image.resize(image, SIZE, antialias=True)
        np.savez(tmp_path / f"{name}.npz", any=model(image).numpy(), static=model(resized).numpy())
    code = """
import sys
sys.modules["zoo"] = sys.modules["keras"] = sys.modules["tf_keras"] = None  # any import of them raises
import numpy as np, pathlib, tensorflow as tf
folder = pathlib.Path(sys.argv[2])
for size, path in (("any", sys.argv[1]), ("static", sys.argv[2] + "/static")):
    serve = tf.saved_model.load(path).signatures["serving_bytes"]
    for name in ("photo.jpg", "photo.png"):
        content = (folder / name).read_bytes()
        logits = serve(image_bytes=tf.constant([content, content]))["logits"].numpy()
        want = np.load(folder / f"{name}.npz")[size]
        np.testing.assert_allclose(logits, np.repeat(want, 2, 0), atol=1e-4)
    labels = pathlib.Path(path, "assets", "labels.txt").read_text(encoding="utf-8")
    assert labels.splitlines() == ["road", "sky", "naïve ☂"]
"""
    run_python(code, folder / "m", tmp_path)


def test_tflite_and_onnx_run_without_tensorflow(artifacts):
    folder, _ = artifacts
    code = f"""
import sys
import numpy as np
import zoo.export
for name in sys.argv[1:]:
    artifact = zoo.export.open_artifact(name)
    assert artifact.predict(np.zeros(({SIZE[0]}, {SIZE[1]}, 3), "uint8")).shape == (1, *{SIZE}, 3)
assert not {{"tensorflow", "keras"}} & set(sys.modules)
"""
    run_python(code, folder / "m.tflite", folder / "m.onnx")
