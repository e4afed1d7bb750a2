"""Networks of papers behind a backbone: the table of them, and a file for each paper."""

from zoo.models.architectures.table import ARCHITECTURES, Architecture

__all__ = ["ARCHITECTURES", "Architecture"]
