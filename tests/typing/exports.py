"""Export as a type checker sees it in an installed package. It is checked and never run."""

import keras
import numpy as np
from typing_extensions import assert_type

import zoo
from zoo import export
from zoo.export import Artifact, ExportReport, Parity


def written(model: keras.Model) -> ExportReport:
    report = export.to_tflite(model, "a.tflite", input_size=(513, 513))
    assert_type(report, ExportReport)
    assert_type(export.to_onnx(model, "a.onnx", head="mask"), ExportReport)
    assert_type(export.to_saved_model(model, "a"), ExportReport)
    assert_type(zoo.export.to_tflite(model, "b.tflite", input_size=(65, 65)), ExportReport)
    return report


def read(model: keras.Model) -> np.ndarray:
    artifact = export.open_artifact("a.tflite")
    assert_type(artifact, Artifact)
    found = export.verify("a.tflite", model)
    assert isinstance(found, Parity)
    print(found.passed)
    export.find_difference("a.tflite", model)
    export.bench(["a.tflite"])
    return artifact.predict(np.zeros((1, 513, 513, 3), np.float32))
