"""What the package does, as Python functions: train, capture, and capture while a model trains.

The only module that wires Keras in, and it imports it inside the functions, so that importing
`fmcore` stays quick and free of it.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmcore import capture as capturing
from fmcore.dataset import (
    AS_GIVEN,
    Dataset,
    LabelledImages,
    Preprocessing,
    is_stream,
    labelled_images,
    spool,
)
from fmcore.errors import DatasetError, ModelError, SelectionError
from fmcore.files import publish, refuse_existing
from fmcore.model.opening import need_keras, open_model
from fmcore.records import KINDS, STATISTICS_KEPT, TAPS
from fmcore.selection import policies_for

if TYPE_CHECKING:
    import keras

    from fmcore.model.callback import CaptureCallback
    from fmcore.model.layers import LayerRow

__all__ = [
    "capture_activations",
    "capture_callback",
    "capture_dataset",
    "list_layers",
    "open_model",
    "train",
]


def list_layers(
    model: keras.Model,
    *,
    layers: str = "*",
    kind: str = KINDS[0],
    tap: str = TAPS[0],
    image_shape: tuple[int, int, int] | None = None,
) -> list[LayerRow]:
    """Every call of a model's layers, and whether a capture would take it.

    Args:
        model: see `open_model`.
        layers: as for `capture_activations`.
        kind: as for `capture_activations`.
        tap: as for `capture_activations`.
        image_shape: (y, x, channel) of the images, for models that take any size.

    Raises:
        ModelError, SelectionError: as a capture would.
    """
    need_keras()
    from fmcore.model import layers as model_layers

    return model_layers.list_layers(
        model, layers=layers, kind=kind, tap=tap, image_shape=image_shape
    )


def train(
    dataset: Dataset,
    out: Path,
    *,
    epochs: int = 3,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> dict[str, list[float]]:
    """Trains the tutorial's network and writes it, with its history beside it as JSON.

    Returns:
        For each quantity such as `val_accuracy`, its value after each epoch.

    Raises:
        DatasetError: if the data set has no training images.
        OutputError: if `out` exists and `overwrite` is false, or the disk refuses.
    """
    if dataset.train is None:
        raise DatasetError(
            f"{dataset.source} has no training images; expected arrays x_train and y_train"
        )
    if out.suffix != ".keras":
        raise ModelError(f"{out}: name a file that ends in .keras")
    history_path = out.with_suffix(".history.json")
    for path in (out, history_path):
        refuse_existing(path, overwrite=overwrite)
    need_keras()
    from fmcore.model.tutorial import train_tutorial_network

    trained = train_tutorial_network(
        dataset.train,
        n_classes=dataset.n_classes,
        epochs=epochs,
        seed=seed,
        progress=progress,
    )
    history = dict(trained.history)
    about = {"data": dataset.source, "epochs": epochs, "seed": seed, "history": history}
    with (
        publish(out, overwrite=overwrite) as partial,
        publish(history_path, overwrite=overwrite) as partial_history,
    ):
        partial_history.write_text(json.dumps(about, indent=2) + "\n")
        trained.model.save(partial)
    return history


def capture_dataset(
    model: keras.Model,
    dataset: Dataset,
    store: Path,
    *,
    preprocessing: Preprocessing,
    overwrite: bool = False,
    on_plan: Callable[[capturing.CapturePlan], bool] = lambda _: True,
    **options: Any,
) -> Path:
    """Captures the test images of a data set.

    Args:
        model: see `fmcore.sources.open_both`.
        dataset: its test images are captured.
        store: the file to write.
        preprocessing: of pixels; see `fmcore.sources.preprocessing_of`.
        overwrite: replace a store of that name.
        on_plan: called with all that is decided; where it returns False, nothing is captured.
        options: the others of `capture_activations`.

    Raises:
        ModelError, DatasetError, SelectionError, OutputError: as the parts do.
    """
    refuse_existing(store, overwrite=overwrite)
    return _capture(
        model,
        dataset.test,
        store,
        class_names=dataset.class_names,
        dataset_name=dataset.name,
        dataset_source=dataset.source,
        preprocessing=preprocessing,
        all_named=True,
        on_plan=on_plan,
        overwrite=overwrite,
        **options,
    )


def capture_activations(
    model: keras.Model | str | Path,
    images: Any,
    labels: Any,
    store: str | Path,
    *,
    layers: str = "*",
    class_names: Sequence[str] = (),
    dataset_name: str = "images",
    policy: str = "",
    batch_size: int | None = None,
    memory: int = capturing.DEFAULT_MEMORY,
    statistics: str = STATISTICS_KEPT[0],
    kind: str = "conv",
    tap: str = "output",
    predictions: bool = True,
    overwrite: bool = False,
    restart: bool = False,
    allow_large: bool = False,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Path:
    """Stores every convolutional layer's activations for a whole test set in one HDF5 file.

    The model sees the images as they are given, as in `model.predict(images)`. The same call again
    takes up a run that was interrupted.

    Args:
        model: a Keras model of any form, or what `open_model` opens.
        images: <uint8 or float>[sample, y, x] or [sample, y, x, channel], preprocessed; for a model
            with several inputs all of them, by name; or a `tf.data.Dataset` or a generator of
            `(images, labels)`, whose images are laid down on disk and not held.
        labels: <int>[sample], true class index; None with a stream, or where nobody knows them:
            classes are then what the model predicts, and the store says so. Where the model puts
            out no distribution over classes, there are no predictions; without labels all samples
            are then of one class.
        store: the file to write; it appears when it is whole.
        layers: comma-separated globs over layer paths, such as `conv1` or `inner/*`; `re:` begins a
            regular expression.
        class_names: the name of each class; numbers for those left out. They are the model's
            classes, or those of the labels where it has none.
        dataset_name: what the store records as the name of the test set.
        policy: how layers are stored, such as `"block1*=pooled,conv2=float16"`: `float32`, exactly,
            where nothing is said; `float16`, in half the bytes; `pooled`, no maps but all tables
            and statistics. The last pattern that fits a layer counts.
        batch_size: samples that go through the model together; at most 512, and what `memory` lets,
            where left out.
        memory: bytes that batches, class maps and histograms may take beyond model and images.
        statistics: `all`, or `basic` for neither histograms, scores, top samples nor similarities;
            what follows from the pooled tables can be computed from the store later.
        kind: `conv`, `activation`, `dense` or `all` layers; a dense layer's units are 1x1 maps.
        tap: `output` of each layer; or `activation`, what comes after the normalization and the
            activation function that follow it as layers of their own.
        predictions: False where the model's output is no class scores, though it looks alike: a
            vector of features. A model that puts out anything else has none anyway.
        overwrite: replace a store of that name.
        restart: discard the shards of an earlier run that was interrupted.
        allow_large: go on where the estimate exceeds 10 GB; so does a policy.
        on_progress: called with the number of samples that are done since the last call.

    Returns:
        The path of the store; `fmcore.open_store` reads it.

    Raises:
        DatasetError: if images and labels do not fit each other or the model.
        ModelError: if the model takes no images, or has no convolutional layers.
        SelectionError: if a glob matches no layer.
        OutputError: if the store exists and `overwrite` is false, or the disk refuses.
    """
    path = Path(store)
    refuse_existing(path, overwrite=overwrite)
    samples = labelled_images(images, labels, where="capture_activations(images, labels)")
    if isinstance(model, str | Path):
        model = open_model(model, image_shape=samples.image_shape)
    need_keras()
    return _capture(
        model,
        samples,
        path,
        layers=layers,
        class_names=class_names,
        dataset_name=dataset_name,
        dataset_source="arrays in Python",
        preprocessing=AS_GIVEN,
        policy=policy,
        batch_size=batch_size,
        memory=memory,
        statistics=statistics,
        kind=kind,
        tap=tap,
        predictions=predictions,
        overwrite=overwrite,
        restart=restart,
        allow_large=allow_large,
        on_progress=on_progress,
    )


def _capture(
    model: keras.Model,
    samples: LabelledImages,
    store: Path,
    *,
    class_names: Sequence[str],
    dataset_name: str,
    dataset_source: str,
    preprocessing: Preprocessing,
    layers: str = "*",
    policy: str = "",
    batch_size: int | None = None,
    memory: int = capturing.DEFAULT_MEMORY,
    statistics: str = STATISTICS_KEPT[0],
    kind: str = KINDS[0],
    tap: str = TAPS[0],
    predictions: bool = True,
    all_named: bool = False,
    allow_large: bool = False,
    on_plan: Callable[[capturing.CapturePlan], bool] = lambda _: True,
    **options: Any,
) -> Path:
    from fmcore.model.inputs import fit_to_model, inputs_of
    from fmcore.model.probe import KerasProbe

    if batch_size is not None and batch_size < 1:
        raise DatasetError(f"batch size {batch_size}; expected at least 1")
    if statistics not in STATISTICS_KEPT:
        raise SelectionError(f"statistics {statistics!r}; expected {' or '.join(STATISTICS_KEPT)}")
    inputs = inputs_of(model, image_shape=samples.image_shape)
    samples = fit_to_model(inputs, samples, where=dataset_source)
    probe = KerasProbe(
        model,
        layers=layers,
        kind=kind,
        tap=tap,
        predictions=predictions,
        image_shape=inputs.image_shape,
    )
    samples, names = capturing.with_labels(
        probe,
        samples,
        class_names,
        all_named=all_named,
        preprocessing=preprocessing,
        where=dataset_source,
    )
    plan = capturing.plan_capture(
        probe,
        samples,
        class_names=names,
        model=probe.info,
        dataset_name=dataset_name,
        dataset_source=dataset_source,
        preprocessing=preprocessing,
        policies=policies_for([layer.path for layer in probe.layers], policy),
        batch_size=batch_size,
        memory=memory,
        statistics=statistics,
    )
    if on_plan(plan):
        # Who says how layers are kept has thought of what they take.
        allow_large = allow_large or bool(policy)
        capturing.capture(probe, samples, store, plan, allow_large=allow_large, **options)
    return store


def capture_callback(
    images: Any,
    labels: Any,
    folder: str | Path,
    *,
    epochs: Iterable[int] | None = None,
    **options: Any,
) -> CaptureCallback:
    """A `keras.callbacks.Callback` that captures the model at the end of chosen epochs.

    >>> each = capture_callback(x_test, y_test, "epochs", epochs=[1, 5, 10])  # doctest: +SKIP
    >>> model.fit(x_train, y_train, epochs=10, callbacks=[each])              # doctest: +SKIP

    One store each, `epoch-001.h5` and so on, with more digits where training takes 1,000 epochs or
    more. The model is captured as it predicts: without dropout, with the moving averages of batch
    normalization. Training comes out as it would without the callback.

    Stores that exist are refused before the first epoch, those of all epochs that are left:
    training that is taken up where it stopped (`initial_epoch`, `BackupAndRestore`) goes on.

    Args:
        images: <uint8 or float>[sample, y, x] or [sample, y, x, channel], as the model takes them;
            see `capture_activations`.
        labels: <int>[sample], true class index.
        folder: where the stores are written; it is made where it is missing.
        epochs: numbers of epochs, counted from 1; every epoch where left out. One that training
            does not reach is not captured.
        options: all other options of `capture_activations`, such as `layers`, `policy` and
            `overwrite`.

    Raises:
        DatasetError: if images and labels do not fit each other.
        SelectionError: if `epochs` holds anything but whole numbers from 1, or nothing.
        FmcoreError: if Keras is not installed.
        TypeError: if `capture_activations` has no such option.
        OutputError: from `fit`, before the first epoch: if a store exists and `overwrite` is false.
    """
    # What is wrong is said now, not after the first epoch that is captured.
    chosen = _chosen(epochs)
    inspect.signature(capture_activations).bind(None, images, labels, folder, **options)
    if is_stream(images):  # which ends with its first capture
        images, labels = spool(images)
    labelled_images(images, labels, where="capture_callback(images, labels)")
    need_keras()
    from fmcore.model.callback import CaptureCallback

    return CaptureCallback(
        lambda model, path: capture_activations(model, images, labels, path, **options),
        Path(folder),
        epochs=chosen,
        overwrite=bool(options.get("overwrite", False)),
    )


def _chosen(epochs: Iterable[int] | None) -> frozenset[int] | None:
    expected = "expected whole numbers from 1, such as epochs=[1, 5, 10], or None for every epoch"
    if epochs is None:
        return None
    try:
        given = list(epochs)
    except TypeError as error:
        raise SelectionError(f"epochs={epochs!r}; {expected}", field="epochs") from error
    if not given:
        raise SelectionError(f"epochs={epochs!r} names no epoch; {expected}", field="epochs")
    for one in given:
        if not _is_whole(one) or one < 1:
            raise SelectionError(f"epochs: {one!r} is no epoch; {expected}", field="epochs")
    return frozenset(int(one) for one in given)


def _is_whole(value: object) -> bool:
    """Of Python or of numpy, but for `True`, which is a slip."""
    return hasattr(value, "__index__") and not isinstance(value, bool)
