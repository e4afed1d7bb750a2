"""Images to whole cells, mirrored margins, and tiles."""

from __future__ import annotations

import keras
import tensorflow as tf

from zoo.errors import InputError
from zoo.layers.common import PACKAGE, pair, shaped, sides, whole, whole_steps


@keras.saving.register_keras_serializable(PACKAGE)
class PadToMultiple(keras.layers.Layer):
    """Pads zeros at the right and the bottom up to the next multiple of a number, at any size.

    ``(batch, height, width, channels)`` → both sides rounded up to a multiple, plus the remainder.

    Args:
        multiple: What both sides shall be divisible by, usually the output stride.
        remainder: What shall remain after the division. With 1 the cells' centres fall on the first pixel,
            the last one, and every multiple between, which is what networks that align corners are made for.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.

    Attributes:
        padding: ``((top, bottom), (left, right))`` as Keras' padding layers have it; zeros stand in for
            sides that are known only at run time.
    """

    def __init__(self, *, multiple: int, remainder: int = 0, **kwargs):
        super().__init__(**kwargs)
        multiple, remainder = whole(multiple, "multiple"), whole(remainder, "remainder", least=0)
        if remainder >= multiple:
            raise InputError(f"remainder must be an integer from 0 to {multiple - 1}, not {remainder!r}")
        self.multiple = multiple
        self.remainder = remainder
        self.padding = ((0, 0), (0, 0))

    def build(self, input_shape):
        self.padding = tuple((0, 0 if n is None else self._missing(n)) for n in input_shape[1:3])

    def _missing(self, side):
        # Of numbers that are not negative: some converters round other quotients towards zero.
        excess = (side - self.remainder + self.multiple) % self.multiple
        return (self.multiple - excess) % self.multiple

    def call(self, x):
        if self.compute_output_shape(x.shape) == tuple(x.shape) and None not in x.shape[1:3]:
            return x
        sides = [s or d for s, d in zip(x.shape[1:3], tf.unstack(tf.shape(x)[1:3]), strict=True)]
        rows, columns = map(self._missing, sides)
        padded = tf.pad(x, [[0, 0], [0, rows], [0, columns], [0, 0]])
        # Says that the channels are as many as before; a converter does not see it in the amounts.
        size = tf.stack([tf.shape(x)[0], sides[0] + rows, sides[1] + columns, x.shape[-1]])
        return shaped(tf.reshape(padded, size), self.compute_output_shape(x.shape))

    def compute_output_shape(self, input_shape):
        sides = (None if n is None else n + self._missing(n) for n in input_shape[1:3])
        return (input_shape[0], *sides, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "multiple": self.multiple, "remainder": self.remainder}


def mirrored_index(index: tf.Tensor, length: int | tf.Tensor) -> tf.Tensor:
    """Position within ``0…length − 1`` that a signal, reflected over and over, shows at `index`.

    The border itself is not repeated: OpenCV's ``BORDER_REFLECT_101``, NumPy's ``"reflect"``.
    """
    period = tf.maximum(2 * (length - 1), 1)
    # The reflection is even, and converters do not agree on the remainder of a negative number.
    index = tf.math.floormod(tf.abs(index), period)
    return tf.minimum(index, period - index)


@keras.saving.register_keras_serializable(PACKAGE)
class ReflectionPadding2D(keras.layers.Layer):
    """Extends images of any size by reflection on all sides, and cuts them into tiles where wanted.

    ``(batch, height, width, channels)`` → both sides longer by ``2 * margin``. Unlike ``tf.pad`` it takes an
    image smaller than the margin, which is reflected as often as needed, as OpenCV does.

    With a `tile`, ``(batch * tiles, rows + 2 * margin, columns + 2 * margin, channels)``: tiles of
    ``rows × columns`` pixels with their margin, row by row. A tile that sticks out is filled up by reflecting
    its own content, margin included, a second time.

    Args:
        margin: Pixels on each side.
        tile: (rows, columns) of the image that one tile covers; `None` for the image as a whole.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.

    Attributes:
        padding: ``((top, bottom), (left, right))``, as Keras' padding layers have it.

    Raises:
        InputError: A margin or tile that is no positive integer or pair of them.
    """

    def __init__(self, *, margin: int, tile: tuple[int, int] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.margin = whole(margin, "margin")
        self.tile = None if tile is None else pair(tuple(tile), "tile")
        self.padding = ((self.margin, self.margin),) * 2

    def _positions(self, length: int | tf.Tensor, tile: int | None) -> tf.Tensor:
        """Rows (or columns) of the image that the result consists of, one line for each tile."""
        tile = length if tile is None else tile
        start = tile * tf.range(whole_steps(length, tile))[:, None]
        content = tf.minimum(tile, length - start) + 2 * self.margin
        place = start + mirrored_index(tf.range(tile + 2 * self.margin)[None], content)
        return mirrored_index(place - self.margin, length)

    def call(self, x):
        positions = [self._positions(n, t) for n, t in zip(sides(x), self.tile or (None, None), strict=True)]
        shape = self.compute_output_shape(x.shape)
        x = tf.gather(x, tf.reshape(positions[0], [-1]), axis=1)
        x = tf.gather(x, tf.reshape(positions[1], [-1]), axis=2)
        if self.tile is None:
            return shaped(x, shape)
        (down, rows), (across, columns) = (tf.unstack(tf.shape(p)) for p in positions)
        x = tf.reshape(x, tf.stack([-1, down, rows, across, columns, shape[-1]]))
        return tf.reshape(tf.transpose(x, [0, 1, 3, 2, 4, 5]), [-1, *shape[1:]])

    def compute_output_shape(self, input_shape):
        batch = input_shape[0] if self.tile is None else None
        sides = (None if n is None else n + 2 * self.margin for n in self.tile or input_shape[1:3])
        return (batch, *sides, input_shape[-1])

    def get_config(self):
        return {**super().get_config(), "margin": self.margin, "tile": self.tile}


@keras.saving.register_keras_serializable(PACKAGE)
class JoinTiles(keras.layers.Layer):
    """Puts the maps of the tiles that `ReflectionPadding2D` cut side by side again.

    ``[(batch * tiles, rows, columns, any), image]`` → ``(batch, down * rows, across * columns, any)``.

    Args:
        tile: (rows, columns) of the image that one tile covers.
        **kwargs: ``name`` and ``dtype`` of a Keras layer.
    """

    def __init__(self, *, tile: tuple[int, int], **kwargs):
        super().__init__(**kwargs)
        self.tile = pair(tuple(tile), "tile")

    def call(self, inputs):
        x, image = inputs
        down, across = (whole_steps(n, t) for n, t in zip(sides(image), self.tile, strict=True))
        rows, columns, channels = x.shape[1:]
        x = tf.reshape(x, tf.stack([-1, down, across, rows, columns, channels]))
        x = tf.transpose(x, [0, 1, 3, 2, 4, 5])
        return tf.reshape(x, tf.stack([-1, down * rows, across * columns, channels]))

    def compute_output_shape(self, input_shape):
        x, image = input_shape
        sizes = zip(image[1:3], self.tile, x[1:3], strict=True)
        return (image[0], *(None if n is None else whole_steps(n, t) * cells for n, t, cells in sizes), x[-1])

    def get_config(self):
        return {**super().get_config(), "tile": self.tile}
