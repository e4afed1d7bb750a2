"""The optional packages that compression needs."""

from __future__ import annotations

import importlib
from types import ModuleType

from zoo.errors import InputError

_PACKAGES = {"tf_keras": "tf_keras", "tensorflow_model_optimization": "tensorflow-model-optimization"}


def require(module: str) -> ModuleType:
    """Import ``"tf_keras"`` or ``"tensorflow_model_optimization"``.

    Raises:
        InputError: It is not installed; says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in _PACKAGES:
            raise
        raise InputError(
            f"compression needs {_PACKAGES[error.name.split('.')[0]]}, which is not installed: "
            'pip install "atrous-zoo[compression]"'
        ) from error
