"""ONNX files of anybody, timed in ONNX Runtime."""

from __future__ import annotations

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np

from zoo.errors import InputError
from zoo.export.core.operation_times import OperationTable, table_of
from zoo.export.core.runner import Runner, full_shape, image_axes, pixels, static_size

_TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}
_RUNS = 5


class ONNXRunner(Runner):
    format = "onnx"

    def __init__(self, path: Path, *, threads: int, profile: Path | None = None):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors only
        if profile is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(profile)
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self.session.get_inputs()[0]
        self._shape = tuple(n if isinstance(n, int) else None for n in self._input.shape)
        self._axes = image_axes(self._shape, path)
        self.size = static_size(self._shape, self._axes)
        if self._input.type not in _TYPES:
            raise InputError(f"{path} takes {self._input.type}, not {', '.join(_TYPES)}")

    @classmethod
    def import_runtime(cls, *, threads: int) -> None:
        """Import ONNX Runtime; `threads` are a setting of each session."""
        import onnxruntime  # noqa: F401

    @classmethod
    def operation_times(cls, path: Path, *, size: tuple[int, int], threads: int) -> OperationTable:
        """From ONNX Runtime's own profile of the graph as it was optimized."""
        with tempfile.TemporaryDirectory() as folder:
            runner = cls(path, threads=threads, profile=Path(folder) / "profile")
            runner.prepare(size)
            for _ in range(_RUNS + 1):
                runner.run()
            events = json.loads(Path(runner.session.end_profiling()).read_text())
        return _table(events)

    def prepare(self, size: tuple[int, int]) -> None:
        image = pixels(full_shape(self._shape, self._axes, size), _TYPES[self._input.type])
        self._feed = {self._input.name: image}

    def run(self) -> None:
        self.session.run(None, self._feed)


def _table(events: list[dict]) -> OperationTable:
    """From the events of a profile."""
    nodes = [event for event in events if event.get("cat") == "Node" and "op_name" in event.get("args", {})]
    runs_of: dict[str, list[float]] = defaultdict(list)
    for event in nodes:
        runs_of[f"{event['args']['node_index']} {event['args']['op_name']}"].append(event["dur"] / 1e6)
    # The first run warms up.
    each = ((key.split(" ", 1)[1], seconds[1:] or seconds) for key, seconds in runs_of.items())
    return table_of(each, f"ONNX Runtime's profiler, {_RUNS} runs, as optimized")
