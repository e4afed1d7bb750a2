"""Where in the object of a torch file there are tensors by name.

Looked through are dictionaries, lists, and the placeholders of objects: a trainer's state, a network that was
pickled whole, TorchScript. How deep and how many is bounded; what was seen is not looked at again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from zoo.weights.readers.tensor_sets import MODULE, SCRIPT, STATE
from zoo.weights.readers.torch_objects import TENSORS, Placeholder
from zoo.weights.readers.torch_rebuild import as_tensor

_DEPTH = 12
_MOST_NODES = 100_000
_MOST_SETS = 2_000
# Of all sets together: a pickle can name the same thing under a great many names.
_MOST_NAMES = 50_000
_LONGEST_NAME = 500
_SCRIPTED = "__torch__."
_PLAIN = (str, bytes, int, float, complex, bytearray, type(None))


@dataclass(frozen=True, kw_only=True, eq=False)
class Place:
    """One place with tensors: where, what kind of thing has them, and the records by name."""

    key: str
    records: dict[str, object]
    kind: str = STATE
    is_joined: bool = False


def find_places(root: object) -> list[Place]:
    """Every place with tensors by name, those nearest to the top first."""
    return _Finder().places(root)


class _Finder:
    """Looks through one object, and takes no more names than there may be."""

    def __init__(self) -> None:
        self._names = 0
        self._tensors: dict[int, object] = {}
        self._kept: list[object] = []

    def places(self, root: object) -> list[Place]:
        found: list[Place] = []
        queue, seen = deque([((), root)]), set()
        while queue and len(found) < _MOST_SETS and len(seen) < _MOST_NODES:
            path, value = queue.popleft()
            if id(value) in seen or len(path) > _DEPTH:
                continue
            seen.add(id(value))
            place = self._place("/".join(path), value)
            if place is not None:
                found.append(place)
                if place.kind != STATE:
                    continue
            queue.extend(((*path, name), child) for name, child in _children(value))
        return found

    def _place(self, key: str, value: object) -> Place | None:
        if isinstance(value, Placeholder) and _is_module(value):
            kind = SCRIPT if value.name.startswith(_SCRIPTED) else MODULE
            records = self._collected(self._of_module(value))
            return Place(key=key, records=records, kind=kind) if records else None
        items = value.items if isinstance(value, Placeholder) else value
        if not isinstance(items, dict):
            return None
        if records := self._collected(self._own(items)):
            return Place(key=key, records=records)
        if joined := self._collected(self._joined(items)):
            return Place(key=key, records=joined, is_joined=True)
        return None

    def _collected(self, pairs: Iterator[tuple[str, object]]) -> dict[str, object]:
        records = {}
        for name, record in pairs:
            if self._names >= _MOST_NAMES:
                break
            self._names += 1
            if len(name) <= _LONGEST_NAME:
                records[name] = record
        return records

    def _tensor(self, value: object) -> object:
        """`as_tensor`, once for each value: it may copy."""
        if not isinstance(value, Placeholder):
            return value if isinstance(value, TENSORS) else None
        if id(value) not in self._tensors:
            self._kept.append(value)
            self._tensors[id(value)] = as_tensor(value)
        return self._tensors[id(value)]

    def _own(self, items: dict) -> Iterator[tuple[str, object]]:
        """The tensors that a dictionary holds by name."""
        for key, item in items.items():
            if isinstance(key, str) and (record := self._tensor(item)) is not None:
                yield key, record

    def _joined(self, items: dict) -> Iterator[tuple[str, object]]:
        """Tensors of several dictionaries in one, as ``{"backbone": {…}, "classifier": {…}}`` has them."""
        if not 2 <= len(items) <= 100:
            return
        parts = {k: item for k, item in items.items() if isinstance(k, str) and isinstance(item, dict)}
        parts = {k: item for k, item in parts.items() if any(True for _ in self._own(item))}
        for key, item in parts.items() if len(parts) > 1 else ():
            for name, record in self._own(item):
                yield f"{key[:_LONGEST_NAME]}.{name[:_LONGEST_NAME]}", record

    def _of_module(self, root: Placeholder) -> Iterator[tuple[str, object]]:
        """Names and tensors of a network, as its ``state_dict`` would have them."""
        stack, nodes = [("", root)], 0
        while stack and nodes < _MOST_NODES:
            prefix, module = stack.pop()
            nodes += 1
            attributes = module.attributes
            tensors, inner = attributes, attributes
            if not module.name.startswith(_SCRIPTED):
                tensors = {**_dict(attributes.get("_parameters")), **_dict(attributes.get("_buffers"))}
                passing = attributes.get("_non_persistent_buffers_set")
                passing = passing if isinstance(passing, list) and len(passing) < 1000 else []
                tensors = {name: value for name, value in tensors.items() if name not in passing}
                inner = _dict(attributes.get("_modules"))
            yield from ((f"{prefix}{name}", record) for name, record in self._own(tensors))
            children = [
                (f"{prefix}{name}.", child)
                for name, child in inner.items()
                if isinstance(name, str) and isinstance(child, Placeholder)
            ]
            children = [(name, child) for name, child in children if len(name) < _LONGEST_NAME]
            stack += [(name, child) for name, child in reversed(children) if _is_module(child)]


def _children(value: object) -> Iterator[tuple[str, object]]:
    """What is within, and what it is called there."""
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, (list, tuple)):
        pairs = enumerate(value)
    elif isinstance(value, Placeholder):
        pairs = (
            *value.items.items(),
            *value.attributes.items(),
            *enumerate(value.elements),
            *enumerate(value.arguments),
        )
    else:
        return
    for key, child in pairs:
        if not isinstance(child, (*_PLAIN, *TENSORS)):
            yield str(key)[:200] if isinstance(key, (str, int)) else "?", child


def _is_module(value: Placeholder) -> bool:
    if not value.is_object:
        return False
    if value.name.startswith(_SCRIPTED):
        return True
    return all(isinstance(value.attributes.get(part), dict) for part in ("_parameters", "_modules"))


def _dict(value: object) -> dict:
    return value if isinstance(value, dict) else {}
