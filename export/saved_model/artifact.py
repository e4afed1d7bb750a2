"""SavedModel folders, run by TensorFlow alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import tensorflow as tf

from zoo.errors import FormatError
from zoo.export.core.artifact import Artifact, Port
from zoo.export.core.metadata import INPUT_NAME, KEY, SIGNATURE, Metadata, missing, one_line
from zoo.files import literal_path


def _port(name: str, spec: tf.TensorSpec) -> Port:
    return Port(name, tuple(spec.shape.as_list()), spec.dtype.name)


class SavedModelArtifact(Artifact):
    """See `zoo.export.open_artifact`."""

    format = "saved_model"

    def __init__(self, path: Path, *, threads: int):
        """Load the folder; TensorFlow's `threads` are a setting of the process, not of a model."""
        asset = path / "assets" / f"{KEY}.json"
        if not asset.is_file():
            raise missing(path)
        self.path = path
        self.metadata = Metadata.from_json(asset.read_bytes(), path=path)
        try:
            # The loaded object owns the variables: a signature alone would let them go.
            with literal_path(path) as folder:
                self._loaded = tf.saved_model.load(folder)
            self._function = self._loaded.signatures[SIGNATURE]
            spec = self._function.structured_input_signature[1][INPUT_NAME]
            self.inputs = (_port(INPUT_NAME, spec),)
            name = self.metadata.output_name
            self.outputs = (_port(name, self._function.structured_outputs[name]),)
        except (OSError, KeyError, ValueError, RuntimeError, tf.errors.OpError) as error:
            raise FormatError(f"{path} cannot be loaded as a SavedModel: {one_line(error)}") from error

    def _run(self, batch: np.ndarray) -> np.ndarray:
        return self._function(**{INPUT_NAME: tf.constant(batch)})[self.metadata.output_name].numpy()

    def operations(self) -> dict[str, int]:
        """Operations of the signature, through the functions that it calls."""
        graph = self._function.graph.as_graph_def()
        functions = {f.signature.name: f.node_def for f in graph.library.function}
        counts: Counter[str] = Counter()
        pending = [graph.node]
        while pending:
            for node in pending.pop():
                called = node.attr["f"].func.name if "f" in node.attr else ""
                if called in functions:
                    pending.append(functions[called])
                elif node.op != "Placeholder":  # how a function receives its arguments
                    counts[node.op] += 1
        return dict(counts.most_common())
