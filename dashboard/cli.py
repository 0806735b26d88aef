"""`fmdash`: serves a store in the browser."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from dashboard import server
from fmcore.arguments import size
from fmcore.command import run_command

DEFAULT_PORT = 8050


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; 0 where it went well, 1 for an error that is said in one line, 2 usage."""
    return run_command("fmdash", _parser(), argv)


def _serve(options: argparse.Namespace) -> int:
    from dashboard.api import Limits
    from dashboard.app import create_app  # Dash takes a second to import; usage errors need none
    from dashboard.source import Source

    with server.bind(options.host, options.port) as listening:
        given = {
            "array_bytes": options.largest_array,
            "text_bytes": options.largest_text,
        }
        limits = Limits(**{name: value for name, value in given.items() if value is not None})
        app = create_app(Source(options.path), limits=limits)
        where = server.address(listening)
        if options.check:
            answers = server.check(app, listening)
            for path, status in answers.items():
                print(f"{where}{path.lstrip('/')} answered {status}")
            return 0 if set(answers.values()) == {200} else 1
        print(f"Feature Map Dashboard of {options.path} at {where} (Ctrl-C stops it)", flush=True)
        with contextlib.suppress(KeyboardInterrupt):  # how a person stops it
            server.serve(app, listening, open_browser=options.open and server.has_display())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fmdash", description="Browse a store in the browser.")
    parser.add_argument(
        "--version", action="version", version=f"fmdash {version('feature-map-dashboard')}"
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    text = "serve a store on this machine"
    serve = verbs.add_parser("serve", help=text, description=text)
    serve.set_defaults(run=_serve)
    serve.add_argument("path", type=Path, metavar="STORE")
    serve.add_argument("--host", default="127.0.0.1", help="loopback only (127.0.0.1)")
    serve.add_argument(
        "--port", type=int, default=DEFAULT_PORT, help=f"0 for any free one ({DEFAULT_PORT})"
    )
    serve.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="open a browser where there is a display",
    )
    serve.add_argument(
        "--check", action="store_true", help="only see whether the page answers, then stop"
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
    return parser


if __name__ == "__main__":
    sys.exit(main())
