"""What the HTTP API can do, in one table: routes, their roles, and `/openapi.json` are made of it.

A new operation is an entry of `OPERATIONS` and the function it names; a new parameter is an entry
of `parameters`, and the line that takes it. What no entry lists is refused, and what an entry lists
but no code takes is refused too: nothing is ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from dashboard.api import arrays, images, stores, windows
from dashboard.api.answers import RAW, Call, parameters_of
from dashboard.api.errors import Limits
from dashboard.server.roles import Role
from dashboard.server.routes import Guarded, GuardedRoute, RoleOf
from dashboard.server.threads import Threads
from dashboard.stores.source import Source
from dashboard.stores.summary import StoreSummary
from dashboard.urls import API, API_STORE, API_STORES
from fmcore.errors import SelectionError
from fmcore.export import FORMATS, Format
from fmcore.selection import PARAMETERS, near_matches

Schema = Mapping[str, Any]
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
BINARY: Schema = {"type": "string", "format": "binary"}
_JSON = "application/json"
# Two headings of the page.
CONTENTS, VALUES = "What there is", "Arrays and tables"
ARRAY_HEADERS = {
    "X-Shape": "sizes, with commas between them",
    "X-Dtype": "of a value in numpy's words, such as <f4: little-endian float32",
    "X-Axes": "the name of each axis",
    "X-Store-Digest": "which store it is of",
    "ETag": "changes with whatever changes the bytes",
}
# What the pages draw, and what is sent where no format is named; all others, also those that are
# still to come, are files to take home.
_DRAWN = ("", "raw", "json")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a query.

    Attributes:
        name: its name.
        description: the values it takes, and its default.
        schema: its values as a JSON schema; None for text, of which the stores give examples.
        required: whether it must be given.
    """

    name: str
    description: str
    schema: Schema | None = None
    required: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """Something that the API does.

    Attributes:
        path: where, with the parameters of the path in braces.
        answer: does it; on the event loop where it is a coroutine, else in a thread.
        role: what a request needs, or what says that of its query.
        summary: one line for people.
        content: the answer as a JSON schema or a type that has one, by media type; empty where
            the formats say it.
        parameters: those of the query, but for `format`; None where the answer is the same with
            any: what watches a server adds some to get past caches.
        formats: the formats of the answer; the first where a request names none.
        reasons: why parameters that people may try are none of this operation.
        headers: of the answer, with what they say.
        description: more than the summary.
    """

    path: str
    answer: Callable[[Call], Response] | Callable[[Call], Awaitable[Response]]
    role: RoleOf
    summary: str
    content: Mapping[str, object] = field(default_factory=dict)
    parameters: Sequence[Parameter] | None = ()
    formats: Sequence[Format] = ()
    reasons: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    description: str = ""

    @property
    def name(self) -> str:
        """The name of the function that answers."""
        return self.answer.__name__

    @property
    def heading(self) -> str:
        """The heading that it stands below on the page."""
        return CONTENTS if _JSON in self.content else VALUES

    @property
    def problems(self) -> tuple[int, ...]:
        """The statuses of its errors."""
        of_query = () if self.parameters is None else (422,)
        of_store = (404, 409, 500, 503) if "{store}" in self.path else ()
        of_size = (413,) if self.formats or self.headers else ()
        return tuple(sorted((*of_query, *of_store, *of_size)))


def _by_format(query: QueryParams) -> Role:
    """The role for text: files to take home need more than what pages draw."""
    return Role.VIEW if query.get("format", "") in _DRAWN else Role.EXPORT


def _by_samples(query: QueryParams) -> Role:
    """The role for arrays of samples: one sample is looked at, more are taken home."""
    return _by_format(query) if query.get("sample", "").isdecimal() else Role.EXPORT


def _shared(*names: str) -> tuple[Parameter, ...]:
    """The parameters that the command line and Python have too."""
    descriptions = {parameter.name: parameter.description for parameter in PARAMETERS}
    return tuple(Parameter(name, descriptions[name]) for name in names)


def _formats(default: Format, is_sent: Callable[[Format], object]) -> tuple[Format, ...]:
    """Arrays are sent as bytes, all else as text as it is made; what needs a file is not sent."""
    return (default, *(form for form in FORMATS.values() if is_sent(form) and form is not default))


def _text(what: str) -> Callable[[Format], object]:
    return lambda form: form.table_text and what in form.takes


_PATH = {"what": "what is said by the path"}
_ONE_LAYER = Parameter("layer", "the path of one layer", required=True)
_SAMPLES = _shared("sample", "filter", "class", "dtype")
_LAYER = (Parameter("layer", _shared("layer")[0].description, required=True),)
_WHOLE_SET = "they are of the whole test set, in their own precision"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        path="/healthz",
        answer=stores.health,
        role=Role.ANYBODY,
        summary="Whether the server answers",
        content={_JSON: stores.Health},
        parameters=None,
        description="Touches no disk.",
    ),
    Operation(
        path=API_STORES,
        answer=stores.stores,
        role=Role.VIEW,
        summary="The stores there are",
        content={_JSON: list[StoreSummary]},
        description="Each with its model and its data set, or with what is wrong with it.",
    ),
    Operation(
        path=API_STORE,
        answer=stores.store,
        role=Role.VIEW,
        summary="What a store holds",
        content={_JSON: stores.StoreAbout},
        description="Its model, its data set, how it was captured.",
    ),
    Operation(
        path=f"{API_STORE}/layers",
        answer=stores.layers,
        role=Role.VIEW,
        summary="The captured layers",
        content={_JSON: list[stores.LayerLine]},
        description="In the model's order, with the names of what is known of each.",
    ),
    Operation(
        path=f"{API_STORE}/maps",
        answer=arrays.maps,
        role=_by_samples,
        summary="Feature maps of one layer, [sample, y, x, filter]",
        parameters=(*_LAYER, *_SAMPLES),
        formats=_formats(
            RAW,
            lambda form: form.array_header or form.array_text or _text("maps")(form),
        ),
        reasons=_PATH | {"statistic": "statistic cannot choose maps; ask pooled or statistics"},
        headers=ARRAY_HEADERS,
    ),
    Operation(
        path=f"{API_STORE}/pooled",
        answer=arrays.pooled,
        role=_by_samples,
        summary="Pooled tables of one layer: one number for each sample and filter",
        parameters=(*_LAYER, *_SAMPLES, *_shared("statistic")),
        formats=_formats(RAW, lambda form: form.array_header or _text("pooled")(form)),
        reasons=_PATH,
        headers=ARRAY_HEADERS,
    ),
    Operation(
        path=f"{API_STORE}/statistics",
        answer=arrays.statistics,
        role=_by_format,
        summary="Statistics of filters and layers, a row a value, with chance level and n; of "
        "several labels or numbers, a row for each",
        parameters=_shared("layer", "filter", "class", "statistic"),
        formats=_formats(FORMATS["json"], _text("statistics")),
        reasons=_PATH
        | {name: f"{name} cannot choose statistics: {_WHOLE_SET}" for name in ("sample", "dtype")},
    ),
    Operation(
        path=f"{API_STORE}/samples",
        answer=arrays.samples,
        role=_by_samples,
        summary="Index, id, label and prediction of samples, or what is true and predicted of "
        "several labels or numbers, a row each; without what nobody knows",
        parameters=_shared("sample", "class", "layer", "filter"),
        formats=_formats(FORMATS["json"], lambda form: form.table_text),
        reasons=_PATH | {name: f"{name} chooses no samples" for name in ("statistic", "dtype")},
    ),
    Operation(
        path=f"{API_STORE}/images/{{sample}}.png",
        answer=images.image,
        role=Role.VIEW,
        summary="The input image of one sample as a picture",
        content={"image/png": BINARY},
        parameters=(
            Parameter(
                "size",
                "pixels of its longer side at most; its own size if not given",
                {**WHOLE, "minimum": 1, "maximum": images.LARGEST},
            ),
            Parameter("v", "the digest of the store: the picture may then be kept for ever"),
        ),
    ),
    Operation(
        path=f"{API_STORE}/windows",
        answer=windows.windows,
        role=Role.VIEW,
        summary="A window of one sample's maps, made smaller for a screen",
        content={RAW.media_type: BINARY},
        parameters=(
            _ONE_LAYER,
            Parameter("sample", "the index of one sample", {**WHOLE, "example": 0}, required=True),
            Parameter(
                "step",
                "how many values each way one cell stands for: the one farthest from zero (1)",
                {**WHOLE, "example": 2},
            ),
            Parameter("y", "first row and the row after the last, as 0:112 (all)"),
            Parameter("x", "first column and the column after the last, as 0:112 (all)"),
            Parameter("filter", "which filters, as 0:8 or 3,1,4 (all)"),
        ),
        headers=ARRAY_HEADERS,
        description="float32 [sample, y, x, filter], as `maps` sends it.",
    ),
)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def operation_routes(
    source: Source,
    limits: Limits,
    threads: Threads,
    operations: Sequence[Operation] = OPERATIONS,
) -> list[Guarded]:
    """A route for each operation, and one that refuses every other path of the API."""
    routes: list[Guarded] = [
        GuardedRoute(
            operation.path,
            partial(_answered, operation, source, limits, threads),
            role=operation.role,
        )
        for operation in operations
    ]
    others = (API, f"{API}/{{rest:path}}")
    refusing = (
        GuardedRoute(path, stores.no_such_route, role=Role.VIEW, methods=_METHODS)
        for path in others
    )
    return [*routes, *refusing]


async def _answered(
    operation: Operation, source: Source, limits: Limits, threads: Threads, request: Request
) -> Response:
    """What an operation answers.

    Raises:
        SelectionError: if a parameter is unknown, given twice, none of its choices, or listed by
            the operation but taken by nobody.
        MissingLibraryError: if the format needs a library that is not installed.
    """
    query = {} if operation.parameters is None else parameters_of(request)
    untaken = dict(query)
    form = _format(operation, untaken.pop("format", None)) if operation.formats else RAW
    _refuse_unknown(operation, untaken)
    call = Call(request, source, limits, threads, query, untaken, form)
    if iscoroutinefunction(operation.answer):
        answer: Response = await operation.answer(call)
    else:
        answer = await call.in_thread(partial(operation.answer, call))  # type: ignore[arg-type]
    call.refuse_rest()
    return answer


def _format(operation: Operation, name: str | None) -> Format:
    formats = {form.name: form for form in operation.formats}
    if name is None:
        return operation.formats[0]
    if name not in formats:
        raise SelectionError(
            f"no format {name!r} here; expected one of {', '.join(formats)}"
            f"{near_matches(name, list(formats))}",
            field="format",
        )
    formats[name].needs()
    return formats[name]


def _refuse_unknown(operation: Operation, values: Mapping[str, str]) -> None:
    parameters = {parameter.name: parameter for parameter in operation.parameters or ()}
    names = list(parameters)
    for name, value in values.items():
        if name in parameters:
            choices = list((parameters[name].schema or {}).get("enum", [value]))
            if value not in choices:
                near = near_matches(value, choices)
                expected = f"expected one of {', '.join(choices)}{near}"
                raise SelectionError(f"no {name} {value!r} here; {expected}", field=name)
            continue
        names += ["format"] * bool(operation.formats)
        expected = f"expected {', '.join(names)}" if names else "it takes none"
        reason = f"no parameter {name!r} here; {expected}{near_matches(name, names)}"
        raise SelectionError(operation.reasons.get(name, reason), field=name)
