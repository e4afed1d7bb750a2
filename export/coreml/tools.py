"""Core ML Tools, imported without their notes on other versions and on what this system does not have."""

from __future__ import annotations

import logging

_logger = logging.getLogger("coremltools")
_level = _logger.level
_logger.setLevel(logging.CRITICAL)
try:
    import coremltools
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import types
    from coremltools.proto import MIL_pb2, Model_pb2
finally:
    _logger.setLevel(_level)

__all__ = ["Builder", "MIL_pb2", "Model_pb2", "coremltools", "types"]
