"""The operation that says which samples belong to a group."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from dashboard.api.answers import Call, json_answer
from dashboard.server.headers import is_known, not_modified
from fmcore.selection import parse_group


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """A group of samples of a store."""

    expression: str
    n: int
    n_samples: int
    words: str
    samples: list[int]


def group(call: Call) -> Response:
    """The samples of an expression, `GroupAnswer`."""
    text = call.take("expression")
    call.refuse_rest()
    snapshot = call.snapshot()
    mask = snapshot.group(text, field="expression")
    samples = mask.nonzero()[0].tolist()
    headers = call.headers(snapshot, "group")
    if is_known(call.request, headers["etag"]):
        return not_modified(headers)
    answer = GroupAnswer(
        expression=str(parse_group(text, files=False)),
        n=len(samples),
        n_samples=len(mask),
        words=f"{len(samples) or 'none'} of the {len(mask):,} samples of {snapshot.file_name}",
        samples=samples,
    )
    return json_answer(answer, headers)
