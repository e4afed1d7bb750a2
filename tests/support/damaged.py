"""What a reader may make of a damaged file: one clear line, or arrays."""

import numpy as np
import pytest

from zoo.errors import FormatError


def refusal(read, path):
    """The message with which `read` refuses a file."""
    with pytest.raises(FormatError) as caught:
        read(path)
    assert "\n" not in str(caught.value) and path.name in str(caught.value)
    return str(caught.value)


def attempt(read, path):
    try:
        arrays = read(path)
    except FormatError as error:
        assert "\n" not in str(error)
    else:
        assert all(isinstance(array, np.ndarray) for array in arrays.values())
