"""How long the operations of a file take, as far as its runtime tells."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.export.timing.runners import ONNXRunner

_IDENTIFIER = b"TFL3"


@dataclass(frozen=True, kw_only=True)
class OperationTime:
    """All operations of one kind.

    Attributes:
        operation: Kind, as the format calls it.
        count: How often it runs for one image.
        seconds: For one image, all of them together; of each the median over some runs.
    """

    operation: str
    count: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class OperationTable:
    """Operations by time, and where the times are from.

    Attributes:
        method: How they were taken, or why there are none.
        times: The slowest kind first; empty where the runtime tells nothing.
    """

    method: str
    times: tuple[OperationTime, ...] = ()


def measure_operations(path: Path, *, format: str, size: tuple[int, int], threads: int) -> OperationTable:
    """The table of a file that runs on images of `size` (height, width)."""
    if format == "onnx":
        return _profiled(path, size=size, threads=threads)
    if format == "tflite":
        return _one_by_one(path, threads=threads)
    return OperationTable(method="not available: TensorFlow times operations only in its own profiler")


def _table(nodes: Iterable[tuple[str, Sequence[float]]], method: str) -> OperationTable:
    """From the kind of every operation and its seconds in some runs; the median of each counts."""
    sums, counts = defaultdict(float), defaultdict(int)
    for name, seconds in nodes:
        sums[name] += statistics.median(seconds)
        counts[name] += 1
    times = [OperationTime(operation=n, count=counts[n], seconds=sums[n]) for n in sums]
    return OperationTable(method=method, times=tuple(sorted(times, key=lambda entry: -entry.seconds)))


# --- ONNX -------------------------------------------------------------------------------------------------


def _profiled(path: Path, *, size: tuple[int, int], threads: int, runs: int = 5) -> OperationTable:
    """From ONNX Runtime's own profile of the graph as it was optimized."""
    with tempfile.TemporaryDirectory() as folder:
        runner = ONNXRunner(path, threads=threads, profile=Path(folder) / "profile")
        runner.prepare(size)
        for _ in range(runs + 1):
            runner.run()
        events = json.loads(Path(runner.session.end_profiling()).read_text())
    nodes = [event for event in events if event.get("cat") == "Node" and "op_name" in event.get("args", {})]
    runs_of: dict[str, list[float]] = defaultdict(list)
    for event in nodes:
        runs_of[f"{event['args']['node_index']} {event['args']['op_name']}"].append(event["dur"] / 1e6)
    # The first run warms up.
    each = ((key.split(" ", 1)[1], seconds[1:] or seconds) for key, seconds in runs_of.items())
    return _table(each, f"ONNX Runtime's profiler, {runs} runs, as optimized")


# --- TFLite -----------------------------------------------------------------------------------------------


def _one_by_one(path: Path, *, threads: int, runs: int = 5) -> OperationTable:
    """Each operation as a file of its own: LiteRT's Python interface has no profiler."""
    from ai_edge_litert import schema_py_generated as schema

    from zoo.export.tflite.artifact import operator_name

    content = path.read_bytes()
    reader = schema.Model.GetRootAs(content)
    names = [operator_name(reader.OperatorCodes(i)) for i in range(reader.OperatorCodesLength())]
    model = schema.ModelT.InitFromPackedBuf(content)
    nodes, failed = [], 0
    for operator in model.subgraphs[0].operators:
        try:
            seconds = _timed(_alone(model, operator), threads=threads, runs=runs)
        except (ValueError, RuntimeError):  # such as an operation with a state or with sub-graphs
            failed += 1
            continue
        nodes.append((names[operator.opcodeIndex], seconds))
    skipped = f"; {failed} that do not run alone are left out" if failed else ""
    method = f"each operation by itself on random values, {runs} runs (LiteRT has no profiler in Python)"
    return _table(nodes, method + skipped)


def _alone(model, operator) -> bytes:
    """A file that holds one operation: its tensors, and the constants among them."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    graph = model.subgraphs[0]
    used = list(dict.fromkeys(int(i) for i in (*operator.inputs, *operator.outputs) if i >= 0))
    place = {index: position for position, index in enumerate(used)}
    buffers, tensors = [schema.BufferT()], []
    for index in used:
        old = graph.tensors[index]
        tensor = schema.TensorT(
            shape=old.shape,
            type=old.type,
            buffer=0,
            name=f"t{index}",
            quantization=old.quantization,
            hasRank=True,
        )
        if model.buffers[old.buffer].data is not None:
            tensor.buffer = len(buffers)
            buffers.append(schema.BufferT(data=model.buffers[old.buffer].data))
        tensors.append(tensor)
    alone = schema.OperatorT(
        opcodeIndex=0,
        inputs=[place.get(int(i), -1) for i in operator.inputs],
        outputs=[place[int(i)] for i in operator.outputs],
        builtinOptionsType=operator.builtinOptionsType,
        builtinOptions=operator.builtinOptions,
        customOptions=operator.customOptions,
    )
    part = schema.SubGraphT(
        tensors=tensors,
        inputs=[place[int(i)] for i in operator.inputs if i >= 0 and not tensors[place[int(i)]].buffer],
        outputs=alone.outputs,
        operators=[alone],
        name="alone",
    )
    code = model.operatorCodes[operator.opcodeIndex]
    packed = schema.ModelT(version=3, operatorCodes=[code], subgraphs=[part], buffers=buffers)
    builder = flatbuffers.Builder(1024)
    builder.Finish(packed.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def _timed(content: bytes, *, threads: int, runs: int) -> list[float]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=threads)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(0)
    for details in interpreter.get_input_details():
        values = rng.integers(0, 100, details["shape"]).astype(details["dtype"])
        interpreter.set_tensor(details["index"], values)
    interpreter.invoke()
    seconds = []
    for _ in range(runs):
        since = time.perf_counter()
        interpreter.invoke()
        seconds.append(time.perf_counter() - since)
    return seconds
