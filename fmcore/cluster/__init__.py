"""A capture whose samples are shared out to the workers of a Dask cluster.

The coordinator plans, names shards by their rows, and joins what comes back; a worker captures one
shard at a time as a store of its own. Arrays never pass through Dask's scheduler: workers read
images from files and write shards to files, in a folder that all of them see.

Only this package imports Dask, and only where a cluster is used.
"""

from fmcore.cluster.connection import check_cluster
from fmcore.cluster.coordinator import capture_on_cluster
from fmcore.cluster.job import Job, Opening
from fmcore.cluster.opening import KerasOpening
from fmcore.cluster.options import ClusterOptions, cluster_options
from fmcore.cluster.progress import Progress

__all__ = [
    "ClusterOptions",
    "Job",
    "KerasOpening",
    "Opening",
    "Progress",
    "capture_on_cluster",
    "check_cluster",
    "cluster_options",
]
