"""Contrasts groups that are random, and groups of which one filter tells something.

Of noise, no more than 16 of 200 draws may have any filter with a q below 0.05 (5% are 10, and 16 is
two standard errors more), whether filters are independent or answer to few causes, with ReLU's
zeros and heavy tails, for two halves and for a small group against a large one. Of 50 filters that
are planted among 743, with an AUC of 0.60 at 500 against 500, at least 48 must be first with a q
below 0.05. Bands must hold 95% of the noise.

    python tests/soak/contrasts.py [--quick] [--draws N] [--store STORE] [--seed N]
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from benchmarks.harness import Options, Table

from fmcore import open_store
from fmcore.statistics import Pair, Ranks, contrast_groups
from fmcore.storage import layer_ranks

N_FILTERS, N_CAUSES = 743, 12
# Shares of draws, and of noise outside its bands.
MOST_DRAWS, MOST_OUTSIDE, LEAST_PLANTED = 0.08, 0.055, 0.96
PLANTED_AUC, N_PLANTED = 0.60, 500


def independent(rng: np.random.Generator, n: int, n_filters: int) -> np.ndarray:
    """Normal values without ties."""
    return rng.standard_normal((n, n_filters), np.float32)


def correlated(rng: np.random.Generator, n: int, n_filters: int) -> np.ndarray:
    """Answers to few causes, cut at zero: from one sample in two to one in a thousand."""
    causes = rng.standard_normal((n, N_CAUSES), np.float32)
    weights = rng.standard_normal((N_CAUSES, n_filters), np.float32)
    values = causes @ weights / 3 + 0.3 * rng.standard_normal((n, n_filters), np.float32)
    return np.maximum(values - rng.uniform(0, 4, n_filters).astype(np.float32), 0)


def heavy(rng: np.random.Generator, n: int, n_filters: int) -> np.ndarray:
    """Heavy tails where a filter answers, which is seldom, else exactly zero."""
    share = np.exp(rng.uniform(np.log(0.002), 0, n_filters))
    values = np.exp(2 * rng.standard_normal((n, n_filters), np.float32))
    return np.where(rng.random((n, n_filters), np.float32) < share, values, 0)


@dataclass(frozen=True, slots=True)
class Noise:
    """Groups that nothing tells apart.

    Attributes:
        values: makes pooled values.
        n_a: samples of A.
        n_b: samples of B.
    """

    values: Callable[[np.random.Generator, int, int], np.ndarray]
    n_a: int
    n_b: int


NOISE = {
    "independent, 500 against 500": Noise(independent, 500, 500),
    "few causes, 500 against 500": Noise(correlated, 500, 500),
    "few causes, 8 against 2,000": Noise(correlated, 8, 2000),
    "heavy and sparse, 8 against 2,000": Noise(heavy, 8, 2000),
    "heavy and sparse, 30 against 1,000": Noise(heavy, 30, 1000),
    "heavy and sparse, 60 against 40": Noise(heavy, 60, 40),
}
OF_STORE = "two halves of the store"
OF_SAMPLE, OF_LAW = "planted, AUC of the samples 0.60", "planted, AUC of their law 0.60"


def pair_of(rng: np.random.Generator, n_a: int, n_b: int) -> Pair:
    """Random groups of so many samples."""
    order = rng.permutation(n_a + n_b)
    return Pair(np.sort(order[:n_a]), np.sort(order[n_a:]))


def of_noise(rng: np.random.Generator, noise: Noise, draws: int) -> tuple[float, float]:
    """The share of draws with any q below 0.05, and of AUCs outside their band."""
    n, n_draws, outside = noise.n_a + noise.n_b, 0, []
    for turn in range(draws):
        if turn % 10 == 0:  # the same filters with other groups, as in one store
            ranks = Ranks.of(noise.values(rng, n, N_FILTERS))
        result = contrast_groups([("conv", ranks)], pair_of(rng, noise.n_a, noise.n_b), by="mean")
        n_draws += result.n_apart > 0
        outside.append(np.nanmean(_outside(result)[np.isfinite(result.auc)]))
    return n_draws / draws, float(np.mean(outside))


def of_store(rng: np.random.Generator, path: str, draws: int) -> tuple[float, float]:
    """As `of_noise`, of random halves of a store's samples."""
    n_draws, outside = 0, []
    with open_store(path) as store:
        ranks = [(name, layer_ranks(layer, "mean")) for name, layer in store.layers.items()]
        for _ in range(draws):
            half = store.n_samples // 2
            result = contrast_groups(ranks, pair_of(rng, half, store.n_samples - half), by="mean")
            n_draws += result.n_apart > 0
            outside.append(np.nanmean(_outside(result)))
    return n_draws / draws, float(np.mean(outside))


def _outside(result) -> np.ndarray:
    return (result.auc < result.chance[0]) | (result.auc > result.chance[1])


def planted(rng: np.random.Generator, *, of_samples: bool) -> bool:
    """Whether a planted filter is first, with a q below 0.05."""
    n = 2 * N_PLANTED
    values = correlated(rng, n, N_FILTERS)
    at = int(rng.integers(N_FILTERS))
    pair = pair_of(rng, N_PLANTED, N_PLANTED)
    column = rng.standard_normal(n)
    shift = 0.3583  # sqrt(2) times the normal quantile of 0.6
    if of_samples:  # the shift at which the AUC of these very samples is 0.60
        differences = np.sort((column[pair.b] - column[pair.a][:, np.newaxis]).ravel())
        shift = differences[int(PLANTED_AUC * len(differences))]
    column[pair.a] += shift
    values[:, at] = column
    result = contrast_groups([("conv", Ranks.of(values))], pair, by="mean")
    return bool(result.order()[0] == at and result.q[at] < 0.05)


def main() -> int:
    parser = Options(__doc__)
    parser.add_number("--draws", 200, 10, help="of each kind of noise; of planted ones a quarter")
    parser.add_number("--seed", 0, 0, help="where numbers begin")
    parser.add_argument("--store", help="a store whose halves are contrasted too")
    options = parser.parse_args()
    draws, wrong = options.draws, []
    rows = [*NOISE, *([OF_STORE] if options.store else []), OF_SAMPLE, OF_LAW]
    # Of few draws one may always be found.
    most = max(MOST_DRAWS, 2 / draws)
    with Table("contrast", ("any q < 0.05", "outside band"), rows) as table:
        for number, (name, noise) in enumerate(NOISE.items()):
            rng = np.random.default_rng([options.seed, number])
            share, outside = of_noise(rng, noise, draws)
            table.add(name, share, outside)
            if share > most or outside > MOST_OUTSIDE:
                wrong.append(name)
        if options.store:
            share, outside = of_store(np.random.default_rng(options.seed), options.store, draws)
            # Filters of one store are alike, so that their bands fail together.
            table.add(OF_STORE, share, outside)
            if share > most:
                wrong.append(OF_STORE)
        for name in (OF_SAMPLE, OF_LAW):
            rng, n = np.random.default_rng([options.seed, 99]), max(4, draws // 4)
            share = sum(planted(rng, of_samples=name == OF_SAMPLE) for _ in range(n)) / n
            table.add(name, share, 0, note=f"of {n}")
            if name == OF_SAMPLE and share < LEAST_PLANTED:
                wrong.append(name)
    for name in wrong:
        print(f"WRONG: {name}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
