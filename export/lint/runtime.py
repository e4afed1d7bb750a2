"""What the runtimes of this machine themselves say: XNNPACK its partitions, ONNX Runtime its providers."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Account:
    """What a runtime did with a file.

    Attributes:
        runtime: In words.
        partitions: Number of parts that it took.
        left: Operations that it did not take, by kind.
    """

    runtime: str
    partitions: int
    left: dict[str, int]


def xnnpack(path: Path, *, threads: int = 1) -> Account:
    """Load a TFLite file with LiteRT's XNNPACK delegate and tell what stands outside of its partitions."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
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
    return Account(runtime="XNNPACK in LiteRT", partitions=len(parts), left=dict(left))


def onnx_runtime(path: Path, *, size: tuple[int, int] = (65, 65)) -> Account:
    """Run an ONNX file once in ONNX Runtime and tell which nodes its kernels for processors did not run."""
    import numpy as np
    import onnxruntime

    from zoo.export.core.runner import full_shape, image_axes

    types = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.enable_profiling, options.profile_file_prefix = True, str(Path(folder, "p"))
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        (source,) = session.get_inputs()
        shape = tuple(n if isinstance(n, int) else None for n in source.shape)
        image = np.zeros(full_shape(shape, image_axes(shape, path), size), types[source.type])
        if None not in shape:
            image = np.zeros(shape, types[source.type])
        session.run(None, {source.name: image})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    nodes = [e["args"] for e in events if e.get("cat") == "Node" and "provider" in e.get("args", {})]
    left = Counter(n["op_name"] for n in nodes if n["provider"] != "CPUExecutionProvider")
    return Account(runtime="ONNX Runtime", partitions=1 if nodes else 0, left=dict(left))
