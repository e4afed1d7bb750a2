"""Every model of the registry as a Core ML package, in full and half precision, read back and interpreted."""

import pytest
from support.small_models import SPECS, build
from support.tiny_export import NARROW_HEADS, seeded

from zoo import export
from zoo.export.proof.parity import synthetic_image

SIZE = (49, 70)
# One of each kind of layers: what rounding does to the others is no different.
HALF = ("mobilenet_v2", "vgg16")


@pytest.mark.usefixtures("shallow", "narrow")
@pytest.mark.parametrize("spec", SPECS)
def test_every_package_equals_its_model(spec, tmp_path):
    model = seeded(build(spec, **NARROW_HEADS.get(spec.architecture, {})))
    images = [synthetic_image(*SIZE, seed=3)]
    full = export.to_coreml(model, tmp_path / "m.mlpackage", input_size=SIZE, images=images).parity
    assert full.passed and full.max_error < full.tolerance
    assert full.max_logit > 0.05  # a comparison of zeros would prove nothing
    if spec.backbone not in HALF:
        return
    settings = {"input_size": SIZE, "images": images, "quantize": "float16"}
    half = export.to_coreml(model, tmp_path / "m.mlpackage", **settings).parity
    assert half.passed
    # Half precision has been at work, and rounds no more than it should.
    assert 1e-5 < half.relative_error < 0.02
