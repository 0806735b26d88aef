"""One table makes routes, roles and the description; nothing that a request says is ignored."""

from __future__ import annotations

from dataclasses import replace
from inspect import iscoroutinefunction

import httpx
import pytest
from helpers.servers import running
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from dashboard import app as application
from dashboard import create_app
from dashboard.api import DEFAULT_LIMITS, HANDLERS, OPERATIONS, arrays, operation_routes
from dashboard.api.answers import Call
from dashboard.api.openapi import describe
from dashboard.api.operations import Operation, Parameter
from dashboard.auth.guard import Login
from dashboard.auth.journal import Journal
from dashboard.auth.people import People
from dashboard.server.roles import Role
from dashboard.server.routes import required_role
from dashboard.server.threads import Threads
from dashboard.stores.source import Source
from fmcore.selection import parse_query

THREADS = Threads(2, of_person=1, name="api")
CHUNK = {"layer": "conv2", "sample": "0:37"}
QUERIES = {
    "maps": CHUNK,
    "pooled": {"layer": "conv2", "statistic": "max"},
    "windows": {"layer": "conv2", "sample": "0"},
    "summaries": {"layer": "conv2", "sample": "0"},
    "kernel": {"layer": "conv2"},
    "contrast": {"a": "0:9"},
    "places": {"sample": "0", "at": "3,4"},
    "neighbors": {"sample": "0"},
    "terms": {"layer": "conv2", "sample": "0", "filter": "0", "y": "0", "x": "0"},
}
# The model of the tiny store has no configuration that says what its layers read.
STATUS = {"terms": 404, "costs": 404}


def served(store_path, operations=OPERATIONS):
    """The API alone."""
    routes = operation_routes(Source(store_path), DEFAULT_LIMITS, THREADS, operations)
    return running(Starlette(routes=routes, exception_handlers=HANDLERS))


def address(operation: Operation) -> str:
    return operation.path.format(store="tiny", sample="0").lstrip("/")


def changed(operation: Operation) -> Operation:
    """An operation that lists a parameter which no code takes."""
    own = operation.parameters or ()
    return replace(operation, parameters=(*own, Parameter("group", "invented")))


@pytest.fixture(scope="module")
def url(store_path):
    with served(store_path) as where:
        yield where


@pytest.fixture(scope="module")
def wider(store_path):
    with served(store_path, [changed(operation) for operation in OPERATIONS]) as where:
        yield where


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_an_operation_does_not_list_is_refused(url, operation):
    query = QUERIES.get(operation.name, {})
    usual = STATUS.get(operation.name, 200)
    assert httpx.get(url + address(operation), params=query).status_code == usual
    answer = httpx.get(url + address(operation), params=query | {"group": "a"})
    if operation.name == "health":  # what watches a server adds what it likes
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        return
    assert (answer.status_code, answer.json()["field"]) == (422, "group")
    assert "no parameter 'group' here" in answer.json()["detail"]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_what_is_listed_and_taken_by_nobody_is_refused_and_never_ignored(wider, operation):
    query = QUERIES.get(operation.name, {})
    for _ in range(2):  # the second time the quickest way would be open
        usual = STATUS.get(operation.name, 200)
        assert httpx.get(wider + address(operation), params=query).status_code == usual
    answer = httpx.get(wider + address(operation), params=query | {"group": "a"})
    assert (answer.status_code, answer.json()["field"]) == (422, "group")
    assert "has no effect here" in answer.json()["detail"]


def test_an_operation_that_takes_none_of_its_parameters_itself_is_noticed(store_path):
    def careless(_: Call) -> Response:
        return Response("all is well")

    operations = [replace(OPERATIONS[0], answer=careless, parameters=(Parameter("group", "x"),))]
    with served(store_path, operations) as url:
        assert httpx.get(f"{url}healthz").status_code == 200
        assert httpx.get(f"{url}healthz?group=a").status_code == 422


def test_the_quickest_answer_steps_aside_for_a_parameter_that_it_does_not_know(store_path):
    source = Source(store_path)
    request = Request({"type": "http", "headers": [(b"accept-encoding", b"deflate")]})
    snapshot = source.snapshot()
    expected = snapshot.layer("conv2").activation.raw_chunk((0, 0, 0, 0)).data

    def quick(**others: str) -> Response | None:
        call = Call(request, source, DEFAULT_LIMITS, THREADS, CHUNK | others, {})
        return arrays.stored_chunk(call, snapshot, parse_query(CHUNK), wait=True)

    assert quick().body == quick(dtype="float32").body == expected
    for others in ({"group": "a"}, {"class": "one"}, {"statistic": "max"}, {"what": "maps"}):
        assert quick(**others) is None, others


NAMES = [
    *("maps", "pooled", "statistics", "samples", "image", "windows", "summaries", "kernel"),
    *("places", "group", "points", "sample_columns", "neighbors", "outliers"),
]


@pytest.mark.parametrize("name", NAMES)
def test_a_parameter_that_is_taken_makes_another_answer(store_path, name):
    """What is kept, here or in a browser, is kept by all that was asked."""

    (operation,) = (item for item in OPERATIONS if item.name == name)

    async def answer(call: Call) -> Response:
        text = call.take("group")
        if iscoroutinefunction(operation.answer):
            plain = await operation.answer(call)
        else:
            plain = await run_in_threadpool(operation.answer, call)
        plain.headers["x-group"] = text
        return plain

    tags, query = set(), QUERIES.get(name, {})
    with served(store_path, [replace(changed(operation), answer=answer)]) as url:
        for group in ({}, {"group": "a"}, {"group": "b"}):
            got = httpx.get(url + address(operation), params=query | group)
            assert got.status_code == 200
            assert got.headers["x-group"] == group.get("group", "")
            if name == "maps":  # a chunk as it lies in the file is of no group
                assert ("content-encoding" in got.headers) == (not group)
            tags.add(got.headers["etag"])
    assert len(tags) == 3


def test_every_operation_is_described_by_its_own_record(store_path):
    paths = describe(Source(store_path))["paths"]
    assert list(paths) == [operation.path for operation in OPERATIONS]
    for operation in OPERATIONS:
        listed = [parameter["name"] for parameter in paths[operation.path]["get"]["parameters"]]
        own = [parameter.name for parameter in operation.parameters or ()]
        in_path = [name for name in ("store", "sample") if f"{{{name}}}" in operation.path]
        assert listed == [*in_path, *own, *["format"] * bool(operation.formats)]
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)


def open_to_all(_: Request) -> Response:
    return Response("everything")


@pytest.mark.parametrize("room", ["api.operation_routes", "api.reference_routes", "account_routes"])
def test_a_route_that_says_no_role_does_not_start(store_path, tmp_path, monkeypatch, room):
    people = People(tmp_path / "people", create=True)
    login = Login(people, Journal(tmp_path / "log"))
    create_app(Source(store_path), login=login)
    owner, _, name = room.rpartition(".")
    owner = getattr(application, owner) if owner else application
    routes = getattr(owner, name)
    new = Route("/api/v1/new", open_to_all)
    monkeypatch.setattr(owner, name, lambda *arguments: [*routes(*arguments), new])
    with pytest.raises(TypeError, match="route '/api/v1/new' has no role"):
        create_app(Source(store_path), login=login)


def test_neither_does_the_mount_of_the_pages(store_path, monkeypatch):
    monkeypatch.setattr(application, "GuardedMount", lambda path, app, role: Mount(path, app))
    with pytest.raises(TypeError, match="has no role"):
        create_app(Source(store_path))


def test_a_request_needs_the_role_of_the_route_that_answers_it(store_path):
    new = replace(OPERATIONS[0], path="/api/v1/stores/{store}/raw", role=Role.ADMIN)
    routes = operation_routes(Source(store_path), DEFAULT_LIMITS, THREADS, [*OPERATIONS, new])

    def needed(path: str, query: bytes = b"", method: str = "GET") -> Role | None:
        scope = {"type": "http", "path": path, "query_string": query, "method": method}
        return required_role(routes, scope)

    store = "/api/v1/stores/tiny"
    assert needed(f"{store}/raw") is Role.ADMIN
    assert needed(f"{store}/maps", b"layer=conv2&sample=3") is Role.VIEW
    for query in (b"", b"sample=", b"sample=0:2", b"sample=3&format=npy", b"sample=3&sample=0:9"):
        assert needed(f"{store}/maps", query) is Role.EXPORT, query
    assert needed("/api/v1/unknown") is needed("/api") is Role.VIEW  # and then answered with 404
    assert needed("/healthz") is Role.ANYBODY
    assert needed("/beside/the/api") is None


def test_what_an_operation_lists_is_taken_by_its_code(url, store_path):
    """Each parameter with the value that the description gives to try."""

    def value_of(parameter):
        schema = parameter["schema"]
        number = "1" if "minimum" in schema else "0:2"
        listed = schema.get("enum") or schema.get("examples") or [number]
        return parameter.get("example", listed[0])

    for path, methods in describe(Source(store_path))["paths"].items():
        where = path.format(store="tiny", sample="0").lstrip("/")
        parameters = [
            parameter for parameter in methods["get"]["parameters"] if parameter["in"] == "query"
        ]
        needed = {
            parameter["name"]: value_of(parameter)
            for parameter in parameters
            if parameter.get("required")
        }
        for parameter in parameters:
            query = needed | {parameter["name"]: value_of(parameter)}
            answer = httpx.get(url + where, params=query)
            assert "has no effect" not in answer.text, (path, query)


def test_a_value_that_is_no_choice_is_refused_before_anybody_takes_it(store_path):
    (samples,) = (item for item in OPERATIONS if item.name == "samples")
    order = Parameter("order", "of rows", {"type": "string", "enum": ["index", "reverse"]})
    listed = replace(samples, parameters=(*samples.parameters, order))
    with served(store_path, (listed,)) as where:
        answer = httpx.get(where + address(samples), params={"order": "revers"})
        assert (answer.status_code, answer.json()["field"]) == (422, "order")
        assert "expected one of index, reverse" in answer.json()["detail"]
        answer = httpx.get(where + address(samples), params={"order": "index"})
        assert "has no effect here" in answer.json()["detail"]
