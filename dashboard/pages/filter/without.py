"""What the model loses without a filter: answers that change, accuracy, and which samples."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from dashboard.components.controls import badge, facts
from dashboard.components.nodes import Node, dmc, html
from dashboard.components.thumbnails import Thumbnail, thumbnails
from dashboard.figures.theme import Theme
from dashboard.pages.filter.samples import THUMBNAIL
from dashboard.pages.page import Panel
from dashboard.pages.state import State, around_sample, state_for
from dashboard.pages.words import cost_text, interval_text, replaced_words
from dashboard.stores.snapshot import Snapshot
from fmcore.numbers import number_text, share_text
from fmcore.statistics import COST_LEVEL

# Samples whose answer changes that are shown, and pairs of answers that are named.
MOST_SAMPLES, MOST_PAIRS = 30, 3


def draw(snapshot: Snapshot, state: State, _: Theme) -> list[Node]:
    """Sentences on what is lost, and the samples whose answer changes, as links.

    Raises:
        StatisticNotFoundError: if it was not measured.
        LayerNotFoundError: if it was not measured of the layer.
        StoreError: if what was measured is damaged, or of another store.
    """
    ablation, index = snapshot.ablation(), state.filter_index
    measured = snapshot.layer_ablation(state.layer)
    how = f"{replaced_words(ablation.facts.by)}; {ablation.facts.n_samples:,} samples."
    if measured.answers is None:
        output = float(snapshot.layer_costs(state.layer).costs.output[index])
        words = f"The model's outputs move by {share_text(output)} of their size without it."
        return [html.P(words), dmc.Text(how, size="sm", c="dimmed")]
    changes = snapshot.changes(state.layer, index)
    head = html.P(change_words(changes, snapshot.catalog.class_names, measured.samples.size))
    parts: list[Node] = [head]
    if not len(changes["sample"]):
        parts = [html.Div([badge("no effect", "gray"), head], className="filter-finding")]
    parts.append(facts(_numbers(snapshot, state)))
    parts.append(dmc.Text(how, size="sm", c="dimmed"))
    return [*parts, *_pictures(snapshot, state, changes)]


def change_words(
    changes: dict[str, NDArray[np.int64]], names: tuple[str, ...], n_samples: int
) -> str:
    """How many answers change, and the most frequent pairs of old and new ones.

    Args:
        changes: as `LayerAblation.changes` gives them.
        names: of the classes.
        n_samples: how many samples were measured.
    """
    n = len(changes["sample"])
    if not n:
        return f"No answer of the {n_samples:,} samples changes without it."
    pairs = Counter(zip(changes["old"].tolist(), changes["new"].tolist(), strict=True))
    first = pairs.most_common(MOST_PAIRS)
    words = [f"{names[old]} → {names[new]} in {count:,}" for (old, new), count in first]
    rest = n - sum(count for _, count in first)
    more = f", others in {rest:,}" if rest else ""
    change = "sample changes its answer" if n == 1 else "samples change their answer"
    return f"{n:,} of {n_samples:,} {change} without it: {', '.join(words)}{more}."


def _numbers(snapshot: Snapshot, state: State) -> dict[str, str | Node]:
    """Accuracy with and without the filter, and what else changes, each with its interval."""
    index, measured = state.filter_index, snapshot.layer_costs(state.layer)
    costs, whole = measured.costs, measured.quality
    lost, gained = int(costs.n_lost[index]), int(costs.n_gained[index])
    q = float(costs.q[index])
    verdict = "apart from zero" if q < COST_LEVEL else "not apart from zero"
    rows: dict[str, str | Node] = {
        _accuracy_words(snapshot): f"{share_text(whole)} with it, "
        f"{share_text(whole - float(costs.accuracy.value[index]))} without: cost "
        f"{cost_text(costs.accuracy, index)}; {lost:,} answers lost, {gained:,} gained",
        "Test": f"exact McNemar p {number_text(costs.p[index], digits=2)}; q "
        f"{number_text(q, digits=2)} after Holm over the {len(costs.q):,} filters: {verdict}",
        "Right class": f"its probability falls by {interval_text(costs.probability, index)}",
        "Loss": f"cross-entropy rises by {interval_text(costs.loss, index)}",
    }
    for by in snapshot.ablations.measured[1:]:
        others = snapshot.layer_costs(state.layer, by).costs
        rows[replaced_words(by)] = f"cost {cost_text(others.accuracy, index)}"
    return rows


def _accuracy_words(snapshot: Snapshot) -> str:
    is_true = snapshot.ablation().facts.labels == "given"
    return "Accuracy" if is_true else "Same answer as the whole model"


def _pictures(
    snapshot: Snapshot, state: State, changes: dict[str, NDArray[np.int64]]
) -> list[Node]:
    """The samples whose answer changes, those first that are wrong without the filter."""
    if not len(changes["sample"]):
        return []
    names, has_labels = snapshot.catalog.class_names, snapshot.store.has_labels
    label = snapshot.labels[changes["sample"]]
    kind = np.select([changes["old"] == label, changes["new"] == label], [0, 1], 2)
    order = np.argsort(kind, kind="stable")[:MOST_SAMPLES]
    outcomes = ("lost", "gained", "wrong both")
    items = []
    for row in order.tolist():
        sample, old, new = (int(changes[name][row]) for name in ("sample", "old", "new"))
        change = f"{names[old]} → {names[new]}"
        outcome = outcomes[int(kind[row])] if has_labels else f"#{sample}"
        of_label = f", label {names[int(label[row])]}" if has_labels else ""
        words = f"Sample {sample}{of_label}: predicted {names[old]} with it, {names[new]} without"
        items.append(Thumbnail(sample, (change, outcome), words))
    before, after = around_sample(
        state_for(snapshot.catalog, layer=state.layer, filter_index=state.filter_index),
        snapshot.catalog,
    )
    strip = thumbnails(
        items,
        url=snapshot.image_url_parts(size=THUMBNAIL),
        href=(f"maps{before}", after),
        shape=snapshot.image_shape,
        class_name="filter-thumbs",
    )
    order_words = ", those first that are wrong without it" if has_labels else ""
    note = f"{len(items):,} of {len(changes['sample']):,} samples{order_words}; old → new answer"
    return [html.Section([html.Small(note), strip], className="filter-samples")]


PANEL = Panel("without", draw, needs=("layer", "filter_index"), title="Without it")
