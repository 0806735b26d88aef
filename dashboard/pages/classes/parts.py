"""Pieces of the page that callbacks fill in: words, links, pictures."""

from __future__ import annotations

from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.components.thumbnails import thumbnail
from dashboard.pages import state
from dashboard.pages.classes import cell
from dashboard.pages.classes.arrange import Arrangement, arranged
from dashboard.stores.source import Snapshot
from fmcore.errors import StatisticNotFoundError
from fmcore.statistics import Statistic

# So many samples are shown; the Filter page has all.
MOST_SAMPLES = 8
NO_TOP = (
    "This store keeps no strongest samples: it was captured with `--statistics basic`. "
    "Capture it again to have them."
)


def order_of(snapshot: Snapshot, shown: state.State) -> Arrangement:
    """The order of the heatmap; made once where it is clustered."""

    def make() -> Arrangement:
        index = shown.class_index
        name = "" if index is None else snapshot.catalog.class_names[index]
        values = snapshot.statistic(shown.layer, shown.statistic)
        return arranged(values, shown.arrangement, class_index=index, class_name=name)

    if shown.arrangement != "cluster":
        return make()
    return snapshot.derived(("order", shown.layer, shown.statistic), make)


def order_key(shown: state.State) -> str:
    """What the order of the heatmap depends on, beside the layer."""
    match shown.arrangement:
        case "index":
            return "index"
        case "cluster":
            return f"cluster {shown.statistic}"
        case _:
            return f"value {shown.statistic} {shown.class_index}"


def meaning(about: Statistic, *, bins: str, n_samples: int, has_classes: bool = True) -> Node:
    """What a statistic is, in words, with its source and its chance level.

    Args:
        about: the statistic.
        bins: how wide the bins are that quantiles of the layer are read from.
        n_samples: the number of samples.
        has_classes: whether the samples have classes.
    """
    over = f"Over {n_samples:,} samples"
    if not has_classes:
        over = f"Here over all {n_samples:,} samples, which have no classes"
    rows = [("Source", about.source)]
    if about.chance:
        rows.insert(0, ("Chance", about.chance))
    if about.level is not None:
        rows.insert(0, ("In this layer", bins))
    return dmc.Stack(
        [
            dmc.Text([html.B(about.title), f" ({about.symbol})"], size="sm"),
            dmc.Text(about.definition, size="sm"),
            *(
                dmc.Text([html.B(f"{name}: "), words], size="sm", c="dimmed")
                for name, words in rows
            ),
            dmc.Text(f"{over}.", size="sm", c="dimmed"),
        ],
        gap=6,
    )


def legend(words: str, *, gray: bool) -> list[Node | str]:
    """What is gray, with its colour before it."""
    return [html.Span(className="within-chance"), words] if gray else [words]


def spread_words(lines: list[tuple[str, str]]) -> list[Node]:
    """What each line of the distribution is, under it, and what is counted."""
    return [
        html.Div(
            [
                html.Span([html.Span(className="classes-line", style={"borderTop": border}), name])
                for name, border in lines
            ],
            className="classes-key",
        ),
        html.Span(cell.SPREAD_NOTE),
    ]


def cell_header(snapshot: Snapshot, shown: state.State, query: str) -> list[Node]:
    """What is open, and where it leads."""
    links = [dcc.Link(f"Everything about filter {shown.filter_index}", href=f"filter{query}")]
    try:
        top = cell.top_samples(snapshot, shown, most=1)
    except StatisticNotFoundError:
        top = []
    if top:
        href = f"maps{state.updated_query(query, snapshot.catalog, sample=top[0][0])}"
        links.append(dcc.Link(f"Feature maps of its strongest sample, {top[0][0]}", href=href))
    return [
        dmc.Text(cell.sizes_words(snapshot, shown), fw=600),
        dmc.Text(cell.value_words(snapshot, shown), size="sm"),
        html.Div(links, className="classes-links"),
    ]


def top_strip(snapshot: Snapshot, shown: state.State, query: str) -> list[Node]:
    """The samples that excite the filter most, each a link to its feature maps."""
    try:
        top = cell.top_samples(snapshot, shown, most=MOST_SAMPLES)
    except StatisticNotFoundError:
        return [dmc.Text(NO_TOP, size="sm", c="dimmed")]
    if not top:
        return [dmc.Text("This class has no samples.", size="sm", c="dimmed")]
    names, labels = snapshot.catalog.class_names, snapshot.labels

    def known(sample: int) -> str:
        return f", class {names[labels[sample]]}" if snapshot.catalog.has_classes else ""

    strip = [
        thumbnail(
            snapshot.image_url(sample, size=64),
            href=f"maps{state.updated_query(query, snapshot.catalog, sample=sample)}",
            words=f"Sample {sample}{known(sample)}: largest activation {value:.6g}",
            lines=(f"{value:.3g}", f"#{sample}"),
            shape=snapshot.image_shape,
        )
        for sample, value in top
    ]
    return [
        html.Div(strip, className="classes-top"),
        dmc.Text(
            f"The {len(top)} with the largest activation; a click opens the feature maps.",
            size="sm",
            c="dimmed",
        ),
    ]
