"""The pages of login and account, in plain HTML: they need no script."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote

from jinja2 import Environment, PackageLoader
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from dashboard.auth.guard import COOKIE, Login, cookie_of
from dashboard.auth.people import SESSION_SECONDS
from dashboard.auth.person import PeopleError, Person
from dashboard.server.problem import problem
from dashboard.server.roles import Role
from dashboard.server.routes import GuardedRoute
from dashboard.urls import API

# Of checking passwords, each of which takes 64 MiB and a tenth of a second, at the same time.
CHECKS = 2
WAITING = 16
LINES_OF_LOG = 1000


def account_routes(how: Login) -> list[GuardedRoute]:
    """`/login`, `/logout`, `/account`, and what an admin may read."""
    people, journal = how.people, how.journal
    pages = Environment(loader=PackageLoader("dashboard.auth"), autoescape=True)
    pages.filters["day"] = _day
    checks, waiting = asyncio.Semaphore(CHECKS), 0

    def page(request: Request, file: str, status: int = 200, **about: Any) -> Response:
        text = pages.get_template(file).render(root=_root(request), **about)
        return HTMLResponse(text, status, {"cache-control": "no-store"})

    async def login(request: Request) -> Response:
        nonlocal waiting
        if request.method != "POST":
            return page(request, "login.html", next=request.query_params.get("next", "/"))
        form = await _form(request)
        name = form.get("name", "")
        host = request.client.host if request.client else "socket"
        client = how.client(host, request.headers)
        again = {"next": form.get("next", "/"), "name": name}
        pause = await run_in_threadpool(people.wait, name, client)
        if pause > 0:
            message = f"Too many failures; try again in {pause:.0f} s."
            answer = page(request, "login.html", 429, message=message, **again)
            answer.headers["retry-after"] = str(int(pause) + 1)
            return answer
        if waiting >= WAITING:
            return problem(503, "too many logins at once", headers={"retry-after": "2"})
        waiting += 1
        try:
            async with checks:
                person = await run_in_threadpool(people.verified, name, form.get("password", ""))
        finally:
            waiting -= 1
        if person is None:
            await run_in_threadpool(people.failed, name, client)
            journal.write("login failed", who=name, client=client)
            message = "There is no such name with this password."
            return page(request, "login.html", 401, message=message, **again)
        signed = await run_in_threadpool(people.begin_session, name, client)
        journal.write("login", who=name, client=client)
        answer = RedirectResponse(_root(request) + _local(again["next"]), 303)
        answer.set_cookie(
            COOKIE,
            signed,
            max_age=SESSION_SECONDS,
            path=_root(request) or "/",
            secure=how.secure,
            httponly=True,
            samesite="lax",  # a link to a page, in a mail, finds its reader logged in
        )
        return answer

    async def logout(request: Request) -> Response:
        await run_in_threadpool(people.end_session, cookie_of(request.headers))
        journal.write("logout", who=_person(request).name)
        answer = RedirectResponse(f"{_root(request)}/login", 303)
        answer.delete_cookie(COOKIE, path=_root(request) or "/")
        return answer

    async def account(request: Request) -> Response:
        person, about, status = _person(request), dict[str, Any](), 200
        if request.method == "POST":
            form = await _form(request)
            try:
                about = dict(await run_in_threadpool(change, person, form))
            except (PeopleError, ValueError) as error:
                about, status = {"message": str(error)}, 400
        tokens = await run_in_threadpool(people.tokens, person.name)
        about["has_tokens"] = await run_in_threadpool(people.get, person.name) is not None
        return page(request, "account.html", status, person=person, tokens=tokens, **about)

    def change(person: Person, form: dict[str, str]) -> dict[str, str]:
        if "revoke" in form:
            people.revoke(person.name, form["revoke"])
            journal.write("token revoked", who=person.name, label=form["revoke"])
            return {}
        secret = people.make_token(person.name, form.get("label", ""), int(form.get("days", "0")))
        journal.write("token made", who=person.name, label=form["label"])
        return {"secret": secret}

    async def log(_: Request) -> Response:
        return JSONResponse(await run_in_threadpool(journal.last, LINES_OF_LOG))

    async def everybody(_: Request) -> Response:
        everyone = await run_in_threadpool(lambda: list(people))
        return JSONResponse([{"name": user.name, "role": user.role} for user in everyone])

    return [
        GuardedRoute("/login", login, role=Role.ANYBODY, methods=("GET", "POST")),
        GuardedRoute("/logout", logout, role=Role.VIEW, methods=("POST",)),
        GuardedRoute("/account", account, role=Role.VIEW, methods=("GET", "POST")),
        GuardedRoute(f"{API}/v1/log", log, role=Role.ADMIN),
        GuardedRoute(f"{API}/v1/people", everybody, role=Role.ADMIN),
    ]


async def _form(request: Request) -> dict[str, str]:
    body = (await request.body()).decode("utf-8", "replace")
    try:
        parsed = parse_qs(body, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in parsed.items()}


def _person(request: Request) -> Person:
    person: Person = request.scope["state"]["person"]
    return person


def _root(request: Request) -> str:
    return quote(request.scope.get("root_path", ""))


def _local(path: str) -> str:
    """A path of this site; `/` for what could lead to another."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if safe and path.isprintable() else "/"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
