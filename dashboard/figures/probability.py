"""The model's belief in each class, as bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dashboard.figures.theme import Figure, Theme, base_figure, plain
from dashboard.names import shortened
from fmcore.numbers import fraction_text

MOST_CLASSES = 10
# Longer names are cut beside the bars; the hover has them whole.
LONGEST_NAME = 18


def probability_figure(
    probability: NDArray[np.float32],
    *,
    class_names: Sequence[str],
    label: int,
    theme: Theme,
) -> Figure:
    """The ten likeliest classes, and the true one; the true class is green, a wrong prediction red.

    Args:
        probability: <float32>[class].
        class_names: the name of each class.
        label: true class index.
        theme: the colors.
    """
    likeliest = np.argsort(-probability, kind="stable")[:MOST_CLASSES].tolist()
    classes = sorted({*likeliest, label})
    prediction = int(probability.argmax())
    colors = dict.fromkeys(classes, theme.faint) | {prediction: theme.bad, label: theme.good}
    names = [plain(class_names[index]) for index in classes]
    trace = {
        "type": "bar",
        "x": probability[classes],
        "y": list(range(len(classes))),
        "customdata": names,
        "orientation": "h",
        "marker": {"color": [colors[index] for index in classes]},
        "text": [fraction_text(probability[index], decimals=3) for index in classes],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "class %{customdata}<br><b>%{x:.9~g}</b><extra></extra>",
    }
    return base_figure(
        theme,
        [trace],
        margin={"l": 8, "r": 8, "t": 0, "b": 0},
        bargap=0.25,
        xaxis={"range": [0, 1.35], "visible": False, "fixedrange": True},
        yaxis={
            # Ticks by place, because two classes may have one name.
            "tickvals": list(range(len(classes))),
            "ticktext": [plain(shortened(class_names[index], LONGEST_NAME)) for index in classes],
            "showgrid": False,
            "zeroline": False,
            "autorange": "reversed",
            "automargin": True,
            "fixedrange": True,
        },
    )
