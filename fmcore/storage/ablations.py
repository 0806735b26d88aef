"""What was measured without each filter, in a file of its own beside the store.

Stores do not change, so `mnist.h5` gets `mnist.ablation-zero.hdf5`: HDF5 as the store is, with the
same checksums and the same seal, and without any ending by which it would be taken for a store. It
names the store by its digest, so that it is never taken for that of another capture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from fmcore.apart import ApartError, bounds_for, call_apart
from fmcore.errors import LayerNotFoundError, OutputError, SelectionError, StoreError
from fmcore.files import Kind, publish, refuse_existing, safe_names
from fmcore.selection import near_matches
from fmcore.statistics import AnswerSums, Costs, Curve, Replacement, costs, joint_order
from fmcore.storage.chunks.stored_array import index_of
from fmcore.storage.file.deferred_errors import DeferredErrorFile, Interrupts
from fmcore.storage.file.nodes import (
    DIGEST,
    attributes_digest,
    create_file,
    create_group,
    creation_properties,
    damage_as_store_error,
    fixed_text,
    iter_nodes,
    read_attributes,
)
from fmcore.storage.file.raw_bytes import FileBytes
from fmcore.storage.file.seal import seal, stated_digest, verify_seal
from fmcore.storage.format.schema import LAYERS, layer_path

FORMAT = "fmcore-ablation"
FORMAT_VERSION = "1.0"
ENDING = ".hdf5"
# What the process apart calls.
LOOK = f"{__name__}:look"
MOST_BYTES = 8 << 30  # of one array in memory
_CHUNK_BYTES = 1 << 20
_TEXT_BYTES = 64
# Type and axes of every array: of a curve, of the file, and of each layer. The curve of the file is
# that of the whole model, with the filters of all layers in their order.
CURVE_ARRAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "curve_order": (f"|S{_TEXT_BYTES}", ("order",)),
    "curve_rank": ("<i4", ("order", "filter")),
    "curve_step": ("<i8", ("step",)),
    "curve_quality": ("<f8", ("order", "step")),
    "curve_sample": ("<i8", ("curve sample",)),
}
SHARED_ARRAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "sample": ("<i8", ("sample",)),
    "n": ("<i8", ("class",)),
    **CURVE_ARRAYS,
}
LAYER_ARRAYS: dict[str, tuple[str, tuple[str, ...]]] = {
    "whole_answer": ("<i4", ("sample",)),
    "answer": ("<i4", ("filter", "sample")),
    "n_right": ("<i8", ("class",)),
    "size": ("<f8", ("class",)),
    **dict.fromkeys(("n_lost", "n_gained", "n_changed"), ("<i8", ("class", "filter"))),
    **dict.fromkeys(
        ("probability_mean", "probability_m2", "loss_mean", "loss_m2", "moved"),
        ("<f8", ("class", "filter")),
    ),
    **CURVE_ARRAYS,
}
# Absent, all of them, where the model predicts no class, and where no curve was measured.
_OPTIONAL = (frozenset(("whole_answer", "answer")), frozenset(CURVE_ARRAYS))
_SUMS = frozenset(field.name for field in fields(AnswerSums)) - {"n"}


class Rows(Protocol):
    """An array, or what reads some of its rows."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Its shape."""

    def __getitem__(self, rows: Any, /) -> Any:
        """Some rows."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerAblation:
    """What was measured without each filter of a layer.

    Attributes:
        path: the layer's path.
        sums: what is summed over the samples of each class.
        whole_answers: <int32>[sample], the class that the whole model predicts; None where it
            predicts none.
        answers: <int32>[filter, sample], the class without each filter; None likewise.
        samples: <int64>[sample], the index in the store of each sample.
        curve: how right the model is without many filters; None where that was not measured.
    """

    path: str
    sums: AnswerSums
    whole_answers: NDArray[np.int32] | None
    answers: Rows | None
    samples: NDArray[np.int64]
    curve: Curve | None = None

    @property
    def n_filters(self) -> int:
        """The number of filters."""
        return int(self.sums.n_lost.shape[1])

    def costs(self) -> Costs:
        """What each filter costs, over all samples: axes [filter]."""
        return costs(self.sums.together()).row(0)

    def costs_by_class(self) -> Costs:
        """What each filter costs in each class: axes [class, filter]."""
        return costs(self.sums)

    @property
    def no_effect(self) -> NDArray[np.bool_]:
        """<bool>[filter], whether no answer of the model changes without the filter."""
        total = self.sums.together()
        if self.answers is not None:
            return np.asarray(total.n_changed[0] == 0)
        return costs(total).row(0).without_move()

    def changes(self, filter_index: int) -> dict[str, NDArray[np.int64]]:
        """The samples whose answer changes without a filter, with the old and the new answer.

        Returns:
            <int64>[row] each: `sample`, its index in the store; `old` and `new`, classes.

        Raises:
            SelectionError: if there is no such filter, or the model predicts no class.
        """
        if not 0 <= filter_index < self.n_filters:
            raise SelectionError(
                f"no filter {filter_index} in layer {self.path}; it has 0 to {self.n_filters - 1}",
                field="filter",
            )
        if self.answers is None or self.whole_answers is None:
            raise SelectionError("the model predicts no class, so none changes", field="filter")
        rows = np.flatnonzero(self.answers[filter_index] != self.whole_answers)
        return {
            "sample": self.samples[rows],
            "old": self.whole_answers[rows].astype(np.int64),
            "new": self.answers[filter_index][rows].astype(np.int64),
        }


@dataclass(frozen=True, slots=True)
class AblationFacts:
    """What an ablation was made of.

    Attributes:
        store_digest: the digest of its store.
        model_digest: the digest of the model.
        target: the kind of answer.
        labels: who set the classes that count: `given`, `predicted` or `none`.
        by: what took the place of a filter's output.
        seed: of random choices.
        n_samples: the number of samples.
    """

    store_digest: str
    model_digest: str
    target: str
    labels: str
    by: Replacement
    seed: int
    n_samples: int


class Ablation:
    """An ablation of a store, open for reading; nothing of a layer is read before it is used.

    Attributes:
        path: the file.
        facts: what it was made of.
    """

    def __init__(self, path: Path, file: FileBytes) -> None:
        """Opens a file; for this package only, see `open_ablation`."""
        self.path = path
        self._file = file
        if not verify_seal(file):
            raise StoreError(f"{path} is a damaged ablation: it has no seal")
        with damage_as_store_error(path), h5py.File(file.name, "r", locking=False) as opened:
            attributes = read_attributes(opened)
            if attributes.get("format") != FORMAT:
                raise StoreError(f"{path} is no ablation: expected the format {FORMAT!r}")
            if str(attributes["format_version"]).split(".")[0] != FORMAT_VERSION.split(".")[0]:
                raise StoreError(f"{path} is of version {attributes['format_version']}; expected 1")
            nodes = dict(iter_nodes(opened, path))
            self._groups = _groups(nodes, path)
            arrays = {name: node for name, node in nodes.items() if isinstance(node, h5py.Dataset)}
            _require_arrays(arrays, self._groups, path)
            self._indexes = {name: index_of(array, file) for name, array in arrays.items()}
            self.attributes_digest = attributes_digest(opened)
            self.stated_digest = str(attributes[DIGEST])
            self.facts = AblationFacts(
                store_digest=str(attributes["store_digest"]),
                model_digest=str(attributes["model_digest"]),
                target=str(attributes["target"]),
                labels=str(attributes["labels"]),
                by=Replacement(str(attributes["by"])),
                seed=int(attributes["seed"]),
                n_samples=arrays["/sample"].shape[0],
            )

    @property
    def digest(self) -> str:
        """A digest, in hex, that differs between ablations, as that of a store between stores."""
        return str(stated_digest(self._file))

    @property
    def layers(self) -> tuple[str, ...]:
        """The paths of the layers that were measured."""
        return tuple(self._groups)

    @cached_property
    def samples(self) -> NDArray[np.int64]:
        """<int64>[sample], the index in the store of each sample."""
        return self._read("/sample")

    @cached_property
    def n(self) -> NDArray[np.int64]:
        """<int64>[class], samples of each class."""
        return self._read("/n")

    @cached_property
    def curve(self) -> Curve | None:
        """How right the model is while filters of all layers go; None where it was not measured."""
        return self._curve("")

    def layer(self, path: str) -> LayerAblation:
        """What was measured of a layer.

        Raises:
            LayerNotFoundError: if the layer was not measured.
            StoreError: if the file is damaged.
        """
        sums = self.sums(path)
        whole_answers, answers = (
            self._read(name) if (name := self._name(path, array)) in self._indexes else None
            for array in ("whole_answer", "answer")
        )
        curve = self._curve(f"/{layer_path(self._groups[path])}")
        return LayerAblation(path, sums, whole_answers, answers, self.samples, curve)

    def ranks(self) -> dict[str, NDArray[np.int64]]:
        """The rank of each filter among those of all layers, <int64>[filter], by layer.

        By cost, as `Costs.order` has them: rank 0 may go first.
        """
        parts = [costs(self.sums(path).together()).row(0) for path in self.layers]
        ranks = np.argsort(joint_order(parts))
        ends = np.cumsum([len(part.n) for part in parts])
        return dict(zip(self.layers, np.split(ranks, ends[:-1]), strict=True))

    def sums(self, path: str) -> AnswerSums:
        """What is summed over the samples of each class; answers of each sample are not read.

        Raises:
            LayerNotFoundError: if the layer was not measured.
            StoreError: if the file is damaged.
        """
        if path not in self._groups:
            raise LayerNotFoundError(
                f"{self.path.name} holds no layer {path!r}; it holds {', '.join(self.layers)}"
                f"{near_matches(path, self.layers)}; `fmcore ablate --layer {path}` adds it"
            )
        return AnswerSums(n=self.n, **{name: self._read(self._name(path, name)) for name in _SUMS})

    def _name(self, path: str, array: str) -> str:
        """The name in the file of an array of a layer."""
        return f"/{layer_path(self._groups[path])}/{array}"

    def kept_for(self, facts: AblationFacts, rows: NDArray[np.int64]) -> dict[str, LayerAblation]:
        """The layers, by path, for a run that adds others.

        Args:
            facts: what that run is made of.
            rows: <int64>[sample], its samples.

        Raises:
            OutputError: if it measures something else, naming the field.
        """
        for field in fields(AblationFacts):
            old, new = getattr(self.facts, field.name), getattr(facts, field.name)
            if old != new:
                raise OutputError(
                    f"{self.path} was measured with another {field.name}: {old}, now it is {new}; "
                    "give the old value to add layers, or --force to measure anew"
                )
        if not np.array_equal(self.samples, rows):
            raise OutputError(
                f"{self.path} was measured of other samples; give those to add layers, or --force "
                "to measure anew"
            )
        return {path: self.layer(path) for path in self.layers}

    def problems(self) -> Iterator[str]:
        """Yields a sentence for each damaged array."""
        if self.attributes_digest != self.stated_digest:
            yield f"the attributes differ from their digest ({DIGEST})"
        for name in self._indexes:
            try:
                self._read(name)
            except StoreError as error:
                yield str(error)

    def _curve(self, above: str) -> Curve | None:
        """The curve in a group; None where it holds none."""
        if f"{above}/curve_step" not in self._indexes:
            return None
        orders, ranks, steps, quality, samples = (
            self._read(f"{above}/{name}") for name in CURVE_ARRAYS
        )
        names = tuple(text.decode("utf-8", "replace") for text in orders)
        return Curve(names, ranks, steps, quality, samples)

    def _read(self, name: str) -> Any:
        index = self._indexes[name]
        return index.rows(0, index.shape[0])


def ablation_path(store: Path, by: Replacement) -> Path:
    """The file beside a store, without links, that keeps what was measured."""
    return store.with_name(f"{store.stem}.ablation-{by}{ENDING}")


def open_ablation(path: Path, *, digest: str, store: Path) -> Ablation:
    """Opens an ablation that a process apart has looked through, as `opened_apart` does stores.

    Args:
        path: of `ablation_path`.
        digest: the digest of the store.
        store: the store, for messages.

    Raises:
        FileNotFoundError: if there is none.
        StoreError: if it is damaged, or of another store.
    """
    if path.is_symlink():
        raise StoreError(f"{path} is a link; an ablation lies beside its store; {_remedy(store)}")
    file = FileBytes(path)
    try:
        call_apart(LOOK, file.descriptor, str(path), bounds_for(file.size))
    except ApartError as error:
        raise StoreError(f"{path} is a damaged ablation: {error}; {_remedy(store)}") from error
    ablation = Ablation(path, file)
    if ablation.facts.store_digest != digest:
        raise StoreError(
            f"{path.name} is of another store, or of what {store.name} was before: it names "
            f"{ablation.facts.store_digest[:12]}…, the store is {digest[:12]}…; {_remedy(store)}"
        )
    return ablation


def look(descriptor: int, name: str) -> None:
    """Opens an ablation and reads where its chunks lie; what the process apart calls.

    Raises:
        StoreError: if it is damaged.
    """
    path = Path(name)
    Ablation(path, FileBytes(path, descriptor=descriptor))


def write_ablation(
    path: Path,
    facts: AblationFacts,
    n: NDArray[np.int64],
    samples: NDArray[np.int64],
    layers: Mapping[str, LayerAblation],
    *,
    curve: Curve | None = None,
    overwrite: bool,
) -> None:
    """Writes an ablation; it appears when it is whole.

    Args:
        path: of `ablation_path`.
        facts: what it was made of.
        n: <int64>[class], samples of each class.
        samples: <int64>[sample], their indices in the store.
        layers: what was measured, by the path of each layer.
        curve: how right the model is while filters of all these layers go.
        overwrite: whether to replace an ablation that is there.

    Raises:
        OutputError: if the file exists and is not replaced, or cannot be written.
    """
    with (
        publish(path, overwrite=overwrite, kind=ABLATION_KIND) as partial,
        Interrupts() as interrupts,
    ):
        with DeferredErrorFile(partial, "w+") as stream:
            try:
                with interrupts.held(), create_file(stream) as file:
                    _write_all(file, facts, n, samples, layers, curve)
            except Exception:
                stream.check()  # the disk's error, not what HDF5 made of it
                raise
            stream.check()
        with interrupts.held():
            seal(partial)
            try:
                problem = next(Ablation(partial, FileBytes(partial)).problems(), None)
            except StoreError as error:
                problem = str(error)
            if problem is not None:
                raise OutputError(f"{path} was not written: it could not be read back ({problem})")


def refuse_existing_ablation(path: Path, *, overwrite: bool) -> None:
    """Raises `OutputError` where `write_ablation` would, before minutes of work."""
    refuse_existing(path, overwrite=overwrite, kind=ABLATION_KIND)


def _write_all(
    file: h5py.File,
    facts: AblationFacts,
    n: NDArray[np.int64],
    samples: NDArray[np.int64],
    layers: Mapping[str, LayerAblation],
    curve: Curve | None,
) -> None:
    texts = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "writer": f"fmcore {version('feature-map-dashboard')}",
        **{name: str(getattr(facts, name)) for name in ("store_digest", "model_digest")},
        **{name: str(getattr(facts, name)) for name in ("target", "labels", "by")},
    }
    for name, text in texts.items():
        file.attrs.create(name, fixed_text(text))
    file.attrs["seed"] = facts.seed
    _write_arrays(file, {"sample": samples, "n": n, **_curve_arrays(curve)}, SHARED_ARRAYS)
    for index, (name, layer) in enumerate(
        zip(safe_names(list(layers)), layers.values(), strict=True)
    ):
        group = create_group(file, layer_path(name))
        group.attrs.create("layer_path", fixed_text(layer.path))
        group.attrs["layer_index"] = index
        arrays = {field.name: getattr(layer.sums, field.name) for field in fields(AnswerSums)}
        if layer.answers is not None:
            arrays |= {"answer": layer.answers, "whole_answer": layer.whole_answers}
        arrays |= _curve_arrays(layer.curve)
        del arrays["n"]
        _write_arrays(group, arrays, LAYER_ARRAYS)
    file.attrs.create(DIGEST, fixed_text(attributes_digest(file)))


def _curve_arrays(curve: Curve | None) -> dict[str, Any]:
    if curve is None:
        return {}
    orders = np.array([name.encode() for name in curve.orders])
    values = (orders, curve.ranks, curve.steps, curve.quality, curve.samples)
    return dict(zip(CURVE_ARRAYS, values, strict=True))


def _write_arrays(
    group: h5py.Group, arrays: Mapping[str, Any], specs: Mapping[str, tuple[str, Any]]
) -> None:
    for name, values in arrays.items():
        dtype = np.dtype(specs[name][0])
        row_bytes = dtype.itemsize * math.prod(values.shape[1:])
        chunk = (max(1, min(values.shape[0], _CHUNK_BYTES // row_bytes)), *values.shape[1:])
        kind, properties = h5py.h5t.py_create(dtype, logical=True), creation_properties(chunk)
        space = h5py.h5s.create_simple(values.shape)
        dataset = h5py.Dataset(h5py.h5d.create(group.id, name.encode(), kind, space, properties))
        for start in range(0, values.shape[0], chunk[0]):
            rows = slice(start, start + chunk[0])
            dataset[rows] = np.asarray(values[rows], dtype)


def _groups(nodes: Mapping[str, Any], path: Path) -> dict[str, str]:
    """The name of the group of each layer, by the layer's path, in order."""
    groups = [
        (int(node.attrs["layer_index"]), str(read_attributes(node)["layer_path"]), name)
        for name, node in nodes.items()
        if isinstance(node, h5py.Group) and name != f"/{LAYERS}"
    ]
    named = {layer: name.removeprefix(f"/{layer_path('')}") for _, layer, name in sorted(groups)}
    if len(named) != len(groups) or not groups:
        raise StoreError(f"{path} is a damaged ablation: expected layers of different paths")
    return named


def _require_arrays(
    arrays: Mapping[str, h5py.Dataset], groups: Mapping[str, str], path: Path
) -> None:
    """Refuses a file whose arrays are not those of the format, in types, axes and sizes."""
    sizes: dict[str, int] = {}
    expected = {f"/{name}": spec for name, spec in SHARED_ARRAYS.items()}
    for group in groups.values():
        expected |= {f"/{layer_path(group)}/{name}": spec for name, spec in LAYER_ARRAYS.items()}
    for name, (dtype, axes) in expected.items():
        group, _, own = name.rpartition("/")
        if name not in arrays:
            optional = next((names for names in _OPTIONAL if own in names), frozenset())
            if optional and not any(f"{group}/{other}" in arrays for other in optional):
                continue
            raise StoreError(f"{path} is a damaged ablation: it holds no {name}")
        array = arrays[name]
        where = [axis if axis in ("sample", "class") else f"{group} {axis}" for axis in axes]
        shape = tuple(
            sizes.setdefault(axis, size) for axis, size in zip(where, array.shape, strict=False)
        )
        if array.shape != shape or len(axes) != len(shape) or array.dtype != np.dtype(dtype):
            raise StoreError(
                f"{path} is a damaged ablation: {name} is {array.dtype}{array.shape}, expected "
                f"{dtype}{shape}"
            )
        if array.size * array.dtype.itemsize > MOST_BYTES:
            raise StoreError(f"{path} is refused: {name} would take more than {MOST_BYTES:,} bytes")
    n_filters = sum(sizes[f"/{layer_path(group)} filter"] for group in groups.values())
    if sizes.get(" filter", n_filters) != n_filters:
        raise StoreError(
            f"{path} is a damaged ablation: the curve of the whole model is of "
            f"{sizes[' filter']} filters, expected {n_filters}"
        )
    if strange := sorted(arrays.keys() - expected.keys()):
        raise StoreError(f"{path} is a damaged ablation: {strange[0]} is no part of it")


def _remedy(store: Path) -> str:
    return f"`fmcore ablate {store.name} --model MODEL --force` measures anew"


def _is_ablation(stream: BinaryIO) -> bool:
    head = stream.read(_CHUNK_BYTES)
    return head.startswith(b"\x89HDF\r\n\x1a\n") and FORMAT.encode() in head


ABLATION_KIND = Kind("an ablation", _is_ablation)
