"""What a store holds of a model's output, computed from the output by the words in the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fmcore.errors import ModelError


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What a store should hold of a model's output.

    Attributes:
        output: index of the output that scores classes.
        probability: <float32>[sample, class].
        threshold: above which an output of one number means class 1; None where there is one number
            for each class.
        size: the largest number in the output; what rounding may change grows with it.
    """

    output: int
    probability: NDArray[np.float32]
    threshold: float | None
    size: float

    def fits(self, n_classes: int) -> bool:
        """Whether there is a probability for each class of the store."""
        return self.probability.shape[1:] == (n_classes,)

    def n_ties(self, slack: float) -> int:
        """The number of samples of which rounding decides the most probable class."""
        largest = np.sort(self.probability, axis=1)[:, -2:]
        return int((largest[:, -1] - largest[:, 0] <= slack).sum())


def answers_of(outputs: Sequence[NDArray[np.float32]], names: Sequence[str], words: str) -> Answers:
    """What a store should hold of a model's outputs.

    Args:
        outputs: <float32>[sample, …] for each output, as Keras predicts them.
        names: the name of each output; empty where they have none.
        words: the attribute `output` of `/model` in the store, as the capture wrote it.

    Raises:
        ModelError: if the words name no output of the model, or it is no output of that form.
    """
    index = _index(len(outputs), names, words)
    values = outputs[index]
    size = float(np.abs(values[np.isfinite(values)]).max(initial=0.0))
    if words.endswith("own probability of class 1"):
        return Answers(index, _two_classes(values, words), 0.5, size)
    if words.startswith("sigmoid of") and words.endswith("the probability of class 1"):
        second = (1 / (1 + np.exp(-values.astype(np.float64)))).astype(np.float32)
        return Answers(index, _two_classes(second, words), 0.0, size)
    if words.endswith("own probabilities"):
        return Answers(index, values, None, size)
    if words.startswith("softmax of"):
        powers = np.exp(values.astype(np.float64) - values.max(axis=1, keepdims=True))
        probability = powers / powers.sum(axis=1, keepdims=True)
        return Answers(index, probability.astype(np.float32), None, size)
    raise ModelError(
        f"the store says of the model's output {words!r}, which this version cannot compute; "
        "verify it with the version of fmcore that captured it"
    )


def _index(n_outputs: int, names: Sequence[str], words: str) -> int:
    """The output that the words are about; there is only one where they name none."""
    if " 1 of " not in words:
        index = 0
    else:
        names = names or [str(number) for number in range(n_outputs)]
        index = next(
            (
                number
                for number, name in enumerate(names)
                if f"output {name!r}, 1 of {n_outputs}," in words
            ),
            n_outputs,
        )
    if index >= n_outputs:
        raise ModelError(f"the model's outputs are {', '.join(names)}; the store holds {words}")
    return index


def _two_classes(second: NDArray[np.float32], words: str) -> NDArray[np.float32]:
    if second.ndim != 2 or second.shape[1] != 1:
        raise ModelError(f"the model puts out {second.shape[1:]} for each image; expected {words}")
    return np.concatenate([1 - second, second], axis=1)
