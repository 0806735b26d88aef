"""A capture on a cluster of real processes: equal stores, whatever happens to the workers."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

import dask.config
import numpy as np
import pytest
from helpers.clusters import (
    BATCH,
    N_SAMPLES,
    SHARD_SAMPLES,
    NumpyOpening,
    capture_numpy,
    local_client,
    wait_for_port,
)
from helpers.factories import arrays_of
from helpers.nginx import certificate

from fmcore.capture import CaptureOptions
from fmcore.cluster import ClusterOptions, coordinator
from fmcore.cluster.connection import check_cluster
from fmcore.errors import ClusterError, OutputError, SelectionError
from fmcore.storage import open_store, partial_folder, problems


@pytest.fixture(scope="module")
def client():
    with local_client(2) as client:
        yield client


@pytest.fixture(scope="module")
def reference(client, tmp_path_factory):
    """The arrays of a capture to which nothing happened."""
    path = capture_numpy(tmp_path_factory.mktemp("reference") / "store.h5", client)
    assert list(problems(path)) == []
    assert not partial_folder(path).exists()
    return arrays_of(path)


def require_equal(path, reference):
    arrays = arrays_of(path)
    assert arrays.keys() == reference.keys()
    for name, expected in reference.items():
        if expected.dtype.kind != "V":  # references of HDF5 are places in the file
            np.testing.assert_array_equal(arrays[name], expected, err_msg=name)


def n_batches(log):
    return log.read_text().count("\n")


ALL_BATCHES = -(-N_SAMPLES // BATCH)
SHARD_BATCHES = SHARD_SAMPLES // BATCH


@pytest.mark.parametrize("n_workers", [1, 4])
def test_any_number_of_workers_and_any_order_make_equal_stores(
    client, reference, n_workers, tmp_path
):
    client.cluster.scale(n_workers)
    client.wait_for_workers(n_workers)
    seen = []
    log = tmp_path / "log"
    path = capture_numpy(
        tmp_path / "store.h5",
        client,
        NumpyOpening(seconds=0.02, log=log),
        on_shard=lambda progress: seen.append(progress),
    )
    require_equal(path, reference)
    assert n_batches(log) == ALL_BATCHES
    assert seen[-1].n_finished == seen[-1].n_shards == len(seen)
    assert seen[-1].n_captured == N_SAMPLES


def test_a_worker_that_is_killed_loses_its_shard_only(client, reference, tmp_path):
    client.cluster.scale(2)
    client.wait_for_workers(2)
    log = tmp_path / "log"
    n_seen = 0

    def kill(_):
        nonlocal n_seen
        n_seen += 1
        if n_seen == 4:
            os.kill(int(log.read_text().split()[-1]), signal.SIGKILL)

    path = capture_numpy(
        tmp_path / "store.h5", client, NumpyOpening(seconds=0.03, log=log), on_shard=kill
    )
    require_equal(path, reference)
    assert n_seen >= 4  # between two batches a worker has nothing to lose
    assert ALL_BATCHES <= n_batches(log) <= ALL_BATCHES + 2 * SHARD_BATCHES
    assert not partial_folder(path).exists()


def test_a_shard_that_ends_its_workers_is_named(client, tmp_path):
    with pytest.raises(ClusterError, match=r"shard 11 \(samples 704 to 811\) ended 3 workers"):
        # The last batch alone has 12 images.
        capture_numpy(tmp_path / "store.h5", client, NumpyOpening(deadly=N_SAMPLES % BATCH))


def test_a_run_that_failed_goes_on_where_it_was(client, reference, tmp_path, caplog):
    log = tmp_path / "log"
    store = tmp_path / "store.h5"
    with pytest.raises(ClusterError, match=r"failed at shard \d+ .*RuntimeError: the model failed"):
        capture_numpy(store, client, NumpyOpening(seconds=0.02, log=log, failing=12))
    assert "shards are kept" in caplog.text
    assert not store.exists()
    log.unlink()
    counts = []
    capture_numpy(store, client, NumpyOpening(log=log), on_progress=counts.append)
    require_equal(store, reference)
    assert counts[0] >= 3 * SHARD_SAMPLES
    # What was missing, and what workers were still at when the first run ended.
    assert n_batches(log) < ALL_BATCHES
    assert sum(counts) == N_SAMPLES


def test_a_shard_damaged_on_the_disk_is_captured_again(client, reference, tmp_path):
    log, store = tmp_path / "log", tmp_path / "store.h5"
    with pytest.raises(ClusterError):
        capture_numpy(store, client, NumpyOpening(log=log, failing=14))
    shard = sorted(partial_folder(store).glob("shard-*.h5"))[0]
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1  # of a chunk, which the seal does not cover
    shard.write_bytes(data)
    try:
        capture_numpy(store, client)
    except OSError:
        raise
    except ValueError as error:
        assert "was damaged on the disk, and is forgotten" in str(error)  # noqa: PT017
        capture_numpy(store, client)
    require_equal(store, reference)


@pytest.mark.parametrize(
    ("opening", "words"),
    [
        (NumpyOpening(digest="1" * 64), "its model is 1111"),
        (NumpyOpening(n_samples=N_SAMPLES - 1), "its number of images is 811"),
        (NumpyOpening(seed=1), r"the images or labels of shard \d+"),
    ],
)
def test_a_worker_that_differs_is_refused(client, tmp_path, opening, words):
    with pytest.raises(ClusterError, match=f"worker tcp://.*{words}"):
        capture_numpy(tmp_path / "store.h5", client, opening)
    assert not partial_folder(tmp_path / "store.h5").exists()


def test_a_worker_of_another_version_is_refused(client, tmp_path, monkeypatch):
    monkeypatch.setattr(coordinator, "versions", lambda: {"numpy": "1.0"})
    with pytest.raises(ClusterError, match=r"worker tcp://.* has numpy .*the coordinator 1\.0"):
        capture_numpy(tmp_path / "store.h5", client)


def test_a_capture_of_one_process_does_not_go_on_with_shards(client, tmp_path):
    store = tmp_path / "store.h5"
    log = tmp_path / "log"
    with pytest.raises(ClusterError):
        capture_numpy(store, client, NumpyOpening(log=log, failing=12))
    with pytest.raises(OutputError, match="captured was in 12 shards of 64 samples, now it is in"):
        capture_numpy(store, client, shard_samples=128)
    capture_numpy(store, client, shard_samples=128, options=CaptureOptions(restart=True))


def test_shards_may_stay_beside_the_store(client, reference, tmp_path):
    store = capture_numpy(tmp_path / "store.h5", client, join="manifest")
    assert not partial_folder(store).exists()
    assert list(problems(store)) == []
    with open_store(store) as opened:
        for layer in opened.layers.values():
            name = f"layers/{layer.group}/activation"
            np.testing.assert_array_equal(layer.activation[:], reference[name])


@contextlib.contextmanager
def scheduler_and_worker(scheme, *options):
    """A scheduler and a worker as the command `dask` starts them; yields address and scheduler."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"{scheme}://127.0.0.1:{port}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command, ends = [sys.executable, "-m", "dask"], ["--no-dashboard", *options]
    commands = (
        [*command, "scheduler", "--host", f"{scheme}://127.0.0.1", "--port", str(port), *ends],
        [*command, "worker", address, "--nthreads", "1", *ends],
    )
    scheduler, worker = (
        subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        for command in commands
    )
    try:
        wait_for_port(port)
        yield address, scheduler
    finally:
        for process in (worker, scheduler):
            process.kill()
            process.wait()


def test_a_scheduler_that_is_lost_is_one_error_and_shards_stay(reference, tmp_path):
    store, n_seen = tmp_path / "store.h5", 0
    with scheduler_and_worker("tcp") as (address, scheduler):

        def end_scheduler(_):
            nonlocal n_seen
            n_seen += 1
            if n_seen == 3:
                scheduler.kill()

        with (
            dask.config.set({"distributed.comm.timeouts.connect": "5s"}),
            pytest.raises(ClusterError, match="the scheduler of the cluster is lost"),
        ):
            capture_numpy(store, address, NumpyOpening(seconds=0.02), on_shard=end_scheduler)
    counts = []
    with local_client(1) as client:
        capture_numpy(store, client, on_progress=counts.append)
    assert counts[0] >= 3 * SHARD_SAMPLES
    require_equal(store, reference)


def test_a_cluster_with_certificates_serves_who_has_one_of_its_own(reference, tmp_path):
    own, other = (certificate(folder) for folder in (tmp_path / "own", tmp_path / "other"))
    files = [*("--tls-ca-file", own[0]), *("--tls-cert", own[0]), *("--tls-key", own[1])]
    store = tmp_path / "store.h5"
    with scheduler_and_worker("tls", *map(str, files)) as (address, _):
        for ca, (cert, key) in ((other[0], own), (own[0], other)):
            with (
                dask.config.set({"distributed.comm.timeouts.connect": "5s"}),
                pytest.raises(ClusterError, match="certificates"),
            ):
                capture_numpy(store, address, ca=ca, certificate=cert, key=key)
        assert not partial_folder(store).exists()
        capture_numpy(store, address, ca=own[0], certificate=own[0], key=own[1])
    require_equal(store, reference)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("tcp://10.0.0.1:8786", "without TLS"),
        ("tcp://example.org:8786", "without TLS"),
        ("tcp://127.0.0.1.example.org:1", "without TLS"),
        ("ws://127.0.0.1:8786", "expected tls://"),
        ("127.0.0.1:8786", "expected tls://"),
        ("tls://127.0.0.1", "expected tls://"),
        ("local:0", "expected tls://"),
        ("local:", "expected tls://"),
        ("", "expected tls://"),
        (None, "expected tls://"),
    ],
)
def test_an_address_that_is_none_or_not_safe_is_refused(address, words):
    with pytest.raises(SelectionError, match=words):
        check_cluster(ClusterOptions(cluster=address))


def test_a_scheduler_that_is_not_there_is_one_error(tmp_path):
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(ClusterError, match="cannot connect to the scheduler tcp://127"),
    ):
        capture_numpy(tmp_path / "store.h5", "tcp://127.0.0.1:9")


def test_a_folder_that_workers_do_not_see_is_named(client, tmp_path, monkeypatch):
    monkeypatch.setattr(
        coordinator, "Job", lambda folder, **fields: JOB(folder=tmp_path / "gone", **fields)
    )
    with pytest.raises(ClusterError, match="does not see the folder"):
        capture_numpy(tmp_path / "store.h5", client)


JOB = coordinator.Job
