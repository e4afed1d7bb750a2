"""Batches as the loop takes them; what goes wrong while files are read is one line."""

from __future__ import annotations

import re
from collections.abc import Iterator

import tensorflow as tf

from zoo.errors import InputError

# As TensorFlow prints an error that Python code raised within a pipeline.
_RAISED = re.compile(r"\b(?:InputError|FormatError): ([^\n]+)")
_ASSERTED = re.compile(r"\[[^\[\]]*\]")


class DataError(InputError):
    """Data that cannot be read; the weights are those of the last step."""


class Reading:
    """An iterator of batches whose errors are a `DataError` each.

    Args:
        batches: From `zoo.training.strategy.distributed_iterator`.
    """

    def __init__(self, batches: Iterator):
        self._batches = batches

    def __iter__(self) -> Iterator:
        return self

    def __next__(self):
        try:
            return next(self._batches)
        except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError):
            raise  # another worker's end
        except tf.errors.OpError as error:
            raise DataError(f"the data cannot be read: {reason_of(error)}") from error


def reason_of(error: tf.errors.OpError) -> str:
    """The line in a TensorFlow error that tells what is wrong."""
    text = str(error.message)
    raised = _RAISED.search(text)
    if raised:
        return raised[1].strip()
    if "assertion failed" in text:
        parts = [part[1:-1] for part in _ASSERTED.findall(text.partition("assertion failed")[2])]
        return " ".join(parts)
    return text.strip().partition("\n")[0]
