"""Assembles the dashboard: Dash on Flask for the pages, Starlette around it for everything else.

Callbacks stay plain functions in threads, so that a slow one holds up neither `/healthz` nor, up to
`Bounds.threads` of them, another reader; docs/decisions/starlette-and-dash.md has the
measurements behind this form.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from dash import Dash
from dash.exceptions import DependencyException
from flask import Flask, Response, jsonify, request
from starlette import responses as starlette
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.types import ASGIApp
from werkzeug.exceptions import HTTPException

from dashboard import api
from dashboard.auth.guard import Guard, Login
from dashboard.auth.routes import account_routes
from dashboard.pages import first_page, shell
from dashboard.pages.sent import kind_of
from dashboard.server import paths, static_files
from dashboard.server.access_log import AccessLog
from dashboard.server.bounds import BOUNDS, Bounds
from dashboard.server.headers import SecurityHeaders
from dashboard.server.ledger import Ledger
from dashboard.server.limits import BodyLimit, Busy, KnownHosts, Strangers
from dashboard.server.metrics import Metrics
from dashboard.server.origin import OwnPages
from dashboard.server.readiness import Check, watch_routes
from dashboard.server.roles import Role
from dashboard.server.routes import GuardedMount, guarded
from dashboard.server.threads import ClientLeftError, Threads
from dashboard.server.watch import REQUEST_ID, Watched
from dashboard.server.wsgi import Bridge, callback_problem
from dashboard.stores.source import Source
from dashboard.urls import HERE
from fmcore import FmcoreError

log = logging.getLogger(__name__)

TITLE = "Feature Map Dashboard"
# Four tiles. In the page itself: a browser asks for Dash's at each change of the address.
ICON = "data:image/svg+xml," + quote(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    '<path fill="#3b528b" d="M1 1h6v6H1z"/><path fill="#21918c" d="M9 1h6v6H9z"/>'
    '<path fill="#5ec962" d="M1 9h6v6H1z"/><path fill="#fde725" d="M9 9h6v6H9z"/></svg>'
)
# Runs before anything is painted.
FIRST_COLORS = "head/color_scheme.js"
NO_SCRIPT = (
    f"<noscript><p>{TITLE} draws its pages in the browser: switch JavaScript on, or read the "
    "stores through the HTTP API.</p></noscript>"
)
# Modules that the first picture does not need: of a picture that is saved, of the enlarged map, and
# of colors that are not the usual ones.
LATER = ("picture.js", "svg.js", "enlarged.js", "hand.js", "scales.js", "spacing.js")
# Asks for the maps of the first page while Dash's scripts are on their way.
FIRST_MAPS = "feature_maps/first.js"
# Tells a notebook's kernel what the page shows.
SELECTION = "notebook/selection.js"


def create_app(
    source: Source,
    *,
    allowed_hosts: Sequence[str] = ("127.0.0.1", "localhost"),
    limits: api.Limits = api.DEFAULT_LIMITS,
    login: Login | None = None,
    prefix: str = "",
    metrics: Metrics | None = None,
    access_log: AccessLog | None = None,
    tls: bool = False,
    bounds: Bounds = BOUNDS,
    frames: Sequence[str] = (),
) -> ASGIApp:
    """The whole server as an ASGI application, ready for its first request.

    Args:
        source: where the pages get their arrays.
        limits: how much one answer of the HTTP API may hold.
        allowed_hosts: names that requests may ask for; others, as in DNS rebinding, get a 400.
        login: who gets in; None for everybody who reaches the server.
        prefix: where a proxy puts the server, such as `/maps`; requests come with or without it.
        metrics: where requests are counted; None for numbers of this process alone.
        access_log: where a line of each request goes; None for nowhere.
        tls: whether browsers reach the server through TLS, of which a proxy may take care.
        bounds: what one client can make the server hold.
        frames: the origins whose pages may frame these pages, as a notebook does; none may where
            it is empty. Pages of other sites are then not refused by what their browser says of
            itself: whoever gives it lets nobody through who does not know a secret, and takes what
            pages say of their address (dashboard/notebook/doors.py does both).

    Raises:
        InputFileError, StoreError: if the store cannot be opened.
        TypeError: if a route says no role.
    """
    if not source.has_catalogue:
        source.snapshot()  # a store that cannot be opened is better said now than in a page
    pages = _create_dash(source, bounds, is_framed=bool(frames))
    ledger = Ledger(metrics or Metrics(), access_log, source.usage)
    checks: dict[str, Check] = {"stores": source.check}
    if login:
        checks["file of people"] = login.people.check
    routes = guarded(
        (
            *(account_routes(login) if login else ()),
            *watch_routes(checks, ledger),
            *api.operation_routes(source, limits, _threads(bounds, "api")),
            *api.reference_routes(source),
            *static_files.vendored_routes(),
            # Last, because it takes every path that is left.
            GuardedMount(
                "/", Bridge(pages.server, threads=_threads(bounds, "page")), role=Role.VIEW
            ),
        )
    )
    app = Starlette(
        routes=routes,
        middleware=[  # as a request meets them
            Middleware(KnownHosts, allowed_hosts=allowed_hosts),
            *([] if frames else [Middleware(OwnPages, tls=tls)]),
            Middleware(Guard, routes=routes, login=login),
            *([Middleware(Strangers, address=login.network, bounds=bounds)] if login else ()),
            Middleware(Busy, has_login=login is not None, bounds=bounds),
            Middleware(BodyLimit, bounds=bounds),
            Middleware(paths.StorePages, source=source),
            Middleware(static_files.KeptFiles),
        ],
        exception_handlers={**api.HANDLERS, ClientLeftError: _nobody},
    )
    # Around all else, so that what is refused, and what fails, has the headers too.
    outermost: ASGIApp = SecurityHeaders(
        app, script_hashes=pages.csp_hashes(), tls=tls, frames=frames
    )
    whole = paths.Prefixed(outermost, prefix) if prefix else outermost
    return Watched(whole, ledger)


def _threads(bounds: Bounds, name: str) -> Threads:
    return Threads(bounds.threads, of_person=bounds.threads_of_person, name=name)


async def _nobody(_: Request, _error: Exception) -> starlette.Response:
    """What is sent to a client that has left, which nobody gets."""
    return starlette.Response(status_code=503)


def _create_dash(source: Source, bounds: Bounds = BOUNDS, *, is_framed: bool = False) -> Dash:
    assets = Path(__file__).parent / "assets"
    server = Flask(__name__)
    app = Dash(
        __name__,
        server=server,  # type: ignore[arg-type]
        title=TITLE,
        update_title=None,  # type: ignore[arg-type]
        # The mere presence of asgiref would switch Flask to its slow asynchronous dispatch.
        use_async=False,
        enable_mcp=False,
        compress=False,
        serve_locally=True,
        suppress_callback_exceptions=True,  # a page's components are not there before it is open
        # Folders: what the index names itself, modules, which doors.js imports, styles of pages.
        assets_path_ignore=[folder.name for folder in assets.iterdir() if folder.is_dir()],
        requests_pathname_prefix=HERE,
        routes_pathname_prefix="/",
    )
    server.before_request(paths.begin)
    server.after_request(paths.place)
    # All at once, before Dash's own scripts run: a module names the next ones only when it runs.
    modules = "".join(
        f'<link rel="modulepreload" href="{app.get_asset_url(str(module.relative_to(assets)))}">'
        for module in sorted((assets / "feature_maps").rglob("*.js"))
        if module.name not in LATER
    )
    for script in (FIRST_MAPS, *([SELECTION] if is_framed else [])):
        modules += f'<script type="module" async src="{app.get_asset_url(script)}"></script>'
    colors = f'<script src="{app.get_asset_url(FIRST_COLORS)}"></script>'
    app.index_string = (
        app.index_string.replace("<html>", '<html lang="en">')
        .replace("{%metas%}", "{%metas%}" + colors + modules)
        .replace("{%app_entry%}", NO_SCRIPT + "{%app_entry%}")
        .replace("{%favicon%}", f'<link rel="icon" href="{ICON}">')
    )
    app.layout = lambda: shell.layout(source, title=TITLE)
    shell.register(app, source)
    first_page.register(app, source, title=TITLE)
    _answer_errors(app, bounds)
    # One request before the first real one: Dash fills its registry in the first request, and
    # others that come meanwhile get a 500 (plotly/dash#3971).
    answer = server.test_client().get("/")
    if answer.status_code != 200:
        raise RuntimeError(f"the dashboard does not answer: {answer.status}")
    return app


def _answer_errors(app: Dash, bounds: Bounds) -> None:
    """Gives every failing request a status and one line, and the log the rest."""
    server: Flask = app.server

    @server.before_request
    def check_callback() -> tuple[Response, int] | None:
        if request.path != "/_dash-update-component":
            return None
        try:
            body = request.get_json()  # 400 for bad JSON, 415 for another type
        except RecursionError:
            return jsonify(error="the body is nested too deep"), 400
        problem = callback_problem(
            body, app.callback_map, kind_of, most_characters=bounds.text_characters
        )
        return (jsonify(error=problem), 400) if problem else None

    @server.errorhandler(Exception)
    def answer(error: Exception) -> tuple[Response, int]:
        match error:
            case HTTPException():
                return jsonify(error=error.description), error.code or 500
            case FmcoreError():
                return jsonify(error=str(error)), 400
            case DependencyException():
                return jsonify(error="no such file"), 404
            case _:
                name = REQUEST_ID.get()
                log.exception("request %s to %s failed", name, request.path, exc_info=error)
                return jsonify(error=f"internal error; the server's log has it as {name}"), 500
