"""Which of the sets of tensors in a file are the weights: the one whose names fit, and what it is called."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path

from zoo.errors import FormatError, InputError, MismatchError
from zoo.weights.containers import Container
from zoo.weights.name_maps.base import NameMap
from zoo.weights.name_maps.conversion import fit
from zoo.weights.readers.tensor_sets import STATE, TensorSet
from zoo.weights.readings import Candidate, group_key, groups, known, parts, wholes

log = logging.getLogger("zoo")

# Words of keys under which people keep the weights themselves, their averages, and what is neither.
_USUAL = {"state", "dict", "statedict", "model", "net", "network", "weights", "params", "module"}
_AVERAGED = {"ema", "swa", "avg", "average", "averaged", "mean", "shadow", "polyak", "teacher", "target"}
_OTHER = {"optimizer", "optim", "opt", "momentum", "exp", "sq", "grad", "grads", "gradients", "moments"}
_MOST = 40  # sets that are looked at
_MOST_READINGS = 100  # after so many that do not fit, parts of sets are not looked at
_UNLIKE = -(1 << 40)
_SMALL = 20  # a set of a twentieth of the largest one's names is not looked at


def read_weights(
    path: Path, container: Container, maps: Sequence[NameMap], *, key: str | None = None
) -> Candidate:
    """The weights in a file; a line says where in it they are, unless that is plain.

    Args:
        path: A file of that container.
        container: How to read it.
        maps: Name maps of which one should fit.
        key: Where in the file, if the user says it.

    Raises:
        FormatError: A file that is damaged, or not of this kind.
        InputError: No place of that key.
        MismatchError: Several sets of tensors fit, they differ, and none is the plain one.
    """
    chosen, lines = choose(container.read(path), maps, key=key, file=path.name)
    for line in lines:
        log.warning("%s", line)
    return chosen


def choose(
    sets: Sequence[TensorSet], maps: Sequence[NameMap], *, key: str | None, file: str
) -> tuple[Candidate, tuple[str, ...]]:
    """The weights in a file, and lines that say which they are.

    Args:
        sets: All sets of tensors in it.
        maps: Name maps of which one should fit.
        key: The place that the user names; `None` for the one that fits.
        file: Name of the file, for messages.

    Returns:
        The set that fits a map. Of several, the one under the plainest key, if that is one. If none fits, the
        one that comes nearest.

    Raises:
        InputError: No place of that key.
        MismatchError: Several fit, they differ, and none is the plain one.
    """
    if len(sets) == 1 and not sets[0].key and key is None and not _is_foreign(maps):
        return Candidate(key="", tensors=sets[0].tensors, source=sets[0]), ()
    chosen = _of_key(sets, key, file=file) if key is not None else _worth_a_look(sets)
    fitting, others = [], []
    for source in chosen:
        wanted = key if key is not None and key != source.key else None
        found, tried = _fitting(source, maps, key=wanted, with_parts=len(others) < _MOST_READINGS)
        fitting += found
        others += tried
    if fitting:
        fitting.sort(key=_rank)
        best = _the_plain(fitting, file=file)
        return best, _lines(best, fitting, file=file)
    likeness = {id(candidate): _likeness(candidate, maps) for candidate in others}
    nearest = min(others, key=lambda candidate: (-likeness[id(candidate)], _rank(candidate)))
    return nearest, _lines(nearest, [], file=file) if likeness[id(nearest)] > _UNLIKE else ()


def _is_foreign(maps: Sequence[NameMap]) -> bool:
    return any(name_map.layout == "torch" for name_map in maps)


def _of_key(sets: Sequence[TensorSet], key: str, *, file: str) -> list[TensorSet]:
    """The set of that key, or whose part it may be."""
    found = [s for s in sets if s.key == key]
    if not found:
        above = [s for s in sets if not s.key or key.startswith(f"{s.key}/")]
        found = [s for s in above if any(group_key(s, prefix) == key for prefix in groups(s.tensors))]
    if not found:
        keys = [repr(s.key) for s in sets if s.key]
        shown = ", ".join(keys[:12]) + (f" and {len(keys) - 12} more" if len(keys) > 12 else "")
        raise InputError(f"{file}: no tensors under {key!r}; there are some under: {shown or 'no key'}")
    return found


def _worth_a_look(sets: Sequence[TensorSet]) -> list[TensorSet]:
    largest = max(len(s.tensors) for s in sets)
    return [s for s in sets if len(s.tensors) * _SMALL >= largest][:_MOST]


# --- what a set may be read as --------------------------------------------------------------------


def _fitting(
    source: TensorSet, maps: Sequence[NameMap], *, key: str | None, with_parts: bool
) -> tuple[list[Candidate], list[Candidate]]:
    """Readings of a set that fit a map, and all that were tried. The whole set is preferred to its parts."""
    tried = []
    if key is None:
        for candidate in wholes(source, maps):
            tried.append(candidate)
            if _fits(candidate, maps):
                return [candidate], tried
        if any(known(candidate, maps) for candidate in tried):
            return [], tried  # a part of a model is not taken for a model
    found = []
    for candidate in parts(source, maps) if with_parts else ():
        if key in (None, candidate.key):
            tried.append(candidate)
            if candidate.key not in [other.key for other in found] and _fits(candidate, maps):
                found.append(candidate)
    return found, tried


# --- which one ------------------------------------------------------------------------------------


def _fits(candidate: Candidate, maps: Sequence[NameMap]) -> bool:
    for name_map in maps:
        if candidate.left and not name_map.is_whole:
            continue
        try:
            fit(candidate.tensors, name_map)
        except MismatchError:
            continue
        except FormatError:  # by its names it fits; what is wrong is told when its numbers are needed
            return True
        return True
    return False


def _likeness(candidate: Candidate, maps: Sequence[NameMap]) -> int:
    """How many names a map knows, less those that it does not."""
    found = known(candidate, maps)
    return 2 * found - len(candidate.tensors) if found else _UNLIKE


def _rank(candidate: Candidate) -> int:
    """0 for the plainest key there is; averages, and then what an optimizer keeps, come last."""
    words = re.findall(r"[a-z]+|\d+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", candidate.key).lower())
    if set(words) & _OTHER:
        return 4
    if set(words) & _AVERAGED:
        return 3
    return 0 if not words else 1 if set(words) <= _USUAL else 2


def _the_plain(fitting: Sequence[Candidate], *, file: str) -> Candidate:
    best = fitting[0]
    rivals = [c for c in fitting[1:] if _rank(c) == _rank(best) and not _are_same(best, c)]
    if rivals:
        keys = ", ".join(repr(c.key) for c in (best, *rivals))
        raise MismatchError(
            f"{file}: several sets of tensors fit, and differ: {keys}; say which by checkpoint_key=… "
            "(--checkpoint-key)"
        )
    return best


def _are_same(one: Candidate, other: Candidate) -> bool:
    """Whether two candidates are the same weights, kept twice."""
    if set(one.tensors) != set(other.tensors):
        return False
    pairs = ((one.tensors[name], other.tensors[name]) for name in one.tensors)
    return all(a is b or (a.shape == b.shape and bool((a == b).all())) for a, b in pairs)


def _lines(best: Candidate, fitting: Sequence[Candidate], *, file: str) -> tuple[str, ...]:
    """What is not plain about the choice."""
    told = "the weights are those under" if fitting else "nothing fits as a whole; nearest is what is under"
    what = [f"{told} {best.key!r}"] if best.key else []
    if best.prefix and best.source.key == best.key:
        what.append(f"names are read without {best.prefix!r}")
    if best.left:
        what.append(f"{len(best.left)} other tensors there are not used ({best.left[0]}, …)")
    others = [repr(c.key or "the file itself") for c in fitting if c is not best]
    if others:
        what.append(f"{', '.join(others)} would fit too: checkpoint_key=… (--checkpoint-key) chooses")
    what += best.notes
    return (f"{file}: {'; '.join(what)}",) if what else ()


def hint(candidate: Candidate) -> str:
    """What to do about a network that was saved whole and cannot be read; empty for other files."""
    if candidate.source.kind == STATE:
        return ""
    return (
        f"; it is a whole {candidate.source.kind}: if it is of this architecture, save the tensors in "
        "PyTorch: torch.save(model.state_dict(), 'weights.pth')"
    )
