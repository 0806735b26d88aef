"""Joins shards into one store: compressed chunks are copied as they are, statistics merged."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fmcore.statistics import LayerSums, Permutations
from fmcore.storage.opening import damage_named
from fmcore.storage.plan import StorePlan
from fmcore.storage.reader import Store, open_store
from fmcore.storage.scoring import write_scores
from fmcore.storage.writer import STATE, StoreWriter, create_store

ROWS_AT_ONCE = 1024


def join_shards(
    path: Path,
    plan: StorePlan,
    shards: Sequence[Path],
    threads: ThreadPoolExecutor,
    *,
    permutations: Permutations | None = None,
    overwrite: bool = False,
) -> list[LayerSums]:
    """Writes one store out of shards in the order of their samples, in constant memory.

    Args:
        path: the store; it appears when it is whole.
        plan: what it holds: that of the shards, over all samples.
        shards: their files.
        threads: where chunks are compressed that cannot be copied, and scores computed.
        permutations: of the labels of all samples; None for no scores.
        overwrite: replace a store of that name.

    Returns:
        The accumulators of each layer, of all samples.

    Raises:
        StoreError: if a shard is damaged.
        OutputError: if `path` exists and `overwrite` is false, or the disk refuses.
    """
    sums = plan.empty_sums()
    with create_store(path, plan, threads, overwrite=overwrite) as out:
        for shard in shards:
            with open_store(shard) as part, damage_named(shard):
                _append(out, part)
                for index, group in enumerate(out.groups):
                    sums[index] = sums[index].merge(_saved(part, group, sums[index]))
        for index, layer in enumerate(sums):
            out.write_layer(index, layer)
        if permutations is not None:
            write_scores(out, sums, permutations, threads)
    return sums


def _append(out: StoreWriter, part: Store) -> None:
    out.count(part.labels, part.predictions if part.has_predictions else None)
    for path, rows in out.rows.items():
        source = part.array(path)
        step, copied = source.chunk[0], 0
        # Shards end with chunks, save for tables of very short rows.
        if source.chunk == rows.array.chunks and rows.n_ready % step == 0:
            copied = source.shape[0] // step * step
            for run in source.runs(part.bytes, copied, rows.n_ready, rows.run_length):
                rows.put(run)
            rows.skip(copied)
        for start in range(copied, source.shape[0], ROWS_AT_ONCE):
            out.append({path: source.rows(part.bytes, start, start + ROWS_AT_ONCE)})


def _saved(part: Store, group: str, like: LayerSums) -> LayerSums:
    return like.restored(
        {
            key: part.file[f"{group}/{STATE}/{key}"][...].reshape(array.shape)
            for key, array in like.state().items()
        }
    )
