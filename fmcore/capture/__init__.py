"""One pass of a probe over a test set, streamed into a store; needs neither Keras nor HDF5."""

from fmcore.capture.cost import (
    DEFAULT_BATCH_SIZE,
    LARGE_STORE_BYTES,
    Estimate,
    LayerEstimate,
)
from fmcore.capture.labels import in_order_of, with_labels
from fmcore.capture.options import DEFAULTS, CaptureOptions, with_options
from fmcore.capture.plan import CapturePlan, plan_capture
from fmcore.capture.probe import Probe
from fmcore.capture.run import capture
from fmcore.capture.targets import answers_before_pixels, plan_output

__all__ = [
    "DEFAULTS",
    "DEFAULT_BATCH_SIZE",
    "LARGE_STORE_BYTES",
    "CaptureOptions",
    "CapturePlan",
    "Estimate",
    "LayerEstimate",
    "Probe",
    "answers_before_pixels",
    "capture",
    "in_order_of",
    "plan_capture",
    "plan_output",
    "with_labels",
    "with_options",
]
