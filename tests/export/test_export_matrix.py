"""Every model of the registry in every format, at an even, an odd and a non-square size."""

import pytest
from support.small_models import SPECS, build
from support.tiny_export import NARROW_HEADS, seeded

from zoo import export
from zoo.export.proof.parity import synthetic_image

SIZES = ((64, 64), (65, 65), (49, 70))


@pytest.mark.usefixtures("shallow", "narrow")
@pytest.mark.parametrize("spec", SPECS)
def test_every_format_equals_the_model_at_every_size(spec, tmp_path):
    model = seeded(build(spec, **NARROW_HEADS.get(spec.architecture, {})))
    images = [synthetic_image(*size) for size in SIZES]
    reports = [
        export.to_saved_model(model, tmp_path / "m", images=images),
        export.to_onnx(model, tmp_path / "m.onnx", images=images),
        *(export.to_tflite(model, tmp_path / "m.tflite", input_size=size) for size in SIZES),
    ]
    compared = [report.parity.sizes for report in reports]
    assert compared == [SIZES, SIZES, *((size,) for size in SIZES)]
    for report in reports:
        assert report.parity.passed
        assert report.parity.max_error < report.parity.tolerance
        assert report.parity.max_logit > 0.05  # a comparison of zeros would prove nothing
