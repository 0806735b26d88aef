"""What is said of a sample's class: its label, what the model predicts, and whether it is right."""

from __future__ import annotations

from dashboard.source import Snapshot


def names_of(snapshot: Snapshot, sample: int) -> tuple[str | None, str | None]:
    """The names of a sample's label and prediction; None for what nobody knows."""
    names, predictions = snapshot.catalog.class_names, snapshot.predictions
    label = names[snapshot.labels[sample]] if snapshot.store.has_labels else None
    return label, None if predictions is None else names[predictions[sample]]


def judged(label: str | None, predicted: str | None) -> str:
    """Both in words; empty where neither is known."""
    known = [] if label is None else [f"label {label}"]
    if predicted is not None:
        right = "" if label is None else " (right)" if label == predicted else " (wrong)"
        known.append(f"predicted {predicted}{right}")
    return ", ".join(known)


def why_no_predictions(snapshot: Snapshot) -> str:
    """A sentence for where predictions would stand; the store says what the model puts out."""
    output = str(snapshot.about()["model"]["output"]).removeprefix("no class distribution: ")
    what = "predictions" if snapshot.store.has_labels else "predictions and no labels"
    return f"This store has no {what}: {output}, no distribution over classes."


def verdict(sample: int, label: str | None, predicted: str | None) -> str:
    """The same in few signs; the sample's index where neither is known."""
    if label is None or predicted is None:
        return label or predicted or f"#{sample}"
    return f"{label} ✓" if label == predicted else f"{label} ✗ {predicted}"
