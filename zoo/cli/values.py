"""Values on the command line: what each form of an option means, and what is none of it."""

from __future__ import annotations

import argparse
import json
import re


def parse_classes(text: str) -> int | str:
    """A number of classes, or the path of a file with their names."""
    return int(text) if text.isdecimal() else text


def parse_scales(text: str) -> tuple[float, ...]:
    """Positive numbers with commas between them."""
    try:
        scales = tuple(float(part) for part in text.split(","))
    except ValueError:
        scales = ()
    if not scales or not all(0 < scale < float("inf") for scale in scales):
        raise argparse.ArgumentTypeError(f"must be positive numbers with commas, not {text!r}")
    return scales


def parse_size(text: str) -> tuple[int, int]:
    """``HEIGHTxWIDTH`` in pixels, or one number for both."""
    found = re.fullmatch(r"([0-9]+)(?:[xX]([0-9]+))?", text)
    size = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if min(size) < 1:
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH in pixels, such as 360x480, not {text!r}")
    return size


def parse_share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text!r}")
    return share


def parse_setting(text: str) -> tuple[str, object]:
    """``NAME=VALUE`` as a builder argument; the value is JSON, or else text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise argparse.ArgumentTypeError(f"must be NAME=VALUE, not {text!r}")
    try:
        found = json.loads(value)
    except json.JSONDecodeError:
        found = value
    return name, tuple(found) if isinstance(found, list) else found
