"""People, their sessions and their tokens, in one SQLite file that all workers share.

No secret lies in it: passwords are argon2 hashes, sessions and tokens SHA-256 of 256 random bits.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from itsdangerous import BadSignature, TimestampSigner

from dashboard.auth import delays
from dashboard.auth.person import TOKEN_DAYS, PeopleError, Person
from dashboard.server.roles import ROLES, Role

SESSION_SECONDS = 12 * 3600
SHORTEST_PASSWORD, LONGEST_PASSWORD = 10, 1024
_NAME = re.compile(r"[\w.@+-]{1,64}")
_TABLES = """
CREATE TABLE IF NOT EXISTS person (
  name TEXT PRIMARY KEY, role TEXT NOT NULL, password TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS session (
  digest BLOB PRIMARY KEY, ends REAL NOT NULL,
  name TEXT NOT NULL REFERENCES person(name) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS token (
  digest BLOB PRIMARY KEY, label TEXT NOT NULL, made REAL NOT NULL, ends REAL NOT NULL,
  name TEXT NOT NULL REFERENCES person(name) ON DELETE CASCADE, UNIQUE (name, label));
CREATE TABLE IF NOT EXISTS signing (one INTEGER PRIMARY KEY CHECK (one = 1), key BLOB NOT NULL);
INSERT OR IGNORE INTO signing VALUES (1, randomblob(32));
"""


@dataclass(frozen=True, slots=True)
class Token:
    """A personal access token, without its secret.

    Attributes:
        label: what its owner calls it.
        begins: since when it is good, seconds since 1970.
        ends: until when it is good, seconds since 1970.
    """

    label: str
    begins: float
    ends: float


class People:
    """The file of people; every call reads it anew, so that a change holds at once, in all workers.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Opens the file.

        Args:
            path: the file.
            create: make it where there is none, for its owner's eyes only.

        Raises:
            PeopleError: if there is none, or it is no file of people.
        """
        self.path = path
        self._here = threading.local()
        self._hasher = PasswordHasher()
        if not create and not path.is_file():
            raise PeopleError(f"there is no file of people {path}; `fmdash user add` makes one")
        try:
            if create:
                path.touch(mode=0o600)
            self._file.executescript(f"BEGIN IMMEDIATE; {_TABLES} {delays.TABLE} COMMIT;")
            (key,) = self._file.execute("SELECT key FROM signing").fetchone()
            self._signer = TimestampSigner(key, salt="session", digest_method=hashlib.sha256)
        except (sqlite3.Error, OSError) as error:
            raise PeopleError(f"cannot use {path} as a file of people: {error}") from error

    def check(self) -> None:
        """Looks whether the file is there and answers; `OSError` if not."""
        self.path.stat()
        try:
            len(self)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, "it does not answer") from error

    def __len__(self) -> int:
        (n,) = self._file.execute("SELECT count(*) FROM person").fetchone()
        return int(n)

    def __iter__(self) -> Iterator[Person]:
        for name, role in self._file.execute("SELECT name, role FROM person ORDER BY name"):
            yield Person(name, Role(role))

    def get(self, name: str) -> Person | None:
        """A person by name; None if nobody has it."""
        row = self._file.execute("SELECT name, role FROM person WHERE name = ?", (name,)).fetchone()
        return Person(row[0], Role(row[1])) if row else None

    def add(self, name: str, role: str, password: str) -> None:
        """Adds somebody.

        Raises:
            PeopleError: if the name is taken or none, the role is none, or the password too short.
        """
        if not _NAME.fullmatch(name):
            raise PeopleError(f"{name!r} is no name: expected letters, digits and . @ + _ -")
        hashed = self._hashed(password)
        with self._changing() as file:
            try:
                file.execute("INSERT INTO person VALUES (?, ?, ?)", (name, _role(role), hashed))
            except sqlite3.IntegrityError as error:
                raise PeopleError(
                    f"there is a {name!r} already; `fmdash user role` and `fmdash user password` "
                    "change what they have"
                ) from error

    def set_role(self, name: str, role: str) -> None:
        """Gives somebody another role, which holds from the next request on."""
        self._change(name, "UPDATE person SET role = ? WHERE name = ?", _role(role))

    def set_password(self, name: str, password: str) -> None:
        """Gives somebody another password, and ends their sessions."""
        self._change(name, "UPDATE person SET password = ? WHERE name = ?", self._hashed(password))
        with self._changing() as file:
            file.execute("DELETE FROM session WHERE name = ?", (name,))

    def remove(self, name: str) -> None:
        """Removes somebody with their sessions and tokens."""
        self._change(name, "DELETE FROM person WHERE name = ?")

    def verified(self, name: str, password: str) -> Person | None:
        """The person, if the password is theirs; takes as long where there is no such person."""
        row = self._file.execute(
            "SELECT name, role, password FROM person WHERE name = ?", (name,)
        ).fetchone()
        hashed = row[2] if row else self._nobody
        try:
            self._hasher.verify(hashed, password[:LONGEST_PASSWORD])
        except (Argon2Error, InvalidHashError):
            return None
        return Person(row[0], Role(row[1]), "session") if row else None

    def wait(self, name: str, client: str) -> float:
        """Seconds until somebody at an address may try again; 0 for now."""
        return delays.wait(self._file, name, client)

    def failed(self, name: str, client: str) -> None:
        """Counts a wrong password."""
        with self._changing() as file:
            delays.failed(file, name, client)

    def begin_session(self, name: str, client: str) -> str:
        """A new session; what is returned goes into the cookie."""
        secret, now = secrets.token_urlsafe(32), time.time()
        with self._changing() as file:
            delays.forget(file, name, client)
            file.execute("DELETE FROM session WHERE ends < ?", (now,))
            row = (_digest(secret), now + SESSION_SECONDS, name)
            file.execute("INSERT INTO session VALUES (?, ?, ?)", row)
        return self._signer.sign(secret).decode()

    def in_session(self, signed: str) -> Person | None:
        """Whose session it is; None where it ended, or never was."""
        secret = self._unsigned(signed)
        return self._of("session", secret) if secret else None

    def end_session(self, signed: str) -> None:
        """Ends a session: whoever shows its cookie again is nobody."""
        secret = self._unsigned(signed)
        if secret:
            with self._changing() as file:
                file.execute("DELETE FROM session WHERE digest = ?", (_digest(secret),))

    def _unsigned(self, signed: str) -> str:
        """What was signed here, and not too long ago; empty for anything else."""
        try:
            return self._signer.unsign(signed, max_age=SESSION_SECONDS).decode()
        except (BadSignature, UnicodeError):
            return ""

    def make_token(self, name: str, label: str, days: int = TOKEN_DAYS) -> str:
        """A new token, which is shown this once.

        Raises:
            PeopleError: if there is no such person, the label is taken, or it would never hold.
        """
        if self.get(name) is None:
            raise self._unknown(name)
        if not label.strip() or len(label) > 64 or not 1 <= days <= 3650:
            raise PeopleError("a token needs a label of 1 to 64 letters, and 1 to 3,650 days")
        secret, now = f"fmd_{secrets.token_urlsafe(32)}", time.time()
        with self._changing() as file:
            try:
                row = (_digest(secret), label.strip(), now, now + days * 86400, name)
                file.execute("INSERT INTO token VALUES (?, ?, ?, ?, ?)", row)
            except sqlite3.IntegrityError as error:
                raise PeopleError(f"{name} has a token {label!r} already; revoke it") from error
        return secret

    def with_token(self, secret: str) -> Person | None:
        """Whose token it is; None where it ended, was revoked, or never was."""
        return self._of("token", secret)

    def tokens(self, name: str) -> list[Token]:
        """The tokens of a person, oldest first."""
        rows = self._file.execute(
            "SELECT label, made, ends FROM token WHERE name = ? ORDER BY made", (name,)
        )
        return [Token(*row) for row in rows]

    def revoke(self, name: str, label: str) -> None:
        """Revokes a token; from the next request on it is none."""
        with self._changing() as file:
            row = (name, label)
            if not file.execute("DELETE FROM token WHERE name = ? AND label = ?", row).rowcount:
                raise PeopleError(f"{name} has no token {label!r}")

    def _of(self, table: str, secret: str) -> Person | None:
        row = self._file.execute(
            f"SELECT person.name, role FROM {table} JOIN person USING (name) "  # noqa: S608 (ours)
            "WHERE digest = ? AND ends > ?",
            (_digest(secret), time.time()),
        ).fetchone()
        return Person(row[0], Role(row[1]), table) if row else None

    def _change(self, name: str, statement: str, *values: str) -> None:
        with self._changing() as file:
            if not file.execute(statement, (*values, name)).rowcount:
                raise self._unknown(name)

    def _unknown(self, name: str) -> PeopleError:
        names = ", ".join(person.name for person in self)
        return PeopleError(f"there is no {name!r}; there are {names or 'no people yet'}")

    def _hashed(self, password: str) -> str:
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise PeopleError(
                f"a password of {len(password)} characters; expected {SHORTEST_PASSWORD} to "
                f"{LONGEST_PASSWORD:,}"
            )
        return self._hasher.hash(password)

    @property
    def _nobody(self) -> str:
        """A hash of no password, made once, so that an unknown name takes as long as a known."""
        if not hasattr(self, "_dummy"):
            self._dummy = self._hasher.hash(secrets.token_urlsafe(32))
        return self._dummy

    @property
    def _file(self) -> sqlite3.Connection:
        """This thread's connection; none is carried over a fork."""
        if getattr(self._here, "process", None) != os.getpid():
            self._here.process = os.getpid()
            self._here.file = sqlite3.connect(self.path, timeout=5, isolation_level=None)
            self._here.file.execute("PRAGMA journal_mode = WAL")
            self._here.file.execute("PRAGMA foreign_keys = ON")
        file: sqlite3.Connection = self._here.file
        return file

    @contextlib.contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        file = self._file
        file.execute("BEGIN IMMEDIATE")
        try:
            yield file
        except BaseException:
            file.execute("ROLLBACK")
            raise
        file.execute("COMMIT")


def _role(role: str) -> str:
    if role not in ROLES:
        raise PeopleError(f"there is no role {role!r}; expected {', '.join(ROLES)}")
    return role


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
