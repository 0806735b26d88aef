"""Measures what a model loses without each filter; sees Keras only as a `Rest` or `Joint`."""

from fmcore.ablation.answers import Samples
from fmcore.ablation.model_curve import Joint
from fmcore.ablation.options import DEFAULT_MEMORY, AblationOptions
from fmcore.ablation.plan import AblationPlan, CurvePart, LayerPart
from fmcore.ablation.run import Rest, ablate

__all__ = [
    "DEFAULT_MEMORY",
    "AblationOptions",
    "AblationPlan",
    "CurvePart",
    "Joint",
    "LayerPart",
    "Rest",
    "Samples",
    "ablate",
]
