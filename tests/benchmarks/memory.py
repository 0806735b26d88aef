"""Peak memory of a capture by the number of samples, each in a process of its own; and of one large
layer with a thousand classes, beyond the model.

Random images stand in for MNIST, so that only their number differs. The images themselves are the
caller's and are not counted.

python tests/benchmarks/memory.py [--counts N,N] [--json]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile

COUNTS = (10_000, 100_000)
CAPTURE = """
import resource, sys
import numpy as np
from fmcore import capture_activations
from fmcore.pipeline import need_keras
need_keras()
from fmcore.model.build import tutorial_network
n = int(sys.argv[1])
rng = np.random.default_rng(0)
images = rng.integers(0, 256, (n, 28, 28, 1), dtype=np.uint8)
own = images.nbytes / 2**20
model = tutorial_network((28, 28, 1), n_classes=10)
capture_activations(model, images, np.arange(n) % 10, sys.argv[2] + "/store.h5")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - own)
"""
LARGE = """
import resource, sys
import numpy as np
from fmcore import capture_activations
from fmcore.pipeline import need_keras
need_keras()
import keras
inputs = keras.Input((114, 114, 3))
maps = keras.layers.Conv2D(64, 3, activation="relu", name="large")(inputs)
model = keras.Model(inputs, keras.layers.Dense(1000)(keras.layers.GlobalMaxPooling2D()(maps)))
images = np.random.default_rng(0).random((int(sys.argv[1]), 114, 114, 3), dtype=np.float32)
model(images[:1])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
capture_activations(model, images, np.arange(len(images)) % 1000, sys.argv[2] + "/store.h5")
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


def peak_megabytes(n: int, script: str = CAPTURE) -> float:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", script, str(n), folder],
            check=True,
            capture_output=True,
            text=True,
        )
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", default=",".join(map(str, COUNTS)))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    counts = [int(count) for count in options.counts.split(",")]
    peaks = {count: round(peak_megabytes(count), 1) for count in counts}
    if options.json:
        print(json.dumps(peaks))
    else:
        for count, megabytes in peaks.items():
            print(f"capture of {count:,} samples: peak {megabytes:,.1f} MB without the images")
        few, many = peaks[counts[0]], peaks[counts[-1]]
        print(f"growth from {counts[0]:,} to {counts[-1]:,}: {many / few - 1:+.1%}")
        large = peak_megabytes(200, LARGE)
        print(f"112x112x64, 1,000 classes: {large:,.1f} MB beyond the model, budget 1,024 MB")
