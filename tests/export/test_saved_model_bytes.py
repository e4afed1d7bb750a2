"""The signature of a SavedModel that takes files, and the option that leaves it out."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from support.png import every_png
from support.tiny_export import SIZE, tiny

from zoo import export
from zoo.cli import main
from zoo.errors import InputError
from zoo.export.proof.parity import synthetic_image
from zoo.export.saved_model.decoding import decode
from zoo.images import read_image

FILES = dict(every_png((5, 7)))


@pytest.fixture(scope="module")
def decoder():
    return tf.function(decode, input_signature=[tf.TensorSpec((), tf.string)])


@pytest.mark.parametrize("name", FILES)
def test_every_png_is_decoded_as_it_is_read(name, decoder, tmp_path):
    (tmp_path / "x.png").write_bytes(FILES[name])
    want = read_image(tmp_path / "x.png")
    assert np.array_equal(decoder(tf.constant(FILES[name])).numpy(), want)
    assert len(np.unique(want)) > 1


@pytest.mark.parametrize("bits", [2, 4])
def test_a_transparent_grey_is_white(bits, tmp_path):
    (tmp_path / "x.png").write_bytes(FILES[f"grey{bits}_transparent"])
    assert (read_image(tmp_path / "x.png")[0, 0] == 255).all()


@pytest.mark.parametrize("format", ["WEBP", "GIF", "BMP", "TIFF"])
def test_other_formats_are_refused(format, decoder):
    stream = io.BytesIO()
    Image.fromarray(synthetic_image(8, 8)).save(stream, format)
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG and PNG"):
        decoder(tf.constant(stream.getvalue()))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n", FILES["grey2"][:40]])
def test_damaged_files_are_refused(content, decoder):
    with pytest.raises(tf.errors.InvalidArgumentError):
        decoder(tf.constant(content))


def test_signature_of_a_file_of_two_bits(tmp_path):
    model = tiny()
    export.to_saved_model(model, tmp_path / "m", images=[synthetic_image(*SIZE)])
    (tmp_path / "x.png").write_bytes(FILES["grey2"])
    want = model(read_image(tmp_path / "x.png")[None].astype("float32")).numpy()
    serve = tf.saved_model.load(str(tmp_path / "m")).signatures["serving_bytes"]
    got = serve(image_bytes=tf.constant([FILES["grey2"]] * 2))["logits"].numpy()
    np.testing.assert_allclose(got, np.repeat(want, 2, 0), atol=1e-4)


def test_without_the_signature(tmp_path):
    export.to_saved_model(tiny(), tmp_path / "m", serving_bytes=False, input_size=SIZE)
    assert list(tf.saved_model.load(str(tmp_path / "m")).signatures) == ["serving_default"]
    with pytest.raises(InputError, match="serving_bytes must be True or False, not 'no'"):
        export.to_saved_model(tiny(), tmp_path / "n", serving_bytes="no")


def test_on_the_command_line(tmp_path, capsys):
    command = ["export", "deeplabv3_aspp", "--weights", "none", "--no-serving-bytes", "--input-size", "33x33"]
    assert main([*command, "--format", "saved_model", "--output", str(tmp_path / "m")]) == 0
    assert list(tf.saved_model.load(str(tmp_path / "m")).signatures) == ["serving_default"]
    assert main([*command, "--format", "onnx", "--output", str(tmp_path / "m.onnx")]) == 2
    assert "saved_model" in capsys.readouterr().err
