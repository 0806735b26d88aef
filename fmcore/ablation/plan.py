"""How the work is cut: which samples and which variants go through the rest of a model together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fmcore.errors import SelectionError
from fmcore.files import size_text

# More rows at once are not quicker, and take more memory.
MOST_ROWS = 4096
MOST_SAMPLES = 256
# Of the memory, what is kept for the images and maps of a block and what they become.
SHARE_OF_RUNS = 0.5


@dataclass(frozen=True, slots=True)
class LayerPart:
    """The work of one layer; a row is a sample of a variant.

    Attributes:
        path: the layer's path.
        n_filters: the number of its filters.
        n_samples: the number of samples.
        block: samples that are prepared together.
        group: variants of a block that run together.
        seconds: about how long it takes; 0 until it was tried.
    """

    path: str
    n_filters: int
    n_samples: int
    block: int
    group: int
    seconds: float = 0.0

    @property
    def n_variants(self) -> int:
        """The whole model, and the model without each filter."""
        return self.n_filters + 1

    @property
    def n_rows(self) -> int:
        """How often the rest of the model answers for a sample."""
        return self.n_variants * self.n_samples

    def blocks(self) -> Iterator[range]:
        """The places of the samples of each block."""
        for start in range(0, self.n_samples, self.block):
            yield range(start, min(start + self.block, self.n_samples))


@dataclass(frozen=True, slots=True)
class CurvePart:
    """The work of the curve of the whole model.

    Attributes:
        n_layers: the number of layers.
        n_filters: the number of filters of all layers.
        n_variants: sets of filters that go together, and the whole model.
        n_samples: the number of samples.
        block: samples that are prepared together.
        group: variants of a block that run together.
        seconds: about how long it takes; 0 until it was tried.
    """

    n_layers: int
    n_filters: int
    n_variants: int
    n_samples: int
    block: int
    group: int
    seconds: float = 0.0

    @property
    def n_rows(self) -> int:
        """How often the model answers for a sample."""
        return self.n_variants * self.n_samples


@dataclass(frozen=True, slots=True)
class AblationPlan:
    """What is measured, and about how long it takes.

    Attributes:
        parts: the work of each layer that is still to be measured.
        kept: the layers that an earlier run has measured.
        n_done: rows that an interrupted run has left.
        notes: what else to know.
        model_curve: the work of the curve of the whole model; None where it is not to be measured.
    """

    parts: tuple[LayerPart, ...]
    kept: tuple[str, ...] = ()
    n_done: int = 0
    notes: tuple[str, ...] = ()
    model_curve: CurvePart | None = None

    @property
    def n_rows(self) -> int:
        """How often the rest of the model answers for a sample."""
        return self._rows_of_parts + (self.model_curve.n_rows if self.model_curve else 0)

    @property
    def seconds(self) -> float:
        """About how long it takes, by what the first batches took."""
        share = 1 - self.n_done / max(1, self._rows_of_parts)
        of_curve = self.model_curve.seconds if self.model_curve else 0.0
        return sum(part.seconds for part in self.parts) * share + of_curve

    @property
    def _rows_of_parts(self) -> int:
        return sum(part.n_rows for part in self.parts)


def plan_part(
    path: str, n_filters: int, n_samples: int, row_bytes: int, sample_bytes: int, memory: int
) -> LayerPart:
    """How the work of a layer is cut; of numbers alone, so that a run that goes on cuts alike.

    Args:
        path: the layer's path.
        n_filters: the number of its filters.
        n_samples: the number of samples.
        row_bytes: bytes that one sample of a variant takes.
        sample_bytes: bytes that one sample takes before it is varied.
        memory: bytes that all of it may take.

    Raises:
        SelectionError: if the memory is too small for a single sample.
    """
    n_variants, subject = n_filters + 1, f"layer {path}"
    block, group = cut(subject, n_variants, n_samples, row_bytes, sample_bytes, memory)
    return LayerPart(path, n_filters, n_samples, block, group)


def cut(
    subject: str, n_variants: int, n_samples: int, row_bytes: int, sample_bytes: int, memory: int
) -> tuple[int, int]:
    """The samples of a block and the variants of a group, as `plan_part` takes them.

    Args:
        subject: the part of the model, for messages.
        n_variants: the number of variants.
        n_samples: the number of samples.
        row_bytes: bytes that one sample of a variant takes.
        sample_bytes: bytes that one sample takes before it is varied.
        memory: bytes that all of it may take.

    Raises:
        SelectionError: if the memory is too small for a single sample.
    """
    rows = int(memory * SHARE_OF_RUNS) // row_bytes
    most = int(memory * (1 - SHARE_OF_RUNS)) // sample_bytes
    if min(rows, most) < 1:
        least = size_text(int((row_bytes + sample_bytes) / SHARE_OF_RUNS))
        raise SelectionError(
            f"{subject} takes about {least} for one sample, and the memory is "
            f"{size_text(memory)}; give more with --memory",
            field="memory",
        )
    rows = min(rows, MOST_ROWS)
    block = max(1, min(MOST_ROWS // n_variants, MOST_SAMPLES, rows, most, n_samples))
    return block, max(1, min(rows // block, n_variants))
