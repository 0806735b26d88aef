"""`fmdash user`: who may look at the stores of a server."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dashboard.auth.person import TOKEN_DAYS, PeopleError
from dashboard.server.roles import ROLES
from fmcore.optional import needing

if TYPE_CHECKING:
    from dashboard.auth.people import People

# Instead of `--users`, for every command.
VARIABLE = "FMDASH_USERS"
# Of standard input: any password that is too long is still too long.
_LONGEST_LINE = 4096


def users_option(parser: argparse._ActionsContainer, *, why: str) -> None:
    """Adds `--users FILE`."""
    parser.add_argument(
        "--users",
        type=Path,
        metavar="FILE",
        default=os.environ.get(VARIABLE) and Path(os.environ[VARIABLE]),
        help=f"{why} (${VARIABLE})",
    )


def add_to(verbs: Any) -> None:
    """Adds the command to those of `fmdash`."""
    text = "people who may log in, and their tokens"
    user = verbs.add_parser("user", help=text, description=text)
    acts = user.add_subparsers(required=True, metavar="ACT")

    def act(name: str, run: Any, text: str, *, named: bool = True) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = acts.add_parser(name, help=text, description=text)
        parser.set_defaults(run=run)
        users_option(parser, why="the file of people")
        if named:
            parser.add_argument("name", metavar="NAME")
        return parser

    roles = [role.value for role in ROLES]
    role = {"choices": roles, "help": "look; also take arrays home; also see who does what"}
    stdin = {"action": "store_true", "help": "read the password from standard input, one line"}
    add = act("add", _add, "let somebody in; asks for a password")
    add.add_argument("--role", default=roles[0], **role)  # type: ignore[arg-type]
    add.add_argument("--password-stdin", **stdin)  # type: ignore[arg-type]
    act("list", _list, "say who there is", named=False)
    act("role", _role, "give somebody another role").add_argument("role", **role)  # type: ignore[arg-type]
    text = "give somebody another password, and end their sessions and tokens"
    change = act("password", _password, text)
    change.add_argument("--password-stdin", **stdin)  # type: ignore[arg-type]
    change.add_argument(
        "--keep-tokens",
        action="store_true",
        help="tokens stay good: only if nobody else can have known the password",
    )
    act("remove", _remove, "let somebody in no more")
    token = act("token", _token, "make a token for somebody's scripts, and print it")
    token.add_argument("--label", required=True, help="what to call it")
    token.add_argument("--days", type=int, default=TOKEN_DAYS, help=f"it holds ({TOKEN_DAYS})")
    revoke = act("revoke", _revoke, "make a token worthless")
    revoke.add_argument("--label", required=True, help="what it is called")
    text = "log everybody out, and sign sessions with a new key"
    end = act("end-sessions", _end_sessions, text, named=False)
    end.add_argument("--tokens", action="store_true", help="make all tokens worthless too")


def _people(options: argparse.Namespace, *, create: bool = False) -> People:
    with needing("dashboard", purpose="fmdash user"):
        from dashboard.auth.people import People  # what hashes passwords is needed here alone

    if options.users is None:
        raise PeopleError(f"name the file of people with --users FILE, or in ${VARIABLE}")
    return People(options.users, create=create)


def _add(options: argparse.Namespace) -> int:
    people = _people(options, create=True)
    people.add(options.name, options.role, _password_of(options))
    print(
        f"{options.name} has the role {options.role}; "
        f"`fmdash serve … --users {options.users}` lets them in"
    )
    return 0


def _list(options: argparse.Namespace) -> int:
    people = _people(options)
    for person in people:
        tokens = ", ".join(token.label for token in people.tokens(person.name))
        print(f"{person.name}\t{person.role}" + (f"\ttokens: {tokens}" if tokens else ""))
    return 0


def _role(options: argparse.Namespace) -> int:
    _people(options).set_role(options.name, options.role)
    print(f"{options.name} has the role {options.role}")
    return 0


def _password(options: argparse.Namespace) -> int:
    people = _people(options)
    keeps = options.keep_tokens
    people.set_password(options.name, _password_of(options), keep_tokens=keeps)
    ended = "no session" if keeps else "no session and no token"
    print(f"{options.name} has another password, and {ended} any more")
    return 0


def _remove(options: argparse.Namespace) -> int:
    _people(options).remove(options.name)
    print(f"{options.name} is let in no more")
    return 0


def _token(options: argparse.Namespace) -> int:
    print(_people(options).make_token(options.name, options.label, options.days))
    print("This is shown once; send it as `Authorization: Bearer …`", file=sys.stderr)
    return 0


def _revoke(options: argparse.Namespace) -> int:
    _people(options).revoke(options.name, options.label)
    print(f"the token {options.label!r} of {options.name} is worth nothing any more")
    return 0


def _end_sessions(options: argparse.Namespace) -> int:
    _people(options).end_sessions(tokens=options.tokens)
    ended = "all sessions and tokens" if options.tokens else "all sessions"
    print(f"{ended} have ended, and there is a new key; running servers need no restart")
    return 0


def _password_of(options: argparse.Namespace) -> str:
    """A password, typed twice or from a pipe; never an argument, which others could see."""
    if options.password_stdin:
        try:
            return sys.stdin.readline(_LONGEST_LINE).rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise PeopleError("the password on standard input is no UTF-8 text") from error
    try:
        first, second = (
            getpass.getpass(ask) for ask in (f"Password for {options.name}: ", "Again: ")
        )
    except EOFError as error:
        raise PeopleError("nobody typed a password; --password-stdin takes one line") from error
    if first != second:
        raise PeopleError("the two are not the same; nothing was changed")
    return first
