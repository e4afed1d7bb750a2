"""What a set of tensors may be read as: without what wrappers add to names, and with parameters folded."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from zoo.errors import FormatError
from zoo.weights.folding import folded
from zoo.weights.name_maps.base import RULES, NameMap
from zoo.weights.readers.tensor_sets import TensorSet, renamed

# What wrappers put between the names: DataParallel, torch.compile, FSDP, checkpointing, DeepSpeed.
_WRAPPERS = re.compile(
    r"(?:^|(?<=\.))(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\."
)
_DEPTH = 6  # of prefixes
_MOST_GROUPS = 40

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """Tensors that may be the weights.

    Attributes:
        key: Where in the file: of its set, and the prefix of a part of it.
        tensors: By the names that a name map may know.
        source: The set.
        prefix: What was taken from the front of all names.
        left: Tensors of the set that are not among these; such a part must be a whole model.
        notes: What was done to the tensors.
    """

    key: str
    tensors: Tensors
    source: TensorSet
    prefix: str = ""
    left: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def known(candidate: Candidate, maps: Sequence[NameMap]) -> int:
    """How many of the names the best map knows; that of a whole model, if there are other tensors beside."""
    names, most = frozenset(candidate.tensors), 0
    for name_map in maps:
        if candidate.left and not name_map.is_whole:
            continue
        layers = {**name_map.layers, **name_map.optional}.items()
        rules = (rule for ours, theirs in layers for rule in RULES[name_map.layout](ours, theirs, names))
        most = max(most, len(names & {rule.source for rule in rules}))
    return most


def wholes(source: TensorSet, maps: Sequence[NameMap]) -> Iterator[Candidate]:
    """A set as it is; then without what wrappers added, parameters folded, and shared prefixes taken off.

    Prefixes are taken off while no map knows any of the names: ``backbone.`` may be all that a file has.
    """
    yield Candidate(key=source.key, tensors=source.tensors, source=source, notes=source.notes)
    tensors, notes = source.tensors, list(source.notes)
    if loose := _bookkeeping(tensors):
        tensors = renamed(tensors, {name: name for name in tensors if name not in loose})
        notes.append(f"{', '.join(map(repr, loose))} not used")
    clean = {_WRAPPERS.sub("", name): name for name in tensors}
    wrapped = sorted({word for name in tensors for word in _WRAPPERS.findall(name)})
    if wrapped and len(clean) == len(tensors):
        tensors = renamed(tensors, clean)
        notes.append(f"names are read without {' and '.join(map(repr, wrapped))}")
    whole, folds = folded(tensors)
    prefix, notes = "", (*notes, *folds)
    for _ in range(_DEPTH):
        candidate = Candidate(key=source.key, tensors=whole, source=source, prefix=prefix, notes=notes)
        yield candidate
        if known(candidate, maps):
            return
        shared = {name.partition(".")[0] for name in whole}
        if len(shared) != 1 or any("." not in name for name in whole):
            return
        prefix += f"{next(iter(shared))}."
        whole = renamed(whole, {name.partition(".")[2]: name for name in whole})


def parts(source: TensorSet, maps: Sequence[NameMap]) -> Iterator[Candidate]:
    """The tensors under each prefix that only some have, such as a trainer's network beside its loss."""
    if source.is_joined:
        return
    for prefix, names in groups(source.tensors).items():
        part = TensorSet(key=group_key(source, prefix), tensors=renamed(source.tensors, names))
        inside = set(names.values())
        left = tuple(name for name in source.tensors if name not in inside)
        for whole in wholes(part, maps):
            yield Candidate(
                key=part.key,
                tensors=whole.tensors,
                source=source,
                prefix=f"{prefix}.{whole.prefix}",
                left=left,
                notes=(*source.notes, *whole.notes),
            )


def groups(tensors: Tensors) -> dict[str, dict[str, str]]:
    """For the first parts of names, the names behind them → the whole names; up to three parts deep."""
    groups: dict[str, dict[str, str]] = {}
    for depth in (1, 2, 3):
        for name in tensors:
            parts = name.split(".", depth)
            if len(parts) > depth:
                groups.setdefault(".".join(parts[:depth]), {})[parts[depth]] = name
    # Layers and blocks are groups too; of a model's size are only those that hold most of it.
    large = {prefix: names for prefix, names in groups.items() if len(names) * 20 >= len(tensors)}
    return dict(list(large.items())[:_MOST_GROUPS])


def group_key(source: TensorSet, prefix: str) -> str:
    return "/".join(filter(None, (source.key, prefix.replace(".", "/"))))


def _bookkeeping(tensors: Tensors) -> list[str]:
    """Single numbers of no layer, such as the count of an average (``n_averaged``)."""
    loose = [name for name in tensors if "." not in name]
    beside = 0 < len(loose) <= 8 and len(loose) < len(tensors)
    return loose if beside and all(_is_number(tensors, name) for name in loose) else []


def _is_number(tensors: Tensors, name: str) -> bool:
    try:
        return tensors[name].size == 1
    except FormatError:
        return False
