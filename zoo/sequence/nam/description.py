"""A network as the ``config`` of a ``.nam`` file describes it, checked and bounded.

Sources: sdatkinson/neural-amp-modeler 0.13.0 and NeuralAmpModelerCore, whose files state layers under the
words of versions 0.5 (``head_size``, ``gated``) and 0.7 (``head``, ``gating_mode``, ``kernel_sizes``).
"""

from __future__ import annotations

from collections.abc import Mapping

from zoo.errors import FormatError
from zoo.sequence.gating import ACTIVATIONS, SLOPE, Activation
from zoo.sequence.nam.config import ArrayConfig, LayerConfig, NetworkConfig

MAX_CHANNELS = 512
MAX_TAPS = 1024
MAX_RATE = 2**16
MAX_LAYERS = 256
MAX_ARRAYS = 16
MAX_FIELD = 2**21

_FILMS = (
    *("conv_pre_film", "conv_post_film", "input_mixin_pre_film", "input_mixin_post_film"),
    *("activation_pre_film", "activation_post_film", "layer1x1_post_film", "head1x1_post_film"),
)
_SIZES = ("input_size", "condition_size", "channels", "bottleneck", "groups_input", "groups_input_mixin")
_LAYER_WORDS = ("kernel_size", "kernel_sizes", "dilations", "activation", "gated", "gating_mode")
_REST = ("secondary_activation", "head", "head_size", "head_bias", "head1x1", "layer1x1", "slimmable")
_KNOWN = frozenset((*_FILMS, *_SIZES, *_LAYER_WORDS, *_REST))


def read_network(config: object, *, where: str, condition: NetworkConfig | None = None) -> NetworkConfig:
    """The network that the ``config`` of a file describes.

    Args:
        config: As JSON gave it.
        where: The file, for errors.
        condition: The network of ``condition_dsp``, which the caller has read.

    Raises:
        FormatError: What is no such description, too large, or a variant that is not supported.
    """
    config = _mapping(config, f"{where}: config")
    if unknown := set(config) - {"layers", "head", "head_scale", "condition_dsp"}:
        raise FormatError(f"{where}: config has {_listed(unknown)}, which is not supported")
    if config.get("head") is not None:
        raise FormatError(f"{where}: a head of its own behind the layer arrays is not supported")
    rows = config.get("layers")
    if not isinstance(rows, list) or not 1 <= len(rows) <= MAX_ARRAYS:
        raise FormatError(f"{where}: config holds no list of 1 to {MAX_ARRAYS} layer arrays")
    arrays = tuple(_array(row, f"{where}: layer array {i}") for i, row in enumerate(rows))
    network = NetworkConfig(arrays=arrays, condition=condition)
    _check_chain(network, where)
    return network


def _check_chain(network: NetworkConfig, where: str) -> None:
    """Each array takes what the one before gives, and the condition is as wide as it is said to be."""
    wanted = 1 if network.condition is None else network.condition.channels
    before, head = 1, None
    for index, array in enumerate(network.arrays):
        if array.inputs != before:
            raise FormatError(
                f"{where}: layer array {index} takes {array.inputs} channels, but gets {before}"
            )
        if array.condition != wanted:
            raise FormatError(
                f"{where}: layer array {index} takes a condition of {array.condition} channels, not {wanted}"
            )
        if head is not None and head != array.channels:
            raise FormatError(
                f"{where}: layer array {index} has {array.channels} channels, but a head of {head} before it"
            )
        before, head = array.channels, array.head_channels
    if network.receptive_field > MAX_FIELD:
        raise FormatError(
            f"{where}: a receptive field of {network.receptive_field} samples; at most {MAX_FIELD}"
        )


def _array(row: object, where: str) -> ArrayConfig:
    row = _mapping(row, where)
    if unknown := set(row) - _KNOWN:
        raise FormatError(f"{where} has {_listed(unknown)}, which is not supported")
    _check_plain(row, where)
    channels = _whole(row, "channels", where, MAX_CHANNELS)
    kernel, channels_out, bias = _head(row, where)
    return ArrayConfig(
        inputs=_whole(row, "input_size", where, MAX_CHANNELS),
        condition=_whole(row, "condition_size", where, MAX_CHANNELS),
        channels=channels,
        layers=_layers(row, where),
        head_channels=channels_out,
        head_kernel=kernel,
        head_bias=bias,
    )


def _check_plain(row: Mapping, where: str) -> None:
    """Refuse, by name, what changes the network in a way that is not built here."""
    films = [name for name in _FILMS if _is_active(row.get(name), where, name, usual=False)]
    if films:
        raise FormatError(f"{where} uses FiLM ({_listed(films)}), which is not supported")
    if _is_active(row.get("head1x1"), where, "head1x1", usual=False):
        raise FormatError(f"{where} uses head1x1, which is not supported")
    if not _is_active(row.get("layer1x1"), where, "layer1x1", usual=True):
        raise FormatError(f"{where} has no layer1x1, which is not supported")
    if (
        _groups(row.get("layer1x1")) != 1
        or row.get("groups_input", 1) != 1
        or row.get("groups_input_mixin", 1) != 1
    ):
        raise FormatError(f"{where} has grouped convolutions, which are not supported")
    if row.get("bottleneck", row.get("channels")) != row.get("channels"):
        raise FormatError(
            f"{where} has a bottleneck of {row['bottleneck']!r} channels, which is not supported"
        )


def _is_active(value: object, where: str, name: str, *, usual: bool) -> bool:
    if value is None:
        return usual
    active = _mapping(value, f"{where}: {name}").get("active", usual)
    if not isinstance(active, bool):
        raise FormatError(f"{where}: {name} is active: {active!r}, neither true nor false")
    return active


def _groups(value: object) -> object:
    return value.get("groups", 1) if isinstance(value, Mapping) else 1


def _head(row: Mapping, where: str) -> tuple[int, int, bool]:
    """Taps, channels and bias of an array's head, in either way of saying them."""
    if "head" in row:
        head = _mapping(row["head"], f"{where}: head")
        kernel = _whole(head, "kernel_size", f"{where}: head", MAX_TAPS)
        return (
            kernel,
            _whole(head, "out_channels", f"{where}: head", MAX_CHANNELS),
            _flag(head, "bias", where),
        )
    return 1, _whole(row, "head_size", where, MAX_CHANNELS), _flag(row, "head_bias", where)


def _layers(row: Mapping, where: str) -> tuple[LayerConfig, ...]:
    rates = row.get("dilations")
    if not isinstance(rates, list) or not 1 <= len(rates) <= MAX_LAYERS:
        raise FormatError(f"{where}: dilations is no list of 1 to {MAX_LAYERS} rates")
    kernels = _each(row.get("kernel_sizes", row.get("kernel_size")), len(rates), where, "kernel sizes")
    activations = _each(row.get("activation"), len(rates), where, "activations")
    gates = _gates(row, len(rates), where)
    return tuple(
        LayerConfig(
            kernel=_whole({"kernel_size": kernel}, "kernel_size", where, MAX_TAPS),
            rate=_whole({"dilation": rate}, "dilation", where, MAX_RATE),
            activation=_activation(activation, where),
            gate=gate,
        )
        for rate, kernel, activation, gate in zip(rates, kernels, activations, gates, strict=True)
    )


def _gates(row: Mapping, count: int, where: str) -> list[Activation | None]:
    """The second factor of each layer; version 0.5 knows one sigmoid for all."""
    if "gating_mode" not in row:
        gated = _flag(row, "gated", where) if "gated" in row else False
        return [Activation("Sigmoid") if gated else None] * count
    modes = _each(row["gating_mode"], count, where, "gating modes")
    seconds = _each(row.get("secondary_activation"), count, where, "secondary activations")
    gates: list[Activation | None] = []
    for mode, second in zip(modes, seconds, strict=True):
        if mode not in ("none", "gated"):
            raise FormatError(f"{where} has the gating mode {mode!r}; supported: none, gated")
        gates.append(_activation(second, where) if mode == "gated" else None)
    return gates


def _each(value: object, count: int, where: str, what: str) -> list:
    """One value for each layer, where one stands for all."""
    values = value if isinstance(value, list) else [value] * count
    if len(values) != count:
        raise FormatError(f"{where} has {len(values)} {what} for {count} dilations")
    return values


def _activation(value: object, where: str) -> Activation:
    if isinstance(value, Mapping):
        words = dict(value)
        name = words.pop("type", words.pop("name", None))
    else:
        name, words = value, {}
    if name not in ACTIVATIONS:
        raise FormatError(f"{where} has the activation {name!r}; supported: {', '.join(ACTIVATIONS)}")
    slope = words.pop("negative_slope", SLOPE) if name == "LeakyReLU" else SLOPE
    limits = (words.pop("min_val", -1), words.pop("max_val", 1)) if name == "Hardtanh" else (-1, 1)
    is_slope = isinstance(slope, int | float) and not isinstance(slope, bool) and 0 <= slope <= 1
    if words or limits != (-1, 1) or not is_slope:
        raise FormatError(f"{where} has an activation {value!r}, which is not supported")
    return Activation(name, float(slope))


def _mapping(value: object, where: str) -> Mapping:
    if not isinstance(value, Mapping):
        raise FormatError(f"{where} is no JSON object")
    return value


def _whole(row: Mapping, name: str, where: str, most: int) -> int:
    value = row.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise FormatError(f"{where}: {name} must be a whole number from 1 to {most}; got {str(value)[:40]}")
    return value


def _flag(row: Mapping, name: str, where: str) -> bool:
    value = row.get(name)
    if not isinstance(value, bool):
        raise FormatError(f"{where}: {name} must be true or false; got {str(value)[:40]}")
    return value


def _listed(names) -> str:
    return ", ".join(sorted(map(str, names)))[:200]
