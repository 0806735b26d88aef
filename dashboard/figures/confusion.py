"""The confusion matrix: errors in a color of their own, and what is right in gray."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dashboard.figures.heatmap import ALL_NAMED, margin_of, named_axes
from dashboard.figures.theme import Figure, Theme, Trace, base_figure, color_bar
from fmcore.numbers import share_text

# Up to so many classes each cell has its number in it.
ALL_NUMBERED = 20
# Stops of the colors; between two of them colors change evenly.
_STOPS = 17
# How much of the text's color the gray of what is right has.
RIGHT = 0.16
_HOVER = (
    "label %{y}, predicted %{x}<br><b>%{customdata[0]:,d}</b> samples<br>"
    "%{customdata[1]:.4~p} of the label<br>%{customdata[2]:.4~p} of the prediction<extra></extra>"
)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """The cells of a confusion matrix, of some classes in an order.

    Attributes:
        counts: <int64>[label, prediction].
        of_label: the share of each label's samples that have each prediction, <float64>[label,
            prediction]; NaN for a label that no sample has.
        of_prediction: the share of the samples with each prediction that have each label,
            <float64>[label, prediction]; NaN for what is never predicted.
    """

    counts: NDArray[np.int64]
    of_label: NDArray[np.float64]
    of_prediction: NDArray[np.float64]

    @property
    def is_empty(self) -> NDArray[np.bool_]:
        """Where no sample can be, <bool>[label, prediction]."""
        return np.isnan(self.of_label) | np.isnan(self.of_prediction)


def confusion_figure(cells: Cells, *, share: str, names: Sequence[str], theme: Theme) -> Figure:
    """How many samples of each label have each prediction.

    Colors are those of the errors alone, and grow with the square root, so that a single error is
    seen. The diagonal, what is right, is gray: else its numbers, which are far larger, would leave
    the errors without contrast.

    Args:
        cells: what is in the matrix.
        share: what colors and numbers are: `count`, `label` or `prediction`.
        names: of the classes.
        theme: the colors.
    """
    values = {
        "count": cells.counts.astype(np.float64),
        "label": cells.of_label,
        "prediction": cells.of_prediction,
    }[share]
    values = np.where(cells.is_empty, np.nan, values).astype(np.float32)
    is_right = np.eye(len(names), dtype=np.bool_)
    shares = np.stack([cells.counts, cells.of_label, cells.of_prediction], axis=-1)
    common: Trace = {"type": "heatmap", "hoverongaps": False, "zmin": 0}
    if len(names) <= ALL_NAMED:
        common |= {"xgap": 1, "ygap": 1}
    errors = np.where(is_right, np.float32(np.nan), values)
    largest = float(np.nanmax(errors)) if np.isfinite(errors).any() else 0.0
    title = {"count": "errors", "label": "share of label", "prediction": "share of prediction"}
    bar = color_bar(title[share]) | ({} if share == "count" else {"tickformat": ".3~p"})
    if share == "count" and largest < 10:
        bar |= {"dtick": 1}
    gray = _mixed(theme.ground, theme.text, RIGHT)
    return base_figure(
        theme,
        [
            common
            | {
                "z": values,
                "zmax": largest or 1.0,
                "customdata": shares.astype(np.float32),
                "hovertemplate": _HOVER,
                "colorscale": _colors(theme),
                "colorbar": bar,
            },
            common
            | {
                "z": np.where(is_right, values, np.float32(np.nan)),
                "zmax": 1,
                "colorscale": [[0, gray], [1, gray]],
                "showscale": False,
                "hoverinfo": "skip",
            },
            *(
                [_numbers(values, largest, theme, is_share=share != "count")]
                if len(names) <= ALL_NUMBERED
                else []
            ),
        ],
        margin=margin(names),
        **named_axes(names, names, ("label", "prediction"), is_fixed=True),
        # Between the cells, and where no sample can be.
        plot_bgcolor=_mixed(theme.ground, theme.text, 0.08),
    )


def margin(names: Sequence[str]) -> dict[str, int | bool]:
    """Room for the names of classes, beside the matrix and below it.

    Of so many that not all are there, those below stand side by side.
    """
    return margin_of(names, below=names if len(names) <= ALL_NAMED else ())


def _numbers(
    values: NDArray[np.floating], largest: float, theme: Theme, *, is_share: bool
) -> Trace:
    """The number in each cell that has samples, black or white: what is seen better on its color.

    A trace of its own, since Plotly has one color for all texts of a heatmap.
    """
    rows, columns = np.nonzero(np.nan_to_num(values))
    texts, colors = [], []
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        value = float(values[row, column])
        texts.append(_short(value) if is_share else f"{int(value):,}")
        share = (value / largest) ** 0.5 if row != column and largest else 0.0
        end = theme.bad if row != column else theme.text
        colors.append(_ink(_mixed(theme.ground, end, share if row != column else RIGHT)))
    return {
        "type": "scatter",
        "x": columns,
        "y": rows,
        "mode": "text",
        "text": texts,
        "textfont": {"size": 12, "color": colors},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _short(share: float) -> str:
    """A share that a cell has room for; what is not all is not called 100 %."""
    if share >= 0.095:
        return share_text(share)
    return f"{100 * share:.2g}%"


def _ink(color: str) -> str:
    """Black or white, whichever has more contrast with a color (WCAG 2.2)."""
    channels = np.array([int(color[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    # Where both have as much: (L + 0.05)² = 1.05 · 0.05.
    return "#000000" if linear @ [0.2126, 0.7152, 0.0722] > 0.179 else "#ffffff"


def _colors(theme: Theme) -> list[list[float | str]]:
    return [
        [float(at), _mixed(theme.ground, theme.bad, float(at) ** 0.5)]
        for at in np.linspace(0, 1, _STOPS)
    ]


def _mixed(first: str, second: str, share: float) -> str:
    """A color between two, each `#rrggbb`: so much of the second."""
    channels = [
        round((1 - share) * int(first[at : at + 2], 16) + share * int(second[at : at + 2], 16))
        for at in (1, 3, 5)
    ]
    return "#" + "".join(f"{channel:02x}" for channel in channels)
