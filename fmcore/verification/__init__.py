"""Compares a store with what Keras itself makes of the model and the data; needs no Keras."""

from fmcore.verification.differences import SUBJECTS, Difference, Subject
from fmcore.verification.run import (
    Reference,
    Verification,
    require_captured_data,
    require_captured_model,
    verify,
)

__all__ = [
    "SUBJECTS",
    "Difference",
    "Reference",
    "Subject",
    "Verification",
    "require_captured_data",
    "require_captured_model",
    "verify",
]
