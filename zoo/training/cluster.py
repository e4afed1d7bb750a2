"""The workers of a run as the environment names them: by ``TF_CONFIG``, Slurm, or Kubernetes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from zoo.errors import InputError

INDEX, HOSTS = "JOB_COMPLETION_INDEX", "ZOO_WORKERS"
_SHAPE = '{"cluster": {"worker": ["host:port", …]}, "task": {"type": "worker", "index": 0}}'
_RANGE = re.compile(r"\{(\d{1,6})\.\.(\d{1,6})\}")
_ADDRESS = re.compile(r"[^\s:,/{}]+:\d{1,5}")
_MOST = 100_000


@dataclass(frozen=True)
class Workers:
    """All workers of a run, and which of them this process is.

    Attributes:
        addresses: ``host:port`` of each.
        index: Of this one.
    """

    addresses: tuple[str, ...]
    index: int


def config_workers(environment: Mapping[str, str]) -> int:
    """Number of workers in ``TF_CONFIG``; 0 without it.

    Raises:
        InputError: It is damaged.
    """
    text = environment.get("TF_CONFIG")
    if not text:
        return 0
    try:
        config = json.loads(text)
        cluster, task = config["cluster"], config["task"]
        workers = len(cluster.get("chief", ())) + len(cluster["worker"])
        if not isinstance(task["type"], str) or not isinstance(task["index"], int):
            raise TypeError
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"TF_CONFIG must look like {_SHAPE}, not {text!r}") from error
    return workers


def slurm_tasks(environment: Mapping[str, str]) -> int:
    """Number of tasks of the Slurm step that this process belongs to; 0 outside of one."""
    text = environment.get("SLURM_STEP_NUM_TASKS", "0")
    return int(text) if text.isdecimal() else 0


def indexed_workers(environment: Mapping[str, str]) -> Workers | None:
    """The pods of an indexed job of Kubernetes; `None` where ``ZOO_WORKERS`` or the index is not set.

    Kubernetes tells a pod its number in ``JOB_COMPLETION_INDEX``, and its fellows nowhere: ``ZOO_WORKERS``
    names them, ``host:port`` separated by commas, with ranges such as ``train-{0..7}.train:2222`` for the
    pods of the job ``train`` behind the headless service of that name.

    Raises:
        InputError: Addresses that are none, or an index beyond them.
    """
    hosts, number = environment.get(HOSTS), environment.get(INDEX)
    if not hosts or number is None:
        return None
    addresses = tuple(address for part in hosts.split(",") for address in _expanded(part.strip()))
    if not all(_ADDRESS.fullmatch(address) for address in addresses):
        raise InputError(
            f"{HOSTS} must name workers as host:port,host:port or train-{{0..7}}.train:2222, not {hosts!r}"
        )
    if len(set(addresses)) < len(addresses):
        raise InputError(f"{HOSTS} names a worker twice: {hosts!r}")
    if not number.isdecimal() or int(number) >= len(addresses):
        raise InputError(f"{INDEX} must be from 0 to {len(addresses) - 1}, as {HOSTS} says, not {number!r}")
    return Workers(addresses, int(number))


def _expanded(text: str) -> list[str]:
    found = _RANGE.search(text)
    if found is None:
        return [text]
    first, last = int(found[1]), int(found[2])
    if not 0 <= last - first < _MOST:
        raise InputError(f"{HOSTS}: {found[0]} is no range of workers")
    return [f"{text[: found.start()]}{number}{text[found.end() :]}" for number in range(first, last + 1)]


def workers_named(environment: Mapping[str, str]) -> int:
    """How many workers the environment names, by whichever of the three; 0 where it names none."""
    indexed = indexed_workers(environment)
    return (
        config_workers(environment)
        or slurm_tasks(environment)
        or (0 if indexed is None else len(indexed.addresses))
    )
