"""Fine-tune on images of one's own: ``python transfer_learning.py DATA OUTPUT``.

DATA holds images/, masks/ of the same names (PNG, class indices, 255 ignored) and classes.txt.
"""

import sys
from pathlib import Path

import keras

import zoo
from zoo.datasets import Augmentation, open_dataset
from zoo.images import write_png
from zoo.training.losses import SparseCrossEntropy

data, output = Path(sys.argv[1]), Path(sys.argv[2])
output.mkdir(parents=True, exist_ok=True)
training = open_dataset("folder", data, split="train")
held_out = open_dataset("folder", data, split="val")  # a fifth of the images
crops = {"batch_size": 4, "crop": (257, 257), "augment": Augmentation(scale=(0.75, 1.5))}
batches = training.as_tf(shuffle=True, repeat=None, **crops)

model = zoo.load("deeplabv3_aspp", classes=training.label_set)  # features kept, classifier fresh
model.compile(keras.optimizers.AdamW(5e-4), SparseCrossEntropy(ignore_label=255))
model.fit(batches, steps_per_epoch=max(1, len(training) // 4), epochs=10)

print(f"mean IoU on held-out images: {zoo.evaluate(model, held_out).mean_iou:.1%}")
model.save(output / "mine.keras")  # zoo.load("deeplabv3_aspp", "mine.keras") brings it back
write_png(output / "overlay.png", zoo.segment(model, held_out.pairs[0][0]).overlay())
