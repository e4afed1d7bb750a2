"""What converters of other software make of a SavedModel or a Keras model, run on one image."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
import tf2onnx
from ai_edge_litert.interpreter import Interpreter

from zoo.layers import forward_only

OPSET = 18


def tflite(folder: Path, image: np.ndarray) -> np.ndarray:
    """``TFLiteConverter.from_saved_model`` as it is called first."""
    return _lite(tf.lite.TFLiteConverter.from_saved_model(str(folder)), image)


def tflite_signature(folder: Path, image: np.ndarray) -> np.ndarray:
    """The same with the name of the signature."""
    keys = ["serving_default"]
    return _lite(tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=keys), image)


def tflite_keras(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """``TFLiteConverter.from_keras_model``."""
    return _lite(tf.lite.TFLiteConverter.from_keras_model(model), image)


def onnx(folder: Path, image: np.ndarray) -> np.ndarray:
    """``python -m tf2onnx.convert --saved-model``."""
    path = folder.parent / "converted.onnx"
    command = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", str(folder), "--output", str(path)]
    subprocess.run([*command, "--opset", str(OPSET)], check=True, capture_output=True)
    return _onnx(path.read_bytes(), image)


def onnx_keras(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """``tf2onnx.convert.from_function`` of the model's inference at the size of the image."""
    return _onnx_keras(model, image, (None, *image.shape[1:]))


def onnx_keras_any(model: keras.Model, image: np.ndarray) -> np.ndarray:
    """The same at any size, traced for a deployment.

    Else tf2onnx writes SAME in words that ONNX Runtime refuses beside a dilation, unless it knows the size.
    """
    with forward_only():
        return _onnx_keras(model, image, (None, None, None, 3))


def _onnx_keras(model: keras.Model, image: np.ndarray, shape: tuple[int | None, ...]) -> np.ndarray:
    spec = [tf.TensorSpec(shape, tf.float32, name="image")]
    function = tf.function(lambda image: model(image, training=False), input_signature=spec)
    converted, _ = tf2onnx.convert.from_function(function, input_signature=spec, opset=OPSET)
    return _onnx(converted.SerializeToString(), image)


def core_ml(folder: Path, image: np.ndarray) -> np.ndarray:
    """Core ML Tools' conversion of a SavedModel, interpreted here: Core ML runs on Apple's systems only."""
    import coremltools

    from zoo.export.coreml.interpreter import Interpreter

    # A resize needs a stated size, also where the SavedModel takes any.
    port = coremltools.TensorType(name="image", shape=image.shape)
    how = {"convert_to": "mlprogram", "compute_precision": coremltools.precision.FLOAT32}
    path = folder.parent / "converted.mlpackage"
    coremltools.convert(str(folder), source="tensorflow", inputs=[port], **how).save(str(path))
    (logits,) = Interpreter(path).run({"image": image}).values()
    return logits


SAVED_MODEL: Mapping[str, Callable] = {
    "tflite": tflite,
    "tflite_signature": tflite_signature,
    "onnx": onnx,
    "core_ml": core_ml,
}
KERAS: Mapping[str, Callable] = {"tflite_keras": tflite_keras, "onnx_keras": onnx_keras}


def _lite(converter: tf.lite.TFLiteConverter, image: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=converter.convert())
    (source,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(source["index"], image.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(source["index"], image)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def _onnx(content: bytes, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]
