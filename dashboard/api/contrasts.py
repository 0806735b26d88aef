"""The operation that answers how each filter tells one group of samples from another."""

from __future__ import annotations

import json

from starlette.responses import Response

from dashboard.api import answers
from dashboard.api.answers import RAW, Call
from dashboard.api.filter_columns import VERSION, as_bytes
from dashboard.file_names import file_name
from dashboard.server import headers as caching
from dashboard.stores.all_filters import health_column
from dashboard.stores.contrasts import contrast_columns
from fmcore.errors import SelectionError
from fmcore.export import FORMATS, contrast_table
from fmcore.selection import EXAMPLES
from fmcore.statistics import BY

ABOUT = (
    "In the object are also `a`, `b`, `by`, `n_a`, `n_b`; `n_tests`: how many filters q is over; "
    "`n_apart`: how many have a q below 0.05; and `notes`, sentences. Rows are in the order of the "
    "model. As text, the filter that tells the groups best comes first, and `X-Notes` has the "
    "sentences as JSON."
)


def contrast(call: Call) -> Response:
    """All filters of all layers by how they tell two groups apart."""
    snapshot = call.snapshot()
    a, b, by = call.take("a"), call.take("b"), call.take("by", BY[0])
    call.refuse_rest()
    if not a.strip():
        raise SelectionError(
            f"a is missing: it is the group to compare, such as {EXAMPLES}", field="a"
        )
    headers = call.headers(snapshot, "contrast", VERSION)
    if caching.is_known(call.request, headers["etag"]):
        return caching.not_modified(headers)
    result = snapshot.contrast(a, b, by)
    if call.form.table_text is None:
        about = {
            "a": a,
            "b": b,
            "by": by,
            "n_a": result.n_a,
            "n_b": result.n_b,
            "n_tests": result.n_tests,
            "n_apart": result.n_apart,
            "notes": result.notes,
        }
        body = as_bytes([*contrast_columns(result), health_column(snapshot)], about)
        return Response(body, 200, headers, RAW.media_type)
    tables = contrast_table(result)
    call.limits.check(call.form.table_bytes(tables), is_text=True)
    name = file_name(snapshot.name, "contrast", ending=call.form.ending)
    kind = "inline" if call.form is FORMATS["json"] else "attachment"
    headers |= {
        "content-disposition": answers.disposition(name, kind=kind),
        "x-notes": json.dumps(result.notes),
    }
    return answers.send_text(
        call.request, call.form.table_text(tables), headers, media_type=call.form.media_type
    )
