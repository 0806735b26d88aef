"""How far a capture on a cluster is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a capture is.

    Attributes:
        n_shards: the number of shards.
        n_finished: those that are captured.
        n_samples: the samples in all shards.
        n_captured: those in shards that are captured.
        n_new: those that this run captured, not an earlier one.
        n_workers: the workers that the cluster has now.
        seconds: how long this run has captured.
    """

    n_shards: int
    n_finished: int
    n_samples: int
    n_captured: int
    n_new: int
    n_workers: int
    seconds: float

    @property
    def rate(self) -> float:
        """Samples in a second; 0 where none is captured yet."""
        return self.n_new / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long the rest takes at this rate; None where that is not known yet."""
        return (self.n_samples - self.n_captured) / self.rate if self.rate else None

    @property
    def words(self) -> str:
        """All of it in one line."""
        workers = f"{self.n_workers} worker{'' if self.n_workers == 1 else 's'}"
        text = f"{self.n_finished} of {self.n_shards} shards, {workers}"
        if self.seconds_left is None:
            return text
        return f"{text}, {self.rate:,.0f} samples/s, {self.seconds_left:,.0f} s left"
