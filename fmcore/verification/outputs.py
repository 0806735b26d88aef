"""What a store should hold of a model's output, by the fields that it records; in float64."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import ModelError
from fmcore.records import Conversion, Target
from fmcore.storage import Store

AXES = {Target.CLASS: "class", Target.LABELS: "label", Target.NUMBER: "number"}
# What is true of each sample, where it is no class.
NOUNS = {Target.LABELS: "labels", Target.NUMBER: "numbers"}
# Half as an output has it before it becomes a probability.
_THRESHOLDS = {
    Conversion.SIGMOID: 0.0,
    Conversion.TWO_COLUMNS: 0.5,
    Conversion.TWO_COLUMNS_OF_SIGMOID: 0.0,
}
_SIGMOIDS = (Conversion.SIGMOID, Conversion.TWO_COLUMNS_OF_SIGMOID)
_TWO_COLUMNS = (Conversion.TWO_COLUMNS, Conversion.TWO_COLUMNS_OF_SIGMOID)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a store records of the answer that it holds.

    Attributes:
        target: the kind of answer.
        conversion: how the values of the output became what is stored.
        output: the name of the output.
    """

    target: Target
    conversion: Conversion
    output: str

    @classmethod
    def of(cls, store: Store) -> Recorded | None:
        """Reads the fields; None if a store holds no answers.

        Raises:
            ModelError: if another version wrote what this one cannot compute.
        """
        about = store.about()["model"]
        if not store.has_predictions and not store.target_names:
            return None
        conversion = str(about["conversion"])
        if conversion not in tuple(Conversion):
            raise ModelError(
                f"the store says that its answers are a {conversion!r} of the model's output, "
                "which this version cannot compute; verify it with the version of fmcore that "
                "captured it"
            )
        return cls(store.target, Conversion(conversion), str(about["output_name"]))

    @property
    def axis(self) -> str:
        """What the columns of the answers are: `class`, `label` or `number`."""
        return AXES[self.target]

    @property
    def words(self) -> str:
        """Which output it is, and as what it is stored."""
        return f"output {self.output!r} as {self.target}"

    @property
    def threshold(self) -> float | None:
        """Above which a value of the output means yes; None where values are not yes or no."""
        if self.target == Target.LABELS:
            return _THRESHOLDS.get(self.conversion, 0.5)
        return _THRESHOLDS.get(self.conversion) if self.target == Target.CLASS else None


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a store should hold of a model's output.

    Attributes:
        values: <float32>[sample, n], probabilities or numbers.
        size: the largest number in the output; what rounding may change grows with it.
    """

    values: NDArray[np.float32]
    size: float


def answers_of(outputs: Mapping[str, NDArray[np.float32]], recorded: Recorded) -> Answers:
    """What a store should hold of a model's outputs.

    Args:
        outputs: <float32>[sample, …] for each output by its name, as Keras predicts them.
        recorded: what the store records of its answers.

    Raises:
        ModelError: if the model has no such output, or the output is not of the form that the
            conversion takes.
    """
    name, conversion = recorded.output, recorded.conversion
    if name not in outputs:
        raise ModelError(f"the model's outputs are {', '.join(outputs)}; the store holds {name!r}")
    raw = outputs[name]
    raw = raw[:, np.newaxis] if raw.ndim == 1 else raw
    if raw.ndim != 2 or (conversion in _TWO_COLUMNS and raw.shape[1] != 1):
        expected = "one number" if conversion in _TWO_COLUMNS else "a row of numbers"
        raise ModelError(
            f"output {name!r} of the model is {raw.shape[1:]} for each image; expected {expected}, "
            f"which the store holds as {conversion}"
        )
    size = float(np.abs(raw[np.isfinite(raw)]).max(initial=0.0))
    values = raw.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if conversion == Conversion.SOFTMAX:
            values = np.exp(values - values.max(axis=1, keepdims=True))
            values /= values.sum(axis=1, keepdims=True)
        if conversion in _SIGMOIDS:
            values = 1 / (1 + np.exp(-values))
    if conversion in _TWO_COLUMNS:
        values = np.hstack([1 - values, values])
    return Answers(values.astype(np.float32), size)
