"""What the HTTP API can do, in one table: routes, their roles, and `/openapi.json` are made of it.

A new operation is an entry of `OPERATIONS` and the function it names; a new parameter is an entry
of `parameters`, and the line that takes it. What no entry lists is refused, and what an entry lists
but no code takes is refused too: nothing is ignored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from dashboard.api import (
    arrays,
    contrasts,
    costs,
    filter_columns,
    filters,
    groups,
    images,
    kernels,
    neighbors,
    places,
    points,
    quality,
    stores,
    summaries,
    windows,
)
from dashboard.api.answers import RAW, Call, parameters_of
from dashboard.api.errors import Limits
from dashboard.server.roles import Role
from dashboard.server.routes import Guarded, GuardedRoute, RoleOf
from dashboard.server.threads import Threads
from dashboard.stores.kernels import Part
from dashboard.stores.source import Source
from dashboard.stores.summary import StoreSummary
from dashboard.urls import API, API_STORE, API_STORES
from fmcore.errors import SelectionError
from fmcore.export import FORMATS, Format
from fmcore.selection import EXAMPLES, PARAMETERS, near_matches
from fmcore.statistics import (
    BY,
    MOST_NEIGHBORS,
    NEIGHBORS,
    POOLINGS,
    STRONGEST,
    Replacement,
    Scale,
    Summary,
)
from fmcore.storage import TableOf

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
    "X-Store-Digest": "which store it is of, with the ablations beside it",
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
    def has_array(self) -> bool:
        """Whether the answer is an array, which headers describe."""
        return "X-Shape" in self.headers

    @property
    def problems(self) -> tuple[int, ...]:
        """The statuses of its errors."""
        of_query = () if self.parameters is None else (422,)
        of_store = (404, 409, 500, 503) if "{store}" in self.path else ()
        of_size = (413,) if self.formats or self.has_array else ()
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
_ONE_SAMPLE = Parameter("sample", "the index of one sample", {**WHOLE, "example": 0}, required=True)
_SAMPLES = _shared("sample", "filter", "class", "dtype")
_LAYER = (Parameter("layer", _shared("layer")[0].description, required=True),)
_BY = Parameter(
    "by", "over the pixels of a map, their mean or their largest (mean)", {**TEXT, "enum": POOLINGS}
)
_TABLE = (
    Parameter(
        "of",
        "what samples are compared by: the pooled activations of a layer's filters, or the output "
        "of the model: probabilities or numbers (layer)",
        {**TEXT, "enum": [of.value for of in TableOf]},
    ),
    Parameter("layer", "the path of one layer; not for the output (the last one captured)"),
    replace(_BY, description=f"of a layer, {_BY.description}"),
    Parameter(
        "scale",
        "std divides each column by its standard deviation (none)",
        {**TEXT, "enum": [scale.value for scale in Scale]},
    ),
)
_K = Parameter(
    "k",
    f"how many neighbors ({NEIGHBORS})",
    {**WHOLE, "minimum": 1, "maximum": MOST_NEIGHBORS, "example": 5},
)
_TAGGED = {name: ARRAY_HEADERS[name] for name in ("X-Store-Digest", "ETag")}
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
        path=f"{API_STORE}/graph",
        answer=stores.graph,
        role=Role.VIEW,
        summary="The graph of the model's layers",
        content={_JSON: stores.Graph},
        headers=_TAGGED,
        description="A node for each input and each call of a layer, in the order in which the "
        "model makes them, and edges [from, to] as indices of nodes. Shapes are those of one "
        "sample; they and the numbers of parameters are null where they are not known.",
    ),
    Operation(
        path=f"{API_STORE}/filters",
        answer=filters.filters,
        role=Role.VIEW,
        summary="Every filter of every layer in one table: health, best class, scores",
        content={RAW.media_type: BINARY},
        headers=_TAGGED,
        description=filter_columns.LAYOUT,
    ),
    Operation(
        path=f"{API_STORE}/contrast",
        answer=contrasts.contrast,
        role=_by_format,
        summary="Every filter by how it tells one group of samples from another: AUC, chance, q",
        parameters=(
            Parameter("a", f"group A: an expression such as {EXAMPLES}", required=True),
            Parameter("b", "group B: an expression (all samples that are not of A)"),
            Parameter(
                "by",
                f"the pooled value that is compared; zeros is the share of exact zeros ({BY[0]})",
                {**TEXT, "enum": list(BY), "default": BY[0]},
            ),
        ),
        formats=_formats(RAW, _text("statistics")),
        headers=_TAGGED | {"X-Notes": "of text: what else to know, sentences as JSON"},
        description=f"{filter_columns.LAYOUT} {contrasts.ABOUT}",
    ),
    Operation(
        path=f"{API_STORE}/costs",
        answer=costs.costs,
        role=_by_format,
        summary="What the model loses without each filter: accuracy, probability, loss, and q",
        parameters=(
            *_shared("layer"),
            Parameter(
                "by",
                "what took the place of a filter's output (the first that was measured)",
                {**TEXT, "enum": [by.value for by in Replacement]},
            ),
            Parameter(
                "rows",
                "class adds a row for each class of a filter (all)",
                {**TEXT, "enum": costs.ROWS},
            ),
        ),
        formats=_formats(FORMATS["json"], _text("statistics")),
        headers=_TAGGED,
        description=costs.ABOUT,
    ),
    Operation(
        path=f"{API_STORE}/errors",
        answer=quality.errors,
        role=Role.VIEW,
        summary="Which classes are taken for which: scores of each class, pairs, calibration",
        content={_JSON: quality.Errors},
        headers=_TAGGED,
        description="Precision, recall and F1 with 95% intervals; errors as pairs of label and "
        f"prediction, the most frequent first, at most {quality.MOST_PAIRS:,} of them; and how "
        "often predictions of each confidence are right. Of several labels the scores of each.",
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
        path=f"{API_STORE}/group",
        answer=groups.group,
        role=Role.VIEW,
        summary="Which samples belong to a group",
        content={_JSON: groups.GroupAnswer},
        parameters=(
            Parameter(
                "expression",
                f"the group, such as {EXAMPLES}; joined by and, or, not (all)",
            ),
        ),
        headers={name: ARRAY_HEADERS[name] for name in ("X-Store-Digest", "ETag")},
        description="`expression` of the answer is its usual form, which every `sample` here takes "
        "too; `words` says how many samples it has.",
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
            _ONE_SAMPLE,
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
    Operation(
        path=f"{API_STORE}/summaries",
        answer=summaries.summaries,
        role=Role.VIEW,
        summary="One layer in one sample: a map for all filters, and the filters that stand out",
        content={RAW.media_type: BINARY},
        parameters=(
            _ONE_LAYER,
            _ONE_SAMPLE,
            Parameter(
                "by",
                "what a pixel is of the filters there: their mean, the mean of their absolute "
                "values, the largest, or their first three principal components (mean)",
                {"type": "string", "enum": [by.value for by in Summary]},
            ),
            Parameter(
                "strongest",
                "how many filters follow: those whose largest activation here comes nearest the "
                f"top of their own range; all by index, if there are no more "
                f"({STRONGEST})",
                {**WHOLE, "maximum": summaries.MOST_FILTERS, "example": 4},
            ),
        ),
        headers=ARRAY_HEADERS
        | {
            "X-Summary": "JSON: of the filters that follow their indices, `filters`, their largest "
            "value here and their range over the test set; how many values each way one stands "
            "for; whether some values of the layer are below zero, and how many are not finite; "
            "and of principal components the `basis`: how many samples it is of, shares of the "
            "variance, and the range of their colors"
        },
        description="float32 [plane, y, x]: one plane, or three of principal components, then one "
        "for each filter. Of a layer without maps no plane, and filters by their pooled maximum. "
        f"Of maps of more than {summaries.LARGEST_SIDE} values each way one stands for several.",
    ),
    Operation(
        path=f"{API_STORE}/kernel",
        answer=kernels.kernel,
        role=Role.VIEW,
        summary="The weights of one layer's filters",
        content={RAW.media_type: BINARY},
        parameters=(
            _ONE_LAYER,
            Parameter("plane", "which of the input planes of a kernel, as 0:8 or 3,1,4 (all)"),
            Parameter("filter", "which filters, as 0:8 or 3,1,4 (all)"),
            Parameter(
                "norm",
                "a norm over these planes at each place of the kernel, in place of them (none)",
                {**TEXT, "enum": list(kernels.NORMS)},
            ),
            Parameter(
                "part",
                "`depthwise`: that part of a separable layer, a tile for each plane that it makes "
                "(kernel)",
                {**TEXT, "enum": [part.value for part in Part]},
            ),
        ),
        headers=ARRAY_HEADERS,
        description="float32 [kernel_y, kernel_x, kernel_input, kernel_output]. Weights that read "
        "maps through a Flatten layer are laid out as these maps.",
    ),
    Operation(
        path=f"{API_STORE}/places",
        answer=places.places,
        role=Role.VIEW,
        summary="The filters that react at a place in the image of one sample, strongest first",
        content={_JSON: places.Reactions},
        parameters=(
            _ONE_SAMPLE,
            Parameter(
                "at",
                "a pixel y,x of the image, or a box first_y,first_x,last_y,last_x",
                {**TEXT, "examples": ["3,4", "1,2,5,6"]},
                required=True,
            ),
            Parameter("layer", "the path of one layer (all)"),
        ),
        headers={"ETag": ARRAY_HEADERS["ETag"]},
        description="Of each filter the largest value among the units whose receptive fields "
        f"overlap the place, and at least which `share` of the filter's values over the test set "
        f"is smaller; at most {places.MOST_ROWS} filters, by share. Those whose unit sees the "
        "whole image come last; dead and constant filters are left out.",
    ),
    Operation(
        path=f"{API_STORE}/points",
        answer=points.points,
        role=Role.VIEW,
        summary="A map of all samples: where each lies, by principal components or UMAP",
        content={RAW.media_type: BINARY},
        parameters=(
            *_TABLE,
            Parameter(
                "method",
                "principal components, or what `fmcore project` has computed by UMAP (pca)",
                {**TEXT, "enum": [method.value for method in points.Method]},
            ),
        ),
        headers=_TAGGED,
        description=points.POINTS_LAYOUT,
    ),
    Operation(
        path=f"{API_STORE}/samplecolumns",
        answer=points.sample_columns,
        role=Role.VIEW,
        summary="What the points of the map of samples are colored by",
        content={RAW.media_type: BINARY},
        parameters=(
            Parameter("layer", "the path of one layer, with a filter"),
            Parameter("filter", "the index of one filter, with a layer", {**WHOLE, "example": 0}),
            replace(_BY, description=f"with a filter, {_BY.description}"),
        ),
        headers=_TAGGED,
        description=points.COLUMNS_LAYOUT,
    ),
    Operation(
        path=f"{API_STORE}/neighbors",
        answer=neighbors.neighbors,
        role=Role.VIEW,
        summary="The samples nearest to one, with their distances",
        content={_JSON: neighbors.Neighbors},
        parameters=(_ONE_SAMPLE, *_TABLE, _K),
        headers=_TAGGED,
        description="Exact, and Euclidean in the space that the map is drawn of. A sample with a "
        "value that is not finite has none, and is none.",
    ),
    Operation(
        path=f"{API_STORE}/outliers",
        answer=neighbors.outliers,
        role=Role.VIEW,
        summary="The samples that lie farthest from all others",
        content={_JSON: neighbors.OutlierList},
        parameters=(
            *_TABLE,
            replace(
                _K, description=f"the measure is the distance to the k-th nearest ({NEIGHBORS})"
            ),
            Parameter(
                "n",
                f"how many are listed ({neighbors.LISTED})",
                {**WHOLE, "minimum": 1, "maximum": neighbors.MOST_LISTED, "example": 5},
            ),
            Parameter("sample", "a sample whose distance and rank are said too", WHOLE),
        ),
        headers=_TAGGED,
        description="Exact up to 10,000 samples of few columns and more; of many, each is compared "
        "with some that a seed chooses: `n_compared` of them.",
    ),
    Operation(
        path=f"{API_STORE}/terms",
        answer=arrays.terms,
        role=_by_format,
        summary="The products that one value of a map is the sum of, a row each",
        parameters=(
            _ONE_LAYER,
            _ONE_SAMPLE,
            *(
                Parameter(name, f"{words} of the value", {**WHOLE, "example": 0}, required=True)
                for name, words in (("filter", "the filter"), ("y", "the row"), ("x", "the column"))
            ),
        ),
        formats=_formats(FORMATS["json"], lambda form: form.table_text),
        description="`layer` and `filter` say which map a plane of the input is; -1 where it is "
        "not one. The bias and the activation function come after the sum.",
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
