"""How long the operations of a TFLite file take, each run by itself."""

from __future__ import annotations

import time
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from zoo.export.core.operation_times import OperationTable, table_of
from zoo.export.tflite.artifact import operator_name

_IDENTIFIER = b"TFL3"


def one_by_one(path: Path, *, threads: int, runs: int = 5) -> OperationTable:
    """Each operation as a file of its own: LiteRT's Python interface has no profiler."""
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
    return table_of(nodes, method + skipped)


def _alone(model, operator) -> bytes:
    """A file that holds one operation: its tensors, and the constants among them."""
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
