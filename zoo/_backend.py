"""Which backend Keras runs on, or would: the zoo needs TensorFlow's. Imports nothing heavy."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from zoo.errors import InputError

NEEDED = "tensorflow"


def check_backend() -> None:
    """Refuse another backend before Keras is imported with it.

    Raises:
        InputError: ``KERAS_BACKEND`` or else ``keras.json`` names another, or Keras runs on another.
    """
    keras = sys.modules.get("keras")
    named = os.environ.get("KERAS_BACKEND")
    if keras is not None and hasattr(keras, "config"):
        found, where = keras.config.backend(), "Keras was imported with the backend"
    elif named:
        found, where = named, "KERAS_BACKEND is"
    else:
        path = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "keras.json")
        found, where = _stated(path), f"{path} has the backend"
    if found not in (None, "", NEEDED):
        raise InputError(f"{where} {found!r}; the zoo runs on {NEEDED!r}: set KERAS_BACKEND={NEEDED}")


def _stated(path: Path) -> str | None:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content.get("backend") if isinstance(content, dict) else None
