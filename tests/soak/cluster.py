"""Kills workers of a cluster, and cuts its connections, while it captures.

Each run must finish, be equal to the capture to which nothing happened, and capture at most two
shards more for each kill.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options
from helpers.clusters import (
    BATCH,
    N_SAMPLES,
    SHARD_SAMPLES,
    NumpyOpening,
    arrays_equal,
    capture_numpy,
    local_client,
    wait_for_port,
)

BATCHES, SHARD_BATCHES = -(-N_SAMPLES // BATCH), SHARD_SAMPLES // BATCH


class Proxy:
    """Hands connections on to a port, and can cut one."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._pairs.append((near, far))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=ends, daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self, rng: random.Random) -> None:
        """Cuts one of the connections that are open."""
        self._pairs = [pair for pair in self._pairs if pair[0].fileno() >= 0]
        for end in rng.choice(self._pairs):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()


class Killer:
    """Kills workers that captured a shard since they began, a few in each run."""

    def __init__(self, log: Path, most: int, rng: random.Random) -> None:
        self.killed: set[str] = set()
        self._log, self._most, self._rng = log, most, rng

    def __call__(self, _: object) -> None:
        lines = self._log.read_text().split()
        ready = {pid for pid in lines if lines.count(pid) > SHARD_BATCHES} - self.killed
        if ready and len(self.killed) < self._most:
            pid = self._rng.choice(sorted(ready))
            self.killed.add(pid)
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)


def kill(folder: Path, reference: Path, n_kills: int, rng: random.Random) -> int:
    """Kills one of two workers again and again; returns the shards that were captured twice."""
    n_extra = n_killed = 0
    with local_client(2) as client:
        while n_killed < n_kills:
            log, path = folder / f"log-{n_killed}", folder / f"killed-{n_killed}.h5"
            killer = Killer(log, min(4, n_kills - n_killed), rng)
            capture_numpy(path, client, NumpyOpening(seconds=0.05, log=log), on_shard=killer)
            require(path, reference)
            extra = len(log.read_text().split()) - BATCHES
            if extra > 2 * SHARD_BATCHES * len(killer.killed):
                raise SystemExit(f"{extra} batches more for {len(killer.killed)} kills")
            n_killed += len(killer.killed)
            n_extra += -(-extra // SHARD_BATCHES)
    return n_extra


class Workers:
    """Two workers of a scheduler; one that ends is started anew, as a cluster's manager does."""

    def __init__(self, command: list[str], **settings: object) -> None:
        self._command, self._settings = command, settings
        self._processes = [self._start() for _ in range(2)]
        self._is_open = True
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _start(self) -> subprocess.Popen:
        return subprocess.Popen(self._command, **self._settings)

    def _watch(self) -> None:
        while self._is_open:
            for place, process in enumerate(self._processes):
                if process.poll() is not None:
                    self._processes[place] = self._start()
            time.sleep(0.2)

    def close(self) -> None:
        self._is_open = False
        self._thread.join()
        for process in self._processes:
            process.terminate()
            process.wait()


class Cutter:
    """Cuts a connection after some shards."""

    def __init__(self, proxy: Proxy, rng: random.Random) -> None:
        self._proxy, self._rng = proxy, rng
        self._left = rng.randrange(2, 10)

    def __call__(self, _: object) -> None:
        self._left -= 1
        if self._left == 0:
            self._proxy.cut(self._rng)


def cut(folder: Path, reference: Path, n_cuts: int, rng: random.Random) -> None:
    """Cuts a connection to the scheduler in each run, of a worker or of the coordinator."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    dask = [sys.executable, "-m", "dask"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    quiet = {"env": environment, "stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL}
    scheduler = subprocess.Popen(
        [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"],
        **quiet,
    )
    with contextlib.ExitStack() as closing:
        closing.callback(scheduler.wait)
        closing.callback(scheduler.kill)
        wait_for_port(port)
        proxy = Proxy(port)
        address = f"tcp://127.0.0.1:{proxy.port}"
        worker = [*dask, "worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        closing.callback(Workers(worker, **quiet).close)
        for index in range(n_cuts):
            path = folder / f"cut-{index}.h5"
            capture_numpy(path, address, NumpyOpening(seconds=0.05), on_shard=Cutter(proxy, rng))
            require(path, reference)
        proxy.close()


def require(path: Path, reference: Path) -> None:
    """Ends the script where a store differs, or something is left beside it."""
    if name := arrays_equal(path, reference):
        raise SystemExit(f"{path.name}: {name} differs")
    if path.with_name(f"{path.name}.partial").exists():
        raise SystemExit(f"{path.name}: its folder is left")
    path.unlink()


def main() -> None:
    options = Options(__doc__)
    options.add_number("--kills", 20, 1)
    options.add_number("--cuts", 20, 1)
    options.add_argument("--seed", type=int, default=0)
    settings = options.parse_args()
    rng = random.Random(settings.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reference = folder / "reference.h5"
        with local_client(1) as client:
            capture_numpy(reference, client)
        n_extra = kill(folder, reference, settings.kills, rng)
        print(f"{settings.kills} kills: all finished, all equal; {n_extra} shards captured twice")
        cut(folder, reference, settings.cuts, rng)
        print(f"{settings.cuts} runs with a connection cut: all finished, all equal")


if __name__ == "__main__":
    main()
