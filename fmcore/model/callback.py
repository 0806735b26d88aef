"""A Keras callback that captures a model during training; it knows no data and no store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from fmcore.files import output_errors, refuse_existing
from fmcore.storage import STORE_KIND

FEWEST_DIGITS = 3


class CaptureCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Captures the model at the end of chosen epochs, into one store each: `epoch-003.h5`.

    It does not change the training: weights, optimizer and random numbers are left alone.
    """

    def __init__(
        self,
        capture: Callable[[keras.Model, Path], object],
        folder: Path,
        *,
        epochs: frozenset[int] | None,
        overwrite: bool,
    ) -> None:
        """Takes the capture as a function, so that nothing here depends on data or stores.

        Args:
            capture: captures a model into a store at a path.
            folder: folder of the stores; it is created where it is missing.
            epochs: epochs after which the model is captured, counted from 1; None for all.
            overwrite: replace stores that exist.
        """
        super().__init__()
        self._capture = capture
        self._folder = folder
        self._epochs = epochs
        self._overwrite = overwrite
        self._checked = False

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Creates the folder.

        Raises:
            OutputError: if it cannot be created.
        """
        self._checked = False
        with output_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Refuses stores that exist, before hours of training that would end at one of them.

        This cannot be done when training begins: Keras does not know yet which epoch it resumes
        at.

        Raises:
            OutputError: if a store exists and `overwrite` is false.
        """
        if self._checked:
            return
        self._checked = True
        for number in range(epoch + 1, self._last + 1):
            if self._is_chosen(number):
                refuse_existing(self._path(number), overwrite=self._overwrite, kind=STORE_KIND)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Captures the model if this epoch is chosen; Keras counts from 0, people from 1.

        Raises:
            FmcoreError: if the capture fails; training ends, and the model keeps its weights.
        """
        number = epoch + 1
        if self._is_chosen(number):
            self._capture(self.model, self._path(number))

    @property
    def _last(self) -> int:
        return int(self.params["epochs"])

    def _is_chosen(self, number: int) -> bool:
        return self._epochs is None or number in self._epochs

    def _path(self, number: int) -> Path:
        # As wide as the last epoch, so that names sort as epochs do.
        digits = max(FEWEST_DIGITS, len(str(self._last)))
        return self._folder / f"epoch-{number:0{digits}}.h5"
