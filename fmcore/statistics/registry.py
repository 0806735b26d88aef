"""Every statistic a store keeps for each class and filter, and what it means in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic, `[class, filter]`, at `/layers/<layer>/class/<name>`.

    Attributes:
        name: its name in the store, on the command line and in a link.
        title: what a person reads.
        definition: one sentence that says what the number is.
        dtype: `float64`, or `int64` for a count.
    """

    name: str
    title: str
    definition: str
    dtype: str = "float64"


_OVER = "over all pixels of the maps of all samples of the class"

STATISTICS = {
    statistic.name: statistic
    for statistic in (
        Statistic("mean", "Mean", f"Mean activation {_OVER}."),
        Statistic("std", "Standard deviation", f"Population standard deviation {_OVER}."),
        Statistic("min", "Minimum", f"Smallest activation {_OVER}."),
        Statistic("max", "Maximum", f"Largest activation {_OVER}."),
        Statistic(
            "zero_fraction",
            "Zero fraction",
            f"Share of activations that are exactly zero {_OVER}; after a ReLU, how much of the "
            "time the filter is silent.",
        ),
        Statistic("n_values", "Values", f"How many finite activations there are {_OVER}.", "int64"),
        Statistic(
            "n_nonfinite",
            "Non-finite values",
            f"How many activations are NaN or infinite {_OVER}; they enter neither mean, spread "
            "nor range.",
            "int64",
        ),
    )
}
