"""Peak memory of a capture, each in a process of its own.

First by the number of samples: random images stand in for MNIST, so that only their number differs.
The images themselves are the caller's and are not counted. Then of one large layer with a thousand
classes, and of networks of `keras.applications` with all statistics, beyond the model and one
prediction, beside the memory that the capture may take.

python tests/benchmarks/memory.py [--quick] [--counts N,N]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table

ROWS = SAMPLES, LARGE_LAYER = "the tutorial's network", "112x112x64, 1,000 classes"
NETWORKS = "ResNet50", "VGG16", "EfficientNetV2S", "MobileNetV3Large"
MEMORIES = 512, 1024, 4096  # MiB
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
labels, memory = np.arange(len(images)) % 1000, int(sys.argv[3]) << 20
capture_activations(model, images, labels, sys.argv[2] + "/store.h5", memory=memory, target="class")
print(peak() - before)
"""
NETWORK = """
import logging
import h5py
import numpy as np
from fmcore import capture_activations
from fmcore.model.opening import need_keras
need_keras()
import keras
n, path, memory, side = int(sys.argv[1]), sys.argv[2] + "/store.h5", int(sys.argv[3]), sys.argv[5]
warnings = []
logging.getLogger("fmcore.capture.run").addFilter(lambda record: warnings.append(record.msg))
shape = int(side), int(side), 3
network, n_classes = getattr(keras.applications, sys.argv[4]), int(sys.argv[6])
model = network(weights=None, input_shape=shape, classes=n_classes)
images = np.random.default_rng(0).random((n, *shape), dtype=np.float32)
model(images[:1])
before, labels = peak(), np.arange(n) % 10
capture_activations(model, images, labels, path, memory=memory << 20, target="class")
after = peak()
with h5py.File(path) as file:
    print(file["capture"].attrs["batch_size"])
print(int(any("beyond the model" in warning for warning in warnings)))
print(after - before)
"""


def peak_megabytes(n: int, script: str = CAPTURE, *arguments: str) -> float:
    """The peak in MiB of a process that captures `n` samples."""
    return float(printed(n, script, *arguments)[-1])


def printed(n: int, script: str, *arguments: str) -> list[str]:
    """The words that a process prints that captures `n` samples."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", PEAK + script, str(n), folder, *arguments],
            check=True,
            capture_output=True,
            text=True,
        )
    return done.stdout.split()


def main() -> None:
    parser = Options(__doc__)
    parser.add_argument("--counts", help="such as 10000,40000: only these, as JSON")
    parser.add_number("--few", 10_000, 256)
    parser.add_number("--many", 100_000, 1_024)
    parser.add_number("--large", 800, 48, help="samples of the large layer")
    parser.add_number("--memory", 1024, 64, help="MiB that the large capture may take")
    parser.add_number("--networks", 4, 1, help="networks of keras.applications")
    parser.add_number("--memories", 3, 1, help="sizes of memory for each of them")
    parser.add_number("--images", 40, 2, help="that they get")
    parser.add_number("--side", 224, 64, help="pixels of a side of these images")
    parser.add_number("--classes", 1000, 10, help="of these networks")
    options = parser.parse_args()
    if options.counts:
        counts = [int(count) for count in options.counts.split(",")]
        print(json.dumps({count: round(peak_megabytes(count), 1) for count in counts}))
        return
    columns = ("few, limit", "many, peak", "ratio")
    with (
        Table("peak memory", columns, ROWS) as table,
        ThreadPoolExecutor(os.cpu_count() if options.quick else 1) as threads,
    ):
        peaks = threads.map(peak_megabytes, (options.few, options.many))
        large = threads.submit(peak_megabytes, options.large, LARGE, str(options.memory))
        few, many = peaks
        note = f"{options.few:,} and {options.many:,} samples"
        table.add(SAMPLES, (few, "MiB"), (many, "MiB"), many / few, note=note)
        limit, peak = options.memory, large.result()
        table.add(LARGE_LAYER, (limit, "MiB"), (peak, "MiB"), peak / limit)
        of_side = f"{options.side}x{options.side}"
        cases = {
            f"{network} {of_side}, {memory:,} MiB": (network, memory)
            for memory in MEMORIES[: options.memories]
            for network in NETWORKS[-options.networks :]
        }
        table.expect(cases)
        for row, (network, limit) in cases.items():
            words = (str(limit), network, str(options.side), str(options.classes))
            batch, is_warned, peak = printed(options.images, NETWORK, *words)[-3:]
            fits = "does not fit, as it says beforehand" if int(is_warned) else "fits"
            note = f"batches of {batch}; {fits}"
            table.add(row, (limit, "MiB"), (float(peak), "MiB"), float(peak) / limit, note=note)


if __name__ == "__main__":
    main()
