"""Small digit speakers and archives of recordings."""

import io
import wave
import zipfile

import numpy as np

from zoo.sequence.digits.recordings import SPEAKERS
from zoo.sequence.wavenet import WaveNetConfig, build_wavenet

SMALL = {"layers": 6, "stacks": 1, "residual": 6, "gate": 12, "skip": 8, "ids": (10, 6), "embedding": 4}


def small_speaker(scale=0.4):
    """An untrained network of 10 digits and 6 speakers whose field is 64 codes."""
    model = build_wavenet(WaveNetConfig(**SMALL), name="wavenet_digits")
    draw = np.random.default_rng(0)
    for variable in model.weights:
        variable.assign(draw.normal(0, scale, variable.shape))
    return model


def wav(samples, *, rate=8000, channels=1, width=2):
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(np.asarray(samples, "<i2").tobytes())
    return stream.getvalue()


def write_archive(path, *, indices=range(10, 13), digits=range(2), length=300, more=()):
    """Recordings of tones, each of another length."""
    with zipfile.ZipFile(path, "w") as file:
        for digit in digits:
            for number, speaker in enumerate(SPEAKERS):
                for index in indices:
                    time = np.arange(length + 7 * index + digit)
                    tone = 8000 * np.sin(0.1 * (1 + digit) * time + number)
                    file.writestr(f"{digit}_{speaker}_{index}.wav", wav(tone))
        for name, content in more:
            file.writestr(name, content)
    return path
