"""Peak memory of a capture by the number of samples, each in a process of its own.

Random images stand in for MNIST, so that only their number differs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

COUNTS = (2_000, 10_000)
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
model = tutorial_network((28, 28, 1), n_classes=10)
capture_activations(model, images, np.arange(n) % 10, sys.argv[2] + "/store.h5")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_megabytes(n: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", CAPTURE, str(n), folder],
            check=True,
            capture_output=True,
            text=True,
        )
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    peaks = {count: round(peak_megabytes(count), 1) for count in COUNTS}
    if "--json" in sys.argv:
        print(json.dumps(peaks))
    else:
        for count, megabytes in peaks.items():
            print(f"capture of {count:,} samples: peak {megabytes:,.1f} MB")
        few, many = (peaks[count] for count in COUNTS)
        print(f"growth from {COUNTS[0]:,} to {COUNTS[1]:,}: {many / few - 1:+.1%}")
