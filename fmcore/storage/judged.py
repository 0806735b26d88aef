"""What an open store knows of right and wrong: labels, predictions, both, or neither."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import PredictionsNotStoredError


class Judged:
    """Reads who is of which class, and who says so; `Store` is the whole.

    Attributes:
        path: the file.
        labels_are: `given`; `predicted`, where they are the model's own; or `none`, all 0, where
            nobody knows the classes and the model predicts none.
        has_predictions: whether the model puts out a distribution over classes.
    """

    path: Path
    labels_are: str
    has_predictions: bool

    @property
    def has_labels(self) -> bool:
        """Whether somebody knew the classes."""
        return self.labels_are == "given"

    @property
    def has_outcomes(self) -> bool:
        """Whether each prediction is correct or wrong."""
        return self.has_labels and self.has_predictions

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class index, <int64>[sample]; the true one where `has_labels`."""
        return self._read("samples/label")

    @property
    def predictions(self) -> NDArray[np.int64]:
        """The model's class index, <int64>[sample].

        Raises:
            PredictionsNotStoredError: if there are none.
        """
        return self._read(self._predicted("samples/prediction"))

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """The model's belief in each class, <float32>[sample, class]; raises as `predictions`."""
        return self._read(self._predicted("samples/probability"))

    def probability(self, sample: int) -> NDArray[np.float32]:
        """The model's belief in each class, <float32>[class]; raises as `predictions`."""
        return self._row(self._predicted("samples/probability"), sample)

    @property
    def class_columns(self) -> tuple[str, ...]:
        """Those of `label` and `prediction` that somebody, or the model, knows of each sample."""
        labels = () if self.labels_are == "none" else ("label",)
        return (*labels, *(("prediction",) if self.has_predictions else ()))

    def classes_of_samples(self) -> dict[str, NDArray[np.int64]]:
        """The same with their class indices, <int64>[sample]."""
        return {name: self._read(f"samples/{name}") for name in self.class_columns}

    @property
    def accuracy_words(self) -> str:
        """Such as `test accuracy 0.9841`, or why there is none."""
        return self.why_no_outcomes or f"test accuracy {self.about()['model']['test_accuracy']:.4f}"

    @property
    def why_no_outcomes(self) -> str:
        """Why no prediction is correct or wrong; empty where each is."""
        if self.has_outcomes:
            return ""
        if self.has_predictions:
            return "no labels: classes are what the model predicts"
        return "no predictions" if self.has_labels else "no predictions and no labels"

    def _predicted(self, path: str) -> str:
        if not self.has_predictions:
            raise PredictionsNotStoredError(
                f"{self.path.name} holds no predictions: {self.about()['model']['output']}"
            )
        return path

    if TYPE_CHECKING:  # of the whole

        def about(self) -> dict[str, dict[str, Any]]:
            """Every attribute, by group."""

        def _read(self, path: str) -> Any: ...
        def _row(self, path: str, sample: int) -> Any: ...
