"""Networks of features: the table of them, and a file for each family."""

from zoo.models.backbones.table import (
    BACKBONES,
    Backbone,
    backbones,
    register_backbone,
    resolve,
    unregister_backbone,
)

__all__ = ["BACKBONES", "Backbone", "backbones", "register_backbone", "resolve", "unregister_backbone"]
