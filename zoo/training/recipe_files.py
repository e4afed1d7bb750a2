"""Recipes on disk: JSON or YAML by the suffix, of bounded size, and read as data only."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from zoo.errors import InputError
from zoo.files import check_local, write_text

SUFFIXES = (".json", ".yaml", ".yml")
LARGEST = 1 << 16  # bytes; a recipe has less than one thousand


class _Loader(yaml.SafeLoader):
    """Safe YAML in which 1e-3 is a number, as in YAML 1.2 and JSON; PyYAML's 1.1 reads it as text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def write(document: dict, path: Path) -> Path:
    """Write plain data, whole or not at all."""
    if _suffix(path) == ".json":
        return write_text(path, json.dumps(document, indent=2) + "\n")
    return write_text(path, yaml.safe_dump(document, sort_keys=False, default_flow_style=None))


def read(path: Path) -> object:
    """The plain data in a file.

    Raises:
        InputError: Another suffix, a file that cannot be read, is too large, or is no such document.
    """
    suffix = _suffix(path)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
    if len(content) > LARGEST:
        raise InputError(f"{path} is too large for a recipe, which has at most {LARGEST} bytes")
    try:
        text = content.decode("utf-8")
        return json.loads(text) if suffix == ".json" else yaml.load(text, Loader=_Loader)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        kind = "JSON" if suffix == ".json" else "YAML"
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is no {kind} document: {reason}") from error


def _suffix(path: Path) -> str:
    suffix = check_local(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"a recipe is a file *{', *'.join(SUFFIXES)}, not {str(path)!r}")
    return suffix
