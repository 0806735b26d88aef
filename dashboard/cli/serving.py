"""`fmdash serve`: one store on this machine, or a folder of them for a team."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.cli.people import users_option
from dashboard.server.roles import ROLES, Role
from fmcore.command import size, whole_number
from fmcore.errors import InputFileError
from fmcore.floors import warnings
from fmcore.optional import needing

if TYPE_CHECKING:
    import socket

    from starlette.types import ASGIApp

    from dashboard.auth.guard import Login
    from dashboard.server import listen
    from dashboard.server.metrics import Metrics
    from dashboard.stores.source import Source

log = logging.getLogger(__name__)

DEFAULT_PORT = 8050
EXTRA = "dashboard"
MOST_WORKERS = 64


def add_to(verbs: Any) -> None:
    """Adds the command to those of `fmdash`."""
    text = "serve stores in the browser"
    serve: argparse.ArgumentParser = verbs.add_parser("serve", help=text, description=text)
    serve.set_defaults(run=_serve)
    serve.add_argument(
        "paths", type=Path, nargs="+", metavar="PATH", help="a store, or a folder of stores"
    )
    serve.add_argument("--host", default="127.0.0.1", help="others need --users (127.0.0.1)")
    serve.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"0 for any free one ({DEFAULT_PORT})"
    )
    serve.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        help="a browser, or none (where there is a display, and not over SSH or in CI)",
    )
    serve.add_argument(
        "--check", action="store_true", help="only see whether the page answers, then stop"
    )
    serve.add_argument(
        "--workers",
        type=whole_number(1, MOST_WORKERS),
        metavar="N",
        help="processes (1 for a store, one for each core up to 4 for folders)",
    )
    serve.add_argument(
        "--largest-array",
        type=size,
        metavar="SIZE",
        help="of one answer of the HTTP API, such as 512MB (16GiB)",
    )
    serve.add_argument(
        "--largest-text", type=size, metavar="SIZE", help="the same as CSV or JSON (64MiB)"
    )
    serve.add_argument(
        "--access-log",
        type=Path,
        metavar="FILE",
        help="append a line of JSON for each request; - for standard error (none)",
    )
    team = serve.add_argument_group("for a team")
    users_option(team, why="who may log in: a file that `fmdash user add` makes")
    team.add_argument(
        "--log", type=Path, metavar="FILE", help="of logins and exports (beside the file of people)"
    )
    team.add_argument("--tls-cert", type=Path, metavar="FILE", help="speak TLS: the certificate")
    team.add_argument("--tls-key", type=Path, metavar="FILE", help="and its key")
    team.add_argument(
        "--behind-tls", action="store_true", help="a proxy in front of the server speaks TLS"
    )
    team.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name that browsers may ask for, such as maps.example.org; may be repeated",
    )
    team.add_argument("--prefix", default="", metavar="/PATH", help="where the proxy puts it")
    team.add_argument("--socket", type=Path, metavar="FILE", help="listen there, for a proxy alone")
    team.add_argument(
        "--proxy-header", metavar="NAME", help="the proxy's header that says who asks"
    )
    team.add_argument(
        "--proxy-secret",
        type=Path,
        metavar="FILE",
        help="holds what the proxy's header X-Proxy-Secret must say; not needed with --socket",
    )
    team.add_argument(
        "--proxy-role",
        choices=[role.value for role in ROLES],
        help="of people that only the proxy knows (none)",
    )


def _serve(options: argparse.Namespace) -> int:
    with needing(EXTRA, purpose="fmdash serve"):
        from dashboard.server import listen
        from dashboard.server.metrics import Metrics, shared_folder
        from dashboard.server.process import raise_open_files
        from dashboard.stores.source import Source

    for path in options.paths:
        if not path.exists():
            raise InputFileError(f"there is no store or folder {path}; `fmcore capture` writes one")
    source = Source(*options.paths)
    login = _login(options)
    certificate = None
    if options.tls_cert:
        certificate = listen.Certificate(options.tls_cert, options.tls_key)
    workers = options.workers or (min(os.cpu_count() or 1, 4) if source.has_catalogue else 1)
    is_many = (workers > 1 or certificate is not None) and not options.check
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(listen.bind(_address(options), guarded=login is not None))
        if certificate is not None:
            certificate.read()  # what is none is better said now than in a handshake
        # Before anything imports the library that counts.
        metrics = Metrics(stack.enter_context(shared_folder()) if is_many else None)
        app = _app(options, source, login, metrics)
        for warning in (*warnings(), raise_open_files()):
            if warning:
                print(f"warning: {warning}", file=sys.stderr)
        if login is not None and login.proxy is None and options.behind_tls:
            log.warning(
                "--behind-tls without --proxy-secret: all people look like one client, so that "
                "wrong passwords of one make everybody wait; give --proxy-secret FILE or a --socket"
            )
        where = listen.address(listening, tls=options.tls_cert is not None)
        if options.check:
            answers = listen.check(app, listening)
            for path, status in answers.items():
                print(f"{where}{path.lstrip('/')} answered {status}")
            return 0 if set(answers.values()) == {200} else 1
        what = ", ".join(map(str, options.paths))
        print(f"Feature Map Dashboard of {what} at {where} (Ctrl-C stops it)", flush=True)
        reason = listen.why_no_browser() if options.open is None else ""
        if reason and not options.socket:
            print(_without_browser(options, reason, listening, source), flush=True)
        opens = not reason and options.open is not False and not options.socket
        with contextlib.suppress(KeyboardInterrupt):  # how a person stops it
            if not is_many:
                metrics.begin()
                listen.serve(app, listening, opens=opens)
            else:
                from dashboard.server.workers import serve_with

                serve_with(
                    app,
                    listening,
                    workers=workers,
                    certificate=certificate,
                    opens=opens,
                    metrics=metrics,
                )
    return 0


def _without_browser(
    options: argparse.Namespace, reason: str, listening: socket.socket, source: Source
) -> str:
    """What a person does who gets an address and no page."""
    from dashboard.server import listen

    tunnel = ""
    if os.environ.get("SSH_CONNECTION") and options.host in listen.LOOPBACK:
        port = listening.getsockname()[1]
        tunnel = f" after `ssh -L {port}:127.0.0.1:{port} THIS-MACHINE` on it"
    first = "a store, then Feature maps" if source.has_catalogue else "Feature maps"
    return (
        f"No browser is opened, because {reason}: open the address on your machine{tunnel}. Click "
        f"{first} first: what every filter of a layer makes of one image."
    )


def _app(
    options: argparse.Namespace, source: Any, login: Login | None, metrics: Metrics
) -> ASGIApp:
    with needing(EXTRA, purpose="fmdash serve"):
        from dashboard.api import Limits
        from dashboard.app import create_app  # Dash takes a second to import; usage needs none
        from dashboard.server import listen
        from dashboard.server.access_log import AccessLog

    most = {"array_bytes": options.largest_array, "text_bytes": options.largest_text}
    limits = Limits(**{name: value for name, value in most.items() if value is not None})
    hosts = ["127.0.0.1", "localhost", *options.allow_host]
    if options.host not in listen.EVERYWHERE:
        hosts.append(options.host)
    lines = options.access_log
    return create_app(
        source,
        allowed_hosts=hosts,
        limits=limits,
        login=login,
        prefix=options.prefix,
        metrics=metrics,
        access_log=lines and AccessLog(None if str(lines) == "-" else lines),
        tls=_has_tls(options),
    )


def _address(options: argparse.Namespace) -> listen.Address:
    """Where to listen; `ServerError` for what lets strangers in, or passwords be read."""
    from dashboard.server import listen

    if bool(options.tls_cert) != bool(options.tls_key):
        raise listen.ServerError("TLS needs both --tls-cert and --tls-key")
    prefix = options.prefix
    if prefix and (not prefix.startswith("/") or prefix.endswith("/")):
        raise listen.ServerError(f"--prefix {prefix!r}: expected a path such as /maps")
    if options.socket:
        return options.socket
    if options.host not in listen.LOOPBACK and options.users:
        if not (options.tls_cert or options.behind_tls):
            raise listen.ServerError(
                f"refusing to ask for passwords on {options.host} without TLS, where others could "
                "read them: give --tls-cert and --tls-key, or say --behind-tls where a proxy "
                "speaks TLS"
            )
        if not options.allow_host and options.host in listen.EVERYWHERE:
            raise listen.ServerError(
                "say with --allow-host NAME under which name browsers ask for this server"
            )
    return options.host, options.port


def _login(options: argparse.Namespace) -> Login | None:
    from dashboard.server import listen

    if options.users is None:
        if options.proxy_header or options.proxy_secret or options.socket:
            raise listen.ServerError(
                "a proxy's header and a socket need --users FILE too; `fmdash user add` makes one"
            )
        return None
    with needing(EXTRA, purpose="fmdash serve --users"):
        from dashboard.auth.guard import Login, Proxy
        from dashboard.auth.journal import Journal
        from dashboard.auth.people import People

    proxy = None
    if options.proxy_secret or options.socket:
        secret = _secret(options.proxy_secret) if options.proxy_secret else ""
        role = Role(options.proxy_role) if options.proxy_role else None
        proxy = Proxy(secret, options.proxy_header or "", role)
    elif options.proxy_header:
        raise listen.ServerError(
            "anybody could send --proxy-header: prove that it is the proxy with --proxy-secret "
            "FILE, or listen on a --socket that only it can reach"
        )
    people = People(options.users)
    if not len(people) and not (proxy and proxy.role):
        raise listen.ServerError(f"nobody could log in: {options.users} has no people")
    journal = Journal(options.log or options.users.with_suffix(".log.jsonl"))
    return Login(people, journal, proxy, secure=_has_tls(options))


def _has_tls(options: argparse.Namespace) -> bool:
    """Whether browsers come through TLS: to the server itself, or to the proxy before it."""
    return bool(options.tls_cert or options.behind_tls or options.socket)


def _secret(path: Path) -> str:
    from dashboard.auth.private import keep_private
    from dashboard.server import listen

    try:
        secret = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InputFileError(f"cannot read the proxy's secret in {path}: {error}") from error
    if len(secret) < 16:
        raise listen.ServerError(f"the secret in {path} is shorter than 16 characters")
    keep_private(path)
    return secret
