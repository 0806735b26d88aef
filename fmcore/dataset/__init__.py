"""Labelled images: where they come from, how they are checked, and how they are preprocessed.

This package knows files and arrays only, neither models nor stores.
"""

from fmcore.dataset.files import from_idx, is_idx, npz_arrays, with_shared_names
from fmcore.dataset.folder import FITS, Fitting, from_folder, is_image
from fmcore.dataset.images import (
    Dataset,
    LabelledImages,
    as_pixels,
    check_labels,
    class_names_for,
    labelled_images,
)
from fmcore.dataset.mnist import load_dataset
from fmcore.dataset.preprocessing import (
    AS_GIVEN,
    Decision,
    Preprocessing,
    default_preprocessing,
    preprocessing_named,
    preprocessing_of_words,
)
from fmcore.dataset.room import DEFAULT_MEMORY
from fmcore.dataset.stream import is_stream, spool

__all__ = [
    "AS_GIVEN",
    "DEFAULT_MEMORY",
    "FITS",
    "Dataset",
    "Decision",
    "Fitting",
    "LabelledImages",
    "Preprocessing",
    "as_pixels",
    "check_labels",
    "class_names_for",
    "default_preprocessing",
    "from_folder",
    "from_idx",
    "is_idx",
    "is_image",
    "is_stream",
    "labelled_images",
    "load_dataset",
    "npz_arrays",
    "preprocessing_named",
    "preprocessing_of_words",
    "spool",
    "with_shared_names",
]
