"""The operation that answers what the model loses without each filter."""

from __future__ import annotations

from starlette.responses import Response

from dashboard.api import answers
from dashboard.api.answers import Call
from dashboard.file_names import file_name
from dashboard.server import headers as caching
from fmcore.export import FORMATS, ablation_table
from fmcore.selection import match_names

# Whether a row for each class follows that of all samples.
ROWS = ("all", "class")
ABOUT = (
    "As `fmcore ablate` has measured it, in a file beside the store; 404 says the command where "
    "nobody has. A cost is positive where the model is worse without the filter: `accuracy_cost`, "
    "`probability_cost` of the true class and `loss_cost` with 95% intervals; answers that are "
    "lost, gained and changed, of `n` samples; `p` of the exact McNemar test, and `q` after Holm "
    "over the filters of the layer, or over its classes and filters. Of a model that predicts no "
    "class `output_change` says how far the outputs move, relative to their size. The least costly "
    "filter of each layer comes first: `rank` 0, as the least costly of all layers is of "
    "`model_rank` 0."
)


def costs(call: Call) -> Response:
    """A row for each filter, or also for each class and filter."""
    snapshot = call.snapshot()
    by, pattern = call.take("by"), call.take("layer", "*")
    rows = call.take("rows", ROWS[0])
    call.refuse_rest()
    headers = call.headers(snapshot, "costs")
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    ablation = snapshot.ablation(by)
    what = f"layer that was measured of {snapshot.file_name}"
    paths = match_names(ablation.layers, pattern, what=what, regular=False)
    names = snapshot.catalog.class_names
    tables = ablation_table(ablation, paths, names, by_class=rows == "class")
    text = call.form.table_text
    assert text is not None  # noqa: S101 (such are the formats of the operation)
    call.limits.check(call.form.table_bytes(tables), is_text=True)
    kind = "inline" if call.form is FORMATS["json"] else "attachment"
    name = file_name(snapshot.name, "costs", ending=call.form.ending)
    headers["content-disposition"] = answers.disposition(name, kind=kind)
    media_type = call.form.media_type
    return answers.send_text(call.request, text(tables), headers, media_type=media_type)
