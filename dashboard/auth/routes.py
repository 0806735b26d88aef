"""The pages of login and account, in plain HTML: they need no script."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote

from jinja2 import Environment, PackageLoader
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from dashboard.auth.guard import COOKIE, Login, cookie_of, unreadable
from dashboard.auth.people import SESSION_SECONDS, is_name
from dashboard.auth.person import MOST_TOKEN_DAYS, PeopleError, PeopleFileError, Person
from dashboard.server.problem import problem
from dashboard.server.roles import Role
from dashboard.server.routes import GuardedRoute
from dashboard.urls import API

# Of checking passwords, each of which takes 64 MiB and a tenth of a second, at the same time. How
# many logins wait for it, and how many of one client, is bounded at the door.
CHECKS = 2
LINES_OF_LOG = 1000
# A name, a password of 1,024 letters of three bytes, and an address, all percent-encoded.
LONGEST_FORM_BYTES = 16 << 10
LONGEST_NEXT = 2048

Handler = Callable[[Request], Awaitable[Response]]


def account_routes(how: Login) -> list[GuardedRoute]:
    """`/login`, `/logout`, `/account`, and what an admin may read."""
    people, journal = how.people, how.journal
    pages = Environment(loader=PackageLoader("dashboard.auth"), autoescape=True)
    pages.filters["day"] = _day
    checks = asyncio.Semaphore(CHECKS)

    def page(request: Request, file: str, status: int = 200, **about: Any) -> Response:
        text = pages.get_template(file).render(root=_root(request), **about)
        return HTMLResponse(text, status, {"cache-control": "no-store"})

    def again(request: Request, form: dict[str, str], status: int, message: str) -> Response:
        about = {"next": _local(form.get("next", "/")), "name": _name(form), "message": message}
        return page(request, "login.html", status, **about)

    def later(request: Request, form: dict[str, str], pause: float) -> Response:
        message = f"Too many failures; try again in {pause:.0f} s."
        answer = again(request, form, 429, message)
        answer.headers["retry-after"] = str(int(pause) + 1)
        return answer

    async def login(request: Request) -> Response:
        if request.method != "POST":
            back = _local(request.query_params.get("next", "/"))
            return page(request, "login.html", next=back)
        form = await _form(request)
        name, password = _name(form), form.get("password", "")
        client = how.client(request.scope)
        pause = await run_in_threadpool(people.wait, name, client)
        if pause > 0:
            return later(request, form, pause)
        async with checks:
            attempt = await run_in_threadpool(people.log_in, name, password, client)
        if attempt.wait > 0:  # others of this client were looked at meanwhile
            return later(request, form, attempt.wait)
        if not attempt.session:
            journal.write("login failed", who=name, client=client)
            return again(request, form, 401, "There is no such name with this password.")
        journal.write("login", who=name, client=client)
        answer = RedirectResponse(_root(request) + _local(form.get("next", "/")), 303)
        answer.set_cookie(
            COOKIE,
            attempt.session,
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
        if person.how == "token":  # whoever finds one would make themselves others that outlive it
            return problem(403, "an account is for a person who logged in, and not for a token")
        if request.method == "POST":
            form = await _form(request)
            try:
                about = dict(await run_in_threadpool(change, person, form))
            except PeopleFileError:
                raise
            except PeopleError as error:
                about, status = {"message": str(error)}, 400
        tokens = await run_in_threadpool(people.tokens, person.name)
        about["has_tokens"] = await run_in_threadpool(people.get, person.name) is not None
        return page(request, "account.html", status, person=person, tokens=tokens, **about)

    def change(person: Person, form: dict[str, str]) -> dict[str, str]:
        if people.get(person.name) is None:  # and who there is, is no answer for them
            raise PeopleError(
                "only the proxy knows you: tokens are for people of the server's file"
            )
        if "revoke" in form:
            people.revoke(person.name, form["revoke"])
            journal.write("token revoked", who=person.name, label=form["revoke"])
            return {}
        label, days = form.get("label", ""), form.get("days", "")
        if not re.fullmatch(r"[0-9]{1,6}", days):
            raise PeopleError(f"a token holds for 1 to {MOST_TOKEN_DAYS:,} days")
        secret = people.make_token(person.name, label, int(days))
        journal.write("token made", who=person.name, label=label)
        return {"secret": secret}

    async def log(_: Request) -> Response:
        return JSONResponse(await run_in_threadpool(journal.last, LINES_OF_LOG))

    async def everybody(_: Request) -> Response:
        everyone = await run_in_threadpool(lambda: list(people))
        return JSONResponse([{"name": user.name, "role": user.role} for user in everyone])

    return [
        GuardedRoute("/login", _able(login), role=Role.ANYBODY, methods=("GET", "POST")),
        GuardedRoute("/logout", _able(logout), role=Role.VIEW, methods=("POST",)),
        GuardedRoute("/account", _able(account), role=Role.VIEW, methods=("GET", "POST")),
        GuardedRoute(f"{API}/v1/log", log, role=Role.ADMIN),
        GuardedRoute(f"{API}/v1/people", _able(everybody), role=Role.ADMIN),
    ]


def _able(handler: Handler) -> Handler:
    """A handler that answers 503 where the file of people cannot be read or written."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except PeopleFileError as error:
            return unreadable(error)

    return answer


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; none of one that is far longer than ours."""
    body = await request.body()
    if len(body) > LONGEST_FORM_BYTES:
        return {}
    text = body.decode("utf-8", "replace")
    try:
        parsed = parse_qs(text, keep_blank_values=True, max_num_fields=16)
    except ValueError:
        return {}
    return {name: values[-1] for name, values in parsed.items()}


def _name(form: dict[str, str]) -> str:
    """The name of a login; empty for what nobody can be called."""
    name = form.get("name", "").strip()  # telephones add a space
    return name if is_name(name) else ""


def _person(request: Request) -> Person:
    person: Person = request.scope["state"]["person"]
    return person


def _root(request: Request) -> str:
    return quote(request.scope.get("root_path", ""))


def _local(path: str) -> str:
    """A path of this site; `/` for what could lead to another."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if safe and path.isprintable() and len(path) <= LONGEST_NEXT else "/"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
