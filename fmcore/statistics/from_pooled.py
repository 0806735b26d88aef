"""All that follows from the pooled tables of a store's layers, in a capture or any time later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from functools import partial

from fmcore.statistics.chance import Permutations
from fmcore.statistics.scores import POOLINGS, Arrays, Filters, PooledTables, score_layers
from fmcore.statistics.similarity import similarity


def from_pooled(
    layers: Sequence[tuple[Filters, PooledTables]], permutations: Permutations, threads: Executor
) -> Iterator[tuple[int, Arrays]]:
    """Scores, chance levels, top samples, and how alike filters and layers are.

    Args:
        layers: of each, what the capture knows of its filters, and its pooled tables.
        permutations: of the labels of the samples.
        threads: where scores are computed.

    Yields:
        The index of a layer, and arrays by path in its group; those of `similarity/` are of all
        layers, and come with the first.
    """
    permutations.prepare()  # not by several threads at once
    yield from enumerate(score_layers(layers, permutations, threads))
    for pooling in POOLINGS:
        tables = [(len(filters.dead), partial(each.rows, pooling)) for filters, each in layers]
        found = similarity(tables, permutations.classes.n_samples)
        for index, correlation in enumerate(found.correlation):
            yield index, {f"filters/correlation_{pooling}": correlation}
        yield (
            0,
            {
                f"similarity/cka_{pooling}": found.cka,
                f"similarity/effective_rank_{pooling}": found.effective_rank,
            },
        )
