"""Captures of a model while it is trained: the arguments of `capture_callback`, and no Keras."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fmcore.dataset import is_stream, labelled_images, spooled
from fmcore.errors import SelectionError
from fmcore.model.opening import need_keras
from fmcore.pipeline import capture_activations

if TYPE_CHECKING:
    from fmcore.model.callback import CaptureCallback


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
        images, labels = spooled(images)
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
