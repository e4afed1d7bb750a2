"""A model or an exported file as what sees images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo._backend import check_backend
from zoo.export.core.artifact import Artifact
from zoo.inference.viewer import Viewer

if TYPE_CHECKING:
    import keras


def viewer_of(model: keras.Model | Artifact | str) -> Viewer:
    """The viewer of a model of the zoo, of the name of one, or of an opened file."""
    if isinstance(model, Artifact):
        from zoo.inference.files import FileViewer

        return FileViewer(model)
    check_backend()
    from zoo.inference.network import KerasViewer

    if isinstance(model, str):
        from zoo.inference.kept import model_of

        model = model_of(model)
    return KerasViewer(model)
