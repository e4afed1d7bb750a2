"""What a training will need before it is begun: memory, arithmetic, bytes exchanged, and how it scales.

A step of `n` devices with a global batch of `B` images takes, by the alpha-beta model of a ring all-reduce
(Thakur, Rabenseifner & Gropp 2005, section 4.2)::

    overhead + 3 · multiply-adds · B/n / rate  +  messages · 2(n − 1) · alpha  +  2(n − 1)/n · bytes / beta

A backward pass costs twice the forward pass; messages are the tensors that are reduced, one after another:
each gradient, and the sums of synchronized batch normalization in both directions. Nothing overlaps in the
model, which makes it careful: what a runtime overlaps is won.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from zoo.dilation.complexity import multiply_adds
from zoo.errors import InputError
from zoo.training.devices import Device, Link
from zoo.training.recipe import Recipe

# Of AdamW: two moments. Beside them stand the weights and one gradient each.
_MOMENTS = 2
_FLOAT = 4
_SUMS = 3  # tensors that synchronized batch normalization reduces, in each direction


@dataclass(frozen=True)
class Demand:
    """What one image and one step ask for, whatever they run on.

    Attributes:
        parameters: Trained numbers.
        variables: All numbers of the model.
        tensors: Tensors that are reduced in one step.
        exchanged: Bytes of them.
        multiply_adds: Of the forward pass of one image.
        activations: Bytes that one image's forward pass keeps for the backward pass: every layer's output.
        average: Whether an average of the weights is kept.
    """

    parameters: int
    variables: int
    tensors: int
    exchanged: int
    multiply_adds: int
    activations: int
    average: bool

    def memory(self, images: int) -> dict[str, int]:
        """Bytes on one device that has so many images of a batch, by what they are for."""
        return {
            "weights": self.variables * _FLOAT,
            "gradients": self.parameters * _FLOAT,
            "optimizer": _MOMENTS * self.parameters * _FLOAT,
            "average": self.variables * _FLOAT if self.average else 0,
            "activations": images * self.activations,
        }


def demand_of(model: keras.Model, recipe: Recipe) -> Demand:
    """What a model asks for under a recipe.

    Args:
        model: Built at the size of the recipe's crops.
        recipe: Precision and average are looked at.

    Raises:
        InputError: The model was built for any size.
    """
    size = _FLOAT if recipe.precision == "float32" else _FLOAT // 2
    kept, seen = 0, set()
    for layer in model.layers:
        for output in keras.tree.flatten(layer.output):
            if id(output) not in seen and not isinstance(layer, keras.layers.InputLayer):
                seen.add(id(output))
                kept += size * _numbers(output.shape)
    trained = sum(_numbers(v.shape) for v in model.trainable_variables)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    sums = sum(2 * int(norm.moving_mean.shape[0]) + 1 for norm in norms)
    return Demand(
        parameters=trained,
        variables=sum(_numbers(v.shape) for v in model.variables),
        tensors=len(model.trainable_variables) + 3 + 2 * _SUMS * len(norms),
        exchanged=_FLOAT * (trained + 3 + 2 * sums),
        multiply_adds=multiply_adds(model),
        activations=kept,
        average=recipe.average is not None,
    )


def _numbers(shape: Sequence[int | None]) -> int:
    count = 1
    for side in shape:
        count *= 1 if side is None else int(side)  # of a batch: one image
    return count


@dataclass(frozen=True)
class Scaling:
    """What a step takes on so many devices.

    Attributes:
        workers: Number of devices.
        images: Of a batch, on each of them.
        compute: Seconds of a step for its own images.
        exchange: Seconds for the all-reduce.
        sent: Bytes that each device sends in a step.
        efficiency: Images per second over those of one device times the devices; one device has as many
            images in its step as each of these.
    """

    workers: int
    images: int
    compute: float
    exchange: float
    sent: int
    efficiency: float

    @property
    def seconds(self) -> float:
        """Of a step."""
        return self.compute + self.exchange

    @property
    def images_per_second(self) -> float:
        """Of all devices together."""
        return self.workers * self.images / self.seconds


def scaling(demand: Demand, device: Device, *, batch_size: int, workers: int) -> Scaling:
    """A step with a global batch on so many devices.

    Raises:
        InputError: A batch that they cannot share equally.
    """
    if workers < 1 or batch_size % workers:
        raise InputError(f"a batch of {batch_size} images cannot be shared equally by {workers} devices")
    images = batch_size // workers
    compute = _compute(demand, device, images=images, workers=workers)
    sent = 2 * (workers - 1) * demand.exchanged // workers
    exchange = _exchange(demand, device.link(workers), device, workers=workers)
    alone = _compute(demand, device, images=images, workers=1)
    return Scaling(workers, images, compute, exchange, sent, alone / (compute + exchange))


def _compute(demand: Demand, device: Device, *, images: int, workers: int) -> float:
    work = 3 * demand.multiply_adds * images
    alone = device.overhead + work / device.rate
    if device.cores is None:
        return alone
    # Workers on one machine: together they have no more than all of its cores.
    busy = device.core_overhead + work / device.core_rate
    return max(alone, workers * busy / device.cores)


def _exchange(demand: Demand, link: Link, device: Device, *, workers: int) -> float:
    if workers == 1:
        return 0.0
    latency = demand.tensors * 2 * (workers - 1) * link.alpha
    transfer = 2 * (workers - 1) / workers * demand.exchanged / link.beta
    # Measured between two workers, whose messages all pass through the cores that they share.
    return (latency + transfer) * (1.0 if device.cores is None else workers / 2)
