"""Connects to a Dask cluster, or starts one on this machine."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from fmcore.cluster.options import ClusterOptions
from fmcore.errors import ClusterError, SelectionError
from fmcore.optional import needing

if TYPE_CHECKING:
    from distributed import Client
    from distributed.security import Security

log = logging.getLogger(__name__)

_LOCAL = re.compile(r"local:([1-9]\d{0,3})")
CLOSING_SECONDS = 60
EXPECTED = "expected tls://HOST:PORT, tcp://127.0.0.1:PORT, or local:N for N processes here"
# How a cluster on this machine is run. Dask counts a worker's death against every task that waited
# on it (see `fmcore.cluster.attempts`); and a worker that is not back after 15 s never comes back,
# although a busy machine takes longer to start one.
LOCAL_SETTINGS = {
    "distributed.scheduler.allowed-failures": 1_000_000,
    "distributed.deploy.lost-worker-timeout": "1 day",
}


def check_cluster(options: ClusterOptions) -> None:
    """Refuses a cluster that cannot be used, before any work is done.

    Raises:
        SelectionError: if the address is none, or not encrypted and not of this machine.
        MissingLibraryError: if Dask is not installed.
    """
    with needing("cluster", purpose="a capture on a cluster"):
        import distributed  # noqa: F401
    address = _address(options)
    if not _LOCAL.fullmatch(address):
        _require_safe(address)


def _address(options: ClusterOptions) -> str:
    if isinstance(options.cluster, str):
        return options.cluster
    scheduler = getattr(options.cluster, "scheduler", None)
    if scheduler is None or not hasattr(options.cluster, "submit"):
        raise SelectionError(
            f"cluster {options.cluster!r}; {EXPECTED}, or a distributed.Client that is connected",
            field="cluster",
        )
    return str(scheduler.address)


def _require_safe(address: str) -> None:
    try:
        parts = urlsplit(address)
        host, has_port = parts.hostname or "", parts.port is not None
    except ValueError:
        parts, host, has_port = urlsplit(""), "", False
    if parts.scheme in ("inproc",) or (parts.scheme == "tls" and host and has_port):
        return
    if parts.scheme != "tcp" or not host or not has_port:
        raise SelectionError(f"cluster {address!r}; {EXPECTED}", field="cluster")
    if not _is_loopback(host):
        raise SelectionError(
            f"cluster {address!r}: who reaches a scheduler without TLS can run any code on it and "
            "on its workers; start it with certificates and give tls://HOST:PORT",
            field="cluster",
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def connected(options: ClusterOptions) -> Iterator[Client]:
    """Connects to the cluster; one on this machine is started, and ends with the block.

    Raises:
        ClusterError: if it cannot be reached or started.
    """
    if not isinstance(options.cluster, str):
        yield options.cluster
        return
    import dask.config
    from distributed import Client

    with contextlib.ExitStack() as stack:
        stack.enter_context(_quiet())
        local = _LOCAL.fullmatch(options.cluster)
        if local:
            stack.enter_context(dask.config.set(LOCAL_SETTINGS))
            target: Any = stack.enter_context(_local_cluster(int(local[1])))
            security = None
        else:
            target, security = options.cluster, _security(options)
        try:
            client = Client(target, security=security, set_as_default=False)
        except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
            raise ClusterError(
                f"cannot connect to the scheduler {options.cluster}: {_reason(error)}; is it "
                "running, and are the certificates those of its cluster?"
            ) from error
        stack.callback(_close, client)
        yield client


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Dask from writing of connections that end; what matters becomes an error of ours."""
    loggers = [logging.getLogger(name) for name in ("distributed", "distributed.client")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _close(client: Client) -> None:
    with contextlib.suppress(OSError, TimeoutError):
        client.close(timeout=5)


@contextlib.contextmanager
def _local_cluster(n_workers: int) -> Iterator[Any]:
    """Starts workers of one thread each, which only processes of this machine reach."""
    from distributed import LocalCluster

    try:
        cluster = LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=None,
            silence_logs=logging.CRITICAL,
        )
    except (OSError, RuntimeError, TimeoutError) as error:
        raise ClusterError(
            f"cannot start {n_workers} worker processes: {_reason(error)}; a script that starts "
            "them needs the line: if __name__ == '__main__':"
        ) from error
    try:
        yield cluster
    finally:
        end_cluster(cluster)


def end_cluster(cluster: Any) -> None:
    """Ends the workers that were started here; what was captured is on the disk already.

    Dask fails to close a cluster in which a worker dies at that moment; its processes end with this
    one.
    """
    try:
        cluster.close(timeout=CLOSING_SECONDS)
    except Exception as error:  # as Dask raised it: KeyError, TimeoutError
        log.warning(
            "the workers on this machine did not end in order (%s: %s); they end with this process",
            type(error).__name__,
            _reason(error),
        )


def _security(options: ClusterOptions) -> Security | None:
    """What encrypts the connection; what Dask's configuration says where nothing is given."""
    from distributed.security import Security

    if not str(options.cluster).startswith("tls:"):
        return None
    files = {
        "tls_ca_file": options.ca,
        "tls_client_cert": options.certificate,
        "tls_client_key": options.key,
    }
    settings = {name: str(path) for name, path in files.items() if path is not None}
    return Security(require_encryption=True, **settings)


def dashboard_link(client: Client) -> str:
    """The address of Dask's own dashboard; empty where there is none."""
    services = client.scheduler_info(n_workers=0).get("services", {})
    if "dashboard" not in services:
        return ""
    return str(client.dashboard_link or "")


def _reason(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
