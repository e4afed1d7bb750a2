"""What the runtimes of this machine themselves say: XNNPACK its partitions, ONNX Runtime its providers."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from zoo.export.core.metadata import one_line


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a runtime did with a file.

    Attributes:
        runtime: In words.
        partitions: Number of parts that it took.
        left: Operations that it did not take, by kind.
        problem: Why it does not run the file at all; `None` where it does.
    """

    runtime: str
    partitions: int = 0
    left: dict[str, int] = field(default_factory=dict)
    problem: str | None = None

    def __str__(self) -> str:
        if self.problem:
            return f"{self.runtime} was asked and does not run it: {self.problem}"
        left = ", ".join(f"{count} {kind}" for kind, count in self.left.items()) or "nothing"
        return f"{self.runtime} was asked: {self.partitions} partitions, outside of them {left}"


_XNNPACK, _ORT = "XNNPACK in LiteRT", "ONNX Runtime"


def xnnpack(path: Path, *, threads: int = 1) -> Account:
    """Load a TFLite file with LiteRT's XNNPACK delegate and tell what stands outside of its partitions."""
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:  # such as operations of TensorFlow
        return Account(runtime=_XNNPACK, problem=one_line(error))
    every = interpreter._get_ops_details()
    operations = [entry for entry in every if entry["op_name"] != "DELEGATE"]
    parts = [entry for entry in every if entry["op_name"] == "DELEGATE"]
    makers = {int(output): entry for entry in operations for output in entry["outputs"]}
    taken: set[int] = set()
    for part in parts:
        ends = set(map(int, part["inputs"]))
        waiting = [int(n) for n in part["outputs"]]
        while waiting:
            entry = makers.get(waiting.pop())
            if entry is not None and entry["index"] not in taken:
                taken.add(entry["index"])
                waiting += [int(n) for n in entry["inputs"] if n >= 0 and int(n) not in ends]
    left = Counter(entry["op_name"] for entry in operations if entry["index"] not in taken)
    return Account(runtime=_XNNPACK, partitions=len(parts), left=dict(left))


def onnx_runtime(path: Path, *, size: tuple[int, int] = (65, 65)) -> Account:
    """Run an ONNX file once in ONNX Runtime and tell which nodes its kernels for processors did not run."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "p"))
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            session.run(None, {port.name: _zeros(port, size) for port in session.get_inputs()})
        except Exception as error:  # its families of errors have no common base
            return Account(runtime=_ORT, problem=one_line(error))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes = [e["args"] for e in events if e.get("cat") == "Node" and "provider" in e.get("args", {})]
    left = Counter(n["op_name"] for n in nodes if n["provider"] != "CPUExecutionProvider")
    return Account(runtime=_ORT, partitions=1 if nodes else 0, left=dict(left))


def _zeros(port, size: tuple[int, int]):
    """An input of zeros; sizes that the file leaves open are those of an image, or 1."""
    import numpy as np

    kind = port.type.removeprefix("tensor(").removesuffix(")")
    dtype = np.dtype({"float": "float32", "double": "float64"}.get(kind, kind))
    # Height and width are the open axes that are not the first.
    left = iter(size if len(port.shape) == 4 else ())
    shape = [
        n if isinstance(n, int) else 1 if axis == 0 else next(left, 1) for axis, n in enumerate(port.shape)
    ]
    return np.zeros(shape, dtype)
