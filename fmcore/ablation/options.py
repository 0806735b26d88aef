"""The options of an ablation."""

from __future__ import annotations

from dataclasses import dataclass

from fmcore.errors import SelectionError
from fmcore.statistics import Replacement, replacement_named

DEFAULT_MEMORY = 1 << 30
LEAST_MEMORY = 1 << 20


@dataclass(frozen=True, slots=True)
class AblationOptions:
    """How filters are taken out, and of what.

    Attributes:
        layers: layers by name or glob, several with commas.
        by: what takes the place of a filter's output: `zero`; `mean`, its mean over the test set;
            or `resample`, its output for another sample.
        seed: of the random choice of other samples, and of random orders.
        curve: whether to measure how right the model is while filters go one after the other.
        model_curve: whether to measure that with the filters of all measured layers together.
        memory: bytes that may be taken beyond the model.
        overwrite: whether to measure anew what was measured already.
        restart: whether to discard what an interrupted run has left.
    """

    layers: str = "*"
    by: str = Replacement.ZERO
    seed: int = 0
    curve: bool = False
    model_curve: bool = False
    memory: int = DEFAULT_MEMORY
    overwrite: bool = False
    restart: bool = False

    def __post_init__(self) -> None:
        replacement_named(self.by)
        for name, value, low in (("seed", self.seed, 0), ("memory", self.memory, LEAST_MEMORY)):
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < low:
                raise SelectionError(
                    f"{name}={value!r}; expected a whole number from {low:,}", field=name
                )

    @property
    def replacement(self) -> Replacement:
        """What takes the place of a filter's output."""
        return Replacement(self.by)
