"""The benchmark of exports compares like with like: the network from Keras' own layers is the zoo's."""

import importlib.util
from pathlib import Path

import pytest
from keras.layers import DepthwiseConv2D

import zoo
from zoo.errors import InputError
from zoo.layers import DilatedDepthwiseConv2D

PATH = Path(__file__).parents[2] / "benchmarks" / "export.py"
SIZE = (33, 50)


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("export_benchmark", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_stock_network_is_the_same_network(benchmark):
    model = zoo.load("deeplabv3_aspp")
    stock = benchmark.stock_network(model, SIZE)
    assert {type(layer).__module__.split(".")[0] for layer in stock.layers} == {"keras"}
    assert stock.count_params() == model.count_params()
    assert benchmark.largest_difference(model, stock, SIZE) < benchmark.TOLERANCE
    rates = {layer.rate for layer in model.layers if isinstance(layer, DilatedDepthwiseConv2D)}
    assert len(rates) > 3
    stock_rates = {layer.dilation_rate for layer in stock.layers if isinstance(layer, DepthwiseConv2D)}
    assert stock_rates == {(rate, rate) for rate in rates}
    kernel = stock.get_layer("classifier")
    kernel.set_weights([weight * 1.01 for weight in kernel.get_weights()])
    assert benchmark.largest_difference(model, stock, SIZE) > benchmark.TOLERANCE


def test_file_that_cannot_be_written_says_why(benchmark, tmp_path):
    with pytest.raises(InputError, match=r"must be named \*\.tflite"):
        benchmark.zoo_file(zoo.load("deeplabv3_aspp"), "tflite", tmp_path / "m.onnx", SIZE)


def test_sizes(benchmark):
    assert benchmark.parse_size("360x480") == (360, 480)
    for text in ("360", "0x5", "ax5", "-1x5"):
        with pytest.raises(benchmark.argparse.ArgumentTypeError, match="must be HEIGHTxWIDTH"):
            benchmark.parse_size(text)
