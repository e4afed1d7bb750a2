"""The table of facts against models built at 513×513."""

import gc

import keras
import pytest

import zoo
from zoo.dilation import analyse
from zoo.dilation.complexity import multiply_adds
from zoo.errors import InputError
from zoo.models.facts import FACTS, Facts


def test_every_model_has_its_facts():
    assert set(FACTS) == set(zoo.list_models())


@pytest.mark.parametrize("name", zoo.list_models())
def test_facts_are_what_the_built_model_shows(name):
    model = zoo.load(name, weights=None, input_shape=(513, 513, 3))
    coverage = analyse(model)
    stride, field = coverage.output_stride[0], coverage.receptive_field[0]
    assert Facts(model.count_params(), multiply_adds(model), stride, field) == FACTS[name]
    assert len(coverage.holes) == 0
    del model, coverage
    keras.backend.clear_session()
    gc.collect()


def test_a_model_of_open_size_has_no_multiply_adds():
    with pytest.raises(InputError, match="has no fixed size"):
        multiply_adds(zoo.load("deeplabv3_aspp", weights=None))
