"""What the parity tests share: models with parameters drawn from their source's names, and comparisons."""

from pathlib import Path

import keras
import numpy as np
from goldens.seeding import draw, image

from zoo.models.assignment import assign
from zoo.weights.name_maps.base import RULES
from zoo.weights.name_maps.conversion import convert

GOLDENS = Path(__file__).parents[1] / "goldens"
SIZES = ("64x64", "65x65", "49x97")


def seeded_source(model, name_map):
    """Tensors by their source's names, in its shapes, for every variable of the model that the map names."""
    shapes = {v.path: tuple(v.shape) for v in model.variables}
    source = {}
    for layer, prefix in {**name_map.layers, **name_map.optional}.items():
        biases = [f"{prefix}.bias", f"{prefix}/biases"]  # torch's and TensorFlow's
        names = frozenset(biases if f"{layer}/bias" in shapes else [])
        for rule in RULES[name_map.layout](layer, prefix, names):
            if rule.variable not in shapes:
                continue
            ours = shapes[rule.variable]
            axes = rule.axes or tuple(range(len(ours)))
            theirs = tuple(ours[axes.index(axis)] for axis in range(len(ours)))
            source[rule.source] = draw(rule.source, theirs)
    return source


def give_seeded(model, name_map):
    """Assign the drawn parameters through the map itself, strictly."""
    arrays = convert(seeded_source(model, name_map), name_map)
    variables = {v.path: v for v in model.variables if "seed_generator" not in v.path}
    assign(variables, arrays, subject="seeded", scope=name_map.scope)
    return model


def relative_error(got, wanted):
    """Largest difference, as a share of the largest value."""
    assert got.shape == wanted.shape
    return float(np.abs(got - wanted).max() / np.abs(wanted).max())


def at_depths(model, layers):
    """A model that also returns the results of `layers` (name of a depth → name of a layer)."""
    outputs = {depth: model.get_layer(name).output for depth, name in layers.items()}
    own = model.output if isinstance(model.output, dict) else {"logits": model.output}
    return keras.Model(model.input, {**outputs, **own})


def check_depths(outputs, goldens, size, depths, tolerance):
    for depth in depths:
        wanted = goldens[f"{size}/{depth}"]
        got = np.asarray(outputs[depth])[0, :, :, : wanted.shape[-1]]
        error = relative_error(got, wanted)
        print(f"{size} {depth}: {error:.1e}")
        assert error < tolerance, depth


def check_segmentation(model, file, layers, size, step=4):
    """Depths, logits, arg-max and, where the original has them, auxiliary logits against the original's."""
    height, width = map(int, size.split("x"))
    outputs = at_depths(model, layers)(image(height, width)[None])
    with np.load(GOLDENS / file) as goldens:
        check_depths(outputs, goldens, size, layers, 1e-4)
        logits = np.asarray(outputs["logits"])[0]
        errors = {"logits": relative_error(logits[::step, ::step], goldens[f"{size}/logits"])}
        if f"{size}/auxiliary" in goldens:
            errors["auxiliary"] = relative_error(
                np.asarray(outputs["auxiliary"])[0, :: 2 * step, :: 2 * step], goldens[f"{size}/auxiliary"]
            )
        agreement = (logits.argmax(-1) == goldens[f"{size}/mask"]).mean()
        classes = len(np.unique(goldens[f"{size}/mask"]))
    print(size, errors, f"arg-max {agreement:.5f} over {classes} classes")
    assert max(errors.values()) < 1e-4, errors
    assert classes > 1, "an arg-max of one class would agree by chance"
    assert agreement >= 0.999
