"""The two groups: their expressions, how many samples each has, and pairs that are ready."""

from __future__ import annotations

from dash import ClientsideFunction, Dash, Input, Output
from dash import State as DashState

from dashboard.components.controls import segments, select
from dashboard.components.nodes import Node, dcc, dmc, html
from dashboard.figures.theme import Theme
from dashboard.pages import group_field, ids
from dashboard.pages.contrast.presets import Preset, presets
from dashboard.pages.contrast.subject import Groups, sides_of
from dashboard.pages.page import Panel
from dashboard.pages.state import POOLED, State, query_for
from dashboard.stores.snapshot import Snapshot
from dashboard.stores.source import Source
from fmcore.selection.groups import EXAMPLES

# Links that explain the page where no groups are chosen yet.
MOST_LINKS = 3
# By this name the page's style knows that there is nothing to contrast, and hides what is about it.
START = "contrast-start"
EXPLANATION = (
    "Contrast asks every filter of every layer how well it tells two groups of samples apart, and "
    "ranks them, beside what chance would give. Write group A above, and group B or leave it empty "
    "for the rest; choose a ready-made pair; or begin with one of these:"
)


def draw(groups: Groups, _: State, __: Theme, *, a: object, b: object) -> list[Node] | str:
    """How to begin, or why there is nothing to see, or what B is where it is empty.

    Args:
        groups: what the state says; an expression that is none is not in it.
        a: what the field of the first group holds.
        b: that of the second.
    """
    texts = [
        held if isinstance(held, str) else side.text
        for held, side in zip((a, b), groups.sides, strict=True)
    ]
    first, second = sides_of(groups.snapshot, *texts)
    if first.problem or second.problem:
        return _start("There is nothing to contrast until both groups are understood.")
    if first.mask is None and second.mask is None:
        links = html.Ul(_links(groups.snapshot))
        return [html.Div([html.P(EXPLANATION), links], className=START)]
    if first.mask is None:
        return _start("Group A is missing: write one, or choose a ready-made pair.")
    if groups.problem:
        return _start(f"There is nothing to contrast: {groups.problem}.")
    if second.text:
        return ""
    samples = "sample" if second.n == 1 else "samples"
    return [html.P(f"B is the rest: the {second.n:,} {samples} that are not of A.")]


def _start(words: str) -> list[Node]:
    return [html.P(words, className=START)]


def _links(snapshot: Snapshot) -> list[Node]:
    """A few pairs of the store, each as a link: a confused pair, all mistakes, a class."""
    of_kinds: dict[str, Preset] = {}
    for preset in presets(snapshot):  # the first of each kind
        of_kinds.setdefault(preset.kind, preset)
    return [
        html.Li(
            dcc.Link(
                preset.name,
                href="contrast" + query_for(snapshot.catalog, group_a=preset.a, group_b=preset.b),
            )
        )
        for preset in list(of_kinds.values())[:MOST_LINKS]
    ]


def _body(snapshot: Snapshot, state: State) -> list[Node]:
    pairs = presets(snapshot)
    fields = [
        html.Div(
            group_field.group_field(
                snapshot,
                component_id,
                text,
                caption=f"Group {letter}",
                placeholder=placeholder,
            ),
            className=f"contrast-field contrast-{letter.lower()}",
        )
        for letter, component_id, text, placeholder in (
            ("A", ids.CONTRAST_A, state.group_a, pairs[0].a),
            ("B", ids.CONTRAST_B, state.group_b, "the rest: all samples that are not of A"),
        )
    ]
    swap = dmc.Button("⇄ Swap", id=ids.CONTRAST_SWAP, variant="default", size="sm")
    rest = dmc.Button("B = the rest", id=ids.CONTRAST_REST, variant="default", size="sm")
    options = {str(at): preset.name for at, preset in enumerate(pairs)}
    return [
        dcc.Store(id=ids.CONTRAST_PRESETS, data=[[preset.a, preset.b] for preset in pairs]),
        dcc.Store(id=ids.CONTRAST_LAYER, data=state.layer),
        dcc.Store(id=ids.CONTRAST_FILTER, data=state.filter_index),
        dcc.Store(id=ids.CONTRAST_FOCUS, data=state.focus),
        dcc.Store(id=ids.CONTRAST_PICK),
        html.Div(
            [fields[0], html.Div(swap, className="contrast-swap"), fields[1]],
            className="contrast-fields",
        ),
        html.Div(
            [
                select(
                    ids.CONTRAST_PRESET,
                    caption="Ready-made pairs",
                    options=options,
                    value=None,
                    placeholder="A / B",
                ),
                rest,
                segments(
                    ids.CONTRAST_POOLED,
                    caption="One number of each map",
                    options=POOLED,
                    value=state.pooled,
                ),
            ],
            className="controls contrast-tools",
        ),
        dmc.Text(f"A group is {EXAMPLES}; join terms by and, or, not.", size="sm", c="dimmed"),
        html.Div(id="contrast-groups", className="contrast-words", role="status"),
    ]


def register(app: Dash, source: Source) -> None:
    """Has what is typed understood, and the browser fill in the groups by itself."""
    for component_id in (ids.CONTRAST_A, ids.CONTRAST_B):
        group_field.register(app, source, component_id)
    app.clientside_callback(
        ClientsideFunction("panels", "groups"),
        Output(ids.CONTRAST_A, "value"),
        Output(ids.CONTRAST_B, "value"),
        Output(ids.CONTRAST_PRESET, "value"),
        Output(ids.CONTRAST_FOCUS, "data", allow_duplicate=True),
        Input(ids.CONTRAST_SWAP, "n_clicks"),
        Input(ids.CONTRAST_REST, "n_clicks"),
        Input(ids.CONTRAST_PRESET, "value"),
        DashState(ids.CONTRAST_A, "value"),
        DashState(ids.CONTRAST_B, "value"),
        DashState(ids.CONTRAST_PRESETS, "data"),
        prevent_initial_call=True,
    )


PANEL = Panel(
    "groups",
    draw,
    needs=(),
    title="Two groups of samples",
    body=_body,
    also={"a": Input(ids.CONTRAST_A, "value"), "b": Input(ids.CONTRAST_B, "value")},
    class_name="contrast-groups",
)
