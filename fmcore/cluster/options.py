"""Which cluster captures, in which shards, and how these become a store."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fmcore.errors import SelectionError
from fmcore.storage.joining import Join

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterOptions:
    """What a person can choose about a capture on a cluster.

    Attributes:
        cluster: `tcp://HOST:PORT` or `tls://HOST:PORT` of a Dask scheduler; `local:N` for N
            processes of one thread each on this machine; or a `distributed.Client`.
        shard_samples: the number of samples in a shard, rounded to whole batches; decided by the
            sizes where left out.
        join: how shards become a store.
        ca: the certificate of the authority that signed those of a `tls://` cluster; what Dask's
            own configuration says where left out.
        certificate: this machine's own certificate.
        key: the key of that certificate.

    Raises:
        SelectionError: if a value is none that the option can have.
    """

    cluster: str | Client
    shard_samples: int | None = None
    join: Join = Join.COPY
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        words = [member.value for member in Join]
        if self.join not in words:
            raise SelectionError(f"join {self.join!r}; expected {', '.join(words)}", field="join")
        object.__setattr__(self, "join", Join(self.join))
        rows = self.shard_samples
        is_whole = hasattr(rows, "__index__") and not isinstance(rows, bool)
        if rows is not None and (not is_whole or rows < 1):
            raise SelectionError(
                f"shard_samples {rows!r}; expected a whole number from 1", field="shard_samples"
            )


def cluster_options(cluster: str | Client | ClusterOptions) -> ClusterOptions:
    """The options that a cluster's address, its client, or options stand for."""
    return cluster if isinstance(cluster, ClusterOptions) else ClusterOptions(cluster=cluster)
