"""A callback of Keras that captures a model while it is trained; it knows no data and no store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from fmcore.files import output_errors, refuse_existing

FEWEST_DIGITS = 3


class CaptureCallback(keras.callbacks.Callback):  # type: ignore[misc]
    """Captures the model at the end of chosen epochs, one store each: `epoch-003.h5`.

    Training goes on as it would without: weights, optimizer and random numbers are not touched.
    """

    def __init__(
        self,
        capture: Callable[[keras.Model, Path], object],
        folder: Path,
        *,
        epochs: frozenset[int] | None,
        overwrite: bool,
    ) -> None:
        """Takes the capture as a function, so that nothing here depends on how it is done.

        Args:
            capture: writes the store of a model to a path.
            folder: where the stores lie; it is made where it is missing.
            epochs: those after which the model is captured, counted from 1; None for all.
            overwrite: replace stores of these names.
        """
        super().__init__()
        self._capture = capture
        self._folder = folder
        self._epochs = epochs
        self._overwrite = overwrite
        self._checked = False

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Makes the folder.

        Raises:
            OutputError: if it cannot be made.
        """
        self._checked = False
        with output_errors(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Stops before hours of training that would end at a file that is there.

        Here and not at the beginning, where Keras does not know yet which epoch it resumes at.

        Raises:
            OutputError: if a store exists and `overwrite` is false.
        """
        if self._checked:
            return
        self._checked = True
        for number in range(epoch + 1, self._last + 1):
            if self._is_chosen(number):
                refuse_existing(self._path(number), overwrite=self._overwrite)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002
        """Captures the model where this epoch is chosen; Keras counts from 0, people from 1.

        Raises:
            FmcoreError: as the capture does; training ends there, the model keeps its weights.
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
