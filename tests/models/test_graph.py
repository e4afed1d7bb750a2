"""The one reader of Keras' graph."""

import re
from pathlib import Path

import keras
import pytest

from zoo.errors import InputError
from zoo.graph import calls, functional_of, is_functional, is_nested, maker_of, parts_of


def small():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    dense = keras.layers.Dense(3, name="shared")
    total = keras.layers.Add(name="sum")([dense(a), dense(b)])
    return keras.Model([a, b], keras.layers.ReLU(name="out")(total))


def test_calls_are_in_order_and_a_shared_layer_has_several():
    found = calls(small())
    assert sorted(c.operation.name for c in found if c.is_input) == ["a", "b"]
    assert [c.operation.name for c in found if not c.is_input] == ["shared", "shared", "sum", "out"]
    made = set()
    for call in found:
        assert {id(tensor) for tensor in call.inputs} <= made
        made |= {id(tensor) for tensor in call.outputs}


def test_arguments_are_filled():
    *_, total, last = calls(small())
    values = {id(tensor): index for index, tensor in enumerate(total.inputs)}
    assert total.arguments(values) == (([0, 1],), {})
    assert last.arguments({id(total.outputs[0]): "x"}) == (("x",), {})
    assert maker_of(total.outputs[0]) is total.operation


def test_what_has_no_graph():
    class Own(keras.Model):
        def call(self, x):
            return x

    for other in (Own(), keras.Sequential(), keras.layers.ReLU(), "model"):
        assert not is_functional(other)
        with pytest.raises(InputError, match=r"only a functional .* has a graph to read"):
            calls(other)


def test_sequences_and_nested_models():
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, name="d")])
    assert is_nested(inner) and is_nested(small()) and not is_nested(keras.layers.ReLU())
    assert [c.operation.name for c in calls(functional_of(inner)) if not c.is_input] == ["d"]
    assert functional_of(keras.Sequential()) is None
    assert "d" in [part.name for part in parts_of(inner)]
    assert parts_of(keras.layers.ReLU()) == []


def test_no_other_module_reads_private_names_of_the_graph():
    root = Path(__file__).parents[2]
    private = re.compile(
        r"_nodes_by_depth|_inbound_nodes|_outbound_nodes|_keras_history|[.\"]_functional\b|_flatten_layers"
    )
    files = [path for room in ("zoo", "export", "weights") for path in (root / room).rglob("*.py")]
    found = {path.relative_to(root).as_posix() for path in files if private.search(path.read_text())}
    assert found == {"zoo/graph.py"}
