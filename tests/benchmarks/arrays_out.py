"""Arrays out of a store: the export beside h5py's own reading, the HTTP API beside `/healthz`.

python tests/benchmarks/arrays_out.py [--store STORE] [--rounds N] [--seconds N]
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import http.client
import io
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

WORKERS, CLIENTS = 2, 50
RANDOM_SAMPLES = """
local path, last
function init(words) path, last = words[1], tonumber(words[2]); math.randomseed(os.time()) end
function request()
  return wrk.format("GET", path .. math.random(0, last), {["Accept-Encoding"] = "deflate"})
end
"""
EXPORT = """
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
    from fmcore import open_store
    from fmcore.export import export_store

    with open_store(store) as opened:
        export_store(opened, out)


def timed(work, store: Path, folder: Path) -> float:
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    work(store, folder)
    return time.perf_counter() - started


def export_row(store: Path, folder: Path, rounds: int) -> None:
    taken = [
        (timed(usual, store, folder / "a"), timed(ours, store, folder / "b")) for _ in range(rounds)
    ]
    theirs, own = (statistics.median(each) for each in zip(*taken, strict=True))
    print(
        f"{'h5py and numpy.save; times as fast':40}{theirs:8.2f} s{own:10.2f} s{theirs / own:10.2f}"
    )
    for path in (folder / "a").iterdir():
        mine = np.load(folder / "b/layers" / path.stem / "activation.npy", mmap_mode="r")
        np.testing.assert_array_equal(np.load(path, mmap_mode="r"), mine)
    words = [sys.executable, "-c", EXPORT + PEAK, str(store), str(folder / "c")]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    print(f"{'peak memory of the export':40}{'':20}{int(said) / 1024:7.0f} MB")


def serve(store: Path) -> tuple[str, list[int]]:
    """The address of two workers, each in a process of its own as a server has them, and these."""
    from starlette.applications import Starlette

    from dashboard import create_app, server
    from dashboard.source import Source

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
    where = server.address(listening)
    listening.close()
    time.sleep(5)
    return where, workers


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
    said = done.stdout
    bad = re.search(r"Non-2xx|Socket errors", said) is not None
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]), not bad


def api_rows(store: Path, folder: Path, seconds: int) -> None:
    with h5py.File(store, locking=False) as file:
        layer, array = next(
            iter((name, each["activation"]) for name, each in file["layers"].items())
        )
        n_samples = array.shape[0]
        expected = hashlib.sha256(array[...].tobytes()).hexdigest()
    url, workers = serve(store)
    try:
        of = f"/api/v1/stores/{store.stem}/maps?layer={layer}"
        if shutil.which("wrk"):
            script = folder / "random.lua"
            script.write_text(RANDOM_SAMPLES)
            paths = {"health": "/healthz?x=", "ours": f"{of}&sample="}
            paths["h5py"] = f"/usual?layer={layer}&sample="
            found = {
                name: rate(url, path, n_samples - 1, seconds, script)
                for name, path in paths.items()
            }
            for name, words in (("health", "/healthz, of it"), ("h5py", "a route through h5py")):
                print(
                    f"{f'requests/s, {words}':40}{found[name][0]:8.0f}  {found['ours'][0]:10.0f}  "
                    f"{found['ours'][0] / found[name][0]:10.2f}"
                )
            print(f"{'every request answered well':40}{all(well for _, well in found.values())}")
        else:
            print("NOT MEASURED: requests/s: wrk is not installed (Debian: apt install wrk)")
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients:
            sums = list(clients.map(lambda _: downloaded(url, of), range(CLIENTS)))
        right = sum(one == expected for one in sums)
        print(f"{f'{CLIENTS} whole layers at a time, right':40}{right}")
        peaks = [Path(f"/proc/{pid}/status").read_text() for pid in workers]
        largest = max(int(re.search(r"VmHWM:\s+(\d+)", one)[1]) for one in peaks)
        print(f"{'peak memory of a worker':40}{'':20}{largest / 1024:7.0f} MB")
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


def captured(folder: Path) -> Path:
    """A store of the tutorial's network over the whole test set."""
    fmcore = [sys.executable, "-m", "fmcore.cli"]
    model, store = folder / "mnist.keras", folder / "mnist.h5"
    subprocess.run([*fmcore, "train", "--epochs", "1", "--out", str(model)], check=True)
    subprocess.run([*fmcore, "capture", str(model), "--out", str(store)], check=True)
    return store


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = options.store or captured(folder)
        print(f"{'arrays out':40}{'theirs':>10}{'ours':>12}{'ratio':>10}")
        export_row(store, folder, options.rounds)
        api_rows(store, folder, options.seconds)
