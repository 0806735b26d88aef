"""One store as a page sees it: what was read once is kept, within a bound; numpy comes out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from dashboard import urls
from dashboard.stores.cache import ByteCache
from dashboard.stores.catalog import Catalog
from fmcore import Layer, Store
from fmcore.errors import StoreError
from fmcore.statistics import CLASS_FILTER, STATISTICS, LayerHealth
from fmcore.storage import StoredArray

T = TypeVar("T")
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
        digest: what tells the store from every other.
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
        self.digest = store.digest
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

    def layer(self, path: str) -> Layer:
        """One layer; raises `LayerNotFoundError`."""
        return self._layers[path]

    def statistic(self, layer: str, name: str) -> NDArray[Any]:
        """A statistic of a layer's filters; kept, since a cell shows all of them.

        Raises:
            LayerNotFoundError, StatisticNotFoundError: if there is no such layer or statistic.
        """
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
        return self.derived(("chance", layer, name), lambda: self.layer(layer).chance(name))

    def undefined(self, layer: str, pooling: str) -> NDArray[np.uint8]:
        """Why each filter has no scores on a pooled table, <uint8>[filter].

        Raises:
            StatisticNotFoundError: if the store has no scores.
        """
        return self.derived(
            ("undefined", layer, pooling), lambda: self.layer(layer).undefined(pooling)
        )

    def receptive_fields(self, layer: str) -> NDArray[np.int64] | None:
        """What each unit sees, <int64>[y, x, (first y, first x, last y, last x)], if known."""
        return self.derived(("fields", layer), lambda: self.layer(layer).receptive_fields())

    def kernel(self, layer: str) -> NDArray[np.float32] | None:
        """The weights, <float32>[kernel_y, kernel_x, kernel_input, kernel_output], if stored."""
        return self.derived(("kernel", layer), lambda: self.layer(layer).kernel)

    def derived(self, key: tuple[str, ...], make: Callable[[], T]) -> T:
        """What a page makes of the store, kept while there is room.

        Args:
            key: what it is, and of which layer.
            make: makes it; two threads may do so at once.
        """
        return self._cache.get((self.digest, *key), make)

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

    def matching(self, class_index: int | None, outcome: str) -> NDArray[np.int64]:
        """The samples of a class (or of all) with an outcome, by index, ascending."""
        is_match = np.ones(len(self.labels), dtype=np.bool_)
        if class_index is not None:
            is_match &= self.labels == class_index
        if outcome != "all" and self.catalog.has_outcomes:
            is_match &= (self.labels == self.predictions) == (outcome == "correct")
        return np.flatnonzero(is_match)

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
