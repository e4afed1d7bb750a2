"""MediaPipe's category mask of one image: ``python segment.py MODEL.tflite IMAGE.png MASK.png``."""

import sys

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageSegmenter, ImageSegmenterOptions
from PIL import Image

model, image, mask = sys.argv[1:]
options = ImageSegmenterOptions(
    base_options=BaseOptions(model_asset_path=model), output_category_mask=True, output_confidence_masks=False
)
with ImageSegmenter.create_from_options(options) as segmenter:
    result = segmenter.segment(mediapipe.Image.create_from_file(image))
    print("\n".join(segmenter.labels))
Image.fromarray(np.squeeze(result.category_mask.numpy_view()).astype(np.uint8)).save(mask)
