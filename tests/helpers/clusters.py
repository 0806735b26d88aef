"""Clusters of Dask for tests, whose workers open a probe without Keras."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmcore.capture import CaptureOptions
from fmcore.cluster import ClusterOptions, capture_on_cluster
from fmcore.records import ModelInfo
from helpers.factories import NumpyProbe, arrays_of, make_plan, make_samples

# In a batch, in a shard, and in all: 12 shards, the last of which takes the 44 that are left.
BATCH, SHARD_SAMPLES, N_SAMPLES = 32, 64, 812


@contextlib.contextmanager
def local_client(n_workers: int = 2, n_threads: int = 1):
    """A client of a cluster of processes on this machine."""
    import dask.config
    from distributed import Client, LocalCluster

    from fmcore.cluster.connection import CLOSING_SECONDS, LOCAL_SETTINGS, end_cluster

    with dask.config.set(LOCAL_SETTINGS):
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=n_threads,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=None,
            silence_logs=50,
        )
        client = Client(cluster, set_as_default=False)
        try:
            yield client
        finally:
            client.close(timeout=CLOSING_SECONDS)
            end_cluster(cluster)


def wait_for_port(port: int) -> None:
    """Waits until a process of this machine listens at a port."""
    for _ in range(1200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nobody listens at port {port}")


class SlowProbe(NumpyProbe):
    """Notes each batch, and takes its time, or ends its process."""

    def __init__(self, opening: NumpyOpening) -> None:
        super().__init__()
        self._opening = opening
        self._rng = np.random.default_rng(os.getpid())

    def __call__(self, images, others=None):
        opening = self._opening
        if opening.log is not None:
            with opening.log.open("a") as log:
                log.write(f"{os.getpid()}\n")
        if opening.deadly is not None and len(images) == opening.deadly:
            os._exit(1)
        if opening.failing and (opening.log or Path()).read_text().count("\n") > opening.failing:
            raise RuntimeError("the model failed")
        time.sleep(self._rng.uniform(0, 2 * opening.seconds))
        return super().__call__(images, others)


@dataclass(frozen=True)
class NumpyOpening:
    """Opens the probe without Keras, and random images.

    Attributes:
        digest: the digest of the model.
        seed: of the images.
        n_samples: the number of images.
        seconds: how long a batch takes, about; where it varies, shards come back in any order.
        log: a file that gets a line for each batch: the process that captures it.
        deadly: a batch of so many images ends the process.
        failing: after so many batches the model fails.
    """

    digest: str = "0" * 64
    seed: int = 0
    n_samples: int = N_SAMPLES
    seconds: float = 0.0
    log: Path | None = None
    deadly: int | None = None
    failing: int = 0

    def open(self, job, n_threads):
        info = ModelInfo("tiny", digest=self.digest, architecture='{"layers": []}')
        return SlowProbe(self), info, make_samples(self.n_samples, seed=self.seed)


def capture_numpy(path: Path, cluster, opening: NumpyOpening | None = None, **settings) -> Path:
    """Captures random images with the probe without Keras on a cluster.

    Args:
        path: the path of the store.
        cluster: as `ClusterOptions` takes it.
        opening: how workers open model and images.
        settings: options of the cluster; `options` of the capture; `on_…` as they are called.
    """
    calls = {name: settings.pop(name) for name in list(settings) if name.startswith("on_")}
    options = settings.pop("options", CaptureOptions())
    plan = make_plan(N_SAMPLES, batch_size=BATCH)
    cluster = ClusterOptions(cluster=cluster, **({"shard_samples": SHARD_SAMPLES} | settings))
    samples = make_samples(N_SAMPLES)
    opening = opening or NumpyOpening()
    return capture_on_cluster(opening, samples, path, plan, options, cluster, **calls)


def arrays_equal(path: Path, other: Path) -> str:
    """The first array in which two stores differ, bit by bit; empty where none does."""
    first, second = arrays_of(path), arrays_of(other)
    for name in sorted(first.keys() | second.keys()):
        if name not in first or name not in second:
            return name
        values = first[name], second[name]
        # References of HDF5 are places in the file.
        if values[0].dtype.kind != "V" and values[0].tobytes() != values[1].tobytes():
            return name
    return ""
