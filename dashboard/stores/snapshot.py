"""One store as a page sees it: what was read once is kept, within a bound; numpy comes out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dashboard import urls
from dashboard.stores.cache import ByteCache
from dashboard.stores.catalog import Catalog
from dashboard.stores.file_keys import Ablations
from dashboard.stores.kernels import Part, Planes, as_maps, as_tiles, planes_of
from dashboard.stores.measures import COSTS, LayerCosts, cost_measure, cost_values
from fmcore import FmcoreError, Layer, Store
from fmcore.architecture import PlaneSource, layer_settings, plane_source
from fmcore.dataset import preprocessing_of_words
from fmcore.errors import SelectionError, StoreError
from fmcore.export import Reasons, why_missing
from fmcore.records import ModelGraph
from fmcore.selection import parse_group
from fmcore.statistics import (
    CLASS_FILTER,
    STATISTICS,
    Calibration,
    ClassCounts,
    Confusion,
    Contrast,
    Costs,
    FilterValues,
    LayerHealth,
    Pair,
    Ranks,
    contrast_groups,
    ranks_bytes,
)
from fmcore.storage import Ablation, LayerAblation, StoredArray, check_by, layer_ranks
from fmcore.units import Shares, shares_of

T = TypeVar("T")
# Ranks of one pooled table of all layers are kept up to this size, half of what is kept of all
# stores: 8 million pooled values, of 800 filters in 10,000 samples.
RANKS_BYTES = 48 << 20
RANKING_THREADS = 2
# What is known of a strongest sample.
TOP_COLUMNS = ("sample", "value", "y", "x")


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One sample and what the model made of it.

    Attributes:
        index: its index.
        image: <uint8 or float32>[image_y, image_x, image_channel].
        label: class index.
        prediction: the model's class index; None where it predicts none.
        probability: <float32>[class]; None where it predicts none.
    """

    index: int
    image: NDArray[Any]
    label: int
    prediction: int | None
    probability: NDArray[np.float32] | None


class Snapshot:
    """One store as it was when it was opened; safe to share between threads.

    Attributes:
        name: the store's name in links.
        catalog: what there is to choose from.
        ablations: what lay beside it.
        digest: what tells the store, with what lay beside it, from every other.
        labels: true class index, <int64>[sample].
        predictions: the model's class index, <int64>[sample]; None where it predicts none.
        class_sizes: samples that bear each label, <int64>[class].
        image_shape: pixels of an image, (y, x).
    """

    def __init__(self, store: Store, name: str, cache: ByteCache) -> None:
        """Reads what every page needs.

        Args:
            store: an open one; it closes when nobody holds it any more.
            name: of the store in links.
            cache: what was read or made once, of this store and others.
        """
        self._store, self.name, self._cache = store, name, cache
        self._layers = store.layers
        self._guard = threading.Lock()
        self.ablations = Ablations.beside(_real_path(store))
        self._ablating = threading.Lock()
        # Ablations that were opened as they are, and why others were not: a look takes a second.
        self._opened, self._refused = set[str](), dict[str, str]()
        self._being_made: dict[tuple[str, ...], threading.RLock] = {}
        self.digest = store.digest
        if facts := "\n".join(self.ablations.facts()):
            self.digest = hashlib.sha256(f"{store.digest}\n{facts}".encode()).hexdigest()
        self.labels = store.labels
        self.predictions = store.predictions if store.has_predictions else None
        self.class_sizes = store.class_sizes
        n_classes = len(store.class_names)
        for values in (self.labels, self.predictions):
            if values is not None:
                self._require_indices("class", values, n_classes)
        _, height, width, _ = store.images.shape
        self.image_shape: tuple[int, int] = (height, width)
        self.catalog = Catalog(
            n_filters={path: layer.n_filters for path, layer in self._layers.items()},
            n_samples=store.n_samples,
            class_names=store.class_names,
            statistics=_of_classes(store),
            has_classes=store.has_classes,
            has_predictions=store.has_predictions,
            has_outcomes=store.has_outcomes,
            target=store.target,
            measured=cost_measure(store.target) if self.ablations.measured else "",
        )

    @property
    def file_name(self) -> str:
        """The file's name."""
        return self._store.path.name

    @property
    def store(self) -> Store:
        """The open store, for what only passes on what it holds."""
        return self._store

    @property
    def api(self) -> str:
        """The address of the store in the HTTP API, relative to a page."""
        return urls.store_api(self)

    def image_url(self, sample: int, *, size: int | None = None) -> str:
        """The address of a sample's image, relative to a page."""
        return urls.image(self, sample, size=size)

    def image_url_parts(self, *, size: int | None = None) -> tuple[str, str]:
        """What stands before and after a sample's index in the address of its image."""
        return urls.image_parts(self, size=size)

    def about(self) -> dict[str, dict[str, str | int | float]]:
        """Attributes of the store, the model, the data set and the capture."""
        return self.derived(("about",), self._store.about)

    def graph(self) -> ModelGraph:
        """The calls of the model's layers, and what each takes from which; kept.

        Raises:
            GraphNotStoredError: if nothing is known of them.
            StoreError: if it is damaged.
        """
        return self.derived(("graph",), self._store.graph)

    def layer(self, path: str) -> Layer:
        """One layer; raises `LayerNotFoundError`."""
        return self._layers[path]

    def statistic(self, layer: str, name: str) -> NDArray[Any]:
        """A statistic of a layer's filters; kept, since a cell shows all of them.

        Raises:
            LayerNotFoundError, StatisticNotFoundError: if there is no such layer or statistic.
        """
        if name in COSTS:
            return cost_values(self.class_costs(layer), name)
        return self.derived(("statistic", layer, name), lambda: self.layer(layer).statistic(name))

    def correlations(self, layer: str, filter_index: int) -> NDArray[np.float32]:
        """The correlation of a filter's pooled mean with that of each, <float32>[filter]; kept.

        Raises:
            LayerNotFoundError, StatisticNotFoundError: as `statistic`.
        """
        return self.derived(
            ("correlations", layer, str(filter_index)),
            lambda: self.layer(layer).correlations(filter_index),
        )

    def statistics(self, layer: str) -> tuple[str, ...]:
        """The names of the statistics of a layer's filters."""
        return self.derived(("statistics", layer), lambda: self.layer(layer).statistics)

    def chance(self, layer: str, name: str) -> NDArray[np.float64] | None:
        """The chance level of a statistic, <float64>[bound, …]; None if it has none.

        Raises:
            LayerNotFoundError, StatisticNotFoundError: as `statistic`.
        """
        if name in COSTS:
            return None
        return self.derived(("chance", layer, name), lambda: self.layer(layer).chance(name))

    def undefined(self, layer: str, pooling: str) -> NDArray[np.uint8]:
        """Why each filter has no scores on a pooled table, <uint8>[filter].

        Raises:
            StatisticNotFoundError: if the store has no scores.
        """
        return self.derived(
            ("undefined", layer, pooling), lambda: self.layer(layer).undefined(pooling)
        )

    def why_missing(self, layer: str, name: str) -> Reasons:
        """Why values of a statistic are missing; kept.

        Raises:
            LayerNotFoundError, StatisticNotFoundError: as `statistic`.
        """
        if name in COSTS:
            reasons = Reasons(np.isnan(self.statistic(layer, name)))
            reasons.set(True, "no samples were measured")
            return reasons
        return self.derived(
            ("why missing", layer, name), lambda: why_missing(self._store, layer, name)
        )

    def why_none(self, layer: str, name: str, *place: int) -> str:
        """Why a statistic has no number at a place; empty where it has one."""
        if np.isfinite(self.statistic(layer, name)[place]):
            return ""
        return self.why_missing(layer, name).at(*place)

    def values(self, layer: str) -> FilterValues:
        """The range of each filter's values, and how many are not finite; kept."""
        return self.derived(("values", layer), lambda: self.layer(layer).filter_values())

    def receptive_fields(self, layer: str) -> NDArray[np.int64] | None:
        """What each unit sees, <int64>[y, x, (first y, first x, last y, last x)], if known."""
        return self.derived(("fields", layer), lambda: self.layer(layer).receptive_fields())

    def shares(self, layer: str) -> Shares:
        """The distribution of the values of a layer's filters; kept.

        Raises:
            StatisticNotFoundError: if the store has too little for it.
        """
        return self.derived(("shares", layer), lambda: shares_of(self.layer(layer)))

    def kernel(self, layer: str) -> NDArray[np.float32] | None:
        """The weights, <float32>[kernel_y, kernel_x, kernel_input, kernel_output], if stored; kept.

        Those that read a row which was made of maps are laid out as these maps.
        """
        return self.derived(("kernel", layer), lambda: self.kernel_part(layer))

    def kernel_part(self, layer: str, part: Part = Part.KERNEL) -> NDArray[np.float32] | None:
        """A part of the weights, <float32>[y, x, plane, filter]; None where it is not stored.

        Raises:
            StoreError: if they are those of another number of filters.
        """
        stored = self.layer(layer)
        if part == Part.DEPTHWISE:
            depthwise = stored.depthwise_kernel
            return None if depthwise is None else as_tiles(depthwise)
        kernel = stored.kernel
        return None if kernel is None else as_maps(kernel, self.plane_source(layer))

    def plane_source(self, layer: str) -> PlaneSource | None:
        """Where the planes of a layer come from; None where the model does not say; kept."""
        return self.derived(
            ("plane source", layer), lambda: plane_source(self._store.architecture(), layer)
        )

    def kernel_planes(self, layer: str) -> Planes | None:
        """What the planes of a layer's kernels are; None where no kernel is stored; kept."""

        def make() -> Planes | None:
            kernel = self.kernel(layer)
            if kernel is None:
                return None
            settings = layer_settings(self._store.architecture(), layer)
            return planes_of(self.plane_source(layer), settings, kernel)

        return self.derived(("kernel planes", layer), make)

    def planes(self, layer: str) -> tuple[str, ...]:
        """The colors of a layer's input planes, R, G and B; empty unless they are known.

        That takes color images, and a layer that reads them.
        """

        def make() -> tuple[str, ...]:
            kernel = self.kernel(layer)
            counts = self._store.images.shape[3], 0 if kernel is None else kernel.shape[2]
            source = self.plane_source(layer)
            if counts != (3, 3) or source is None or not source.is_only_input:
                return ()
            try:
                words = str(self.about()["dataset"]["preprocessing"])
                is_reversed = preprocessing_of_words(words).reverse
            except SelectionError:  # of another version
                return ()
            return ("B", "G", "R") if is_reversed else ("R", "G", "B")

        return self.derived(("planes", layer), make)

    def derived(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        """What a page makes of the store, kept while there is room.

        Args:
            key: what it is, and of which layer.
            make: makes it; two threads may do so at once.
        """
        return self._cache.get((self.digest, *key), make)

    def derived_once(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        """What is `derived` and takes seconds: a thread that comes meanwhile waits for the first.

        Args:
            key: what it is, and of which layer.
            make: makes it; what it asks for may be `derived_once` too, but for this.
        """
        with self._guard:
            lock = self._being_made.setdefault(key, threading.RLock())
        with lock:
            try:
                return self.derived(key, make)
            finally:  # those that wait have the lock, and find what is kept now
                with self._guard:
                    self._being_made.pop(key, None)

    def held(self, key: tuple[str, ...]) -> Any:
        """What was `derived` before and is kept; None where it must be made."""
        return self._cache.held((self.digest, *key))

    def sample(self, index: int) -> Sample:
        """One sample; raises `SampleNotFoundError`."""
        predictions = self.predictions
        return Sample(
            index=index,
            image=self._store.image(index),
            label=int(self.labels[index]),
            prediction=None if predictions is None else int(predictions[index]),
            probability=None if predictions is None else self._store.probability(index),
        )

    def group(self, expression: str, *, field: str = "group") -> NDArray[np.bool_]:
        """Which samples belong to a group, <bool>[sample]; kept.

        Args:
            expression: of the group.
            field: the parameter that it is a value of, for the error.

        Raises:
            SelectionError: if the expression is none, or names what the store does not have.
        """
        group = parse_group(expression, files=False, field=field)
        try:
            return self.derived(("group", str(group)), lambda: self._store.group(group))
        except SelectionError as error:
            raise SelectionError(str(error), field=field) from error

    def matching(
        self,
        class_index: int | None,
        outcome: str,
        predicted: int | None = None,
        group: str = "",
    ) -> NDArray[np.int64]:
        """The samples of a group, by index, ascending.

        Args:
            class_index: their label; None for any.
            outcome: `correct`, `wrong`, or `all`.
            predicted: the class that the model predicts; None for any.
            group: an expression; empty for all samples.

        Raises:
            SelectionError: as `group`.
        """
        is_match = self.group(group).copy() if group else np.ones(len(self.labels), np.bool_)
        if predicted is not None and self.predictions is not None:
            is_match &= self.predictions == predicted
        if class_index is not None:
            is_match &= self.labels == class_index
        if outcome != "all" and self.catalog.has_outcomes:
            is_match &= (self.labels == self.predictions) == (outcome == "correct")
        return np.flatnonzero(is_match)

    def confusion(self) -> Confusion:
        """How many samples of each label have each prediction; kept.

        Raises:
            StatisticNotFoundError: if labels or predictions are not known.
        """
        return self.derived(("confusion",), self._store.confusion)

    def class_counts(self) -> ClassCounts:
        """What the scores of each class, or of each of several labels, are made of; kept.

        Raises:
            StatisticNotFoundError: as `confusion`.
        """
        return self.derived(("class counts",), self._store.class_counts)

    def calibration(self) -> Calibration:
        """Whether the model is right as often as it is confident; kept.

        Raises:
            StatisticNotFoundError: as `confusion`.
        """
        return self.derived(("calibration",), self._store.calibration)

    def contrast(self, a: str, b: str = "", by: str = "mean") -> Contrast:
        """How each filter of every layer tells group A from group B; kept.

        The ranks behind it are kept too, if those of all layers take at most `RANKS_BYTES`; else
        they are made again, some filters at a time.

        Args:
            a: an expression.
            b: an expression; empty for all samples that are not of A.
            by: the pooled value that is compared, one of `BY`.

        Raises:
            SelectionError: as `group`, or if none is left of a group.
            StatisticNotFoundError: if the store lacks the pooled table.
        """

        def make() -> Contrast:
            for field, text in (("a", a), ("b", b)):
                parse_group(text, files=False, field=field)  # so that an error names the field
            pair = Pair.of(self.group(a), self.group(b) if b else None)
            return contrast_groups(self._all_ranks(by), pair, by=by)

        return self.derived_once(("contrast", a, b, check_by(by)), make)

    def _all_ranks(self, by: str) -> Iterable[tuple[str, Ranks]]:
        """The ranks of all samples for each filter, layer by layer; kept if those of all fit."""
        paths = self.catalog.n_filters
        if ranks_bytes(self.catalog.n_samples, sum(paths.values())) > RANKS_BYTES:
            return ((path, layer_ranks(self.layer(path), by)) for path in paths)

        def kept(path: str) -> Ranks:
            return self.derived_once(("ranks", path, by), lambda: layer_ranks(self.layer(path), by))

        # NumPy sorts, which is most of it, outside of the interpreter's lock.
        with ThreadPoolExecutor(RANKING_THREADS) as pool:
            return list(zip(paths, pool.map(kept, paths), strict=True))

    def ablation(self, by: str = "") -> Ablation:
        """What the model loses without each filter.

        Args:
            by: how filters were replaced; empty for the first that there is.

        Raises:
            SelectionError: if there is no such replacement.
            StatisticNotFoundError: if it was not measured; it says the command.
            StoreError: if the file is damaged, of another store, or was replaced just now.
        """
        by = by or next(iter(self.ablations.measured), "")
        with self._ablating:
            if by in self._refused:
                raise StoreError(self._refused[by])
            try:
                ablation = self._store.ablation(by)
            except StoreError as error:  # pages show it: not where on the server the file lies
                folder = self.ablations.store and self.ablations.store.parent
                self._refused[by] = str(error).replace(f"{folder}/", "")
                raise StoreError(self._refused[by]) from error
            if by not in self._opened and not self.ablations.are_same:
                self._refused[by] = f"{ablation.path.name} was replaced just now; load it again"
                raise StoreError(self._refused[by])
            self._opened.add(by)
            return ablation

    def layer_ablation(self, path: str, by: str = "") -> LayerAblation:
        """What was measured of a layer, with the answer of each sample; kept while there is room.

        Raises:
            LayerNotFoundError: if the layer was not measured; others as `ablation`.
        """
        return self.derived_once(("ablation", path, by), lambda: self._read_ablation(path, by))

    def layer_costs(self, path: str, by: str = "") -> LayerCosts:
        """What each filter of a layer costs; kept, and those of all layers fit.

        Raises:
            LayerNotFoundError: if the layer was not measured; others as `ablation`.
        """

        def make() -> LayerCosts:
            layer = self.held(("ablation", path, by)) or self._read_ablation(path, by)
            n = max(1, int(layer.sums.n.sum()))
            has_answers = layer.answers is not None
            quality = layer.sums.n_right.sum() / n if has_answers else float("nan")
            return LayerCosts(layer.costs(), layer.no_effect, float(quality), layer.curve)

        return self.derived_once(("costs", path, by), make)

    def class_costs(self, path: str) -> Costs:
        """What each filter costs in each class, axes [class, filter]; kept.

        Raises:
            LayerNotFoundError: if the layer was not measured; others as `ablation`.
        """

        def make() -> Costs:
            layer = self.held(("ablation", path, "")) or self._read_ablation(path, "")
            return layer.costs_by_class()

        return self.derived_once(("costs of classes", path), make)

    def changes(self, path: str, filter_index: int) -> dict[str, NDArray[np.int64]]:
        """The samples whose answer changes without a filter, as `LayerAblation.changes`.

        Raises:
            LayerNotFoundError: if the layer was not measured; others as `ablation`.
        """
        changes = self.layer_ablation(path).changes(filter_index)
        self._require_indices("sample", changes["sample"], self.catalog.n_samples)
        for name in ("old", "new"):
            self._require_indices("class", changes[name], len(self.catalog.class_names))
        return changes

    def why_no_costs(self, path: str) -> str:
        """Why costs of a layer's filters are not known, in words; empty where they are."""
        try:
            self.layer_costs(path)
        except FmcoreError as error:
            return str(error)
        return ""

    def _read_ablation(self, path: str, by: str) -> LayerAblation:
        layer, n_classes = self.ablation(by).layer(path), len(self.catalog.class_names)
        shape, expected = layer.sums.n_lost.shape, (n_classes, self.catalog.n_filters[path])
        if shape != expected:
            raise StoreError(
                f"what was measured of {path} is damaged: expected classes and filters {expected}, "
                f"found {shape}"
            )
        return layer

    def health(self, path: str) -> LayerHealth:
        """What is wrong with a layer's filters; kept, since it reads a whole pooled table."""
        return self.derived(("health", path), lambda: self.layer(path).health())

    def top(
        self, path: str, filter_index: int, of: str = "", rows: range = range(1)
    ) -> dict[str, NDArray[Any]]:
        """The strongest samples of a filter, `sample`, `value`, `y` and `x`, each [row, k].

        Of all samples; of some classes or bands, their `rows`, where `of` is `class` or `band`.

        Raises:
            StatisticNotFoundError: if the store keeps none.
        """
        if not of:
            tops = self.tops(path)
            return {name: tops[name][filter_index][np.newaxis] for name in TOP_COLUMNS}
        layer = self.layer(path)
        columns = {
            name: _of_filter(layer.top(f"{of}_{name}"), filter_index, rows) for name in TOP_COLUMNS
        }
        self._require_indices("sample", columns["sample"], self.catalog.n_samples, least=-1)
        return columns

    def tops(self, path: str) -> dict[str, NDArray[Any]]:
        """The strongest samples of all filters, as `top`, each [filter, k].

        Raises:
            StatisticNotFoundError: if the store keeps none.
        """

        def read() -> dict[str, NDArray[Any]]:
            layer = self.layer(path)
            columns = {name: layer.top(name)[...] for name in TOP_COLUMNS}
            self._require_indices("sample", columns["sample"], self.catalog.n_samples, least=-1)
            return columns

        return self.derived(("tops", path), read)

    def _require_indices(
        self, what: str, values: NDArray[Any], size: int, *, least: int = 0
    ) -> None:
        """Refuses a store in which what others are looked up by is out of range."""
        if values.size and not (values.min() >= least and values.max() < size):
            raise StoreError(
                f"{self.file_name} is a damaged store: it names a {what} that it does not hold, "
                f"expected 0 to {size - 1}; `fmcore validate` lists all problems"
            )

    def histogram(self, path: str, index: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Counts of a filter's activations, <int64>[class, bin], and bins, <float32>[bound, bin].

        Raises:
            StatisticNotFoundError: if the store has none, with the reason.
        """
        stored, bounds = self.layer(path).histogram()
        return _of_filter(stored, index, range(stored.shape[0])), bounds[...]

    @property
    def confidence(self) -> NDArray[np.float32]:
        """The model's belief in its prediction, <float32>[sample].

        Raises:
            PredictionsNotStoredError: if there are none.
        """

        def read() -> NDArray[np.float32]:
            rows = np.arange(self.catalog.n_samples)
            values: NDArray[np.float32] = self._store.probabilities[rows, self._store.predictions]
            return values

        return self.derived(("confidence",), read)

    def filter_range(self, path: str) -> NDArray[np.float64]:
        """Smallest and largest activation over the whole test set, <float64>[2, filter]."""
        return self.derived(("range", path), lambda: self.layer(path).filter_range())


def _real_path(store: Store) -> Path | None:
    """Where a store lies; None where nobody knows it."""
    try:
        return store.real_path
    except OSError:
        return None


def _of_filter(stored: StoredArray, filter_index: int, rows: range) -> NDArray[Any]:
    """Some rows of [row, filter, …] for one filter; only the chunks that hold it are read."""
    picks = (rows, range(filter_index, filter_index + 1), range(stored.shape[2]))
    return stored.outer(picks)[:, 0]


def _of_classes(store: Store) -> tuple[str, ...]:
    """The statistics of class and filter that every layer has; a basic store has few.

    Without classes, not those that say how a filter tells them: these have no value.
    """
    layers = [set(layer.statistics) for layer in store.layers.values()]
    common = set.intersection(*layers)
    return tuple(
        name
        for name, statistic in STATISTICS.items()
        if name in common
        and statistic.axes == CLASS_FILTER
        and (store.has_classes or not statistic.tells_classes)
    )
