"""The loops over every permuted sample, compiled when they are first used.

The functions are plain Python on arrays; `compiled` makes machine code of one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def shuffle(uniform: NDArray[np.float64], orders: NDArray[np.uint32]) -> None:
    """Fills each row with a random order of its indices (Fisher-Yates, as Durstenfeld 1964).

    Args:
        uniform: <float64>[row, index], random numbers from 0 up to 1.
        orders: <uint32>[row, index], set.
    """
    n = orders.shape[1]
    for row in range(orders.shape[0]):
        for index in range(n):
            orders[row, index] = index
        for index in range(n - 1, 0, -1):
            other = np.int64(uniform[row, index] * (index + 1))
            swapped = orders[row, index]
            orders[row, index] = orders[row, other]
            orders[row, other] = swapped


def permuted_scores(
    labels: NDArray[np.unsignedinteger],
    sizes: NDArray[np.uint32],
    shares: NDArray[np.float64],
    orders: NDArray[np.uint32],
    values: NDArray[np.float64],
    mean: NDArray[np.float64],
    end: NDArray[np.int32],
    n_bins: int,
    cell_terms: NDArray[np.float64],
    rounding: float,
    smallest: NDArray[np.float64],
    largest: NDArray[np.float64],
    eta_squared: NDArray[np.float64],
    selectivity: NDArray[np.float64],
    cells: NDArray[np.float64],
) -> None:
    """The scores of permuted labels, of which those of each class are kept at both ends only.

    Samples are visited from the largest value to the smallest. A run of equal values is one
    threshold, so all of its samples count with what lies before its end; the last one needs no
    visit, since it holds what is left of each class.

    Args:
        labels: <uint>[permutation, sample], the class of each permuted sample.
        sizes: <uint32>[present], the samples of each class.
        shares: <float64>[2, present], 1 over the samples of the class, and 1 over all others.
        orders: <uint32>[filter, rank], the place in `labels` of the sample of each rank.
        values: <float64>[filter, rank], differences from the mean, largest first.
        mean: <float64>[filter], the mean of the values.
        end: <int32>[filter, rank], one after the last rank with the same value.
        n_bins: the number of bins for mutual information.
        cell_terms: <float64>[count], what a pair of bin and class with so many samples adds to it.
        rounding: a difference of squares below this share of them counts as zero.
        smallest: <float64>[place, filter, score, present], set to the smallest ROC-AUC, average
            precision and d′ of all permutations, the smallest last; infinite before.
        largest: <float64>[place, filter, score, present], as `smallest`, of the largest ones.
        eta_squared: <float64>[permutation, filter], set to η².
        selectivity: <float64>[permutation, filter], set to the class selectivity index.
        cells: <float64>[permutation, filter], set to the sum of `cell_terms`.
    """
    n, n_classes, n_places = labels.shape[1], len(sizes), len(largest)
    starts, level = np.empty(n + 1, np.uint32), np.empty(n)
    bin_runs = np.empty(n_bins + 1, np.int64)
    reciprocal, doubled = np.empty(n), np.empty(n)
    for rank in range(n):
        reciprocal[rank] = 1.0 / (rank + 1)
        doubled[rank] = 2.0 * rank + 1.0
    dealt = np.empty(n, labels.dtype)
    count, before = np.empty(n_classes, np.uint32), np.empty(n_classes, np.uint32)
    of_run = np.zeros(n_classes, np.uint32)
    # Of each class: precision, twice the middle of the ranks, deviations, and their squares.
    sums, of_sums = np.empty((n_classes, 4)), np.empty((4, n_classes))
    scores, inside = np.empty((3, n_classes)), np.empty(n_classes)
    n_kept = 3 * n_classes
    flat_scores = scores.reshape(n_kept)
    lowest, highest = np.empty((n_places, n_kept)), np.empty((n_places, n_kept))
    for row in range(len(values)):
        n_runs, n_used, start, last_bin, squares = 0, 0, 0, -1, 0.0
        while start < n:
            stop = end[row, start]
            place = (2 * n - start - stop) * n_bins // (2 * n)
            if place != last_bin:
                bin_runs[n_used] = n_runs
                n_used += 1
                last_bin = place
            starts[n_runs] = start
            value = values[row, start]
            level[n_runs] = value
            squares += (stop - start) * value * value
            n_runs += 1
            start = stop
        starts[n_runs] = n
        bin_runs[n_used] = n_runs
        n_visited = starts[n_runs - 1] + np.uint32(1)
        order = orders[row]
        lowest[:], highest[:] = np.inf, -np.inf
        for turn in range(len(labels)):
            of_sample = labels[turn]
            for rank in range(n_visited):
                dealt[rank] = of_sample[order[rank]]
            count[:], before[:] = 0, 0
            sums[:] = 0.0
            in_cells = 0.0
            for used in range(n_used):
                first, last = bin_runs[used], bin_runs[used + 1]
                if starts[last] - starts[first] == np.uint32(last - first):  # no equal values
                    run = first
                    for rank in range(starts[first], starts[last]):
                        label, value = dealt[rank], level[run]
                        run += 1
                        number = count[label] + np.uint32(1)
                        count[label] = number
                        sums[label, 0] += np.float64(number) * reciprocal[rank]
                        sums[label, 1] += doubled[rank]
                        sums[label, 2] += value
                        sums[label, 3] += value * value
                    first = last
                for run in range(first, last):
                    begin, stop_rank, value = starts[run], starts[run + 1], level[run]
                    share, middle = reciprocal[stop_rank - 1], np.float64(begin + stop_rank)
                    if stop_rank == begin + np.uint32(1):
                        label = dealt[begin]
                        number = count[label] + np.uint32(1)
                        count[label] = number
                        sums[label, 0] += np.float64(number) * share
                        sums[label, 1] += middle
                        sums[label, 2] += value
                        sums[label, 3] += value * value
                        continue
                    if stop_rank == n:
                        for index in range(n_classes):
                            of_run[index] = sizes[index] - count[index]
                    else:
                        for rank in range(begin, stop_rank):
                            of_run[dealt[rank]] += np.uint32(1)
                    for index in range(n_classes):
                        number = of_run[index]
                        count[index] += number
                        many = np.float64(number)
                        sums[index, 0] += many * np.float64(count[index]) * share
                        sums[index, 1] += many * middle
                        sums[index, 2] += many * value
                        sums[index, 3] += many * value * value
                        of_run[index] = 0
                for index in range(n_classes):
                    in_cells += cell_terms[count[index] - before[index]]
                    before[index] = count[index]
            cells[turn, row] = in_cells
            of_sums[...] = sums.T
            for index in range(n_classes):
                share, rest = shares[0, index], shares[1, index]
                size, total = np.float64(sizes[index]), of_sums[2, index]
                scores[0, index] = 1.0 - (of_sums[1, index] - size * size) * (0.5 * share * rest)
                scores[1, index] = of_sums[0, index] * share
                own, others = total * share, -total * rest
                inside[index] = own
                square = of_sums[3, index] * share
                variance = square - own * own
                variance = variance if variance > rounding * square else 0.0
                square = (squares - of_sums[3, index]) * rest
                other_variance = square - others * others
                other_variance = other_variance if other_variance > rounding * square else 0.0
                spread = np.sqrt((variance + other_variance) * 0.5)
                scores[2, index] = (own - others) / spread
            between, most, of_means = 0.0, -np.inf, 0.0
            for index in range(n_classes):
                between += of_sums[2, index] * inside[index]
                of_means += inside[index]
                most = max(most, inside[index])
            eta_squared[turn, row] = between / squares
            of_others = (of_means - most) / (n_classes - 1.0)
            selectivity[turn, row] = (most - of_others) / (2.0 * mean[row] + most + of_others)
            # Each value moves down the places until it meets one that is not less extreme.
            for index in range(n_kept):
                high = low = flat_scores[index]
                for place in range(n_places - 1, -1, -1):
                    kept_high, kept_low = highest[place, index], lowest[place, index]
                    is_higher, is_lower = high > kept_high, low < kept_low
                    highest[place, index] = high if is_higher else kept_high
                    lowest[place, index] = low if is_lower else kept_low
                    high = kept_high if is_higher else high
                    low = kept_low if is_lower else low
        for place in range(n_places):
            for score in range(3):
                for index in range(n_classes):
                    smallest[place, row, score, index] = lowest[place, score * n_classes + index]
                    largest[place, row, score, index] = highest[place, score * n_classes + index]
