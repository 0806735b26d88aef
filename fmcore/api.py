"""The package's Python functions: train, capture, verify, and capture while a model trains.

The only module that brings Keras in; it imports Keras inside functions, so that importing `fmcore`
stays fast and works without it.
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmcore import capture as capturing
from fmcore.capture import DEFAULTS, CaptureOptions, CapturePlan, with_options
from fmcore.dataset import (
    AS_GIVEN,
    Dataset,
    Decision,
    LabelledImages,
    Preprocessing,
    default_preprocessing,
    is_stream,
    labelled_images,
    spool,
)
from fmcore.errors import DatasetError, ModelError, SelectionError
from fmcore.files import publish, refuse_existing
from fmcore.model.opening import need_keras, open_model
from fmcore.model.training_record import HISTORY_KIND, MODEL_KIND, write_record
from fmcore.records import ModelOutput
from fmcore.storage import STORE_KIND, opened_apart
from fmcore.verification import Verification, verify

if TYPE_CHECKING:
    import keras

    from fmcore.model.callback import CaptureCallback
    from fmcore.model.layers import LayerRow

log = logging.getLogger(__name__)

__all__ = [
    "capture_activations",
    "capture_callback",
    "capture_dataset",
    "list_layers",
    "list_outputs",
    "open_model",
    "train",
    "verify_dataset",
    "verify_store",
]


def list_layers(
    model: keras.Model,
    options: CaptureOptions = DEFAULTS,
    *,
    image_shape: tuple[int, int, int] | None = None,
) -> list[LayerRow]:
    """Every call of a model's layers, and whether a capture would store it.

    Args:
        model: a Keras model, such as `open_model` returns.
        options: the options of a capture; layers, kind and tap are used here.
        image_shape: (y, x, channel) of the images, for models that take any size.

    Raises:
        ModelError, SelectionError: if a capture with these options would be refused.
    """
    need_keras()
    from fmcore.model import layers as model_layers

    return model_layers.list_layers(model, options, image_shape=image_shape)


def list_outputs(
    model: keras.Model, *, image_shape: tuple[int, int, int] | None = None
) -> Sequence[ModelOutput]:
    """Every output of a model, with what makes its values and what it was trained with.

    Args:
        model: a Keras model, such as `open_model` returns.
        image_shape: (y, x, channel) of the images, for models that take any size.

    Raises:
        ModelError: if a capture would be refused.
    """
    need_keras()
    from fmcore.model import outputs as model_outputs

    return model_outputs.list_outputs(model, image_shape=image_shape)


def train(
    dataset: Dataset,
    out: Path,
    *,
    epochs: int = 3,
    seed: int = 0,
    overwrite: bool = False,
    progress: bool = False,
) -> dict[str, list[float]]:
    """Trains the tutorial's network, and writes the model and its history, as JSON beside it.

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
        raise ModelError(f"cannot write {out}: the name of a model's file must end in .keras")
    history_path = out.with_suffix(".history.json")
    for path, kind in ((out, MODEL_KIND), (history_path, HISTORY_KIND)):
        refuse_existing(path, overwrite=overwrite, kind=kind)
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
        publish(out, overwrite=overwrite, kind=MODEL_KIND) as partial,
        publish(history_path, overwrite=overwrite, kind=HISTORY_KIND) as partial_history,
    ):
        partial_history.write_text(json.dumps(about, indent=2) + "\n")
        trained.model.save(partial)
        write_record(partial, default_preprocessing(dataset.train.images))
    return history


def capture_dataset(
    model: keras.Model,
    dataset: Dataset,
    store: Path,
    options: CaptureOptions = DEFAULTS,
    *,
    model_source: str | Path = "",
    preprocessing: Preprocessing | None = None,
    on_decision: Callable[[Decision], object] = lambda _: None,
    on_plan: Callable[[CapturePlan], bool] = lambda _: True,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Path:
    """Captures the test images of a data set.

    Args:
        model: a Keras model, such as `fmcore.sources.open_both` returns.
        dataset: the data set whose test images are captured.
        store: the file to write.
        options: the options of the capture.
        model_source: the model's file or name, which may say how it was trained.
        preprocessing: what is done to pixels; where left out, see `fmcore.model.scaling.decide`.
        on_decision: called with the preprocessing and the reason for it, before the plan.
        on_plan: called with the plan of the capture; where it returns False, nothing is captured.
        on_progress: called with the number of samples captured since the last call.

    Raises:
        ModelError, DatasetError, SelectionError, OutputError: as `capture_activations` does.
    """
    refuse_existing(store, overwrite=options.overwrite, kind=STORE_KIND)
    return _capture(
        model,
        dataset.test,
        store,
        options,
        class_names=dataset.class_names,
        dataset_name=dataset.name,
        dataset_source=dataset.source,
        declared=preprocessing,
        is_checked=False,
        model_source=model_source,
        all_named=True,
        on_decision=on_decision,
        on_plan=on_plan,
        on_progress=on_progress,
    )


@with_options
def capture_activations(
    model: keras.Model | str | Path,
    images: Any,
    labels: Any,
    store: str | Path,
    *,
    class_names: Sequence[str] = (),
    dataset_name: str = "images",
    steps: int | None = None,
    on_progress: Callable[[int], object] = lambda _: None,
    **options: Any,
) -> Path:
    """Stores every convolutional layer's activations for a whole test set in one HDF5 file.

    The model sees the images as they are passed, as in `model.predict(images)`; a warning is logged
    where they do not look like those that it was trained on. Calling it again resumes a run that
    was interrupted.

    Args:
        model: a Keras model of any form, or what `open_model` opens.
        images: <uint8 or float>[sample, y, x] or [sample, y, x, channel], preprocessed; for a model
            with several inputs a dict of all of them; or a stream of `(images, labels)`, such as a
            `tf.data.Dataset`, a `keras.utils.PyDataset` or a generator, whose images are written to
            a temporary file and not held in memory.
        labels: what is true of each sample: class indices, names or categories [sample]; rows
            [sample, n] of 0 and 1, one-hot or of several labels; or numbers. None with a stream, or
            where labels are unknown: the model's predictions then take their place, and the store
            says so. Where the model predicts no class there are no predictions, and without classes
            all samples are of one.
        store: the file to write; it appears when it is complete.
        class_names: the name of each class; classes without a name are numbered. The classes are
            those of the model, or of the labels where the model has none.
        dataset_name: what the store records as the name of the test set.
        steps: the number of elements to take from a stream, at most, as in `model.predict`; an
            endless stream needs it. All where left out.
        on_progress: called with the number of samples captured since the last call.
        options: those of `fmcore.capture.CaptureOptions`.

    Returns:
        The path of the store; `fmcore.open_store` opens it.

    Raises:
        TypeError: if there is no such option.
        DatasetError: if images and labels do not fit each other or the model, or a stream is
            endless and there are no steps.
        ModelError: if the model takes no images, has no convolutional layers, or puts out what may
            be more than one thing; `target` and `output` then say it.
        SelectionError: if a glob matches no layer, or an option has no such value.
        OutputError: if the store exists and `overwrite` is false, or the disk refuses.
    """
    return _capture_arrays(
        model,
        images,
        labels,
        Path(store),
        CaptureOptions(**options),
        class_names=class_names,
        dataset_name=dataset_name,
        steps=steps,
        on_progress=on_progress,
    )


def _capture_arrays(
    model: keras.Model | str | Path,
    images: Any,
    labels: Any,
    store: Path,
    options: CaptureOptions,
    *,
    class_names: Sequence[str],
    dataset_name: str,
    steps: int | None = None,
    on_progress: Callable[[int], object],
) -> Path:
    refuse_existing(store, overwrite=options.overwrite, kind=STORE_KIND)
    where = "capture_activations(images, labels)"
    samples = labelled_images(images, labels, where=where, steps=steps)
    source = model if isinstance(model, str | Path) else ""
    if isinstance(model, str | Path):
        model = open_model(model, image_shape=samples.image_shape)
    need_keras()
    return _capture(
        model,
        samples,
        store,
        options,
        class_names=class_names,
        dataset_name=dataset_name,
        dataset_source="arrays in Python",
        declared=AS_GIVEN,
        model_source=source,
        on_progress=on_progress,
    )


def _capture(
    model: keras.Model,
    samples: LabelledImages,
    store: Path,
    options: CaptureOptions,
    *,
    class_names: Sequence[str],
    dataset_name: str,
    dataset_source: str,
    declared: Preprocessing | None,
    is_checked: bool = True,
    model_source: str | Path = "",
    all_named: bool = False,
    on_decision: Callable[[Decision], object] = lambda _: None,
    on_plan: Callable[[CapturePlan], bool] = lambda _: True,
    on_progress: Callable[[int], object],
) -> Path:
    from fmcore.model.inputs import fit_to_model, inputs_of
    from fmcore.model.probe import KerasProbe
    from fmcore.model.scaling import decide

    inputs = inputs_of(model, image_shape=samples.image_shape)
    samples = fit_to_model(inputs, samples, where=dataset_source)
    samples = capturing.in_order_of(class_names, samples, where=dataset_source)
    probe = KerasProbe(model, options, image_shape=inputs.image_shape)
    usual = [declared] if declared else [default_preprocessing(samples.images), AS_GIVEN]
    plan_for = functools.cache(  # the model may have to run for it
        lambda preprocessing: capturing.plan_output(
            probe, samples, options, preprocessing=preprocessing
        )
    )
    answer, target = capturing.answers_before_pixels(probe, plan_for, usual)
    decision = decide(
        model,
        samples,
        inputs,
        declared=declared,
        is_checked=is_checked,
        source=model_source,
        answer=answer,
        target=target,
    )
    log.info("preprocessing: %s; %s", decision.words, decision.sight)
    if decision.warning:
        log.warning("%s", decision.warning)
    on_decision(decision)
    output = plan_for(decision.preprocessing)
    probe.use_output(output)
    log.info("target %s: %s", output.target, output.record)
    samples, names = capturing.with_labels(
        probe,
        samples,
        class_names,
        all_named=all_named,
        preprocessing=decision.preprocessing,
        where=dataset_source,
    )
    plan = capturing.plan_capture(
        probe,
        samples,
        options,
        class_names=names,
        model=probe.info,
        dataset_name=dataset_name,
        dataset_source=dataset_source,
        preprocessing=decision.preprocessing,
        preprocessing_words=decision.words,
        output=output,
    )
    if on_plan(plan):
        capturing.capture(probe, samples, store, plan, options, on_progress=on_progress)
    return store


def verify_store(
    store: str | Path,
    model: keras.Model | str | Path,
    images: Any,
    labels: Any = None,
    *,
    samples: int = 200,
    seed: int = 0,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Verification:
    """Compares a store with what Keras itself makes of the model and the images.

    Random samples go through Keras' own `predict` and `evaluate`, with a plain
    `keras.Model(model.inputs, layer_outputs)`, and pixels, labels, output, maps and how right the
    model is are compared with the store; of layers whose maps are not stored, the pooled tables.

    >>> verify_store("store.h5", model, x_test, y_test).agrees   # doctest: +SKIP
    True

    Args:
        store: the store.
        model: the Keras model that was captured, or what `open_model` opens; it is not changed.
        images: the images that were captured, in their order; see `capture_activations`. They are
            preprocessed as the store records.
        labels: as they were captured, in any of the forms that `capture_activations` takes; None
            where the capture had none.
        samples: the number of samples to compare; all where there are fewer.
        seed: fixes which samples.
        on_progress: called with the number of samples compared since the last call.

    Returns:
        The result; its `agrees` says whether all is equal, its `words` what differs first.

    Raises:
        DatasetError: if images and labels do not fit each other or the model.
        ModelError: if Keras cannot run the model.
        SelectionError: if `samples` or `seed` is not such a number.
        StoreError, InputFileError: if the store or the model's file cannot be read.
    """
    test_set = labelled_images(images, labels, where="verify_store(…, images, labels)")
    if isinstance(model, str | Path):
        model = open_model(model, image_shape=test_set.image_shape)
    return _verify(
        Path(store),
        model,
        test_set,
        class_names=(),
        where="verify_store(…, images, labels)",
        n_samples=samples,
        seed=seed,
        on_progress=on_progress,
    )


def verify_dataset(
    store: Path,
    model: keras.Model,
    dataset: Dataset,
    *,
    samples: int,
    seed: int,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Verification:
    """Compares a store with what Keras itself makes of the test images of a data set.

    Args:
        store: the store.
        model: a Keras model, such as `fmcore.sources.open_both` returns.
        dataset: the data set that was captured.
        samples: the number of samples to compare.
        seed: fixes which samples.
        on_progress: called with the number of samples compared since the last call.

    Raises:
        DatasetError, ModelError, SelectionError, StoreError: as `verify_store` does.
    """
    return _verify(
        store,
        model,
        dataset.test,
        class_names=dataset.class_names,
        where=dataset.source,
        n_samples=samples,
        seed=seed,
        on_progress=on_progress,
    )


def _verify(
    store: Path,
    model: keras.Model,
    samples: LabelledImages,
    *,
    class_names: Sequence[str],
    where: str,
    n_samples: int,
    seed: int,
    on_progress: Callable[[int], object],
) -> Verification:
    for name, value, least in (("samples", n_samples, 1), ("seed", seed, 0)):
        if not _is_whole(value) or value < least:
            raise SelectionError(
                f"{name}={value!r}; expected a whole number from {least}", field=name
            )
    need_keras()
    from fmcore.model.inputs import fit_to_model, inputs_of
    from fmcore.model.probe import model_info
    from fmcore.model.reference import KerasReference, Stored

    with opened_apart(store) as opened:
        inputs = inputs_of(model, image_shape=samples.image_shape)
        layers = [
            Stored(layer.path, str(layer.attributes["kind"]), layer.shape)
            for layer in opened.layers.values()
        ]
        return verify(
            opened,
            fit_to_model(inputs, samples, where=where),
            model_info(model, output=""),
            lambda: KerasReference(model, inputs, layers),
            class_names=class_names,
            n_samples=n_samples,
            seed=seed,
            on_progress=on_progress,
        )


@with_options
def capture_callback(
    images: Any,
    labels: Any,
    folder: str | Path,
    *,
    epochs: Iterable[int] | None = None,
    class_names: Sequence[str] = (),
    dataset_name: str = "images",
    steps: int | None = None,
    on_progress: Callable[[int], object] = lambda _: None,
    **options: Any,
) -> CaptureCallback:
    """A `keras.callbacks.Callback` that captures the model at the end of chosen epochs.

    >>> capture = capture_callback(x_test, y_test, "epochs", epochs=[1, 5, 10])  # doctest: +SKIP
    >>> model.fit(x_train, y_train, epochs=10, callbacks=[capture])              # doctest: +SKIP

    Each epoch gets a store of its own, `epoch-001.h5` and so on, with more digits from 1,000 epochs
    on. The model is captured in inference mode: without dropout, and with the moving averages of
    batch normalization. Training gives the same result as without the callback.

    Before the first epoch, stores of the epochs still to come are refused if they exist; so
    training that is resumed (`initial_epoch`, `BackupAndRestore`) goes on.

    Args:
        images: <uint8 or float>[sample, y, x] or [sample, y, x, channel], as the model takes them;
            see `capture_activations`.
        labels: what is true of each sample; see `capture_activations`.
        folder: folder of the stores; it is created where it is missing.
        epochs: numbers of epochs, counted from 1; every epoch where left out. An epoch that
            training does not reach is not captured.
        class_names: the name of each class; see `capture_activations`.
        dataset_name: what each store records as the name of the test set.
        steps: the number of elements to take from a stream; see `capture_activations`.
        on_progress: called with the number of samples captured since the last call.
        options: those of `fmcore.capture.CaptureOptions`.

    Raises:
        TypeError: if there is no such option.
        DatasetError: if images and labels do not fit each other.
        ModelError, SelectionError: if an option has no such value, or `epochs` is empty or holds
            anything but whole numbers from 1.
        MissingLibraryError: if Keras is not installed.
        OutputError: from `fit`, before the first epoch: if a store exists and `overwrite` is false.
    """
    # Errors are raised now, not after the first epoch that is captured.
    capture_options = CaptureOptions(**options)
    epoch_numbers = _parse_epochs(epochs)
    where = "capture_callback(images, labels)"
    if is_stream(images) and labels is None:  # its first capture would use it up
        class_names = class_names or getattr(images, "class_names", None) or ()
        images, labels = spool(images, steps=steps)
        steps = None
    labelled_images(images, labels, where=where, steps=steps)
    need_keras()
    from fmcore.model.callback import CaptureCallback

    def capture(model: keras.Model, path: Path) -> Path:
        return _capture_arrays(
            model,
            images,
            labels,
            path,
            capture_options,
            class_names=class_names,
            dataset_name=dataset_name,
            on_progress=on_progress,
        )

    return CaptureCallback(
        capture, Path(folder), epochs=epoch_numbers, overwrite=capture_options.overwrite
    )


def _parse_epochs(epochs: Iterable[int] | None) -> frozenset[int] | None:
    expected = "expected whole numbers from 1, such as epochs=[1, 5, 10], or None for every epoch"
    if epochs is None:
        return None
    try:
        numbers = list(epochs)
    except TypeError as error:
        raise SelectionError(f"epochs={epochs!r}; {expected}", field="epochs") from error
    if not numbers:
        raise SelectionError(f"epochs={epochs!r} names no epoch; {expected}", field="epochs")
    for number in numbers:
        if not _is_whole(number) or number < 1:
            raise SelectionError(f"epochs: {number!r} is no epoch; {expected}", field="epochs")
    return frozenset(map(int, numbers))


def _is_whole(value: object) -> bool:
    """Whether a value is an integer of Python or NumPy; not a bool, which is a mistake here."""
    return hasattr(value, "__index__") and not isinstance(value, bool)
