"""Ctrl-C as a request to stop after the step that runs."""

from __future__ import annotations

import signal
import threading
from types import FrameType


class Interruption:
    """Within its context, the first SIGINT or SIGTERM sets `requested`; a second one interrupts at once.

    Signals of a process belong to its main thread: in any other thread nothing changes.
    """

    def __init__(self):
        self.requested = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *error) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
