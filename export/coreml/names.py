"""Names of operations: those of TensorFlow's nodes in the alphabet that Core ML Tools write.

They allow letters, digits and ``_``.
"""

from __future__ import annotations

import re

# What stands on the right is in no name of the zoo's layers.
_SIGNS = {".": "_dot_", "/": "__"}
# What Core ML Tools append where they change the precision of a program.
_APPENDED = re.compile(r"(_cast_fp16|_to_fp16|_promoted)+(_\d+)?$")


def encoded(name: str) -> str:
    """The name of a node for a program."""
    for sign, instead in _SIGNS.items():
        name = name.replace(sign, instead)
    return re.sub(r"^(?![A-Za-z_])", "_", re.sub(r"[^A-Za-z0-9_]", "_", name))


def decoded(name: str) -> str:
    """The inverse of `encoded`, so far as it can be told."""
    name = _APPENDED.sub("", name)
    return name.replace("_dot_", ".").replace("__", "/")
