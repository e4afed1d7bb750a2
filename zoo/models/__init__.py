"""The models by name, and what they are built of: one paper per file, one family of backbones per file.

`register_backbone` adds a backbone of one's own to every architecture that can stand on it.
"""

from zoo.models.backbones.table import Backbone, register_backbone, unregister_backbone

__all__ = ["Backbone", "register_backbone", "unregister_backbone"]
