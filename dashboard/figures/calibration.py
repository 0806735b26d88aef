"""How often predictions of each confidence are right, above how many there are."""

from __future__ import annotations

import numpy as np

from dashboard.figures.theme import Figure, Theme, base_figure
from fmcore.numbers import share_text
from fmcore.statistics import Calibration

# Where the two parts lie from bottom to top: counts, and shares that are right.
COUNTS, SHARES = (0.0, 0.24), (0.34, 1.0)


def calibration_figure(calibration: Calibration, *, theme: Theme) -> Figure:
    """The share that is right in each bin of confidence, with its 95 % interval, and its count.

    A dotted line is where both are equal. Counts have a logarithmic axis: most models are confident
    of nearly all samples.

    Args:
        calibration: the bins.
        theme: the colors.
    """
    is_there = calibration.n > 0
    n, confidence = calibration.n[is_there], calibration.confidence[is_there]
    right = calibration.accuracy
    value, low, high = (part[is_there] for part in (right.value, right.low, right.high))
    middles = (calibration.edges[1:] + calibration.edges[:-1])[is_there] / 2
    lined = {"gridcolor": theme.faint, "griddash": "dot", "zeroline": False, "fixedrange": True}
    about = [
        [
            f"{share_text(calibration.edges[at])} to {share_text(calibration.edges[at + 1])}",
            f"{calibration.n[at]:,} sample{'s' * (int(calibration.n[at]) != 1)}",
            share_text(calibration.confidence[at]),
            share_text(right.value[at]),
            f"{share_text(right.low[at])} to {share_text(right.high[at])}",
        ]
        for at in np.flatnonzero(is_there).tolist()
    ]
    hover = (
        "confidence %{customdata[0]}: %{customdata[1]}<br>mean confidence %{customdata[2]}<br>"
        "<b>%{customdata[3]}</b> right, 95% interval %{customdata[4]}<extra></extra>"
    )
    traces = [
        {
            "type": "scatter",
            "x": [0, 1],
            "y": [0, 1],
            "mode": "lines",
            "line": {"color": theme.text, "width": 1, "dash": "dot"},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "x": confidence,
            "y": value,
            "error_y": {
                "type": "data",
                "symmetric": False,
                "array": (high - value).tolist(),
                "arrayminus": (value - low).tolist(),
                "color": theme.accent,
                "thickness": 1.5,
                "width": 4,
            },
            "mode": "markers+lines",
            "line": {"color": theme.accent, "width": 1},
            "marker": {"color": theme.accent, "size": 8},
            "customdata": about,
            "hovertemplate": hover,
        },
        {
            "type": "bar",
            "x": middles,
            "y": n,
            "width": 0.92 * (calibration.edges[1] - calibration.edges[0]),
            "marker": {"color": theme.faint},
            "text": [f"{count:,}" for count in n.tolist()],
            "textposition": "outside",
            "cliponaxis": False,
            "customdata": about,
            "hovertemplate": hover,
            "xaxis": "x2",
            "yaxis": "y2",
        },
    ]
    most = float(n.max()) if len(n) else 1.0
    return base_figure(
        theme,
        traces,
        margin={"l": 56, "r": 16, "t": 28, "b": 44},
        showlegend=False,
        hovermode="closest",
        xaxis={**lined, "range": [-0.01, 1.01], "tickformat": ".0%", "showticklabels": False},
        yaxis={
            **lined,
            "domain": SHARES,
            "range": [-0.02, 1.04],
            "tickformat": ".0%",
            "title": {"text": "right", "standoff": 8},
        },
        xaxis2={
            **lined,
            "range": [-0.01, 1.01],
            "tickformat": ".0%",
            "anchor": "y2",
            "title": {"text": "confidence", "standoff": 8},
        },
        yaxis2={
            **lined,
            "anchor": "x2",
            "domain": COUNTS,
            "type": "log",
            # From below one sample, so that its bar is seen, to above the number of the highest.
            "range": [-0.3, float(np.log10(most)) + 0.5],
            "tickvals": [10.0**power for power in range(0, int(np.log10(most)) + 1, 2)],
            "tickformat": "~s",
            "title": {"text": "samples", "standoff": 8},
        },
    )
