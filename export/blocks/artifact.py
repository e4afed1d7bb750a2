"""Files of the block form: a block of sound and the state in, as much sound and the state behind it out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.export.blocks.description import KEY, NEXT_STATE, OUTPUT, SAMPLES, STATE, BlockDescription
from zoo.export.blocks.runtimes import RunnableFile, open_file


class BlockArtifact:
    """A file that takes a block and the state, and gives as many samples and the state behind them.

    Attributes:
        path: The file.
        description: What it says of itself.
        block: Samples of a block.
        sample_rate: Samples per second.
    """

    def __init__(self, file: RunnableFile):
        self._file, self.path = file, file.path
        self.description = BlockDescription.from_json(file.text, path=file.path)
        block, state = (1, self.block, 1), (1, self.description.state)
        file.check_ends(
            {SAMPLES: (block, "float32"), STATE: (state, "float32")},
            {OUTPUT: (block, "float32"), NEXT_STATE: (state, "float32")},
        )

    @property
    def block(self) -> int:
        return self.description.block

    @property
    def sample_rate(self) -> float:
        return self.description.sample_rate

    def initial_state(self) -> np.ndarray:
        """The state after endless silence, ``(1, floats)`` float32."""
        state = np.zeros((1, self.description.state), np.float32)
        silence = np.zeros((1, self.block, 1), np.float32)
        for _ in range(-(-self.description.receptive_field // self.block)):
            state = self.step(silence, state)[1]
        return state

    def step(self, samples: np.ndarray, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(1, block, 1)`` and ``(1, floats)`` float32 → the same two."""
        found = self._file.run({SAMPLES: samples, STATE: state})
        return found[OUTPUT], found[NEXT_STATE]

    def operations(self) -> dict[str, int]:
        """How many operations of each kind the file holds."""
        return self._file.operations()

    def weights(self) -> dict[str, int]:
        """How many numbers of each type the file holds as constants."""
        return self._file.weights()


def open_blocks(path: str | Path, *, threads: int = 1) -> BlockArtifact:
    """Open a file that `to_blocks` wrote; `zoo.process` takes it.

    Args:
        path: A ``.tflite`` or ``.onnx`` file.
        threads: Of the runtime. One is the fastest for blocks as short as those of sound.

    Raises:
        InputError: No such file, or another suffix.
        FormatError: A file that cannot be loaded, or is no block form.
    """
    return BlockArtifact(open_file(path, key=KEY, what="blocks", threads=threads))
