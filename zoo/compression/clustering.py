"""Clustering while fine-tuning: few different values in each kernel (Han et al. 2016, section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from zoo.compression.bridge import to_tf_keras
from zoo.compression.compressed import Compressed, copied
from zoo.compression.requirements import require
from zoo.compression.selection import select, sparsity
from zoo.compression.standard import standard_frameworks
from zoo.compression.training import FineTuning, best_of, train
from zoo.errors import InputError
from zoo.training.optimizer import frozen

INITIALIZATIONS = ("kmeans_plus_plus", "linear", "density", "random")
_NAMES = {"kmeans_plus_plus": "KMEANS_PLUS_PLUS", "density": "DENSITY_BASED"}


@dataclass(frozen=True, kw_only=True)
class ClusteringConfig:
    """How many values a kernel has.

    Attributes:
        clusters: Different values of each chosen kernel, at least 2 (3 with `preserve_sparsity`, where one
            of them is zero). Kernels with no more weights than that are left alone.
        initialization: ``"kmeans_plus_plus"``, ``"linear"``, ``"density"`` or ``"random"``: what the
            centroids start from.
        preserve_sparsity: Whether weights that are zero stay so, for a model that was pruned.
        layers: See `zoo.compression.selection.select`.

    Raises:
        InputError: A value outside of the above.
    """

    clusters: int = 32
    initialization: str = "kmeans_plus_plus"
    preserve_sparsity: bool = False
    layers: Sequence[str] | None = None

    def __post_init__(self) -> None:
        least = 3 if self.preserve_sparsity else 2
        if isinstance(self.clusters, bool) or not isinstance(self.clusters, int) or self.clusters < least:
            raise InputError(f"clusters must be an integer of at least {least}, not {self.clusters!r}")
        if self.initialization not in INITIALIZATIONS:
            known = ", ".join(INITIALIZATIONS)
            raise InputError(f"initialization must be one of {known}, not {self.initialization!r}")


class _Clustered:
    """A network in tfmot's clustering wrappers; see `zoo.compression.stepper.Student`."""

    def __init__(self, model: keras.Model, config: ClusteringConfig):
        kernels = {name: model.get_layer(name).kernel for name in select(model, config.layers)}
        self.names = [n for n, kernel in kernels.items() if keras.ops.size(kernel) > config.clusters]
        if not self.names:
            raise InputError(f"no chosen kernel has more than {config.clusters} weights")
        if config.preserve_sparsity and not sparsity(model, self.names).selected_sparsity > 0:
            raise InputError(
                f"{model.name!r} has no zeros to preserve in the chosen layers: prune it first, or leave "
                "preserve_sparsity out"
            )
        self.config, self._wrapped = config, []
        self.bridge = to_tf_keras(model, wrap=self._wrap)

    def _wrap(self, layer, original):
        if original.name not in self.names:
            return layer
        tfmot = require("tensorflow_model_optimization")
        kinds = tfmot.clustering.keras.CentroidInitialization
        name = _NAMES.get(self.config.initialization, self.config.initialization.upper())
        options = {"cluster_centroids_init": getattr(kinds, name)}
        if self.config.preserve_sparsity:
            options["preserve_sparsity"] = True
        wrapped = tfmot.clustering.keras.cluster_weights(layer, self.config.clusters, **options)
        self._wrapped.append((wrapped, original))
        return wrapped

    def before_step(self, step: int) -> None:
        """Each call of the network assigns its weights to the nearest centroids by itself."""

    def is_complete(self, step: int) -> bool:
        return True

    def snapshot(self) -> keras.Model:
        self.bridge.to_keras()
        for wrapped, original in self._wrapped:
            wrapped.update_clustered_weights_associations()
            original.kernel.assign(wrapped.get_weight_from_layer("kernel"))
        return self.bridge.model


@standard_frameworks()
def cluster(model: keras.Model, config: ClusteringConfig, tuning: FineTuning) -> Compressed:
    """Give each kernel a few shared values, and fine-tune the values and which weight has which.

    Arguments, result and errors as in `zoo.compression.pruning.prune`, with a `ClusteringConfig`.
    """
    model = copied(model)
    with frozen(model, tuning.settings.freeze):
        student = _Clustered(model, config)
        history = train(student, tuning)
        result = best_of(student, tuning, history)
    return Compressed(result, history, sparsity(result, student.names))
