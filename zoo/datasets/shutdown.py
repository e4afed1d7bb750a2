"""Ends reads in TensorFlow's threads before the interpreter exits.

A dataset that is read ahead calls Python from its own threads. Such a call that begins while the interpreter
is being taken down waits for it for ever, and the dataset waits for the call: the process would never end.
"""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable

# Without a new read for so long, the buffers of all datasets are full; a single read may take longer.
_QUIET_SECONDS = 0.2
_LONGEST_SECONDS = 10.0


class ReadGate:
    """Counts the reads under way, and refuses new ones after `close`."""

    def __init__(self):
        self._lock = threading.Lock()
        self._active = 0
        self._last = float("-inf")
        self._closed = False

    def guarded(self, read: Callable) -> Callable:
        """`read`, which raises once the gate is closed."""

        @functools.wraps(read)
        def call(*args):
            with self._lock:
                self._last = time.monotonic()
                if self._closed:
                    raise RuntimeError("the process is ending")
                self._active += 1
            try:
                return read(*args)
            finally:
                with self._lock:
                    self._active -= 1

        return call

    def close(self) -> None:
        """Let the reads under way end, and wait until no dataset asks for more."""
        started = time.monotonic()
        with self._lock:
            self._closed = True
        while time.monotonic() - started < _LONGEST_SECONDS:
            with self._lock:
                quiet = time.monotonic() - self._last > _QUIET_SECONDS
                if quiet and not self._active:
                    return
            time.sleep(_QUIET_SECONDS / 4)


GATE = ReadGate()
atexit.register(GATE.close)
