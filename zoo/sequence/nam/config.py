"""What a WaveNet of Neural Amp Modeler consists of; `zoo.sequence.nam.description` reads it from a file."""

from __future__ import annotations

from dataclasses import dataclass

from zoo.sequence.gating import Activation


@dataclass(frozen=True, kw_only=True)
class LayerConfig:
    """One dilated layer.

    Attributes:
        kernel: Taps.
        rate: Samples from tap to tap.
        activation: Of the result, or of its first half where there is a `gate`.
        gate: What multiplies it, of the second half; `None` for no gate.
    """

    kernel: int
    rate: int
    activation: Activation
    gate: Activation | None = None

    @property
    def span(self) -> int:
        """Earlier samples that the layer reads."""
        return (self.kernel - 1) * self.rate


@dataclass(frozen=True, kw_only=True)
class ArrayConfig:
    """Layers of as many channels, with a 1×1 convolution in front and the one of its head behind.

    Attributes:
        inputs: Channels of the samples that it is given.
        condition: Channels of the condition, which is mixed into every layer.
        channels: Of its layers.
        layers: First to last.
        head_channels: Of the head's result.
        head_kernel: Taps of the head.
        head_bias: Whether the head has a bias.
    """

    inputs: int
    condition: int
    channels: int
    layers: tuple[LayerConfig, ...]
    head_channels: int
    head_kernel: int
    head_bias: bool

    @property
    def span(self) -> int:
        """Earlier samples that one of the result depends on."""
        return sum(layer.span for layer in self.layers) + self.head_kernel - 1

    @property
    def state(self) -> int:
        """Floats that the layers keep from block to block."""
        return (
            sum(layer.span for layer in self.layers) * self.channels + (self.head_kernel - 1) * self.channels
        )

    @property
    def shapes(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Names and shapes of the tensors in the order of a file, in that of PyTorch: (out, in, taps)."""
        c = self.channels
        found = [("rechannel/kernel", (c, self.inputs, 1))]
        for index, layer in enumerate(self.layers):
            wide = c * (1 if layer.gate is None else 2)
            found += [
                (f"layer{index}/conv/kernel", (wide, c, layer.kernel)),
                (f"layer{index}/conv/bias", (wide,)),
                (f"layer{index}/mixer/kernel", (wide, self.condition, 1)),
                (f"layer{index}/out/kernel", (c, c, 1)),
                (f"layer{index}/out/bias", (c,)),
            ]
        found.append(("head/kernel", (self.head_channels, c, self.head_kernel)))
        if self.head_bias:
            found.append(("head/bias", (self.head_channels,)))
        return tuple(found)


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """A WaveNet of Neural Amp Modeler.

    Attributes:
        arrays: Its layer arrays; each gives its samples and its head's result to the next.
        condition: A WaveNet through which the samples become the condition; `None` for the samples as they
            are.
    """

    arrays: tuple[ArrayConfig, ...]
    condition: NetworkConfig | None = None

    @property
    def receptive_field(self) -> int:
        """Samples that one sample of the result depends on."""
        own = 1 + sum(array.span for array in self.arrays)
        return own + (self.condition.receptive_field - 1 if self.condition else 0)

    @property
    def state(self) -> int:
        """Floats that the layers keep from block to block."""
        return sum(array.state for array in self.arrays) + (self.condition.state if self.condition else 0)

    @property
    def channels(self) -> int:
        """Of the result."""
        return self.arrays[-1].head_channels

    @property
    def parameters(self) -> int:
        """Numbers of the file, the scale of the head and what feeds nothing among them."""
        total = 1
        for array in self.arrays:
            for _, shape in array.shapes:
                size = 1
                for side in shape:
                    size *= side
                total += size
        return total
