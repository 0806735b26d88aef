"""Arrays out of a store: the export beside h5py's own reading, the HTTP API beside `/healthz`.

python tests/benchmarks/arrays_out.py [--quick] [--store STORE] [--rounds N] [--seconds N]
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import http.client
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.harness import Options, Table, tiny_store
from benchmarks.serving import middle
from benchmarks.stores import made_stores

from dashboard import create_app
from dashboard.server import listen as server
from dashboard.stores.source import Source
from fmcore import open_store
from fmcore.export import export_store

WORKERS, CLIENTS = 2, 50
ROWS = EXPORT, EXPORT_PEAK, HEALTH, H5PY, ANSWERED, DOWNLOADS, WORKER_PEAK = (
    "export, of h5py and numpy.save: times as fast",
    "peak memory of the export",
    "requests a second, of /healthz",
    "requests a second, of a route through h5py",
    "kinds of request of which not all were answered well",
    "whole layers at a time, right",
    "peak memory of a worker",
)
RANDOM_SAMPLES = """
local path, last
function init(words) path, last = words[1], tonumber(words[2]); math.randomseed(os.time()) end
function request()
  return wrk.format("GET", path .. math.random(0, last), {["Accept-Encoding"] = "deflate"})
end
"""
EXPORTING = """
import sys
from pathlib import Path
from fmcore import open_store
from fmcore.export import export_store
with open_store(sys.argv[1]) as store:
    export_store(store, Path(sys.argv[2]))
"""
PEAK = 'import re; print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])'


def usual(store: Path, out: Path) -> None:
    """What people write today: each array read whole by h5py, and saved."""
    out.mkdir()
    with h5py.File(store, locking=False) as file:
        for name, layer in file["layers"].items():
            np.save(out / f"{name}.npy", layer["activation"][...])


def ours(store: Path, out: Path) -> None:
    with open_store(store) as opened:
        export_store(opened, out)


def timed(work, store: Path, folder: Path) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    work(store, folder)
    return time.perf_counter() - started


def export_rows(store: Path, folder: Path, rounds: int, table: Table) -> None:
    taken = [
        (timed(usual, store, folder / "a"), timed(ours, store, folder / "b")) for _ in range(rounds)
    ]
    theirs, own = (middle(times) for times in zip(*taken, strict=True))
    table.add(EXPORT, (theirs, "s"), (own, "s"), theirs / own)
    for path in (folder / "a").iterdir():
        mine = np.load(folder / "b/layers" / path.stem / "activation.npy", mmap_mode="r")
        np.testing.assert_array_equal(np.load(path, mmap_mode="r"), mine)
    words = [sys.executable, "-c", EXPORTING + PEAK, str(store), str(folder / "c")]
    printed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    table.add(EXPORT_PEAK, "", (int(printed) / 1024, "MiB"), "")


def serve(store: Path) -> tuple[str, list[int]]:
    """The address of two workers, each in a process of its own as a server has them, and these."""
    from starlette.applications import Starlette

    listening = server.bind(("127.0.0.1", 0))
    workers = []
    for _ in range(WORKERS):
        pid = os.fork()
        if pid == 0:
            app, usual = create_app(Source(store)), Starlette(routes=[through_h5py(store)])

            async def both(scope, receive, send, app=app, usual=usual):
                await (usual if scope.get("path") == "/usual" else app)(scope, receive, send)

            server.configured(both).run(sockets=[listening])
            os._exit(0)
        workers.append(pid)
    url = server.address(listening)
    listening.close()
    urllib.request.urlopen(f"{url}healthz", timeout=60).read()
    time.sleep(1)  # until the other worker answers, too
    return url, workers


def through_h5py(store: Path):
    """The route that people write today."""
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import Response
    from starlette.routing import Route

    file = h5py.File(store, locking=False)

    def read(layer: str, sample: int) -> bytes:
        out = io.BytesIO()
        np.save(out, file[f"layers/{layer}/activation"][sample])
        return out.getvalue()

    async def route(request):
        query = request.query_params
        body = await run_in_threadpool(read, query["layer"], int(query["sample"]))
        return Response(body, media_type="application/octet-stream")

    return Route("/usual", route)


def rate(url: str, path: str, last: int, seconds: int, script: Path) -> tuple[float, bool]:
    """Requests a second, and whether all were answered well."""
    words = ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}", "-s", str(script), url, "--"]
    done = subprocess.run([*words, path, str(last)], capture_output=True, text=True, check=True)
    bad = re.search(r"Non-2xx|Socket errors", done.stdout) is not None
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1]), not bad


def api_rows(store: Path, folder: Path, seconds: int, table: Table) -> None:
    with h5py.File(store, locking=False) as file:
        layer = next(iter(file["layers"]))
        array = file[f"layers/{layer}/activation"]
        n_samples = array.shape[0]
        expected = hashlib.sha256(array[...].tobytes()).hexdigest()
    url, workers = serve(store)
    try:
        maps = f"/api/v1/stores/{store.stem}/maps?layer={layer}"
        script = folder / "random.lua"
        script.write_text(RANDOM_SAMPLES)
        paths = {HEALTH: "/healthz?x=", H5PY: f"/usual?layer={layer}&sample="}
        own, own_well = rate(url, f"{maps}&sample=", n_samples - 1, seconds, script)
        bad = int(not own_well)
        for row, path in paths.items():
            theirs, well = rate(url, path, n_samples - 1, seconds, script)
            table.add(row, theirs, own, own / theirs)
            bad += not well
        table.add(ANSWERED, "", bad, "")
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
            sums = list(clients.map(lambda _: downloaded(url, maps), range(CLIENTS)))
        table.add(DOWNLOADS, CLIENTS, sum(one == expected for one in sums), "")
        peaks = [Path(f"/proc/{pid}/status").read_text() for pid in workers]
        largest = max(int(re.search(r"VmHWM:\s+(\d+)", one)[1]) for one in peaks)
        table.add(WORKER_PEAK, "", (largest / 1024, "MiB"), "")
        assert not bad
        assert all(one == expected for one in sums)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def downloaded(url: str, path: str) -> str:
    """The SHA-256 of what a client gets, read a little at a time."""
    connection = http.client.HTTPConnection(url.removeprefix("http://").rstrip("/"), timeout=600)
    connection.request("GET", path)
    answer, digest = connection.getresponse(), hashlib.sha256()
    while block := answer.read(1 << 16):
        digest.update(block)
    connection.close()
    return digest.hexdigest()


if __name__ == "__main__":
    parser = Options(__doc__)
    parser.add_argument("--store", type=Path, help="of the tutorial's network (made)")
    parser.add_number("--rounds", 5, 1)
    parser.add_number("--seconds", 30, 1, help="of each kind of request")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.quick and options.store is None:
            store = tiny_store(folder / "tiny.h5")
        else:
            store = options.store or made_stores(folder, "mnist", quick=False)[0]
        with Table("arrays out", ("theirs", "ours", "ratio"), ROWS) as table:
            export_rows(store, folder, options.rounds, table)
            api_rows(store, folder, options.seconds, table)
