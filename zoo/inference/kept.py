"""The models that were last asked for by name, so that the next image does not load them anew."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING

from zoo.errors import InputError

if TYPE_CHECKING:
    import keras

MOST = 3

_lock = threading.Lock()
_kept: OrderedDict[Hashable, keras.Model] = OrderedDict()


def model_of(name: str) -> keras.Model:
    """The model of that name with its default weights, one of the last `MOST` or loaded; from any thread."""
    import keras

    from zoo.models import loading, registry
    from zoo.models.backbones import resolve as resolve_backbone

    try:
        spec = registry.resolve(name)
    except InputError:
        return loading.load(name)  # which says what is wrong with the name
    policy = keras.config.dtype_policy().name
    key = spec.name, spec.weights[:1], id(resolve_backbone(spec.backbone)), policy
    with _lock:
        if key not in _kept:
            _kept[key] = loading.load(name)
        _kept.move_to_end(key)
        while len(_kept) > MOST:
            _kept.popitem(last=False)
        return _kept[key]


def forget_models() -> None:
    """Let go of the models that `segment` loaded by name, and of their memory."""
    with _lock:
        _kept.clear()
