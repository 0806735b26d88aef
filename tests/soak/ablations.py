"""Kills ablations at random moments and runs them again; the file must be the same, bit by bit.

python tests/soak/ablations.py [--quick] [--kills N] [--seed N]
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
import numpy as np
from benchmarks.harness import Options

from fmcore import ablate_store, capture_activations
from fmcore.ablation import run
from fmcore.model.tutorial import tutorial_network

# Measures with parts after each block, and prints a line when the first is there.
CHILD = """
import sys
from fmcore import ablate_store
from fmcore.ablation import run
run.FLUSH_SECONDS = -1
print("begins", flush=True)
ablate_store(sys.argv[1], sys.argv[2], on_progress=lambda n: print("row", flush=True))
"""


def main() -> int:
    parser = Options(__doc__)
    parser.add_number("--kills", 20, 2)
    parser.add_number("--samples", 3000, 600)
    parser.add_number("--seed", 0, 0)
    options = parser.parse_args()
    n_kills, n = options.kills, options.samples
    rng = np.random.default_rng(options.seed)
    keras.utils.set_random_seed(0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = rng.integers(0, 256, (n, 28, 28), np.uint8)
        model = tutorial_network((28, 28, 1), n_classes=10)
        model.save(folder / "m.keras")
        whole, path = folder / "whole.h5", folder / "s.h5"
        capture_activations(model, images[..., None] / np.float32(255), np.arange(n) % 10, whole)
        shutil.copy(whole, path)
        run.FLUSH_SECONDS = -1
        expected = ablate_store(whole, folder / "m.keras").read_bytes()
        result = folder / "s.ablation-zero.hdf5"
        n_rows = 2 * (n // 64)
        for kill in range(n_kills):
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD, str(path), str(folder / "m.keras")],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert child.stdout is not None
            for _ in range(int(rng.integers(1, max(2, n_rows)))):
                if not child.stdout.readline():
                    break
            time.sleep(float(rng.random()) * 0.2)
            child.send_signal(signal.SIGKILL)
            child.wait()
            parts = len(list(folder.glob("s.ablation-zero.hdf5.partial/part-*.npy")))
            print(f"killed {kill + 1} of {n_kills}: {parts} parts", flush=True)
            if result.exists():
                if result.read_bytes() != expected:
                    print("FAILED: the file differs")
                    return 1
                result.unlink()
        ablate_store(path, folder / "m.keras")
        is_same = result.read_bytes() == expected
        left = sorted(entry.name for entry in folder.iterdir())
        print(f"{'the same' if is_same else 'FAILED: another'} file; left: {', '.join(left)}")
        return int(not is_same)


if __name__ == "__main__":
    sys.exit(main())
