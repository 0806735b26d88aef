"""The loops over every value of every feature map, compiled when they are first used.

Each reads a batch once, with filters in its innermost loop: they lie side by side in memory, so the
processor works on several at a time, and sums need no transposed copies. NumPy takes 3 to 7 times
the CPU: each of its calls passes over memory once more.

The functions are plain Python on arrays; `compiled` makes machine code of one.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fmcore.optional import needing

log = logging.getLogger(__name__)

# Sums that are kept at a time, a number that stays in the first-level cache.
LANES = 256
# Rows whose deviations are kept at a time, a multiple of four.
ROWS = 64
# Filters whose bins are counted together: their bins of one class stay in the second-level cache.
COUNTED_FILTERS = 128
# Columns of class maps whose sums are kept at a time.
COLUMNS = 1024


@functools.cache
def compiled(kernel: Callable[..., None]) -> Callable[..., None]:
    """A kernel as machine code, which threads run side by side.

    The code is kept beside the module, or in the user's cache where that cannot be written, so that
    only the first capture ever made compiles it (2 s).

    Raises:
        MissingLibraryError: if numba is not installed.
    """
    with needing("scores", purpose="computing statistics"):
        import numba
    # NaN and infinities count; only the sign of zero and the rounding of a product may differ.
    flags = {"contract", "nsz"}
    make = functools.partial(numba.njit, nogil=True, error_model="numpy", fastmath=flags)
    try:
        machine_code: Callable[..., None] = make(cache=True)(kernel)
    except RuntimeError as error:  # no folder for the code can be written
        log.info("the statistics are compiled anew in each run: %s", error)
        machine_code = make()(kernel)
    return machine_code


def reduce_maps(
    values: NDArray[np.floating],
    n_filters: int,
    n_values: NDArray[np.int64],
    n_zero: NDArray[np.int64],
    mean: NDArray[np.float64],
    m2: NDArray[np.float64],
    low: NDArray[np.floating],
    high: NDArray[np.floating],
    position: NDArray[np.int64],
) -> None:
    """Reduces each feature map to a few numbers over its finite pixels.

    Sums are taken of differences from the first finite pixel: as that is one of the values, their
    squares are at most `n_pixels + 1` times m2, and so few digits cancel (Chan et al. 1983).

    Where there are few filters, several pixels are taken side by side, in lanes of their own.

    Args:
        values: <float>[sample, pixel * filter].
        n_filters: the number of filters.
        n_values: <int64>[sample, filter], set to the number of finite pixels.
        n_zero: <int64>[sample, filter], set to the number of pixels that are exactly zero.
        mean: <float64>[sample, filter], set to the mean; 0 where no pixel is finite.
        m2: <float64>[sample, filter], set to the sum of squared deviations from the mean.
        low: <float>[sample, filter], set to the smallest value; +inf where no pixel is finite.
        high: <float>[sample, filter], set to the largest value; -inf where no pixel is finite.
        position: <int64>[sample, filter], set to the first pixel that has the largest value.
    """
    infinity = values.dtype.type(np.inf)
    n_pixels = values.shape[1] // n_filters
    abreast = max(1, min(n_pixels, LANES // n_filters))
    stride = abreast * n_filters
    n_rows = n_pixels // abreast
    left_over = (n_pixels - n_rows * abreast) * n_filters
    width = min(stride, LANES)
    shift, total, square = np.empty(width), np.empty(width), np.empty(width)
    smallest, largest = np.empty(width, values.dtype), np.empty(width, values.dtype)
    row_of_largest = np.empty(width, np.int32)
    zeros, finite = np.empty(width, np.int32), np.empty(width, np.int32)
    for sample in range(values.shape[0]):
        for first in range(0, stride, width):
            lanes = min(width, stride - first)
            for lane in range(lanes):
                start = first + lane % n_filters
                shift[lane] = 0.0
                for index in range(start, values.shape[1], n_filters):
                    if abs(values[sample, index]) < infinity:
                        shift[lane] = values[sample, index]
                        break
            total[:], square[:] = 0.0, 0.0
            smallest[:], largest[:] = infinity, -infinity
            row_of_largest[:], zeros[:], finite[:] = 0, 0, 0
            for row in range(n_rows + (left_over > 0)):
                here = lanes if row < n_rows else left_over
                pixels = values[sample, row * stride + first : row * stride + first + here]
                for lane in range(here):
                    value = pixels[lane]
                    is_finite = abs(value) < infinity
                    difference = np.float64(value) - shift[lane] if is_finite else 0.0
                    total[lane] += difference
                    square[lane] += difference * difference
                    zeros[lane] += np.int32(value == 0)
                    finite[lane] += np.int32(is_finite)
                    smaller = value if is_finite else infinity
                    larger = value if is_finite else -infinity
                    smallest[lane] = smaller if smaller < smallest[lane] else smallest[lane]
                    is_largest = larger > largest[lane]
                    largest[lane] = larger if is_largest else largest[lane]
                    row_of_largest[lane] = np.int32(row) if is_largest else row_of_largest[lane]
            for lane in range(min(lanes, n_filters)):
                column = first + lane
                count, n_zeros, all_differences, all_squares = 0, 0, 0.0, 0.0
                least, most, place = infinity, -infinity, 0
                for other in range(lane, lanes, n_filters):
                    count += finite[other]
                    n_zeros += zeros[other]
                    all_differences += total[other]
                    all_squares += square[other]
                    least = min(least, smallest[other])
                    pixel = row_of_largest[other] * abreast + other // n_filters
                    if largest[other] > most or (largest[other] == most and pixel < place):
                        most, place = largest[other], pixel
                n_values[sample, column], n_zero[sample, column] = count, n_zeros
                low[sample, column], high[sample, column] = least, most
                position[sample, column] = place
                mean[sample, column], m2[sample, column] = 0.0, 0.0
                if count:
                    offset = all_differences / count
                    mean[sample, column] = shift[lane] + offset
                    m2[sample, column] = max(0.0, all_squares - all_differences * offset)


def add_to_moments(
    labels: NDArray[np.int64],
    n_pixels: int,
    n_values: NDArray[np.int64],
    n_zero: NDArray[np.int64],
    mean: NDArray[np.float64],
    m2: NDArray[np.float64],
    low: NDArray[np.floating],
    high: NDArray[np.floating],
    class_values: NDArray[np.int64],
    class_zero: NDArray[np.int64],
    class_nonfinite: NDArray[np.int64],
    class_mean: NDArray[np.float64],
    class_m2: NDArray[np.float64],
    class_low: NDArray[np.float64],
    class_high: NDArray[np.float64],
) -> None:
    """Adds reduced maps to the moments of their classes (Chan et al. 1983).

    Args:
        labels: <int64>[sample], the class of each sample.
        n_pixels: the number of pixels of a map.
        n_values: <int64>[sample, filter], the number of finite pixels.
        n_zero: <int64>[sample, filter], the number of pixels that are exactly zero.
        mean: <float64>[sample, filter]; 0 where no pixel is finite.
        m2: <float64>[sample, filter], sum of squared deviations from the mean.
        low: <float>[sample, filter], the smallest value.
        high: <float>[sample, filter], the largest value.
        class_values: <int64>[class, filter], the number of finite values; updated, as all below.
        class_zero: <int64>[class, filter], the number of values that are exactly zero.
        class_nonfinite: <int64>[class, filter], the number of values that are not finite.
        class_mean: <float64>[class, filter]; 0 where nothing was seen.
        class_m2: <float64>[class, filter], sum of squared deviations from the mean.
        class_low: <float64>[class, filter], the smallest value.
        class_high: <float64>[class, filter], the largest value.
    """
    for sample in range(len(labels)):
        place = labels[sample]
        for column in range(mean.shape[1]):
            n_new, n_old = n_values[sample, column], class_values[place, column]
            share = n_new / max(n_old + n_new, 1)
            delta = mean[sample, column] - class_mean[place, column]
            between = delta * delta * n_old * share
            class_mean[place, column] += delta * share
            class_m2[place, column] += m2[sample, column] + between
            class_values[place, column] += n_new
            class_zero[place, column] += n_zero[sample, column]
            class_nonfinite[place, column] += n_pixels - n_new
            smaller, larger = np.float64(low[sample, column]), np.float64(high[sample, column])
            class_low[place, column] = min(class_low[place, column], smaller)
            class_high[place, column] = max(class_high[place, column], larger)


def count_bins(
    bits: NDArray[np.int32],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    classes: NDArray[np.int64],
    n_filters: int,
    shift: int,
    firsts: NDArray[np.int32],
    sizes: NDArray[np.int32],
    counts: NDArray[np.int64],
    is_incomplete: NDArray[np.bool_],
) -> None:
    """Counts values into bins that the leading bits of each float32 select, see `Bins`.

    Args:
        bits: <int32>[sample, pixel * filter], float32 values by their bits.
        order: <int64>[sample], the samples, those of a class together.
        starts: <int64>[class in the batch + 1], where each class begins in `order`, and its length.
        classes: <int64>[class in the batch], the index of each class in `counts`.
        n_filters: the number of filters.
        shift: the number of bits of the mantissa that select no bin.
        firsts: <int32>[sign], the leading bits of the smallest magnitudes that have a bin.
        sizes: <int32>[sign], the number of bins.
        counts: <int64>[class, filter, bin]; counted up.
        is_incomplete: <bool>[sample], set to True where a value has no bin, finite or not.
    """
    # Of 32 bits, as the values are, so that the processor works on as many as it can at a time.
    n_bits, middle = np.int32(shift), sizes[0]
    first_negative, first_positive = firsts[0], firsts[1]
    n_negative, n_positive = sizes[0], sizes[1]
    n_pixels = bits.shape[1] // n_filters
    bins = np.empty(min(n_filters, COUNTED_FILTERS), np.int32)
    signs = np.empty(min(n_filters, COUNTED_FILTERS), np.int32)
    for first in range(0, n_filters, COUNTED_FILTERS):
        width = min(COUNTED_FILTERS, n_filters - first)
        for index in range(len(classes)):
            table = counts[classes[index], first : first + width]
            for member in range(starts[index], starts[index + 1]):
                sample = order[member]
                signs[:] = 0
                for pixel in range(n_pixels):
                    start = pixel * n_filters + first
                    values = bits[sample, start : start + width]
                    for column in range(width):
                        value = values[column]
                        magnitude = value & np.int32(0x7FFFFFFF)
                        is_negative = value < 0
                        offset = magnitude >> n_bits
                        offset -= first_negative if is_negative else first_positive
                        size = n_negative if is_negative else n_positive
                        distance = offset + np.int32(1)
                        place = middle - distance if is_negative else middle + distance
                        # As unsigned numbers, negative offsets are larger than any size.
                        place = place if np.uint32(offset) < np.uint32(size) else np.int32(-1)
                        bins[column] = middle if magnitude == 0 else place
                        signs[column] |= bins[column]
                    for column in range(width):
                        if bins[column] >= 0:
                            table[column, bins[column]] += 1
                for column in range(width):
                    if signs[column] < 0:
                        is_incomplete[sample] = True


def extreme_magnitudes(bits: NDArray[np.int32], extremes: NDArray[np.int32]) -> None:
    """Extends ranges to the finite values of each sign, without zeros, by the bits of magnitudes.

    Args:
        bits: <int32>[sample, value], float32 values by their bits.
        extremes: <int32>[sign, (smallest, largest)], of negative and of positive values; extended.
    """
    not_finite = np.int32(0x7F800000)
    for sample in range(bits.shape[0]):
        for index in range(bits.shape[1]):
            value = bits[sample, index]
            magnitude = value & np.int32(0x7FFFFFFF)
            if magnitude != 0 and magnitude < not_finite:
                sign = 0 if value < 0 else 1
                extremes[sign, 0] = min(extremes[sign, 0], magnitude)
                extremes[sign, 1] = max(extremes[sign, 1], magnitude)


def count_new_bins(
    bits: NDArray[np.int32],
    labels: NDArray[np.int64],
    n_filters: int,
    shift: int,
    firsts: NDArray[np.int32],
    sizes: NDArray[np.int32],
    counted: NDArray[np.int32],
    counts: NDArray[np.int64],
) -> None:
    """Counts what `count_bins` left out for want of a bin, now that all finite values have one.

    Args:
        bits: <int32>[sample, pixel * filter], float32 values by their bits.
        labels: <int64>[sample], the class of each sample.
        n_filters: the number of filters.
        shift: the number of bits of the mantissa that select no bin.
        firsts: <int32>[sign], the leading bits of the smallest magnitudes that have a bin.
        sizes: <int32>[sign], the number of bins.
        counted: <int32>[sign, (smallest, after the largest)], magnitudes that are counted already.
        counts: <int64>[class, filter, bin]; counted up.
    """
    not_finite = np.int32(0x7F800000)
    for sample in range(bits.shape[0]):
        table = counts[labels[sample]]
        for index in range(bits.shape[1]):
            value = bits[sample, index]
            magnitude = value & np.int32(0x7FFFFFFF)
            sign = 0 if value < 0 else 1
            is_counted = counted[sign, 0] <= magnitude < counted[sign, 1]
            if magnitude != 0 and magnitude < not_finite and not is_counted:
                distance = (magnitude >> shift) - firsts[sign] + 1
                place = sizes[0] - distance if sign == 0 else sizes[0] + distance
                table[index % n_filters, place] += 1


def average_blocks(
    values: NDArray[np.floating], by_y: int, by_x: int, averages: NDArray[np.float64]
) -> None:
    """Means over blocks of pixels; the last block of a row or a column may be smaller.

    Args:
        values: <float>[sample, y, x, filter].
        by_y: rows of a block.
        by_x: columns of a block.
        averages: <float64>[sample, block_y, block_x, filter], set to the means.
    """
    n_samples, height, width, n_filters = values.shape
    averages[:] = 0.0
    for sample in range(n_samples):
        for y in range(height):
            for x in range(width):
                block = averages[sample, y // by_y, x // by_x]
                pixel = values[sample, y, x]
                for column in range(n_filters):
                    block[column] += np.float64(pixel[column])
        for block_y in range(averages.shape[1]):
            n_rows = min(by_y, height - block_y * by_y)
            for block_x in range(averages.shape[2]):
                area = n_rows * min(by_x, width - block_x * by_x)
                for column in range(n_filters):
                    averages[sample, block_y, block_x, column] /= area


def add_to_maps(
    values: NDArray[np.floating],
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    classes: NDArray[np.int64],
    n_samples: NDArray[np.int64],
    mean: NDArray[np.float64],
    m2: NDArray[np.float64],
) -> None:
    """Adds samples to the mean and m2 of the maps of their classes.

    Sums are taken of deviations from the mean so far (from the first sample if there is none), so
    that no digits cancel. Then m2 grows by the sum of their squares minus the square of their sum
    over the number of all samples (Chan et al. 1983, in one step).

    Args:
        values: <float>[sample, column].
        order: <int64>[sample], the samples, those of a class together.
        starts: <int64>[class in the batch + 1], where each class begins in `order`, and its length.
        classes: <int64>[class in the batch], the index of each class in `mean`.
        n_samples: <int64>[class], the samples that mean and m2 hold already; not changed.
        mean: <float64>[class, column], updated.
        m2: <float64>[class, column], updated.
    """
    total, square = np.empty(COLUMNS), np.empty(COLUMNS)
    for first in range(0, values.shape[1], COLUMNS):
        width = min(COLUMNS, values.shape[1] - first)
        for index in range(len(classes)):
            center = mean[classes[index], first : first + width]
            spread = m2[classes[index], first : first + width]
            n_old = n_samples[classes[index]]
            n_all = n_old + starts[index + 1] - starts[index]
            if n_old == 0:
                center[:] = values[order[starts[index]], first : first + width]
            total[:], square[:] = 0.0, 0.0
            for member in range(starts[index], starts[index + 1]):
                row = values[order[member], first : first + width]
                for column in range(width):
                    deviation = np.float64(row[column]) - center[column]
                    total[column] += deviation
                    square[column] += deviation * deviation
            for column in range(width):
                step = total[column] / n_all
                center[column] += step
                spread[column] += square[column] - total[column] * step


def add_to_sketch(
    values: NDArray[np.floating],
    codes: NDArray[np.uint8],
    mean: NDArray[np.float64],
    sketch: NDArray[np.float64],
) -> None:
    """Adds each row of deviations, with its sign, to its row of a sketch.

    Args:
        values: <float>[row, filter].
        codes: <uint8>[row], the row of the sketch, plus the number of its rows for a minus sign.
        mean: <float64>[filter].
        sketch: <float64>[sketch_row, filter], updated.
    """
    n_rows, n_filters = sketch.shape
    for first in range(0, n_filters, LANES):
        width = min(LANES, n_filters - first)
        center = mean[first : first + width]
        for row in range(values.shape[0]):
            code = np.int64(codes[row])
            sign = 1.0 if code < n_rows else -1.0
            total = sketch[code % n_rows, first : first + width]
            pixels = values[row, first : first + width]
            for lane in range(width):
                total[lane] += sign * (np.float64(pixels[lane]) - center[lane])


def add_products(
    values: NDArray[np.floating],
    mean: NDArray[np.float64],
    columns: NDArray[np.int64],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    products: NDArray[np.float64],
) -> None:
    """Adds the products of the deviations of pairs of filters, over all rows.

    Args:
        values: <float>[row, filter].
        mean: <float64>[filter].
        columns: <int64>[column], the filters that the pairs are of.
        first: <int64>[pair], the place in `columns` of one filter of each pair.
        second: <int64>[pair], that of the other filter.
        products: <float64>[pair], updated.
    """
    deviation = np.empty((len(columns), ROWS))
    for start in range(0, values.shape[0], ROWS):
        rows = min(ROWS, values.shape[0] - start)
        for column in range(len(columns)):
            index = columns[column]
            center = mean[index]
            for row in range(rows):
                deviation[column, row] = np.float64(values[start + row, index]) - center
            deviation[column, rows:] = 0.0
        for pair in range(len(products)):
            left, right = deviation[first[pair]], deviation[second[pair]]
            # Four sums: the next addition need not wait for the one before.
            sum_0, sum_1, sum_2, sum_3 = 0.0, 0.0, 0.0, 0.0
            for row in range(0, ROWS, 4):
                sum_0 += left[row] * right[row]
                sum_1 += left[row + 1] * right[row + 1]
                sum_2 += left[row + 2] * right[row + 2]
                sum_3 += left[row + 3] * right[row + 3]
            products[pair] += (sum_0 + sum_1) + (sum_2 + sum_3)


def by_class(
    labels: NDArray[np.integer],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The samples of a batch in the order of their classes: `order`, `starts` and `classes`."""
    order = np.argsort(labels, kind="stable")
    classes, starts = np.unique(labels[order], return_index=True)
    return order, np.append(starts, len(labels)), classes.astype(np.int64)
