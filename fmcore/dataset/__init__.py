"""Labelled images: where they are found, how they are checked, and what a model is fed.

Not the model and not the store: this package knows files and arrays only.
"""

from fmcore.dataset.images import (
    Dataset,
    LabelledImages,
    check_labels,
    class_names_for,
    describe_scale,
    input_scale,
    labelled_images,
    model_input,
)
from fmcore.dataset.load import load_dataset

__all__ = [
    "Dataset",
    "LabelledImages",
    "check_labels",
    "class_names_for",
    "describe_scale",
    "input_scale",
    "labelled_images",
    "load_dataset",
    "model_input",
]
