"""Peak memory of a capture by the number of samples, each in a process of its own; and of one large
layer with a thousand classes, beyond the model.

Random images stand in for MNIST, so that only their number differs. The images themselves are the
caller's and are not counted.

python tests/benchmarks/memory.py [--counts N,N]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile

COUNTS = (10_000, 100_000)
LARGE_SAMPLES = 800  # shards of 320 samples, and their join
# The peak of this program alone: what getrusage tells begins with the parent's.
PEAK = """
import pathlib, re, sys
def peak():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024
"""
CAPTURE = """
import numpy as np
from fmcore import capture_activations
from fmcore.model.opening import need_keras
need_keras()
from fmcore.model.tutorial import tutorial_network
n = int(sys.argv[1])
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (n, 28, 28, 1), dtype=np.uint8)
own = images.nbytes / 2**20
model = tutorial_network((28, 28, 1), n_classes=10)
capture_activations(model, images, np.arange(n) % 10, sys.argv[2] + "/store.h5")
print(peak() - own)
"""
LARGE = """
import numpy as np
from fmcore import capture_activations
from fmcore.model.opening import need_keras
need_keras()
import keras
inputs = keras.Input((114, 114, 3))
maps = keras.layers.Conv2D(64, 3, activation="relu", name="large")(inputs)
model = keras.Model(inputs, keras.layers.Dense(1000)(keras.layers.GlobalMaxPooling2D()(maps)))
images = np.random.default_rng(0).random((int(sys.argv[1]), 114, 114, 3), dtype=np.float32)
model(images[:1])
before = peak()
capture_activations(model, images, np.arange(len(images)) % 1000, sys.argv[2] + "/store.h5")
print(peak() - before)
"""


def peak_megabytes(n: int, script: str = CAPTURE) -> float:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", PEAK + script, str(n), folder],
            check=True,
            capture_output=True,
            text=True,
        )
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)))
    counts = [int(count) for count in parser.parse_args().counts.split(",")]
    print(json.dumps({count: round(peak_megabytes(count), 1) for count in counts}))
