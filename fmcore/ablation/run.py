"""Runs the rest of a model without each filter, block by block, and writes what that changes."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fmcore.ablation.answers import Run, Samples, mean_map, tried_seconds
from fmcore.ablation.curves import curve_orders, layer_signs
from fmcore.ablation.model_curve import Joint, ModelCurve
from fmcore.ablation.options import AblationOptions
from fmcore.ablation.parts import Parts, open_parts
from fmcore.ablation.plan import AblationPlan, LayerPart, plan_part
from fmcore.records import ModelInfo, Policy
from fmcore.statistics import (
    AnswerSums,
    Curve,
    Replacement,
    answer_sums,
    output_sums,
)
from fmcore.storage import (
    Ablation,
    AblationFacts,
    Layer,
    LayerAblation,
    Store,
    ablation_path,
    refuse_existing_ablation,
    write_ablation,
)

# Parts are made durable as often as this, in seconds: to write one takes milliseconds.
FLUSH_SECONDS = 2.0
# Bytes of filters' answers that are summed at once.
SUMMED_BYTES = 64 << 20


class Rest(Protocol):
    """What follows a layer, up to the answer; see `fmcore.model.ablation.LayerRest`."""

    @property
    def path(self) -> str:
        """The layer's path."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(y, x, filter) of the maps of one sample."""

    @property
    def reads_maps(self) -> bool:
        """Whether stored maps are all that it needs, and quicker than the images."""

    @property
    def row_bytes(self) -> int:
        """Bytes that one sample of a variant takes, about."""

    def share(
        self,
        maps: NDArray[np.float32] | None,
        substitutes: NDArray[np.float32] | None,
        images: NDArray[np.float32] | None,
        others: Mapping[str, NDArray[np.float32]],
    ) -> Any:
        """What all variants of a batch have in common."""

    def maps(
        self, images: NDArray[np.float32], others: Mapping[str, NDArray[np.float32]]
    ) -> NDArray[np.float32]:
        """What the layer puts out, <float32>[sample, y, x, filter]."""

    def answers(self, shared: Any, variants: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The answers, <float32>[variant, sample, n]."""


def ablate(
    store: Store,
    rests: Callable[[Sequence[str]], Sequence[Rest]],
    joint: Callable[[Sequence[str]], Joint],
    samples: Samples,
    rows: NDArray[np.int64],
    model: ModelInfo,
    options: AblationOptions,
    paths: Sequence[str],
    *,
    on_plan: Callable[[AblationPlan], object] = lambda _: None,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Path:
    """Measures what the model of a store loses without each filter of some layers.

    What an interrupted run has measured is gone on with. Layers that were measured before are kept.
    A curve of the whole model is of all layers in the file: it is not kept where layers are added.

    Args:
        store: an open store.
        rests: gives what follows each layer.
        joint: gives the model without filters of several layers.
        samples: gives the images.
        rows: <int64>[sample], the samples to answer, by their index in the store.
        model: the model, which is that of the store.
        options: how filters are taken out.
        paths: the layers.
        on_plan: called with what is measured and how long it takes; only where it returns False is
            nothing measured.
        on_progress: called with the number of rows since the last call.

    Returns:
        The file beside the store.

    Raises:
        ModelError: if the rest of the model does not give the stored answers.
        OutputError: if the file cannot be written.
        SelectionError: if the memory is too small.
    """
    path = ablation_path(store.real_path, options.replacement)
    facts = AblationFacts(
        store_digest=store.digest,
        model_digest=model.digest,
        target=store.target,
        labels=store.labels_are,
        by=options.replacement,
        seed=options.seed,
        n_samples=len(rows),
    )
    kept, curve = _kept(store, facts, rows, options)
    missing = [name for name in paths if name not in kept]
    without_curve = [
        name for name in paths if name in kept and options.curve and kept[name].curve is None
    ]
    run = Run(store, samples, rows, options)
    works = [
        _Work(rest, store.layers[rest.path], run) for rest in rests([*missing, *without_curve])
    ]
    todo, curves_only = works[: len(missing)], works[len(missing) :]
    together = [name for name in store.layers if name in kept or name in missing]
    model_curve = None
    if options.model_curve and (missing or curve is None):
        model_curve = ModelCurve(joint(together), [store.layers[name] for name in together], run)
    identity = {
        **{name: str(value) for name, value in dataclasses.asdict(facts).items()},
        "samples": hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest(),
        "framework": model.framework,
        "layers": ", ".join(missing),
        "memory": str(options.memory),
    }
    places = {name: place for place, name in enumerate(missing)}
    with open_parts(path, identity, places, restart=options.restart) as parts:
        tried = tuple(dataclasses.replace(work.part, seconds=work.try_out()) for work in todo)
        n_done = sum(parts.n_samples[part.path] * part.n_variants for part in tried)
        notes = [note for work in todo if (note := work.note)]
        if missing and curve is not None:
            if model_curve is None:
                notes.append(_dropped_words(missing))
            curve = None
        of_curve = None if model_curve is None else model_curve.try_out()
        planned = AblationPlan(tried, tuple(kept), n_done, tuple(notes), of_curve)
        if on_plan(planned) is False:
            return path
        on_progress(n_done)
        layers: dict[str, LayerAblation] = dict(kept)
        for work in todo:
            work.measure(parts, on_progress)
        for work in todo:
            layers[work.part.path] = work.result(parts)
        for work in curves_only:
            layers[work.part.path] = work.with_curve(kept[work.part.path])
        layers = {name: layers[name] for name in together}
        if model_curve is not None:
            curve = model_curve.measure(list(layers.values()), on_progress)
        if works or model_curve is not None:
            n = np.bincount(run.labels, minlength=len(store.class_names))
            write_ablation(path, facts, n, rows, layers, curve=curve, overwrite=True)
        parts.remove()
    return path


def _kept(
    store: Store, facts: AblationFacts, rows: NDArray[np.int64], options: AblationOptions
) -> tuple[dict[str, LayerAblation], Curve | None]:
    """What an earlier run has measured of the same samples in the same way."""
    path = ablation_path(store.real_path, options.replacement)
    refuse_existing_ablation(path, overwrite=True)
    if options.overwrite or not path.exists():
        return {}, None
    ablation: Ablation = store.ablation(options.replacement)
    return ablation.kept_for(facts, rows), ablation.curve


def _dropped_words(missing: Sequence[str]) -> str:
    return (
        f"the curve of the whole model is dropped, since it is not of {', '.join(missing)}; "
        "--model-curve measures it of all layers"
    )


class _Work:
    """The work of one layer."""

    def __init__(self, rest: Rest, layer: Layer, run: Run) -> None:
        self._rest, self._layer, self._run = rest, layer, run
        self._reads_maps = rest.reads_maps and layer.policy == Policy.FLOAT32
        map_bytes = 4 * math.prod(rest.shape)
        self.part: LayerPart = plan_part(
            rest.path,
            rest.shape[2],
            len(run.rows),
            max(1, rest.row_bytes),
            # The maps, what takes their place, and both in the model's own form; the images.
            4 * map_bytes + 8 * math.prod(run.store.image_shape),
            run.options.memory,
        )
        by_mean = run.options.replacement == Replacement.MEAN
        self._substitute = mean_map(layer) if by_mean else None
        self._where = f"from layer {rest.path} on"

    @property
    def note(self) -> str:
        """What to know of how the layer is measured; empty where nothing is."""
        if self._layer.policy == Policy.FLOAT32:
            return ""
        return (
            f"the store keeps {'no maps' if not self._layer.has_maps else 'float16 maps'} of layer "
            f"{self.part.path}: the model computes them"
        )

    def _shared(self, places: NDArray[np.int64]) -> Any:
        run, rows = self._run, self._run.rows[places]
        resamples = run.options.replacement == Replacement.RESAMPLE
        partners = run.partners[places]
        if self._reads_maps:
            maps = self._layer.activation[rows]
            other = self._layer.activation[partners] if resamples else self._substitute
            return self._rest.share(maps, other, None, {})
        other = self._rest.maps(*run.samples(partners)) if resamples else self._substitute
        return self._rest.share(None, other, *run.samples(rows))

    def try_out(self) -> float:
        """About how many seconds the layer takes, by a few of its runs."""
        part, places = self.part, np.array(next(self.part.blocks()))
        variants = _variants(part)[: part.group]
        return tried_seconds(self._shared, self._rest.answers, places, variants, part)

    def measure(self, parts: Parts, on_progress: Callable[[int], object]) -> None:
        """Answers all samples without each filter, from where an interrupted run has stopped."""
        part = self.part
        done = parts.n_samples[part.path]
        variants, waiting = _variants(part), []
        start, flushed = done, time.monotonic()
        for places in part.blocks():
            if places.stop <= done:
                continue
            waiting.append(self._block(places, variants, on_progress))
            if places.stop == part.n_samples or time.monotonic() - flushed > FLUSH_SECONDS:
                parts.record(part.path, start, np.concatenate(waiting, axis=1))
                waiting, start, flushed = [], places.stop, time.monotonic()

    def _block(
        self, places: range, variants: NDArray[np.bool_], on_progress: Callable[[int], object]
    ) -> NDArray[Any]:
        """What is kept of the answers for some samples, [variant, sample]."""
        run, shared = self._run, self._shared(np.array(places))
        values = np.empty((len(variants), len(places)), run.dtype())
        labels = run.labels[places.start : places.stop]
        whole: NDArray[np.float32] | None = None
        for start in range(0, len(variants), self.part.group):
            group = slice(start, start + self.part.group)
            answers = self._rest.answers(shared, variants[group])
            if whole is None:
                whole = answers[0]
                run.require_stored(whole, np.array(places), where=self._where)
            if run.predicts_class:
                values["answer"][group] = answers.argmax(axis=2)
                values["value"][group] = answers[:, np.arange(len(labels)), labels]
            else:
                values["answer"][group] = 0
                away = answers.astype(np.float64) - whole
                values["value"][group] = (away**2).sum(axis=2)
            on_progress(len(answers) * len(places))
        if not run.predicts_class and whole is not None:
            values["value"][0] = (whole.astype(np.float64) ** 2).sum(axis=1)
        return values

    def result(self, parts: Parts) -> LayerAblation:
        """What was measured of the layer, once all of its parts are there."""
        run, joined = self._run, parts.joined(self.part.path)
        n_classes = len(run.store.class_names)
        whole = joined[slice(0, 1)][0]
        step = max(1, SUMMED_BYTES // (32 * len(run.rows)))
        blocks = []
        for start in range(1, self.part.n_variants, step):
            without = joined[slice(start, start + step)]
            if run.predicts_class:
                sums = answer_sums(
                    run.labels,
                    (whole["answer"], whole["value"].astype(np.float64)),
                    (without["answer"], without["value"].astype(np.float64)),
                    n_classes=n_classes,
                )
            else:
                sums = output_sums(
                    run.labels, whole["value"], without["value"], n_classes=n_classes
                )
            blocks.append(sums)
        layer = LayerAblation(
            self.part.path,
            AnswerSums.side_by_side(blocks),
            whole["answer"] if run.predicts_class else None,
            joined.field("answer", 1) if run.predicts_class else None,
            run.rows,
        )
        return self.with_curve(layer) if run.options.curve else layer

    def with_curve(self, layer: LayerAblation) -> LayerAblation:
        """The layer with how right the model is while filters go, in several orders."""
        seed, signs = self._run.options.seed, layer_signs(self._layer)
        orders = curve_orders(layer.costs().order(), signs, seed=seed)
        curve = self._run.curve(
            orders, self.part, self._shared, self._rest.answers, where=self._where
        )
        return dataclasses.replace(layer, curve=curve)


def _variants(part: LayerPart) -> NDArray[np.bool_]:
    """The whole model, then the model without each filter, <bool>[variant, filter]."""
    variants = np.zeros((part.n_variants, part.n_filters), np.bool_)
    np.fill_diagonal(variants[1:], val=True)
    return variants
