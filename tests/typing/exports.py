"""Export as a type checker sees it in an installed package. Checked and never run."""

import keras
import numpy as np
from typing_extensions import assert_type

import zoo
from zoo import export
from zoo.export import (
    Artifact,
    Bench,
    ExportReport,
    FirstDifference,
    FloatOperation,
    Format,
    NoisiestLayer,
    OperationTable,
    OperationTime,
    Parity,
    Port,
    Quantization,
    QuantizedParity,
    Rewrite,
    Timing,
)


def written(model: keras.Model) -> ExportReport:
    report = export.to_tflite(model, "a.tflite", input_size=(513, 513))
    assert_type(report, ExportReport)
    assert_type(report.parity, Parity | QuantizedParity)
    assert_type(report.rewrites, tuple[Rewrite, ...])
    assert_type(report.quantization, Quantization | None)
    assert_type(export.to_onnx(model, "a.onnx", head="mask"), ExportReport)
    assert_type(export.to_coreml(model, "a.mlpackage", input_size=(65, 65)), ExportReport)
    assert_type(export.to_saved_model(model, "a"), ExportReport)
    assert_type(export.to_format("onnx", model, "b.onnx"), ExportReport)
    assert_type(zoo.export.to_tflite(model, "b.tflite", input_size=(65, 65)), ExportReport)
    return report


def read(model: keras.Model) -> np.ndarray:
    artifact = export.open_artifact("a.tflite")
    assert_type(artifact, Artifact)
    assert_type(artifact.inputs, tuple[Port, ...])
    assert_type(export.verify("a.tflite", model), Parity | QuantizedParity)
    other = export.open_artifact("a.tflite", threads=4, engine="openvino")
    assert_type(export.verify(other, model), Parity | QuantizedParity)
    assert_type(export.find_difference("a.tflite", model), FirstDifference | NoisiestLayer | None)
    return artifact.predict(np.zeros((1, 513, 513, 3), np.float32))


def timed() -> Bench:
    found = export.bench(["a.tflite"], operations=True, engine="openvino")
    assert_type(found, Bench)
    assert_type(found.timings[0], Timing)
    return found


def told(row: Format, left: FloatOperation, table: OperationTable, time: OperationTime) -> str:
    print(left.reason, table, time)
    return row.name
