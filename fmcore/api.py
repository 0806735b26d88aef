"""The package's Python functions: train, capture, verify, ablate, and capture during training.

The only module that brings Keras in; it imports Keras inside functions, so that importing `fmcore`
stays fast and works without it.
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmcore import capture as capturing
from fmcore.ablation import AblationOptions, AblationPlan, Joint, Rest, ablate
from fmcore.capture import DEFAULTS, CaptureOptions, CapturePlan, with_options
from fmcore.cluster import (
    ClusterOptions,
    KerasOpening,
    Progress,
    capture_on_cluster,
    check_cluster,
    cluster_options,
)
from fmcore.dataset import (
    AS_GIVEN,
    Dataset,
    Decision,
    LabelledImages,
    Preprocessing,
    default_preprocessing,
    is_stream,
    labelled_images,
    preprocessing_of_words,
    spool,
)
from fmcore.errors import DatasetError, ModelError, SelectionError
from fmcore.files import publish, refuse_existing
from fmcore.model.opening import need_keras, open_model
from fmcore.model.training_record import HISTORY_KIND, MODEL_KIND, write_record
from fmcore.progress import notebook_bar
from fmcore.records import Conversion, ModelOutput
from fmcore.selection import match_names
from fmcore.storage import STORE_KIND, Samples, Store, as_mask, opened_apart
from fmcore.verification import (
    Verification,
    require_captured_data,
    require_captured_model,
    verify,
)

if TYPE_CHECKING:
    import distributed
    import keras

    from fmcore.model.callback import CaptureCallback
    from fmcore.model.layers import LayerRow

log = logging.getLogger(__name__)

__all__ = [
    "ablate_dataset",
    "ablate_store",
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
    command: str = "",
    cluster: ClusterOptions | None = None,
    opening: KerasOpening | None = None,
    on_decision: Callable[[Decision], object] = lambda _: None,
    on_plan: Callable[[CapturePlan], bool] = lambda _: True,
    on_progress: Callable[[int], object] = lambda _: None,
    on_shard: Callable[[Progress], object] = lambda _: None,
    on_link: Callable[[str], object] = lambda _: None,
) -> Path:
    """Captures the test images of a data set.

    Args:
        model: a Keras model, such as `fmcore.sources.open_both` returns.
        dataset: the data set whose test images are captured.
        store: the file to write.
        options: the options of the capture.
        model_source: the model's file or name, which may say how it was trained.
        preprocessing: what is done to pixels; where left out, see `fmcore.model.scaling.decide`.
        command: the command that the store records; empty for none.
        cluster: the cluster that captures; this process where left out.
        opening: how its workers open model and images; what they are not told is written for them.
        on_decision: called with the preprocessing and the reason for it, before the plan.
        on_plan: called with the plan of the capture; where it returns False, nothing is captured.
        on_progress: called with the number of samples captured since the last call.
        on_shard: called after each shard that a cluster captures.
        on_link: called with the address of the cluster's own dashboard, if there is one.

    Raises:
        ModelError, DatasetError, SelectionError, OutputError, ClusterError: as
            `capture_activations` does.
    """
    if cluster is not None:
        check_cluster(cluster)
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
        command=command,
        cluster=cluster,
        opening=opening or KerasOpening(),
        on_decision=on_decision,
        on_plan=on_plan,
        on_progress=on_progress,
        on_shard=on_shard,
        on_link=on_link,
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
    cluster: ClusterOptions | distributed.Client | str | None = None,
    on_progress: Callable[[int], object] | None = None,
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
        cluster: a Dask cluster that captures, whose workers see the folder of the store: the
            address of its scheduler, `local:N` for N processes on this machine, a
            `distributed.Client`, or `fmcore.cluster.ClusterOptions`. This process where left out.
        on_progress: called with the number of samples captured since the last call; where left
            out, there is a progress bar in a notebook.
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
        ClusterError: if the cluster cannot be reached or is lost, or a worker refuses.
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
        cluster=None if cluster is None else cluster_options(cluster),
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
    cluster: ClusterOptions | None = None,
    on_progress: Callable[[int], object] | None,
) -> Path:
    if cluster is not None:
        check_cluster(cluster)
    refuse_existing(store, overwrite=options.overwrite, kind=STORE_KIND)
    where = "capture_activations(images, labels)"
    samples = labelled_images(images, labels, where=where, steps=steps)
    source = model if isinstance(model, str | Path) else ""
    if isinstance(model, str | Path):
        model = open_model(model, image_shape=samples.image_shape)
    need_keras()
    with contextlib.ExitStack() as stack:
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
            cluster=cluster,
            opening=KerasOpening(str(source)),
            on_progress=on_progress or stack.enter_context(notebook_bar(len(samples), "sample")),
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
    command: str = "",
    cluster: ClusterOptions | None,
    opening: KerasOpening,
    on_decision: Callable[[Decision], object] = lambda _: None,
    on_plan: Callable[[CapturePlan], bool] = lambda _: True,
    on_progress: Callable[[int], object],
    on_shard: Callable[[Progress], object] = lambda _: None,
    on_link: Callable[[str], object] = lambda _: None,
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
        command=command,
    )
    if not on_plan(plan):
        return store
    if cluster is None:
        return capturing.capture(probe, samples, store, plan, options, on_progress=on_progress)
    opening = opening.for_workers()
    return capture_on_cluster(
        opening,
        samples,
        store,
        plan,
        options,
        cluster,
        save=functools.partial(opening.save, model, samples),
        on_progress=on_progress,
        on_shard=on_shard,
        on_link=on_link,
    )


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


def ablate_store(
    store: str | Path,
    model: keras.Model | str | Path,
    images: Any = None,
    labels: Any = None,
    *,
    samples: Samples | None = None,
    on_plan: Callable[[AblationPlan], object] = lambda _: None,
    on_progress: Callable[[int], object] | None = None,
    **options: Any,
) -> Path:
    """Measures what a model loses without each filter of a store's layers, over the whole test set.

    The output of a filter, as the store has it, is replaced, and the rest of the model answers
    again. What lies before the layer is not computed for each filter. Calling it again goes on with
    a run that was interrupted, and adds layers to those that were measured.

    >>> ablate_store("store.h5", model)                               # doctest: +SKIP
    >>> with open_store("store.h5") as store:                         # doctest: +SKIP
    ...     store.ablation("zero").layer("conv1").costs().accuracy.value

    Args:
        store: the store.
        model: the Keras model that was captured, or what `open_model` opens; it is not changed.
        images: the images that were captured, in their order, which are compared with those in the
            store; those of the store where left out. A model with several inputs needs them.
        labels: as they were captured.
        samples: which samples are answered: an expression such as `label=7`, flags <bool>[sample],
            or indices; all where left out.
        on_plan: called with what is measured and how long it takes, by the first batches, such as
            `print`; only where it returns False is nothing measured.
        on_progress: called with the number of rows since the last call: a row is a sample without
            a filter. Where left out, there is a progress bar in a notebook.
        options: those of `fmcore.ablation.AblationOptions`.

    Returns:
        The file beside the store, which `Store.ablation` reads.

    Raises:
        TypeError: if there is no such option.
        DatasetError: if the images are not those of the store, or are needed.
        ModelError: if the model is not that of the store.
        SelectionError: if there is no such layer, sample or option.
        StoreError, InputFileError: if the store or the model's file cannot be read.
        OutputError: if the file beside it cannot be written.
    """
    where = "ablate_store(…, images, labels)"
    test_set = None if images is None else labelled_images(images, labels, where=where)
    with opened_apart(store) as opened:
        if isinstance(model, str | Path):
            model = open_model(model, image_shape=opened.image_shape)
        return _ablate(
            opened,
            model,
            test_set,
            AblationOptions(**options),
            samples=samples,
            class_names=(),
            where=where,
            on_plan=on_plan,
            on_progress=on_progress,
        )


def ablate_dataset(
    store: Path,
    model: keras.Model,
    dataset: Dataset | None,
    options: AblationOptions,
    *,
    samples: str = "",
    on_plan: Callable[[AblationPlan], object] = lambda _: None,
    on_progress: Callable[[int], object] = lambda _: None,
) -> Path:
    """Measures what a model loses without each filter, of the test images of a data set.

    Args:
        store: the store.
        model: a Keras model, such as `fmcore.sources.open_both` returns.
        dataset: the data set that was captured; None for the images in the store.
        options: how filters are taken out.
        samples: an expression of a group of samples; all where it is empty.
        on_plan: called with what is measured and how long it takes; only where it returns False is
            nothing measured.
        on_progress: called with the number of rows since the last call.

    Raises:
        DatasetError, ModelError, SelectionError, StoreError, OutputError: as `ablate_store` does.
    """
    with opened_apart(store) as opened:
        return _ablate(
            opened,
            model,
            None if dataset is None else dataset.test,
            options,
            samples=samples or None,
            class_names=() if dataset is None else dataset.class_names,
            where=str(store) if dataset is None else dataset.source,
            on_plan=on_plan,
            on_progress=on_progress,
        )


def _ablate(
    store: Store,
    model: keras.Model,
    test_set: LabelledImages | None,
    options: AblationOptions,
    *,
    samples: Samples | None,
    class_names: Sequence[str],
    where: str,
    on_plan: Callable[[AblationPlan], object],
    on_progress: Callable[[int], object] | None,
) -> Path:
    need_keras()
    from fmcore.model.ablation import StoredAnswer, joint_rest, layer_rests
    from fmcore.model.inputs import fit_to_model, inputs_of
    from fmcore.model.probe import model_info
    from fmcore.model.reference import Stored

    paths = match_names(list(store.layers), options.layers, what="layer", field="layers")
    info = model_info(model)
    require_captured_model(store, info)
    inputs = inputs_of(model, image_shape=store.image_shape)
    if test_set is not None:
        test_set = fit_to_model(inputs, test_set, where=where)
        require_captured_data(store, test_set, class_names)
    elif inputs.others:
        raise DatasetError(
            f"model {model.name!r} takes {', '.join(inputs.others)} beside the image, which a "
            "store does not hold; give the data that were captured (--data)"
        )
    rows = np.arange(store.n_samples)
    if samples is not None:
        rows = np.flatnonzero(as_mask(samples, store.n_samples, store.group))
    if not len(rows):
        raise SelectionError(f"{store.path.name} has no such sample", field="sample")
    about = store.about()
    preprocessing = preprocessing_of_words(str(about["dataset"]["preprocessing"]))

    def read(indices: NDArray[np.int64]) -> tuple[NDArray[np.float32], dict[str, Any]]:
        if test_set is None:
            return preprocessing(store.images[indices]), {}
        others = {name: values[indices] for name, values in test_set.others.items()}
        return preprocessing(test_set.images_of(indices)), others

    answer = StoredAnswer(store.target)
    if store.has_predictions or store.target_names:
        output, conversion = (str(about["model"][x]) for x in ("output_name", "conversion"))
        answer = StoredAnswer(store.target, output, Conversion(conversion))

    def stored(names: Sequence[str]) -> list[Stored]:
        layers = (store.layers[name] for name in names)
        return [Stored(layer.path, str(layer.attributes["kind"]), layer.shape) for layer in layers]

    def rests(names: Sequence[str]) -> Sequence[Rest]:
        return layer_rests(model, inputs, stored(names), answer) if names else ()

    def joint(names: Sequence[str]) -> Joint:
        return joint_rest(model, inputs, stored(names), answer)

    with contextlib.ExitStack() as stack:
        return ablate(
            store,
            rests,
            joint,
            read,
            rows,
            info,
            options,
            paths,
            on_plan=on_plan,
            on_progress=on_progress or stack.enter_context(notebook_bar(0, "row")),
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
